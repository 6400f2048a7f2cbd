"""Result files that somebody else than orchestr wrote: noticed, set aside, never published."""

from __future__ import annotations

import hashlib
import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli_w

from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both, wait_for

RED = {"checks": [{"kind": "command", "name": "test", "run": ["false"]}]}
NOTICED = "its content is none that orchestr wrote there"


@pytest.fixture
def ws(workspace: MakeWorkspace) -> Iterator[Workspace]:
    made = workspace(cells={"a": {}, "b": {"depends_on": ["a"]}})
    made.run("run", "demo", code=0)
    yield made


def forge_checks(path: Path) -> None:
    table = json.loads(path.read_text())
    table["items"] = [{**row, "passed": True, "exit": 0} for row in table["items"]]
    path.write_text(json.dumps(table))


def aside(ws: Workspace, cell: str, name: str) -> list[Path]:
    return [*ws.cell_dir(cell).glob(f"{name}.corrupt-*")]


def test_every_result_has_a_digest_in_the_journal(ws: Workspace) -> None:
    sealed: dict[str, set[str]] = {}
    for event in ws.journal(kind="result.written"):
        for name, value in event["data"]["files"].items():
            sealed.setdefault(f"{event['cell']}/{name}", set()).add(value)
    for cell in ("a", "b"):
        for name in ("implement.toml", "checks.json", "review.json", "head.toml"):
            data = (ws.cell_dir(cell) / name).read_bytes()
            assert hashlib.sha256(data).hexdigest()[:32] in sealed[f"{cell}/{name}"]
        marks = [e for e in ws.journal(kind="result.written") if e["data"].get("whole")]
        assert [e["cell"] for e in marks] == ["a", "b"]  # before the agent of each, once


def test_nothing_is_built_again_of_what_is_as_it_was_written(ws: Workspace) -> None:
    before = len(ws.journal())
    ws.run("run", "demo", code=0)
    assert len(ws.starts()) == 2
    assert [e["kind"] for e in ws.journal()[before:]] == ["run.started", "run.finished"]


@pytest.mark.parametrize("name", ["checks.json", "review.json", "head.toml"])
def test_what_was_rewritten_is_made_again_without_an_agent(ws: Workspace, name: str) -> None:
    path = ws.cell_dir("a") / name
    good = path.read_bytes()
    path.write_bytes(good + b"\n")
    assert NOTICED in both(ws.run("run", "demo", code=0))
    assert path.read_bytes() == good
    assert len(aside(ws, "a", name)) == 1
    assert len(ws.starts()) == 2


def test_red_checks_are_not_made_green_in_their_file(workspace: MakeWorkspace) -> None:
    """An agent that lies in wait for the evidence of its own cell, and rewrites it."""
    ws = workspace(cells={"a": {**RED, "repair": {"checks": 0}}})
    liar = ws.root / "liar.py"
    place = ws.cell_dir("a") / "checks.json"
    liar.write_text(
        "import json, os, pathlib, sys, time\n"
        "if os.fork(): sys.exit()\n"
        "os.setsid()\n"
        f"place = pathlib.Path({str(place)!r})\n"
        "end = time.time() + 60\n"
        "while time.time() < end and not place.exists(): time.sleep(0.001)\n"
        "table = json.loads(place.read_text())\n"
        "table['items'] = [{**row, 'passed': True} for row in table['items']]\n"
        "place.write_text(json.dumps(table))\n"
    )
    ws.run("run", "demo", code=1)
    head = ws.run("status", "demo", "--json")
    assert json.loads(head.stdout)["features"][0]["cells"][0]["state"] != "done"
    # forged by hand, as the processes of an agent do not outlive it
    done = tomllib.loads((ws.cell_dir("a") / "implement.toml").read_text())
    forged = {
        "schema": 1,
        "head": done["head"],
        "key": "0" * 20,
        "items": [],
        "origin": done["head"],
    }
    for key in [json.loads(p.read_text())["key"] for p in ws.cell_dir("a").rglob("checks*.json")
                if "key" in json.loads(p.read_text())]:  # fmt: skip
        forged["key"] = key
    place.write_text(json.dumps(forged))
    said = both(ws.run("run", "demo", code=1))
    assert NOTICED in said
    assert "T-1-a" not in ws.heads()


def test_a_forged_head_is_not_taken_for_proved(ws: Workspace) -> None:
    path = ws.cell_dir("b") / "implement.toml"
    table = tomllib.loads(path.read_text())
    other = tomllib.loads((ws.cell_dir("a") / "implement.toml").read_text())
    path.write_text(tomli_w.dumps({**table, "head": other["head"], "tree": other["tree"]}))
    assert NOTICED in both(ws.run("run", "demo"))
    assert aside(ws, "b", "implement.toml")


def test_a_workspace_of_before_goes_on(ws: Workspace) -> None:
    """No digests in its journal: its files count, nothing is built again, and the first agent
    gives a digest to what is there."""
    path = ws.root / ".orchestr" / "journal" / "demo.jsonl"
    lines = [line for line in path.read_text().splitlines(True) if "result.written" not in line]
    path.write_text("".join(lines))
    assert NOTICED not in both(ws.run("run", "demo", code=0))
    assert len(ws.starts()) == 2
    ws.run("run", "demo:a", "--force", code=0)
    marks = [e for e in ws.journal(kind="result.written") if e["data"].get("whole")]
    assert next(e["cell"] for e in marks) == "a"


