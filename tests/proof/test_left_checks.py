"""Checks that a killed run left at work: found and ended, and never in the way of what is next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.conftest import git
from tests.e2e.workspace import FEATURE, Workspace, both, nothing_to_do
from tests.proof.test_reviewers import begin

Make = Callable[..., Workspace]

# Waits in its first run, until somebody ends it; says what it lived to see.
WAITS = """\
echo start >> "{root}/checks"
if [ ! -f "{root}/agents/go" ]; then touch "{root}/agents/works"; sleep 60; fi
echo end >> "{root}/checks"
"""


def killed(make: Make, checks_in: str = "checkout", **cross: Any) -> Workspace:
    """A workspace whose run was killed in the middle of a check."""
    ws = make(cells={"one": {}}, settings={"repos": {"app": {"checks_in": checks_in}}})
    run = ["sh", "-c", WAITS.format(root=ws.root)]
    slow: Mapping[str, Any] = {"kind": "command", "name": "slow", "run": run}
    if cross:
        ws.spec({"one": {}}, cross_checks=[{**slow, "repo": "app"}])
    else:
        ws.spec({"one": {"checks": [slow]}})
    child = begin(ws)
    child.kill()
    child.wait()
    assert ws.processes() != []
    (ws.agents / "go").touch()
    return ws


def checks(ws: Workspace) -> list[str]:
    return (ws.root / "checks").read_text().splitlines()


@pytest.mark.parametrize("cross", [{}, {"cross": True}], ids=["cell", "cross"])
def test_the_next_run_ends_the_check_that_a_killed_one_left(workspace: Make, cross: Any) -> None:
    ws = killed(workspace, **cross)
    ws.run("run", FEATURE, code=0)
    assert ws.processes() == []
    assert checks(ws) == ["start", "start", "end"]
    assert len(ws.starts("one")) == 1 and len(ws.prs()) == 1
    nothing_to_do(ws)


def test_a_persons_new_file_beside_a_killed_check_is_kept_and_told(workspace: Make) -> None:
    ws = killed(workspace, "worktree")
    (ws.worktree("one") / "notes").mkdir()
    (ws.worktree("one") / "notes" / "mine.txt").write_text("thoughts\n")
    said = both(ws.run("run", FEATURE, code=0))
    left = ws.cell_dir("one") / "attempts" / "1" / "checks" / "1" / "left"
    assert f"new files of the worktree were moved to {left}: notes" in said
    assert (left / "notes" / "mine.txt").read_text() == "thoughts\n"
    assert git(ws.worktree("one"), "ls-tree", "--name-only", "HEAD").split() == [
        "README.md", "one.txt",
    ]  # fmt: skip


def test_a_persons_new_file_beside_a_killed_check_elsewhere_is_theirs(workspace: Make) -> None:
    """No check can have left it there: it stays, and the run says what it waits for."""
    ws = killed(workspace)
    (ws.worktree("one") / "mine.txt").write_text("thoughts\n")
    assert "uncommitted changes: mine.txt" in both(ws.run("run", FEATURE, code=1))
    assert (ws.worktree("one") / "mine.txt").read_text() == "thoughts\n"
    (ws.worktree("one") / "mine.txt").unlink()
    ws.run("run", FEATURE, code=0)
    assert ws.starts("one") == ["one 1"]


def test_work_that_is_done_again_after_a_kill_in_a_check_stays(workspace: Make) -> None:
    """The record of that check is for the head before: it must not undo the new attempt."""
    ws = killed(workspace)
    ws.script("one", "echo again >> again.txt")
    ws.run("run", FEATURE, "--force", code=0)
    assert ws.processes() == []
    assert ws.show("one", "again.txt") == "again"
    assert ws.pr("one")["head_sha"] == ws.head("one")
    assert git(ws.worktree("one"), "status", "--porcelain", "--branch") == "## T-1-one"
    nothing_to_do(ws)


@pytest.mark.parametrize("cross", [{}, {"cross": True}], ids=["cell", "cross"])
def test_abort_ends_the_check_that_a_killed_run_left(workspace: Make, cross: Any) -> None:
    ws = killed(workspace, **cross)
    ws.run("abort", FEATURE, code=0)
    assert ws.processes() == []
    assert "end" not in checks(ws)
    ws.run("run", FEATURE, code=0)
    assert checks(ws) == ["start", "start", "end"]


def test_doctor_knows_whose_check_it_is(workspace: Make) -> None:
    ws = killed(workspace)
    said = both(ws.run("doctor"))
    assert f"was left behind by a check of {FEATURE}:one; the next run ends it" in said
    (ws.agents / "go").unlink()
    (ws.agents / "works").unlink()
    run = begin(ws)
    assert "left behind" not in both(ws.run("doctor"))
    run.kill()
    run.wait()
    ws.run("abort", FEATURE, code=0)


@pytest.mark.parametrize("text", ["[1]", '{"repos": 3}', '{"repos": {"app": {"rows": 7}}}'])
def test_cross_checks_of_another_form_are_none(workspace: Make, text: str) -> None:
    ws = workspace(cells={"one": {}})
    ws.spec({"one": {}}, cross_checks=[{"kind": "command", "repo": "app", "run": ["true"]}])
    ws.run("run", FEATURE, code=0)
    kept = ws.root / ".orchestr" / "cells" / FEATURE / "cross-checks.json"
    good = kept.read_text()
    kept.write_text(text)
    ws.run("status", code=0)
    ws.run("forget", FEATURE, code=0)
    ws.run("run", FEATURE, code=0)
    assert '"passed": true' in good and '"passed": true' in kept.read_text()
