"""Rounds of repair that go on, and those that lead nowhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.workspace import FEATURE, Workspace, both, nothing_to_do
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
