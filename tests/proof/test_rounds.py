"""Rounds of repair that go on, and those that lead nowhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import git
from tests.e2e.workspace import FEATURE, Workspace, both, nothing_to_do, wait_for
from tests.proof.test_repairs import GOOD, REPAIRS
from tests.proof.test_reviewers import WAITS, begin, judge_state, reviewed

Make = Callable[..., Workspace]


@pytest.mark.parametrize("phase", ["check", "review"])
def test_a_repair_that_runs_is_adopted_after_a_kill(workspace: Make, phase: str) -> None:
    """The author works on while nobody watches; its round is paid once."""
    ws = reviewed(workspace, "ada", "eve", checks=[GOOD] if phase == "check" else [])
    ws.script("one", f'if [ -n "$ORCHESTR_ROUND" ]; then {WAITS} fi\n{REPAIRS}')
    judge_state(ws, "eve")
    run = begin(ws)
    run.kill()
    run.wait()
    (ws.agents / "go").touch()
    ws.run("run", FEATURE, code=0)
    assert ws.starts("one") == ["one 1"] * 2
    opened = ws.journal(kind="repair.opened")
    assert [(e["phase"], e["data"]["round"]) for e in opened] == [(phase, 1)]
    # Each head is reviewed once: after a repair of the checks there is only one.
    assert len(ws.starts("eve")) == (1 if phase == "check" else 2)
    assert ws.show("one", "state.txt") == "good"
    assert ws.processes() == []
    nothing_to_do(ws)


def test_a_repair_of_a_blocker_that_changes_nothing_ends_it(workspace: Make) -> None:
    """The same head needs no second opinion: the reviewers are not paid again."""
    ws = reviewed(workspace, "ada", "eve")
    ws.script("one", "echo bad > state.txt")
    judge_state(ws, "eve")
    done = ws.run("run", FEATURE, code=1)
    assert "It is bad (eve) (repair 1 changed nothing and the same is red)" in both(done)
    assert len(ws.starts("one")) == 2
    assert (len(ws.starts("ada")), len(ws.starts("eve"))) == (1, 1)
    assert ws.prs() == {}


def test_no_repairs_are_made_where_none_are_allowed(workspace: Make) -> None:
    ws = reviewed(workspace, "eve", repair={"reviews": 0})
    judge_state(ws, "eve")
    done = ws.run("run", FEATURE, code=1)
    assert "It is bad (eve) (no repairs are allowed)" in both(done)
    assert ws.starts("one") == ["one 1"]
    ws.edit_spec("reviews: 0", "reviews: 2")
    ws.script("one", REPAIRS)
    ws.run("run", FEATURE, code=0)
    assert ws.starts("one") == ["one 1"] * 2
    assert len(ws.starts("eve")) == 2  # the verdict of before stands, the new head needs one


SHOWS = 'if [ -n "$ORCHESTR_ROUND" ]; then echo half > new.txt; ' + WAITS + "fi\n" + REPAIRS


def killed_in_a_repair_of_a_review(workspace: Make) -> Workspace:
    """An author works on, its worktree is dirty, and nobody watches."""
    there = {"kind": "command", "run": ["test", "-e", "README.md"]}
    ws = reviewed(workspace, "eve", checks=[there])
    ws.script("one", SHOWS)
    judge_state(ws, "eve")
    run = begin(ws)
    run.kill()
    run.wait()
    return ws


@pytest.mark.parametrize("ended", [False, True])
def test_changed_checks_wait_for_the_repair_that_runs(workspace: Make, ended: bool) -> None:
    """No check runs beside its agent, or on what it has not committed; it is paid once."""
    ws = killed_in_a_repair_of_a_review(workspace)
    ws.edit_spec("README.md", "state.txt", while_agents_work=True)
    if ended:
        (ws.agents / "go").touch()
        wait_for(lambda: not ws.processes(), "its end")
        ws.run("run", FEATURE, code=0)
    else:
        again = ws.spawn("run", FEATURE)
        wait_for(lambda: "adopted" in again.said(), "its adoption")
        (ws.agents / "go").touch()
        assert again.ended() == 0, again.said()
    assert ws.starts("one") == ["one 1"] * 2
    assert [e["data"]["outcome"] for e in ws.journal(kind="repair.closed")] == ["changed"]
    assert all(e["data"]["passed"] for e in ws.journal(kind="check.done"))
    assert ws.show("one", "new.txt") == "half"
    assert ws.processes() == []
    nothing_to_do(ws)


def test_a_repair_that_nobody_asks_for_any_more_is_ended(workspace: Make) -> None:
    """The reviewers are taken out of the spec; what their repair had begun is kept."""
    ws = killed_in_a_repair_of_a_review(workspace)
    ws.edit_spec("reviewers:\n    - agent: eve", "reviewers: []", while_agents_work=True)
    ws.run("run", FEATURE, code=0)
    assert ws.processes() == []
    assert [e["data"]["outcome"] for e in ws.journal(kind="repair.closed")] == ["void"]
    tree = ws.worktree("one")
    assert git(tree, "status", "--porcelain") == ""
    refs = git(tree, "for-each-ref", "refs/orchestr/attempts", "--format=%(refname)").split()
    assert any("new.txt" in git(tree, "ls-tree", "--name-only", ref).split() for ref in refs)
    nothing_to_do(ws)
