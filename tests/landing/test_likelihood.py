"""Which change is checked first, what is worth a check, and how many go into one candidate."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from orchestr.landing.actions import CheckCandidate, MakeCandidate, RecordEvent
from orchestr.landing.decide import decide_actions
from orchestr.landing.events import (
    Checked,
    LandingChange,
    LaneStopped,
    Offered,
    Parked,
    QueueRules,
    Stage,
    Trouble,
)
from orchestr.landing.likelihood import LEAST, MOST, ChangeEvidence, adjust_risk, estimate_risk
from orchestr.landing.pipeline import order_changes
from orchestr.landing.queue import Queue, apply_event, find_obstacle
from tests.landing.test_queue import APP, WEB, change, commits, land, made, queue, verdict

SURE, USUAL, DOUBTFUL = 0.01, 0.1, 0.7


def rated(name: str, risk: float | None, *needs: str, order: int = 0) -> LandingChange:
    return replace(change(name, *needs, order=order), risk=risk)


def names(q: Queue) -> str:
    return "".join(item.change.key[2:] for item in order_changes(q))


def test_the_least_likely_red_comes_first_and_behind_all_that_it_needs() -> None:
    q = queue([
        rated("a", DOUBTFUL), rated("b", SURE, order=1), rated("c", SURE, "a", order=2),
        rated("d", None, order=3), rated("e", USUAL * 1.1, order=4),
    ])  # fmt: skip
    assert names(q) == "bdeac"  # about the same risk: as the plan has them


def test_a_later_change_does_not_pass_those_that_are_under_way() -> None:
    q = made(queue([rated("a", DOUBTFUL), rated("b", USUAL, order=1)]))
    q = apply_event(q, Offered(rated("c", SURE, order=2)))
    assert names(q) == "bac"


def test_no_more_is_checked_than_there_are_machines() -> None:
    changes = [rated(n, SURE, order=i) for i, n in enumerate("abcd")]
    assert commits(made(queue(changes, QueueRules(machines=2)))) == ["a.a0", "a.a0.b0"]


def test_behind_a_likely_red_one_the_case_that_it_fails_is_checked_too() -> None:
    changes = [rated("a", DOUBTFUL), rated("b", DOUBTFUL, order=1)]
    q = made(queue(changes, QueueRules(machines=3)))
    assert commits(q) == ["a.a0", "a.b0", "a.a0.b0"]
    q = verdict(q, "a.b0")
    assert not [a for a in decide_actions(q) if not isinstance(a, MakeCandidate | CheckCandidate)]
    q = land(apply_event(verdict(q, "a.a0", green=False), Parked("f/a", Trouble.RED, "red")))
    assert q.items["f/b"].stage is Stage.LANDED  # as the commit that was checked ahead


def test_a_batch_grows_with_what_lands_and_is_one_after_red() -> None:
    rules = QueueRules(batch=8, adapt=True, machines=1)
    q = made(queue([rated(n, SURE, order=i) for i, n in enumerate("abcdefg")], rules))
    assert commits(q) == ["a.a0"]
    q = made(land(_slow(q, "a.a0")))
    assert commits(q) == ["a.a0.b0+c0"]
    q = made(land(_slow(q, "a.a0.b0+c0")))
    assert commits(q) == ["a.a0.b0+c0.d0+e0+f0+g0"]
    assert q.batch_size(APP) == 4
    q = verdict(q, commits(q)[0], green=False)
    (split,) = [a for a in decide_actions(q) if isinstance(a, RecordEvent)]
    q = apply_event(q, split.event)
    assert q.batch_size(APP) == 1


def _slow(q: Queue, commit: str, seconds: float = 600.0) -> Queue:
    spec = next(s for s, c in q.candidates.items() if c.commit == commit)
    return apply_event(q, Checked(spec, commit, True, "", seconds))


def test_fast_checks_and_likely_red_changes_are_not_put_together() -> None:
    rules = QueueRules(batch=8, adapt=True, machines=1)
    for risk, seconds in ((SURE, 2.0), (0.45, 600.0)):
        q = made(queue([rated(n, risk, order=i) for i, n in enumerate("abcd")], rules))
        assert commits(made(land(_slow(q, "a.a0", seconds)))) == ["a.a0.b0"]


def test_a_stopped_lane_does_nothing_and_says_why() -> None:
    q = queue([change("x"), change("y", "x", lane=WEB, order=1), change("z", lane=WEB, order=2)])
    q = apply_event(q, LaneStopped(APP, "the origin does not answer"))
    assert find_obstacle(q, q.items["f/x"]) == "the origin does not answer"
    assert find_obstacle(q, q.items["f/y"]) == "it needs f/x, which is waiting"
    assert commits(made(q)) == ["w.z0"]


@given(
    st.builds(
        ChangeEvidence, st.booleans(), *[st.none() | st.integers(0, 10_000)] * 4
    ),
    st.integers(0, 500), st.integers(0, 500),
)  # fmt: skip
def test_nothing_is_certain_and_more_trouble_is_more_risk(
    evidence: ChangeEvidence, green: int, red: int
) -> None:
    risk = estimate_risk(evidence)
    assert LEAST <= adjust_risk(risk, green, red) <= MOST
    assert adjust_risk(risk, green, red) <= adjust_risk(risk, green, red + 1)
    worse = replace(evidence, rounds=(evidence.rounds or 0) + 1)
    assert evidence.rounds is None or risk <= estimate_risk(worse)
    assert estimate_risk(replace(evidence, checked=True)) <= risk
