"""SIGKILL around an attempt that failed and is followed by another: `retry` counts on."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.cell.agent.next_attempt import count_tries
from orchestr.state.attempts import Attempt
from tests.crash.house import FEATURE, House, both

FAILS = "exit 3\n"


def ended(outcome: str, tries: int = 0, *, key: str = "k", followed: bool = False) -> Attempt:
    return Attempt(3, key, "sh", "0" * 40, state="closed", outcome=outcome, tries=tries,
                   followed=followed)  # fmt: skip


def test_what_counts_of_the_attempt_before() -> None:
    assert count_tries(None, "k", "sh") == 0
    assert count_tries(ended("failed", 1, followed=True), "k", "sh") == 2
    for_good = ended("failed", 2)  # a person asks for it once more
    assert count_tries(for_good, "k", "sh") == 0
    assert count_tries(ended("failed", 1, followed=True), "other work", "sh") == 0
    assert count_tries(ended("aborted", 1), "k", "sh") == 1
    assert count_tries(ended("done", 1), "k", "sh") == 0
    assert count_tries(ended("failed", 1, followed=True), "k", "next of a chain") == 0


@pytest.mark.slow
@pytest.mark.parametrize("at", ["journal:after#attempt.closed", "journal:after#attempt.exited"])
def test_a_kill_gives_no_further_try(tmp_path: Path, at: str) -> None:
    house = House.build(tmp_path / "w", {"low": {"retry": 2}})
    house.script("low", FAILS)
    killed = house.crash(at, "run", FEATURE)
    assert killed.returncode == -9, both(killed)
    house.run("run", FEATURE, code=1)
    assert house.book() == {f"start low {number}": 1 for number in (1, 2, 3)}
    house.run("run", FEATURE, code=1)  # a person asks again: as many as at first
    assert len(house.book()) == 6
    house.sound()
