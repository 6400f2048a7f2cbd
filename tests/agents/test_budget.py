"""Budgets: the ledger of the journal, live figures, what is reached and by how much."""

from __future__ import annotations

from typing import Any

import pytest

from orchestr.cell.budget import Budget, Cap, Purse, Spent, wants_usd
from orchestr.settings.records import Limits
from orchestr.state.events import Event, Kind
from orchestr.state.replay import replay
from orchestr.state.view import FeatureView


def exited(cell: str, attempt: int, **data: Any) -> Event:
    return Event(Kind.ATTEMPT_EXITED, "2024-01-01T00:00:00+00:00", "r", "f", cell, "implement",
                 attempt, {"code": 1, "reason": "exited", **data})  # fmt: skip


PAST = replay(
    [
        exited("a", 1, cost_usd=1.0, cost_known_usd=1.0, tokens=[1000, 500, 10]),
        exited("a", 2, cost_usd=None, cost_known_usd=0.5, tokens=[2000, 0, 20]),
        exited("a", 3, cost_usd=None, cost_known_usd=0.0, tokens=None),
        # Two starts of one attempt: the later figure is the whole attempt's.
        exited("b", 1, cost_usd=0.25, cost_known_usd=0.25, tokens=[100, 0, 1]),
        exited("b", 1, cost_usd=0.75, cost_known_usd=0.75, tokens=[300, 0, 3]),
    ]
)


def test_the_ledger_is_the_journal_and_counts_failed_attempts() -> None:
    budget = Budget("f", Limits(), PAST)
    assert budget.total() == Spent(2.25, 3333)
    assert not budget.asked
    assert budget.reached("a", 3) is None
    a, b = PAST.cell("a"), PAST.cell("b")
    assert (a.cost_usd, a.cost_known_usd, a.tokens_total) == (None, 1.5, (3000, 500, 30))
    assert (b.cost_usd, b.cost_known_usd, b.tokens_total) == (0.75, 0.75, (300, 0, 3))


def test_an_attempt_whose_last_start_told_no_cost_is_unknown_again() -> None:
    view = replay([exited("a", 1, cost_usd=0.5, cost_known_usd=0.5),
                   exited("a", 1, cost_usd=None, cost_known_usd=0.5)])  # fmt: skip
    assert (view.cell("a").cost_usd, view.cell("a").cost_known_usd) == (None, 0.5)


@pytest.mark.parametrize(
    ("limits", "reached"),
    [
        (Limits(budget_usd=3.0), None),
        (Limits(budget_usd=2.25), "the budget of feature f is reached: $2.25 of $2.25"),
        (Limits(budget_tokens=3000), "the budget of feature f is reached: 3,333 of 3,000 tokens"),
        (Limits(attempt_usd=0.75), "the budget of attempt 1 is reached: $0.75 of $0.75"),
        (Limits(attempt_tokens=400), None),
    ],
)
def test_what_is_reached(limits: Limits, reached: str | None) -> None:
    assert Budget("f", limits, PAST).reached("b", 1) == reached


def test_live_figures_replace_each_other_and_the_run_has_a_purse() -> None:
    purse = Purse(Cap(usd=1.0))
    one, two = (Budget(name, Limits(), PAST, purse) for name in ("f", "g"))
    assert one.reached("c", 1) is None  # what was spent before is not this run's
    one.note("c", 1, Spent(0.4, 10))
    one.note("c", 1, Spent(0.5, 20))
    assert two.reached("a") is None
    assert two.room_usd("a", 9) == pytest.approx(1.0)
    two.note("a", 9, Spent(0.5, 20))
    figure = "the budget of this run is reached: $1.00 of $1.00"
    assert (one.reached("c", 1), two.reached("x")) == (figure, figure)


def test_the_room_of_a_start_is_the_least_of_all() -> None:
    limits = Limits(budget_usd=5.0, attempt_usd=1.0)
    budget = Budget("f", limits, PAST)
    assert budget.room_usd("a", 2) == pytest.approx(0.5)
    assert budget.room_usd("a", 4) == pytest.approx(1.0)
    budget.note("c", 1, Spent(2.5))
    assert budget.room_usd("a", 4) == pytest.approx(0.25)
    assert Budget("f", Limits(), FeatureView()).room_usd("a", 1) is None


def test_small_amounts_are_told() -> None:
    assert Cap(usd=0.01).reached(Spent(0.0161)) == "$0.0161 of $0.0100"


def test_whether_dollars_are_asked_for() -> None:
    assert not wants_usd(Limits(budget_tokens=5), Purse(Cap(tokens=5)))
    assert wants_usd(Limits(attempt_usd=1.0), None)
    assert wants_usd(Limits(), Purse(Cap(usd=1.0)))
