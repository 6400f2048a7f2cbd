"""Which of several attempts side by side is taken, and how a spec asks for them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestr.cell.best_of import choose_candidate, explain_choice
from orchestr.codec import replace
from orchestr.spec.best_of import BestOf, parse_best_of
from orchestr.spec.field_types import BadValue
from orchestr.state.candidates import CandidateResult, CandidateState
from orchestr.views.query.candidates import describe_result

GREEN, BLOCKED, RED, FAILED = CandidateState


def result(place: int, state: CandidateState = GREEN, **more: Any) -> CandidateResult:
    return CandidateResult(place, f"agent{place}", place, state, **{"lines": 5, **more})


@pytest.mark.parametrize(
    ("results", "place", "why"),
    [
        ([result(1, usd=0.3), result(2, usd=0.2)], 2, "green, and the cheapest"),
        ([result(1, RED, usd=0.1, red=1), result(2, usd=9)], 2, "the only one that is green"),
        ([result(1, usd=0.1, tokens=9), result(2, tokens=5)], 2, "green, with the fewest tokens"),
        ([result(1, tokens=9), result(2)], 1, "green, and the first of equals"),
        ([result(1, lines=9), result(2, lines=3)], 2, "green, with the fewest changed lines"),
        ([result(1, lines=0), result(2, lines=300)], 2, "green, with the fewest changed lines"),
        ([result(1, RED, red=2), result(2, RED, red=1, usd=5)], 2, "red, with the least to repair"),
        ([result(1, BLOCKED, blockers=3), result(2, RED, red=1), result(3, FAILED)], 1,
         "the only one that is green but for reviewers"),
    ],
)  # fmt: skip
def test_who_is_taken(results: list[CandidateResult], place: int, why: str) -> None:
    chosen = choose_candidate(results)
    assert chosen is not None and chosen.place == place
    if place == 2 and results[0].lines == 0:
        return  # what changed nothing comes last, whatever is said of the other
    assert explain_choice(results, chosen) == why


def test_where_none_has_a_result_none_is_taken() -> None:
    assert choose_candidate([result(1, FAILED), result(2, FAILED)]) is None


candidates = st.lists(
    st.builds(
        CandidateResult, place=st.just(0), agent=st.just("a"), attempt=st.just(0),
        state=st.sampled_from(CandidateState), red=st.integers(0, 3), blockers=st.integers(0, 3),
        usd=st.sampled_from([0.0, 0.1, 0.2]), tokens=st.sampled_from([0, 5, 9]),
        lines=st.integers(0, 4),
    ),
    min_size=2, max_size=5,
).map(lambda found: [_place(one, n) for n, one in enumerate(found, 1)])  # fmt: skip


def _place(one: CandidateResult, place: int) -> CandidateResult:
    more = {RED: {"blockers": 0}, BLOCKED: {"red": 0}}.get(one.state, {"red": 0, "blockers": 0})
    return replace(one, place=place, attempt=place, **more)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(candidates)
def test_the_choice_is_the_same_in_any_order_and_never_a_worse_state(
    results: list[CandidateResult],
) -> None:
    chosen = choose_candidate(results)
    for order in itertools.islice(itertools.permutations(results), 12):
        assert choose_candidate(order) == chosen
    if chosen is None:
        assert {one.state for one in results} == {FAILED}
        return
    order = list(CandidateState)
    assert order.index(chosen.state) == min(order.index(one.state) for one in results)
    same = [one for one in results if one.state is chosen.state and bool(one.lines)]
    if chosen.state is GREEN and chosen.lines and all(one.usd for one in results):
        assert chosen.usd == min(one.usd for one in same)
    assert explain_choice(results, chosen)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(candidates)
def test_those_that_are_not_taken_may_be_left_out(results: list[CandidateResult]) -> None:
    chosen = choose_candidate(results)
    for one in results:
        if chosen is not None and one.state is not chosen.state:
            rest = [other for other in results if other is not one]
            assert choose_candidate(rest) == chosen


def test_what_is_said_of_one() -> None:
    said = describe_result(result(2, usd=0.12, tokens=150, lines=1))
    assert said == "attempt 2 by agent2: green, $0.12, 150 tokens, 1 changed line"


def test_agents_take_turns() -> None:
    assert parse_best_of(3).list_agents("x") == ("x", "x", "x")
    assert parse_best_of({"n": 3, "agents": ["a", "b"]}).list_agents("x") == ("a", "b", "a")
    assert parse_best_of({"agents": ["a", "b"]}) == BestOf(2, ("a", "b"))


@pytest.mark.parametrize(
    ("raw", "field", "message"),
    [
        (1, (), "must be a whole number from 2 to 5, got 1"),
        (True, (), "must be a whole number from 2 to 5, got true/false"),
        ("3", (), "must be a whole number from 2 to 5, got a text"),
        ({"n": 6}, ("n",), "must be a whole number from 2 to 5, got 6"),
        ({"agents": ["a"]}, ("n",), "must be a whole number from 2 to 5, got 1"),
        ({"n": 2, "agents": ["a", "b", "c"]}, ("agents",), "names 3 agents for 2 attempts"),
        ({"n": 2, "agents": []}, ("agents",), "must be a list of agents"),
        ({"n": 2, "agents": [3]}, ("agents",), "each must be a text, got a number"),
        ({"number": 2}, ("number",), "unknown field"),
    ],
)
def test_what_is_no_number_of_attempts(raw: Any, field: tuple[str, ...], message: str) -> None:
    with pytest.raises(BadValue) as error:
        parse_best_of(raw)
    assert (error.value.field, error.value.message) == (field, message)
