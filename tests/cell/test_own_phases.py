"""Phases of one's own, what is pure of them: their order, their decision, their answers."""

from __future__ import annotations

from typing import Any

import pytest

from orchestr.cell.phases.own import OwnInputs, OwnStep, decide
from orchestr.spec.answer_schema import check_schema, find_schema_fault
from orchestr.spec.field_types import BadValue
from orchestr.spec.own_phases import OwnPhase, arrange_phases, make_phase, merge_orders
from orchestr.spec.phases import LISTED, Phase
from orchestr.state.attempts import Attempt
from orchestr.state.moves import MOST, Move, Moves
from orchestr.state.results import OwnOutcome, OwnResult

DONE = OwnResult("k", "given", OwnOutcome.UNCHANGED, tree="given")
OPEN = Attempt(3, "k", "sh", "c" * 40, of="docs")


def test_phases_stand_behind_what_they_are_listed_after() -> None:
    steps = (OwnPhase("early"), Phase.IMPLEMENT, OwnPhase("one"), OwnPhase("two"), Phase.PUBLISH)
    assert arrange_phases(LISTED, steps) == (
        "worktree", "early", "implement", "one", "two", "check", "review", "publish",
    )  # fmt: skip
    other = arrange_phases(LISTED, (Phase.IMPLEMENT, OwnPhase("two"), OwnPhase("three")))
    assert merge_orders([arrange_phases(LISTED, steps), other]) == (
        "worktree", "early", "plan", "implement", "one", "two", "three", "check", "review",
        "publish",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("inputs", "step", "why"),
    [
        (OwnInputs(""), OwnStep.CANNOT, "there is nothing to work on yet"),
        (OwnInputs("k", "given"), OwnStep.WORK, "it was not done yet"),
        (OwnInputs("k", "given", DONE, is_current=True), OwnStep.KEEP, None),
        (OwnInputs("k2", "given", DONE, is_current=True), OwnStep.WORK,
         "its definition or what it reads changed"),
        (OwnInputs("k", "other", DONE), OwnStep.WORK, "what it works on changed"),
        (OwnInputs("k", "given", DONE, is_current=True, has_output=False), OwnStep.WORK,
         "its output is missing"),
        (OwnInputs("k", "other", DONE, open_attempt=OPEN), OwnStep.WORK,
         "attempt 3 (docs) was interrupted and goes on"),
        (OwnInputs("k", "given", DONE, is_current=True, open_attempt=OPEN), OwnStep.KEEP, None),
    ],
)  # fmt: skip
def test_what_a_phase_does(inputs: OwnInputs, step: OwnStep, why: str | None) -> None:
    assert (decide(inputs).step, decide(inputs).why) == (step, why)


@pytest.mark.parametrize(
    ("schema", "value", "fault"),
    [
        ({"type": "object", "required": ["a"]}, {}, "`a` is missing"),
        ({"properties": {"a": {"type": "integer"}}}, {"a": True}, "`a` must be integer, and is"),
        ({"properties": {"a": {"items": {"enum": [1]}}}}, {"a": [1, 2]}, "`a[1]` must be one of 1"),
        ({"properties": {"a": {"maximum": 5}}}, {"a": 6}, "`a` must be at most 5"),
        ({"properties": {"a": {"minimum": 0}}}, {"a": -1}, "`a` must be at least 0"),
        ({"additionalProperties": False}, {"b": 1}, "there is no `b`"),
        ({"properties": {"a": {"const": "x"}}}, {"a": "y"}, "`a` must be 'x'"),
        ({"type": ["string", "null"]}, 1, "it must be string or null, and is a number"),
    ],
)
def test_an_answer_is_held_to_its_schema(schema: Any, value: Any, fault: str) -> None:
    check_schema(schema)
    assert fault in (find_schema_fault(schema, value) or "")


def test_a_schema_has_no_rule_that_nobody_checks() -> None:
    with pytest.raises(BadValue, match="`pattern` is not checked here"):
        check_schema({"properties": {"a": {"pattern": "x"}}})
    good = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "null"}}}}
    check_schema(good)
    assert find_schema_fault(good, {"a": [None], "b": 1}) is None


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({}, "needs either `prompt` or `run`"),
        ({"run": ("x",), "continues": "implement"}, "is for phases with a `prompt`"),
        ({"prompt": "a.md", "continues": "implement", "model": "m"}, "has its own"),
        ({"prompt": "a.md", "schema": "{}"}, "needs `output`"),
        ({"prompt": "a.md", "output": "a.json", "owned_paths": ("x",)}, "changes no file"),
    ],
)
def test_what_does_not_go_together_is_refused(values: dict[str, Any], why: str) -> None:
    with pytest.raises(BadValue, match=why):
        make_phase("docs", values)


def test_limits_change_nothing_that_was_made() -> None:
    phase = make_phase("docs", {"prompt": "a.md"})
    limited = make_phase("docs", {"prompt": "a.md", "timeout": 5.0, "budget_usd": 1.0, "repair": 3})
    assert phase.digest_row == limited.digest_row
    assert make_phase("docs", {"prompt": "b.md"}).digest_row != phase.digest_row


def test_moves_keep_what_stood_before_them_valid() -> None:
    """`late` moved what `early` left; a phase that came after it has to see that."""
    one = Move("docs", "t1", "t2", ("early",))
    moves = Moves().add(one).add(Move("late", "t2", "t3", ("early", "docs")))
    assert moves.has_way("early", "t1", "t3")
    assert moves.has_way("docs", "t2", "t3")
    assert not moves.has_way("late", "t1", "t2")
    assert not moves.has_way("docs", "t1", "t3")
    assert not moves.has_way("early", "t3", "t1")
    back = moves.add(Move("late", "t3", "t2", ("early", "docs")))  # a circle comes to an end
    assert not back.has_way("early", "t1", "elsewhere")
    assert moves.add(one).moves == (moves.moves[1], one)
    for number in range(MOST):
        moves = moves.add(Move("late", f"a{number}", f"b{number}"))
    assert len(moves.moves) == MOST
    assert not moves.has_way("early", "t1", "t2")
