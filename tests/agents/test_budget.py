"""Budgets: the ledger of the journal, live figures, what is reached and by how much."""

from __future__ import annotations

from typing import Any

import pytest

from orchestr.cell.budget import FeatureBudget, RunBudget, Spending, SpendingCap, has_usd_limit
from orchestr.settings.limit_records import LimitSettings
from orchestr.state.events import Event, EventKind
from orchestr.state.replay import replay
from orchestr.state.view import FeatureView


def exited(cell: str, attempt: int, **data: Any) -> Event:
    return Event(EventKind.ATTEMPT_EXITED, "2024-01-01T00:00:00+00:00", "r", "f", cell, "implement",
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
    budget = FeatureBudget("f", LimitSettings(), PAST)
    assert budget.total_spending() == Spending(2.25, 3333)
    assert not budget.has_limit
    assert budget.reached_reason("a", 3) is None
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
        (LimitSettings(budget_usd=3.0), None),
        (LimitSettings(budget_usd=2.25), "the budget of feature f is reached: $2.25 of $2.25"),
        (
            LimitSettings(budget_tokens=3000),
            "the budget of feature f is reached: 3,333 of 3,000 tokens",
        ),
        (LimitSettings(attempt_usd=0.75), "the budget of attempt 1 is reached: $0.75 of $0.75"),
        (LimitSettings(attempt_tokens=400), None),
    ],
)
def test_what_is_reached(limits: LimitSettings, reached: str | None) -> None:
    assert FeatureBudget("f", limits, PAST).reached_reason("b", 1) == reached


def test_live_figures_replace_each_other_and_the_run_has_a_purse() -> None:
    purse = RunBudget(SpendingCap(usd=1.0))
    one, two = (FeatureBudget(name, LimitSettings(), PAST, purse) for name in ("f", "g"))
    assert one.reached_reason("c", 1) is None  # what was spent before is not this run's
    one.record_spending("c", 1, Spending(0.4, 10))
    one.record_spending("c", 1, Spending(0.5, 20))
    assert two.reached_reason("a") is None
    assert two.remaining_usd("a", 9) == pytest.approx(1.0)
    two.record_spending("a", 9, Spending(0.5, 20))
    figure = "the budget of this run is reached: $1.00 of $1.00"
    assert (one.reached_reason("c", 1), two.reached_reason("x")) == (figure, figure)


def test_the_room_of_a_start_is_the_least_of_all() -> None:
    limits = LimitSettings(budget_usd=5.0, attempt_usd=1.0)
    budget = FeatureBudget("f", limits, PAST)
    assert budget.remaining_usd("a", 2) == pytest.approx(0.5)
    assert budget.remaining_usd("a", 4) == pytest.approx(1.0)
    budget.record_spending("c", 1, Spending(2.5))
    assert budget.remaining_usd("a", 4) == pytest.approx(0.25)
    assert FeatureBudget("f", LimitSettings(), FeatureView()).remaining_usd("a", 1) is None


def test_small_amounts_are_told() -> None:
    assert SpendingCap(usd=0.01).reached_figure(Spending(0.0161)) == "$0.0161 of $0.0100"


def test_whether_dollars_are_asked_for() -> None:
    assert not has_usd_limit(LimitSettings(budget_tokens=5), RunBudget(SpendingCap(tokens=5)))
    assert has_usd_limit(LimitSettings(attempt_usd=1.0), None)
    assert has_usd_limit(LimitSettings(), RunBudget(SpendingCap(usd=1.0)))