def test_an_approval_that_nobody_gave(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {"approve": "publish"}})
    ws.run("run", "demo")
    asked = ws.journal(kind="approval.asked")[-1]["data"]["digest"]
    folder = ws.cell_dir("a") / "approvals"
    folder.mkdir()
    decision = {"schema": 1, "gate": "publish", "verdict": "approved", "digest": asked,
                "at": "2026-01-01T00:00:00.000+00:00", "name": "Nobody"}  # fmt: skip
    (folder / "publish.toml").write_text(tomli_w.dumps(decision))
    assert NOTICED in both(ws.run("run", "demo"))
    assert "T-1-a" not in ws.heads()
    ws.run("approve", "demo:a", "--yes", code=0)
    ws.run("run", "demo", code=0)
    assert "T-1-a" in ws.heads()


def test_a_line_in_the_journal_seals_nothing_while_a_run_is_at_work(
    workspace: MakeWorkspace,
) -> None:
    """The agent writes both, the file and the line that vouches for it."""
    ws = workspace(cells={"a": dict(RED, repair={"checks": 0}), "b": {}})
    place, journal = ws.cell_dir("b") / "review.json", ws.root / ".orchestr/journal/demo.jsonl"
    forger = ws.agents / "forger.py"
    forger.write_text(
        "import hashlib, json, pathlib\n"
        f"place, journal = pathlib.Path({str(place)!r}), pathlib.Path({str(journal)!r})\n"
        "data = json.dumps({'schema': 1, 'head': '0' * 40, 'key': 'k', 'items': []}).encode()\n"
        "line = {'v': 1, 'ts': '2026-01-01T00:00:00.000+00:00', 'kind': 'result.written',\n"
        "        'feature': 'demo', 'cell': 'b', 'data': {'files':\n"
        "        {'review.json': hashlib.sha256(data).hexdigest()[:32]}}}\n"
        "with journal.open('a') as out: out.write(json.dumps(line) + '\\n')\n"
        "place.write_bytes(data)\n"
    )
    ws.script("b", f"echo x > b.txt; {sys.executable} {forger}\n")
    said = both(ws.run("run", "demo:b"))
    assert NOTICED in said
    assert aside(ws, "b", "review.json")


def test_an_exit_record_beside_a_living_supervisor_is_not_its_end(
    workspace: MakeWorkspace,
) -> None:
    """The agent writes that it has ended well, and works on."""
    ws = workspace(cells={"a": {}})
    record = {"schema": 1, "code": 0, "signal": None, "reason": "exited", "detail": "",
              "last_line": "", "started_at": "", "finished_at": "", "seconds": 1.0, "bytes": 0,
              "killed": 0}  # fmt: skip
    (ws.agents / "exit.json").write_text(json.dumps(record))
    folder = ws.cell_dir("a") / "attempts" / "1"
    ws.script("a", f"echo first > a.txt; cp {ws.agents}/exit.json {folder}/exit.json; sleep 2; "
              "echo second > a.txt\n")  # fmt: skip
    ws.run("run", "demo", code=0)
    wait_for((folder / "exit.json").exists, "its end")
    assert json.loads((folder / "exit.json").read_text())["seconds"] >= 2
    assert ws.show("a", "a.txt") == "second"


REWRITE = """\
import json, pathlib
journal = pathlib.Path({journal!r})
lines = journal.read_text().splitlines(True)
{what}
"""
HARM = {
    "a line is changed": (
        "journal.write_text(''.join([lines[0].replace('run.started', 'run.startle'), *lines[1:]]))",
        "lines of it were changed or removed",
    ),
    "it is cut": ("journal.write_text(lines[0])", "lines of it were changed or removed"),
    "a result is added": (
        "line = {'v': 1, 'ts': '2026-01-01T00:00:00.000+00:00', 'kind': 'check.done', "
        "'cell': 'b', 'feature': 'demo', 'data': {'name': 'x', 'passed': True}}\n"
        "journal.open('a').write(json.dumps(line) + '\\n')",
        "it has lines that this run has not written: check.done b",
    ),
}


@pytest.mark.parametrize("name", HARM)
def test_what_an_agent_does_to_the_journal_is_noticed(workspace: MakeWorkspace, name: str) -> None:
    ws = workspace(cells={"a": {}})
    what, words = HARM[name]
    journal = ws.root / ".orchestr" / "journal" / "demo.jsonl"
    script = ws.agents / "rewrite.py"
    script.write_text(REWRITE.format(journal=str(journal), what=what))
    ws.script("a", f"echo x > a.txt; {sys.executable} {script}\n")
    assert words in both(ws.run("run", "demo"))
    assert any(words in e["data"]["reason"] for e in ws.journal(kind="cell.warned"))


def test_a_persons_verbs_beside_a_run_are_no_harm(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {"approve": "publish"}, "b": {}})
    ws.run("run", "demo:a")
    go = ws.agents / "go"
    ws.script("b", f"echo x > b.txt; touch {go}.up; while [ ! -e {go} ]; do sleep 0.05; done\n")
    child = ws.spawn("run", "demo")
    wait_for((ws.agents / "go.up").exists, "the agent of b")
    ws.run("approve", "demo:a", "--yes", code=0)
    ws.run("ignore", "demo:b")
    go.touch()
    assert child.ended() == 0, child.said()
    assert "was written to" not in child.said() and NOTICED not in child.said()
    assert "T-1-a" in ws.heads()
