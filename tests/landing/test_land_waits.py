"""A landing never waits silently, and what waits for a person holds up nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.landing.actions import CheckCandidate, RepairChange
from orchestr.landing.events import CandidateSpec, Trouble
from orchestr.landing.lane import Lane
from orchestr.landing.slow_work import LONG, find_slow_work
from tests.landing.house import FEATURE, Yard, both

CHECK = CheckCandidate(CandidateSpec(Lane("app", "main"), (("f/x", "1"),), "a"), "c")
REPAIR = RepairChange("f/y", Trouble.RED, 1, "", True)


def test_what_takes_long_is_named_once() -> None:
    began: dict = {}  # type: ignore[type-arg]
    assert find_slow_work([CHECK, REPAIR], began, 0.0) == []
    assert find_slow_work([CHECK, REPAIR], began, LONG) == [CHECK]
    assert find_slow_work([CHECK, REPAIR], began, 9 * LONG) == []
    assert find_slow_work([], began, 9 * LONG) == [] and not began


@pytest.mark.slow
def test_a_gate_in_the_middle_of_a_stack_holds_up_neither_the_landing_nor_its_records(
    tmp_path: Path,
) -> None:
    cells = {
        "low": {},
        "mid": {"depends_on": ["low"], "approve": "publish"},
        "top": {"depends_on": ["mid"]},
    }
    yard = Yard.ready(tmp_path / "w", cells, repos=("app",), build=False)
    yard.spec(cells, delivery="merge")
    yard.run("run", FEATURE, code=1)
    done = yard.run("land", FEATURE, code=1)
    assert yard.states() == {"low": "landed", "mid": "approval", "top": "approval"}, both(done)
    assert "tries again" not in done.stderr
    yard.run("approve", f"{FEATURE}:mid", "--yes", code=0)
    yard.run("run", FEATURE, code=0)
    assert yard.history() == ["low", "mid", "top"]
    assert yard.states() == dict.fromkeys(cells, "landed")
    yard.end()
