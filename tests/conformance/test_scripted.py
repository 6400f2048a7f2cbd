"""The suite itself: an agent that keeps every promise passes, one that breaks one is found."""

from __future__ import annotations

import pytest

from orchestr.conformance.promises import PROMISES
from orchestr.conformance.trials import TRIALS
from tests.conformance.conftest import TryScripted, nightly

# The others have tests of their own elsewhere; they are tried here where there is time.
BASIC = ("work", "repair", "limit-time", "dropped", "cut", "hang", "kill", "budget")
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


@pytest.mark.parametrize("trial", ["repair", "cut"])
def test_a_broken_one_is_found(try_scripted: TryScripted, trial: str) -> None:
    found = try_scripted(trial, broken=trial)
    assert found[trial].kept is False, found


@nightly
@pytest.mark.parametrize("trial", [name for name in OWN_TRIALS if name not in ("repair", "cut")])
def test_each_broken_one_is_found(try_scripted: TryScripted, trial: str) -> None:
    found = try_scripted(trial, broken=trial)
    assert found[trial].kept is False, found


def test_broken_work_is_found_promise_by_promise(try_scripted: TryScripted) -> None:
    found = try_scripted("work", broken=",".join(AT_ONCE))
    assert {name for name, finding in found.items() if not finding.kept} == AT_ONCE


def test_missing_work_is_found(try_scripted: TryScripted) -> None:
    found = try_scripted("work", broken="work")
    assert found["work"].note == "the branch holds one"
    assert found["cost"].kept
