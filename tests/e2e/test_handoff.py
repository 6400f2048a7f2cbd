"""`handoff`, as a person and as a script use it, on the local forge."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both, nothing_to_do

CELLS: dict[str, dict[str, Any]] = {
    "core": {"repo": "lib", "checks": [{"kind": "command", "name": "fine", "run": ["true"]}]},
    "app": {"repo": "app", "depends_on": ["core"]},
}


@pytest.fixture
def ws(workspace: MakeWorkspace) -> Workspace:
    """Two cells in two repositories, built."""
    made = workspace(repos=("lib", "app"), cells=CELLS)
    made.run("run", "demo", code=0)
    return made


def records(ws: Workspace) -> list[dict[str, Any]]:
    """What the hand-offs wrote down, oldest first."""
    files = sorted((ws.root / ".orchestr" / "handoffs" / "demo").glob("*.json"))
    return [json.loads(path.read_text()) for path in files]


def test_what_is_not_green_is_listed_and_nothing_is_touched(workspace: MakeWorkspace) -> None:
    ws = workspace(repos=("lib", "app"), cells=CELLS)
    done = ws.run("handoff", "demo", "--ready", "--yes", code=1)
    assert "demo:core: it has no result yet\n      next: orchestr run demo:core\n" in done.stdout
    ws.run("run", "demo", code=0)
    ws.edit_spec("do app", "do app well")
    table = json.loads(ws.run("handoff", "demo", "--ready", "--json", "--yes", code=1).stdout)
    assert (table["ready"], len(table["obstacles"])) == (False, 1)
    assert table["obstacles"][0]["cell"] == "demo:app"
    assert "not up to date: implement: " in table["obstacles"][0]["why"]
    assert table["obstacles"][0]["next"] == "orchestr run demo:app"
    ws.edit_spec("do app well", "do app")

    pushed = ws.root / "person"
    git(ws.root, "clone", "-qb", ws.branch("core"), str(ws.repos / "lib.git"), str(pushed))
    git(pushed, "commit", "-q", "--allow-empty", "-m", "mine")
    git(pushed, "push", "-q")
    before = ws.prs()
    done = ws.run("handoff", "demo", "--ready", "--yes", code=1)
    assert (
        "somebody pushed commits to its branch\n      next: orchestr run demo:core" in done.stdout
    )
    assert {url: pr["body"] for url, pr in ws.prs().items()} == {
        url: pr["body"] for url, pr in before.items()
    }
    assert records(ws) == [] and all(pr["draft"] for pr in ws.prs().values())


def test_texts_are_sent_in_merge_order_and_written_down(ws: Workspace) -> None:
    shown = ws.run("handoff", "demo", "--dry-run", code=0).stdout
    assert shown.index("1. core: local://lib/pull/1") < shown.index("2. app: local://app/pull/1")
    assert "title: feat(lib): The demo (T-1) [core]" in shown
    for part in ("> working on core", "- `core.txt` +1 −0", "- [x] `fine`: exit 0", "- Refs T-1"):
        assert part in shown
    assert "with --leave:\n  1. edit body of local://lib/pull/1\n" in shown
    assert records(ws) == []

    ws.run("handoff", "demo", "--leave", "--yes", code=0)
    assert all(pr["draft"] for pr in ws.prs().values())
    body = ws.pr("core")["body"]
    assert body.startswith("<!-- orchestr:handoff -->\n## Summary\n") and body in shown
    [record] = records(ws)
    assert [(a["kind"], a["cell"], a["result"]) for a in record["actions"]] == [
        ("edit", "core", "edited: body"), ("edit", "app", "edited: body"),
    ]  # fmt: skip
    assert record["texts"][0]["body"] == body and record["outcome"] == "done"
    assert "Tess Tester <tess@example.org>" in record["by"]

    again = ws.run("handoff", "demo", "--leave", "--yes", code=0)
    assert "nothing to do" in again.stdout and len(records(ws)) == 1
    nothing_to_do(ws)
    ws.edit_spec("title: The demo", "title: Another title")
    ws.run("run", "demo", code=0)  # publishes again: the text of the hand-off is not ours
    new = ws.pr("core")["body"]
    assert new.partition("<!-- orchestr:handoff end -->")[0] in body and "Another title" in new


def test_ready_marks_all_but_the_skipped(ws: Workspace) -> None:
    done = ws.run("handoff", "demo", "--ready", "--skip", "app", "--yes", code=0)
    assert "core: local://lib/pull/1: ready for review\n" in done.stdout
    assert (ws.pr("core")["draft"], ws.pr("app")["draft"]) == (False, True)
    assert "This is a draft" not in ws.pr("core")["body"]
    assert "orchestr:handoff" not in ws.pr("app")["body"]
    table = json.loads(ws.run("handoff", "demo", "--ready", "--yes", "--json", code=0).stdout)
    assert [(a["kind"], a["cell"]) for a in table["actions"]] == [
        ("edit", "core"),  # it named the draft
        ("edit", "app"),
        ("ready", "app"),
    ]
    assert not any(pr["draft"] for pr in ws.prs().values())
    nothing_to_do(ws)


def test_another_base_stays(ws: Workspace) -> None:
    git(ws.repos / "app.git", "branch", "release", "main")
    ws.run("handoff", "demo", "--leave", "--base", "app=release", "--yes", code=0)
    assert ws.pr("app")["base"] == "release" and "Goes into `release`" in ws.pr("app")["body"]
    ws.edit_spec("title: The demo", "title: Another title")
    ws.run("run", "demo", code=0)
    assert ws.pr("app")["base"] == "release" and "Goes into `release`" in ws.pr("app")["body"]
    done = ws.run("land", "demo", code=1)
    assert (
        "its pull request is for release, which a person chose: write `base: release`"
        in done.stdout
    )
    assert (ws.pr("core")["state"], ws.pr("app")["state"]) == ("merged", "open")


def test_landing_is_part_of_the_record(ws: Workspace) -> None:
    done = ws.run("handoff", "demo", "--land", "--yes", code=0)
    assert {pr["state"] for pr in ws.prs().values()} == {"merged"}, both(done)
    assert "core.txt" in git(ws.repos / "lib.git", "ls-tree", "--name-only", "main")
    [record] = records(ws)
    assert record["outcome"] == "landed" and record["actions"][-1]["result"] == "landed"
    kinds = {row["kind"] for row in record["landing"]}
    assert any(kind.startswith("land.") for kind in kinds)
    assert "nothing to do" in ws.run("handoff", "demo", "--land", "--yes", code=0).stdout


def test_a_text_is_edited_before_it_is_sent(ws: Workspace, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text(
        "#!/bin/sh\nsed -i -e '1s/.*/fix(lib): my words/' -e 's/^> working on .*/> told by me/' "
        "-e 's/^Feature .*/not this/' \"$1\"\n"
    )
    editor.chmod(0o755)
    env = {"EDITOR": str(editor)}
    done = ws.run("handoff", "demo", "--leave", "--edit", "--yes", "--skip", "app", env=env, code=0)
    assert "the part between our markers stays as it is" in done.stderr
    pr = ws.pr("core")
    assert pr["title"] == "fix(lib): my words"
    assert "> told by me" in pr["body"] and "Feature `demo`, cell `core`" in pr["body"]
    assert records(ws)[0]["edited"] == ["core"]
    again = ws.run("handoff", "demo", "--leave", "--yes", "--skip", "app", code=0)
    assert "nothing to do" in again.stdout  # what was edited stays
    failing = {"EDITOR": "false"}
    words = ("handoff", "demo", "--leave", "--edit", "--yes")
    assert "ended with exit 1" in ws.run(*words, env=failing, code=1).stderr


def test_a_hand_off_that_was_cut_off_goes_on(ws: Workspace) -> None:
    """Cut off after the first call: the record says what was chosen and what was done."""
    ws.run("handoff", "demo", "--ready", "--yes", code=0)
    path = next((ws.root / ".orchestr" / "handoffs" / "demo").glob("*.json"))
    record = json.loads(path.read_text())
    for name in ("finished_at", "outcome"):
        del record[name]
    for action in record["actions"][1:]:  # core's edit is done, its draft state as before
        action["result"] = action["at"] = None
    path.write_text(json.dumps(record))
    body = ws.pr("core")["body"]
    done = ws.run("handoff", "demo", "--ready", "--yes", code=0)
    assert "going on with the hand-off of" in done.stderr
    [record] = records(ws)
    assert [a["result"] for a in record["actions"]] == [
        "edited: body", "it is so already", "it is so already", "it is so already",
    ]  # fmt: skip
    assert record["outcome"] == "done" and ws.pr("core")["body"] == body

    del record["finished_at"], record["outcome"]
    record["actions"][-1]["result"] = None
    path.write_text(json.dumps(record))
    done = ws.run("handoff", "demo", "--ready", "--base", "app=main", "--yes", code=0)
    assert "nothing to do" in done.stdout and records(ws) == [record]  # nothing else began
    ws.run("run", "demo:app", "--force", code=0)
    done = ws.run("handoff", "demo", "--ready", "--yes", code=0)
    assert "is given up: a head changed" in done.stderr
    assert [r["outcome"] for r in records(ws)] == ["given up: a head changed", "done"]


@pytest.mark.parametrize("step", [0, 1, 4, 6])
def test_a_kill_at_a_record_repeats_nothing(built: Workspace, step: int) -> None:
    """The program ends where it would write the record for the ``step``-th time after the first."""
    ws, words = built, ["handoff", "demo", "--ready", "--yes"]
    before = len(ws.journal(kind="pr.updated"))
    code = (
        "import os, sys; from orchestr import cli; from orchestr.handoff import records as r\n"
        "real, count = r.HandoffRecord.write, []\n"
        "def write(self, path):\n"
        f"    count.append(1); len(count) > {step} + 1 and os._exit(9); real(self, path)\n"
        "r.HandoffRecord.write = write\n"
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    killed = subprocess.run([sys.executable, "-c", code, *words], cwd=ws.root, env=ws.env(),
                            check=False, capture_output=True, text=True)  # fmt: skip
    assert killed.returncode == 9, both(killed)
    assert "going on with the hand-off of" in ws.run(*words, code=0).stderr
    [record] = records(ws)
    assert record["outcome"] == "done" and len(record["actions"]) == 6
    assert not any(pr["draft"] for pr in ws.prs().values())
    assert len(ws.journal(kind="pr.updated")) == before + 6  # each call once


def test_what_a_script_may_not_leave_open(built: Workspace) -> None:
    for words, told in (
        ([], "there is no terminal to choose at"),
        (["--leave", "--ready"], "choose one of --leave, --ready"),
        (["--leave"], "there is no terminal"),
        (["--leave", "--skip", "nope", "--yes"], "no pull request of a cell 'nope'"),
        (["--land", "--skip", "a", "--yes"], "features land as a whole"),
        (["--ready", "--base", "a", "--yes"], "'a' is not CELL=BRANCH"),
        (["--ready", "--json"], "--json asks nothing"),
    ):
        done = built.run("handoff", "demo", *words, code=2)
        assert told in done.stderr and records(built) == []


def test_a_person_chooses_at_a_terminal(built: Workspace) -> None:
    """Through a pseudo-terminal: an unknown word, a skipped cell, ready, then use."""
    ws = built
    parent, child = pty.openpty()
    try:
        program = subprocess.Popen(
            [sys.executable, "-m", "orchestr", "handoff", "demo"],
            cwd=ws.root, env=ws.env({"PAGER": "cat"}), stdin=child, stdout=child, stderr=child,
            start_new_session=True,
        )  # fmt: skip
        os.write(parent, b"redy\nskip c\nready\nuse\n")
        os.close(child)
        shown = b""
        while True:
            try:
                piece = os.read(parent, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            shown += piece
        assert program.wait(60) == 0, shown.decode()
    finally:
        os.close(parent)
    text = shown.decode()
    assert "'redy' is no choice" in text and "title: feat(app): The demo (T-1) [a]" in text
    assert {pr["head"]: pr["draft"] for pr in ws.prs().values()} == {
        "T-1-a": False, "T-1-b": False, "T-1-c": True,
    }  # fmt: skip
    assert records(ws)[0]["skipped"] == ["c"]
