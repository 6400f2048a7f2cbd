"""Reports of runs and landings, `orchestr runs`, and the news that name them."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both, nothing_to_do, wait_for

CATCH = ["sh", "-c", "cat >> news.jsonl; echo >> news.jsonl"]
SECRET = "hush-hush-123456"
ISSUES = {
    "summary": "fine",
    "issues": [{"title": "Two copies of parse", "description": "Both grow.", "places": [],
                "severity": "tech_debt", "evidence": ""}],
}  # fmt: skip


def folders(ws: Workspace) -> list[Path]:
    return sorted((ws.root / ".orchestr" / "reports" / "runs").glob("*"))


def reports(ws: Workspace) -> list[dict[str, Any]]:
    """Every `report.json`, oldest first; its Markdown and page stand beside it."""
    found = []
    for folder in folders(ws):
        if (folder / "report.json").exists():
            found.append(json.loads((folder / "report.json").read_text()))
            assert (folder / "report.html").read_text().startswith("<!doctype html>")
            token = (folder / "report.md").read_text().splitlines()[-1]
            assert (token == "done") is (found[-1]["next"] == "done")
    return found


def listed(ws: Workspace, *words: str) -> list[dict[str, Any]]:
    rows = json.loads(ws.run("runs", *words, "--json", code=0).stdout)["runs"]
    assert isinstance(rows, list)
    return rows


def cells_of(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {cell["name"]: cell for one in report["features"] for cell in one["cells"]}


def test_a_failed_run_and_the_one_that_ends_it_well(workspace: MakeWorkspace) -> None:
    ws = workspace(
        cells={"a": {"reviewers": [{"agent": "eve"}]}, "b": {}, "c": {"depends_on": ["b"]},
               "d": {"todo": ["Write the manual"]}},
        settings={"notify": {"command": CATCH},
                  "agents": {"default": "sh",
                             "eve": {"kind": "command", "run": ["sh", "eve.sh"]}}},
    )  # fmt: skip
    (ws.root / "eve.sh").write_text(f"echo '{json.dumps(ISSUES)}'\n")
    ws.script("a", "echo a > a.txt; echo 'Done, but TODO: the retry'\n")
    ws.script("b", f"echo 'broken <b> {SECRET}' >&2; exit 3\n")
    ws.run("ignore", "demo:d", code=0)
    done = ws.run("run", "demo", env={"MY_TOKEN": SECRET}, code=1)
    (folder,), (report,) = folders(ws), reports(ws)
    assert f"report: .orchestr/reports/runs/{folder.name}/report.html" in done.stderr
    assert (report["exit"], report["outcome"]) == (1, "failed")
    assert report["command"] == "orchestr run demo"
    assert report["counts"] == {"done": 1, "failed": 1, "blocked": 1, "ignored": 1}
    assert report["next"] == [
        {"cell": "demo:b", "command": "orchestr run demo:b"},
        {"cell": "demo:c", "command": "orchestr run demo --failed"},
    ]
    a, b = cells_of(report)["a"], cells_of(report)["b"]
    assert (a["head"], a["pr"]["url"]) == (ws.head("a"), ws.result("a", "pr-url"))
    assert (a["worktree_origin"], a["pr"]["origin"]) == ("created", "created")
    assert a["reviews"][0]["issues"][0]["title"] == "Two copies of parse"
    assert [(c["phase"], c["what"], c["cost_usd"]) for c in a["costs"]] == [
        ("implement", "attempt", None), ("review", "review", None),
    ]  # fmt: skip
    assert b["reason"] == "exit 3: broken <b> ***"
    for path in folder.iterdir():
        assert SECRET not in path.read_text()
    left = yaml.safe_load(ws.run("runs", "--follow-ups", "demo", code=0).stdout)
    assert left["cells"]["d"]["todo"] == ["Write the manual"]
    debt, words = left["cells"]["a"]["todo"]
    assert debt == "Two copies of parse: Both grow. [review by eve]"
    assert words.endswith("Done, but TODO: the retry")

    cell, end = [json.loads(x) for x in (ws.root / "news.jsonl").read_text().splitlines()]
    assert (cell["kind"], cell["cell"]) == ("failed", "b")
    assert (end["kind"], end["exit"], end["counts"]) == (
        "failed", 1, {"done": 1, "failed": 1, "blocked": 1, "ignored": 1},
    )  # fmt: skip
    assert (end["prs"], end["report"]) == ([a["pr"]["url"]], str(folder / "report.html"))

    ws.script("b", None)
    ws.run("run", "demo", code=0)
    _, report = reports(ws)
    a, b = cells_of(report)["a"], cells_of(report)["b"]
    assert (report["next"], report["outcome"], a["works"]) == ("done", "done", [])
    assert (b["worktree_origin"], b["pr"]["origin"]) == ("reused", "created")
    nothing_to_do(ws)
    assert len(folders(ws)) == 2  # a run with nothing to do has no report
    rows = listed(ws)
    assert [(row["outcome"], row["exit"]) for row in rows] == [
        ("up to date", 0), ("done", 0), ("failed", 1),
    ]  # fmt: skip
    assert [row["report"] is not None for row in rows] == [False, True, True]
    assert listed(ws, "-n", "1") == rows[:1]
    text = (folder / "report.md").read_text()
    assert ws.run("runs", folder.name, code=0).stdout == text
    assert ws.run("runs", folder.name[-4:], code=0).stdout == text
    wrong = both(ws.run("runs", f"{folder.name}x", code=2))
    assert "did you mean '20" in wrong


def test_a_landing_and_its_rollback(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    ws.run("land", "demo", "--dry-run", code=0)
    ws.run("land", "demo", code=0)
    ws.run("land", "demo", code=0)  # nothing is left: no report
    ws.run("rollback", "demo", code=0)
    ran, landed, undone = reports(ws)
    assert len(folders(ws)) == 3
    assert [one["verb"] for one in (ran, landed, undone)] == ["run", "land", "rollback"]
    assert [one["outcome"] for one in (landed, undone)] == ["landed", "rolled back"]
    assert [one["next"] for one in (landed, undone)] == ["done", "done"]
    (line,) = landed["features"][0]["landing"]
    assert (line["cell"], line["what"], line["target"]) == ("a", "landed", "main")
    assert cells_of(landed)["a"]["pr"]["state"] == "merged"
    (line,) = undone["features"][0]["landing"]
    assert (line["what"], line["commit"]) == ("rolled back", ws.heads()["main"])
    assert [row["verb"] for row in listed(ws)] == ["rollback", "land", "run"]


@pytest.mark.slow
def test_a_run_over_two_features_that_lands_one_has_one_report(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}}, delivery="merge")
    ws.spec({"x": {}}, feature="other")
    ws.run("run", "demo", "other", code=0)
    (report,) = reports(ws)
    assert (report["verb"], report["outcome"], report["next"]) == ("run", "done", "done")
    demo, other = report["features"]
    assert (demo["state"], demo["landing"][0]["what"]) == ("landed", "landed")
    assert (other["state"], other["landing"]) == ("done", [])
    (row,) = listed(ws)
    assert (row["features"], row["counts"]) == (["demo", "other"], {"landed": 1, "done": 1})


def test_a_killed_run_is_listed_as_interrupted(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.script("a", 'touch "$AGENT_DIR/works"; sleep 600\n')
    child = ws.spawn("run", "demo")
    wait_for((ws.agents / "works").exists, "the agent works")
    assert [row["outcome"] for row in listed(ws)] == ["running"]
    child.send_signal(signal.SIGKILL)
    child.ended()
    (killed,) = listed(ws)
    assert (killed["outcome"], killed["report"], killed["exit"]) == ("interrupted", None, None)
    assert folders(ws) == []
    said = ws.run("runs", killed["run"], code=0).stdout
    assert f"run {killed['run']}: interrupted; no report of it was written" in said
    ws.run("abort", "demo", code=0)
    ws.script("a", None)
    ws.run("run", "demo", code=0)
    assert [row["outcome"] for row in listed(ws)] == ["done", "interrupted"]
    assert [one["outcome"] for one in reports(ws)] == ["done"]


def test_a_killed_landing_is_listed_as_interrupted(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    folder = ws.root / ".orchestr" / "reports" / "runs" / "29990101T000000Z-abcd"
    folder.mkdir()
    begun = {"verb": "land", "command": "orchestr land demo", "features": ["demo"], "pid": 1,
             "started_at": "2999-01-01T00:00:00.000+00:00"}  # fmt: skip
    (folder / "begun.json").write_text(json.dumps(begun))
    row = listed(ws)[0]
    assert (row["verb"], row["outcome"], row["report"]) == ("land", "interrupted", None)


def test_a_report_that_cannot_be_written_is_a_warning(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    (ws.root / ".orchestr").mkdir()
    (ws.root / ".orchestr" / "reports").write_text("a file\n")
    done = ws.run("run", "demo", code=0)
    assert "warning: no report of run " in done.stderr
    assert [row["outcome"] for row in listed(ws)] == ["done"]
