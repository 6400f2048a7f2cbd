"""The suite itself: an agent that keeps every promise passes, one that breaks one is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestr.conformance.perform import play_trial
from orchestr.conformance.promises import PROMISES, find_promise
from orchestr.conformance.script import Asked, Fault, Turn
from orchestr.conformance.trials import TRIALS, Play
from tests.conformance.conftest import TryScripted, make_scripted, nightly, run_forked

# Each trial is whole runs of `orchestr`. These have what only a trial shows: all of the evidence,
# a fault of the model, a signal and a second run, a program that stays, the model's slow answers.
# The others differ in the fault alone, and what they hold has tests elsewhere: they are for the
# night.
BASIC = ("work", "repair", "limit-time", "hang", "kill", "budget")
OWN_TRIALS = [name for name in TRIALS if name != "work"]
OF_WORK = {p.name for p in PROMISES if p.trial == "work"}
# Broken at once, in one run; no agent can make a process outlive the run that has its marker.
AT_ONCE = OF_WORK - {"work", "survivors"}


@pytest.mark.parametrize("trial", BASIC)
def test_the_scripted_agent_keeps_every_promise(try_scripted: TryScripted, trial: str) -> None:
    broken = {f.promise: f.note for f in try_scripted(trial).values() if not f.kept}
    assert broken == {}


@nightly
@pytest.mark.parametrize("trial", [name for name in TRIALS if name not in BASIC])
def test_it_keeps_the_other_promises_too(try_scripted: TryScripted, trial: str) -> None:
    broken = {f.promise: f.note for f in try_scripted(trial).values() if not f.kept}
    assert broken == {}


@nightly
@pytest.mark.parametrize("trial", OWN_TRIALS)
def test_each_broken_one_is_found(try_scripted: TryScripted, trial: str) -> None:
    found = try_scripted(trial, broken=trial)
    assert found[trial].kept is False, found


def test_broken_work_is_found_promise_by_promise(try_scripted: TryScripted) -> None:
    found = try_scripted("work", broken=",".join(AT_ONCE))
    assert {name for name, finding in found.items() if not finding.kept} == AT_ONCE


def test_a_dropped_stream_and_a_cut_answer_in_one_run(tmp_path: Path) -> None:
    """The faults of two trials, one after the other."""

    def play_both(play: Play) -> Callable[[Asked, int], Fault | Turn | None]:
        drop, cut = TRIALS["dropped"].fault(play), TRIALS["cut"].fault(Play(play.model))
        return lambda asked, number: drop(asked, number) or cut(asked, number)

    trial = replace(TRIALS["dropped"], fault=play_both)
    seen = play_trial(make_scripted(), trial, tmp_path, run_forked)
    assert seen.refused == 2 and seen.answers == 4  # two more than its two steps: cut, and the end
    assert [find_promise(name).judge(seen) for name in ("dropped", "cut")] == ["", ""]


@nightly
def test_missing_work_is_found(try_scripted: TryScripted) -> None:
    found = try_scripted("work", broken="work")
    assert found["work"].note == "the branch holds one"
    assert found["cost"].kept
