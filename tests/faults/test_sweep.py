"""One git process of a run, or of a landing, is killed; another one each time. Nothing is wrong.

Whatever the machine ends: no agent more than needed, nothing red, no fault of ours, and the same
command again, if it is needed at all, finishes as an undisturbed one does.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.faults.broken_git import AFTER, CHILD, KILL, NO_MEMORY, BrokenGit
from tests.landing.house import FEATURE, Yard, both

pytestmark = pytest.mark.slow
CELLS: Mapping[str, Mapping[str, Any]] = {"low": {}, "high": {"depends_on": ["low"]}}
HOWS = {"killed": KILL, "done and killed": AFTER, "no memory": NO_MEMORY, "child": CHILD}
TIMES = (1, 12)
ALL = "KILL_ALL" in os.environ
STEPS = 400 if ALL else 2  # cases of a sweep at most; each of the sweeps has others


class Sweep:
    """A workspace that is put back for every case, and what an undisturbed command makes of it."""

    def __init__(self, yard: Yard, verb: str) -> None:
        self.root, self.verb = yard.root, verb
        self.kept = yard.root.with_name(f"kept-{verb}")
        shutil.copytree(yard.root, self.kept, symlinks=True)
        broken = BrokenGit(yard.root.with_name("count"))
        yard.run(verb, FEATURE, code=0, env=broken.env(KILL, at=10**6))
        self.calls = broken.calls()
        self.book, self.states, self.trees = Counter(yard.book()), yard.states(), yard.trees()

    def end_calls(self, at: int, how: str, times: int) -> None:
        """End ``times`` calls from the ``at``-th on, then finish, and look at what came of it."""
        shutil.rmtree(self.root)
        shutil.copytree(self.kept, self.root, symlinks=True)
        yard = Yard(self.root)
        shutil.rmtree(self.root.with_name("git"), ignore_errors=True)
        broken = BrokenGit(self.root.with_name("git"))
        try:
            done = yard.run(self.verb, FEATURE, env=broken.env(how, at=at, times=times))
            said = f"call {at} of {self.calls}: {broken.hits()}\n{both(done)}"
            assert done.returncode in (0, 1, 2), said  # 2: a repository that git cannot use
            assert "a fault in orchestr" not in said, said
            assert set(yard.book().values()) <= {1}, said
            assert not any(e["data"].get("outcome") == "failed" for e in yard.journal()), said
            assert not [e for e in yard.journal(kind="check.done") if not e["data"]["passed"]], said
            assert not yard.journal(kind="land.repair"), said
            again = yard.run(self.verb, FEATURE)
            said += f"\nagain:\n{both(again)}"
            assert again.returncode == 0, said
            assert yard.states() == self.states and yard.trees() == self.trees, said
            assert Counter(yard.book()) == self.book, f"{yard.starts()} {said}"
            yard.sound()
        finally:
            yard.end()

    def end_each_call(self, how: str, times: int) -> None:
        failed = []
        step = max(1, self.calls // STEPS)
        sweeps = [(one, number) for one in HOWS.values() for number in TIMES]
        first = 1 if ALL else 1 + step * sweeps.index((how, times)) // len(sweeps)
        for at in range(first, self.calls + 1, step):
            try:
                self.end_calls(at, how, times)
            except AssertionError as error:
                failed.append(f"--- {at} ---\n{error}")
        assert not failed, f"{len(failed)} of {self.calls // step}\n" + "\n".join(failed)


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("how", HOWS)
def test_any_git_of_a_run_may_be_killed(how: str, times: int, tmp_path: Path) -> None:
    yard = Yard.ready(tmp_path / "w", CELLS, repos=("app",), build=False)
    Sweep(yard, "run").end_each_call(HOWS[how], times)


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("how", HOWS)
def test_any_git_of_a_landing_may_be_killed(how: str, times: int, tmp_path: Path) -> None:
    yard = Yard.ready(tmp_path / "w", CELLS, repos=("app",), landing={"strategy": "squash"})
    Sweep(yard, "land").end_each_call(HOWS[how], times)
