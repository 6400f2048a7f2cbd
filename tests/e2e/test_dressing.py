"""Labels, people, milestone and the draft state: given once, by spec and settings."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both, nothing_to_do

OPTIONS = {"labels": ["sdk"], "reviewers": ["ann"], "milestone": "v2"}


def stored(ws: Workspace, cell: str = "a") -> tuple[Any, ...]:
    """What the local forge keeps beside the text of a cell's pull request."""
    pr = ws.pr(cell)
    people = (pr.get(name, []) for name in ("labels", "reviewers", "assignees"))
    return (*people, pr.get("milestone", ""), pr["draft"])


def test_a_pull_request_gets_what_spec_and_settings_ask_for(workspace: MakeWorkspace) -> None:
    checks = [{"kind": "command", "name": "c", "run": ["false"]}]
    ws = workspace(
        cells={"a": {"pull_request": {**OPTIONS, "ready": True}},
               "red": {"pull_request": {"ready": True}, "checks": checks, "allow_partial": True,
                       "repair": {"checks": 0}}},
        settings={"forge": {"labels": ["orchestr"], "assignees": ["bob"]}},
        metadata={"name": "demo", "jira": "T-1", "title": "The demo", "type": "fix"},
    )  # fmt: skip
    ws.run("run", "demo")
    assert stored(ws) == (["orchestr", "sdk"], ["ann"], ["bob"], "v2", False)
    assert ws.pr("a")["title"] == "fix(app): The demo (T-1) [a]"
    assert "This is a draft" not in ws.pr("a")["body"]
    assert stored(ws, "red")[0] == ["orchestr"] and ws.pr("red")["draft"]
    nothing_to_do(ws, "--only", "a")


def test_what_is_asked_for_later_is_added_and_nothing_is_given_twice(built: Workspace) -> None:
    ws = built
    ws.edit_spec("todo:\n    - do a", f"pull_request: {OPTIONS}\n    todo:\n    - do a")
    ws.run("run", "demo", code=0)
    assert stored(ws) == (["sdk"], ["ann"], [], "v2", True) and len(ws.starts("a")) == 1
    path = ws.root / ".orchestr" / "forge" / "app" / f"{ws.pr('a')['number']}.toml"
    path.write_text(path.read_text().replace('"sdk"', '"mine"'))  # a person took ours away
    ws.edit_spec("'labels': ['sdk']", "'labels': ['sdk', 'new'], 'ready': true")
    ws.run("run", "demo", code=0)
    assert stored(ws) == (["mine", "new"], ["ann"], [], "v2", False)
    assert "ready" in ws.result("a", "publish.toml")
    nothing_to_do(ws)


def test_what_the_forge_does_not_take_is_a_warning(built: Workspace) -> None:
    """The milestone is another one already; the rest is given."""
    ws = built
    ws.edit_spec("todo:\n    - do a", f"pull_request: {OPTIONS}\n    todo:\n    - do a")
    ws.run("run", "demo", code=0)
    ws.edit_spec("'milestone': 'v2'", "'milestone': 'v3'")
    done = ws.run("run", "demo", code=0)
    assert "does not get everything: milestone v3: it has v2 already" in both(done)


def test_a_kill_before_the_record_is_repaired_by_the_next_run(built: Workspace) -> None:
    ws = built
    ws.edit_spec("todo:\n    - do a", f"pull_request: {OPTIONS}\n    todo:\n    - do a")
    code = (
        "import os, sys; from orchestr import cli; from orchestr.cell.phases import publish\n"
        "publish.dress_pull_request = lambda *_: os._exit(9)\n"
        "sys.exit(cli.main(['run', 'demo']))"
    )
    killed = subprocess.run([sys.executable, "-c", code], cwd=ws.root, env=ws.env(), check=False,
                            capture_output=True, text=True)  # fmt: skip
    assert killed.returncode == 9, both(killed)
    ws.run("run", "demo", code=0)
    assert stored(ws) == (["sdk"], ["ann"], [], "v2", True)
