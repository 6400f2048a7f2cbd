"""The forecast of time, tokens and money: which attempts count, quantiles, sums, budgets."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestr.plan import cost_forecast as cf
from orchestr.plan.cost_forecast import (
    BudgetLimit,
    CellTraits,
    CostSample,
    FeatureCost,
    Likeness,
    Place,
    Spread,
    choose_alike,
    find_budget_risks,
    forecast_cost,
    make_spread,
)
from orchestr.plan.dag import CellPlan, FeaturePlan
from orchestr.plan.schedule import WaitingCell, simulate_end
from orchestr.views.terminal.costs import cost_json, cost_lines, cost_sentence, scope_line
from orchestr.views.terminal.plan import CellWork

HERE = CellTraits("app", "claude", "sonnet", 200, 4)


def sample(seconds: float, traits: CellTraits = HERE, cell: str = "a", **more: Any) -> CostSample:
    return replace(CostSample("f", cell, 1, traits, seconds, 1000, 0.1), **more)


def plan_of(**upstreams: list[str]) -> FeaturePlan:
    cells = tuple(CellPlan(n, 1, "app", n, tuple(above)) for n, above in upstreams.items())
    return FeaturePlan("f", cells, (), {cell.name: 1.0 for cell in cells})


def test_the_closest_group_with_enough_attempts_counts() -> None:
    elsewhere = replace(HERE, repo="web")
    other = replace(HERE, model="opus")
    same = [sample(1), sample(2)]
    assert choose_alike(("f", "a"), HERE, []) == (Likeness.NONE, [])
    assert choose_alike(("f", "a"), HERE, same)[0] is Likeness.SAME
    more = [*same, sample(3, elsewhere), sample(4, other)]
    likeness, chosen = choose_alike(("f", "a"), HERE, more)
    assert likeness is Likeness.AGENT
    assert [one.seconds for one in chosen] == [1, 2, 3]
    likeness, chosen = choose_alike(("f", "a"), HERE, [sample(4, other)])
    assert (likeness, len(chosen)) == (Likeness.OTHERS, 1)
    three = [*more, sample(5)]
    assert choose_alike(("f", "a"), HERE, three)[0] is Likeness.SAME


def test_agents_that_may_follow_are_counted_as_often_as_the_first_one_failed() -> None:
    other = replace(HERE, agent="codex")
    alone = [sample(10, failed=number < 5) for number in range(10)]
    after = [sample(100, other) for _ in range(10)]
    plan, wanted = plan_of(a=[]), {"a": HERE}
    without = forecast_cost(plan, wanted, [*alone, *after], 1).cells[0]
    chain = forecast_cost(plan, wanted, [*alone, *after], 1, followers={"a": [other]})
    assert without.seconds == Spread(10, 10, 10)
    assert chain.cells[0].seconds == Spread(10, 60, 110)
    assert chain.usd is not None and round(chain.usd.p90, 2) == 0.2
    well = [replace(one, failed=False) for one in alone]
    never = forecast_cost(plan, wanted, [*well, *after], 1, followers={"a": [other]})
    assert never.cells[0].seconds == Spread(10, 10, 10)
    few = forecast_cost(plan, wanted, [*well[:3], *after], 1, followers={"a": [other]})
    assert few.cells[0].seconds is not None and few.cells[0].seconds.p90 > 50


def test_further_attempts_of_the_same_agent_are_counted_as_often_as_it_failed() -> None:
    """`retry`: also of an agent that follows, and of each attempt side by side."""
    often = [sample(10, failed=number < 5) for number in range(10)]
    plan, wanted = plan_of(a=[]), {"a": HERE}
    once = forecast_cost(plan, wanted, often, 1, retries={"a": 1}).cells[0]
    assert once.seconds == Spread(10, 15, 20)
    twice = forecast_cost(plan, wanted, often, 1, retries={"a": 2}).cells[0]
    assert twice.seconds == Spread(10, 17.5, 25)
    last = replace(HERE, agent="codex")
    after = [sample(100, last, failed=number < 5) for number in range(10)]
    chain = {"a": [last]}
    both = forecast_cost(plan, wanted, often + after, 1, followers=chain, retries={"a": 1})
    assert both.cells[0].seconds == Spread(10, 85, 160)
    two = forecast_cost(plan, wanted, often, 1, beside={"a": [HERE]}, retries={"a": 1})
    assert [cell.seconds for cell in two.cells] == [once.seconds] * 2


def test_two_attempts_of_a_run_are_one_truth() -> None:
    one, two = sample(10), sample(5, replace(HERE, agent="codex"), tokens=None, usd=0.5)
    both = cf.add_samples(one, two)
    assert (both.seconds, both.tokens, both.usd) == (15, None, 0.6)


def test_of_many_the_nearest_in_size_count() -> None:
    near = [sample(1, replace(HERE, todo=210)) for _ in range(cf.NEAREST)]
    far = [sample(9, replace(HERE, todo=9000)) for _ in range(cf.NEAREST)]
    _, chosen = choose_alike(("f", "a"), HERE, [*far, *near])
    assert {one.seconds for one in chosen} == {1}
    wide = [sample(9, replace(HERE, files=300)) for _ in range(cf.NEAREST)]
    assert {s.seconds for s in choose_alike(("f", "a"), HERE, [*wide, *near])[1]} == {1}
    theirs = [sample(9, cell="b") for _ in range(cf.NEAREST)]
    assert {s.seconds for s in choose_alike(("f", "a"), HERE, [*theirs, *near])[1]} == {1}


def test_few_attempts_have_a_wide_spread() -> None:
    one = forecast_cost(plan_of(a=[]), {"a": HERE}, [sample(100)], 2)
    assert one.cells[0].seconds == Spread(60.0, 100.0, 180.0)
    many = forecast_cost(plan_of(a=[]), {"a": HERE}, [sample(100)] * cf.MANY, 2)
    assert many.cells[0].seconds == Spread(100.0, 100.0, 100.0)


def test_sums_go_by_edges_and_slots() -> None:
    history = [sample(60)] * cf.MANY
    wanted = {"a": HERE, "b": HERE, "c": HERE}
    chain = forecast_cost(plan_of(a=[], b=["a"], c=["b"]), wanted, history, 3)
    wide = forecast_cost(plan_of(a=[], b=[], c=[]), wanted, history, 3)
    narrow = forecast_cost(plan_of(a=[], b=[], c=[]), wanted, history, 1)
    assert [one.seconds and one.seconds.p50 for one in (chain, wide, narrow)] == [180, 60, 180]
    assert wide.serial == Spread(180, 180, 180)
    assert wide.tokens == Spread(3000, 3000, 3000)
    assert wide.usd is not None
    assert round(wide.usd.p50, 9) == 0.3
    gap = forecast_cost(plan_of(a=[], b=["a"], c=["b"]), {"a": HERE, "c": HERE}, history, 3)
    assert gap.seconds == Spread(120, 120, 120)  # b is up to date, c waits for a all the same


def test_the_spread_of_a_sum_is_narrower_than_the_sum_of_spreads() -> None:
    history = [sample(seconds) for seconds in range(10, 110, 10)]
    names = [f"c{number}" for number in range(10)]
    cost = forecast_cost(plan_of(**{n: [] for n in names}), dict.fromkeys(names, HERE), history, 1)
    assert cost.serial is not None
    one = cost.cells[0].seconds
    assert one is not None
    assert cost.serial.p90 < 10 * one.p90
    assert cost.serial.p10 > 10 * one.p10


def test_what_is_unknown_is_named_and_never_zero() -> None:
    dumb = CellTraits("app", "script", "", 10)
    history = [*[sample(5)] * 3, *[sample(5, dumb, tokens=None, usd=None)] * 3]
    cost = forecast_cost(plan_of(a=[], b=[]), {"a": HERE, "b": dumb}, history, 2)
    assert cost.cells[1].usd is None
    assert cost.without == (0, 1, 1)
    text = "\n".join(cost_lines(cost))
    assert "unknown" in text
    assert ", $0.16 + 1 cell" in text
    assert cost_json(cost)["cells"][1]["cost_usd"] is None
    assert "and 1 cell unknown" in cost_sentence(cost)


def test_no_history_is_said() -> None:
    nothing = forecast_cost(plan_of(a=[]), {"a": HERE}, [], 2)
    assert "no history at all: nothing can be forecast" in cost_lines(nothing)[0]
    assert "cannot be forecast" in cost_sentence(nothing)
    assert cost_json(nothing)["seconds"] is None
    theirs = [sample(9, replace(HERE, model="opus"))] * 3
    foreign = forecast_cost(plan_of(a=[], b=[]), {"a": HERE, "b": HERE}, theirs, 2)
    assert "  no history: 2 cells at others' prices (a, b)" in cost_lines(foreign)
    assert cost_lines(FeatureCost("f", 2, 9)) == []
    last = forecast_cost(plan_of(a=[]), {"a": HERE}, [], 2, ("audit", HERE, []))
    assert cost_lines(last)[0].startswith("forecast of 1 cell and the audit: no history at all")


def test_attempts_side_by_side_are_all_paid_and_all_waited_for() -> None:
    history = [sample(100)] * cf.MANY
    cheap = replace(HERE, agent="codex")
    plan = plan_of(a=[], b=["a"])
    wanted = {"a": HERE, "b": HERE}
    alone = forecast_cost(plan, wanted, history, 3)
    three = forecast_cost(plan, wanted, history, 3, beside={"a": [HERE, cheap]})
    assert [cell.name for cell in three.cells] == ["a", "a@2", "a@3", "b"]
    assert three.cells[2].likeness is Likeness.OTHERS
    assert alone.usd is not None and three.usd is not None and three.usd.p50 > 1.9 * alone.usd.p50
    assert alone.seconds is not None and three.seconds is not None
    assert three.seconds.p50 < 1.5 * alone.seconds.p50  # at once, then b
    one_slot = forecast_cost(plan, wanted, history, 1, beside={"a": [HERE, HERE]})
    assert one_slot.seconds == one_slot.serial
    assert "forecast of 2 cells" in cost_lines(replace(three, history=0))[0]


def test_the_scope_is_counted() -> None:
    cells = [SimpleNamespace(name=n, todo=("x", "y")) for n in "ab"]
    feature = SimpleNamespace(cells=cells)
    work = {"a": CellWork(checks=("t", "u"), reviewers=("r",)), "b": CellWork(checks=("t",))}
    line = scope_line(feature, work, ["a"])  # type: ignore[arg-type]
    assert line == "scope: 1 cell, 2 todo items, 2 checks, 1 reviewer"


def test_a_budget_that_p90_passes() -> None:
    cost = forecast_cost(plan_of(a=[], b=[]), {"a": HERE, "b": HERE}, [sample(9)] * cf.MANY, 2)
    fits = BudgetLimit("limits.budget_usd", "usd", 1.0, spent=0.5)
    passes = BudgetLimit("limits.budget_usd", "usd", 0.6, spent=0.5)
    each = BudgetLimit("limits.attempt_tokens", "tokens", 999, each=True)
    assert find_budget_risks(cost, [fits]) == ()
    (risk,) = find_budget_risks(cost, [passes])
    assert risk.likely
    assert [one.cell for one in find_budget_risks(cost, [each])] == ["a", "b"]
    words = "\n".join(cost_lines(cost, [risk]))
    assert "warning: p90, $0.20 on top of $0.50 spent, passes limits.budget_usd = $0.60" in words


def test_where_a_value_fell() -> None:
    spread = Spread(1, 2, 3)
    places = [spread.place_value(value) for value in (0.5, 1, 3, 3.5)]
    assert places == [Place.BELOW, Place.INSIDE, Place.INSIDE, Place.ABOVE]


VALUES = st.floats(0.1, 1e6)


@given(st.lists(VALUES, min_size=1, max_size=30), st.integers(1, 4))
def test_figures_are_in_order_and_do_not_change(seconds: list[float], slots: int) -> None:
    history = [sample(one) for one in seconds]
    plan = plan_of(a=[], b=["a"], c=[])
    wanted = {"a": HERE, "b": HERE, "c": HERE}
    cost = forecast_cost(plan, wanted, history, slots)
    assert cost == forecast_cost(plan, wanted, [*history], slots)
    for spread in (cost.seconds, cost.serial, *(cell.seconds for cell in cost.cells)):
        assert spread is not None
        assert 0 < spread.p10 <= spread.p50 <= spread.p90
    assert cost.seconds is not None
    assert cost.serial is not None
    assert cost.seconds.p90 <= cost.serial.p90 * 1.000001


@given(st.lists(VALUES, min_size=1))
def test_quantiles_lie_between_the_values(values: list[float]) -> None:
    spread = make_spread(sorted(values))
    assert min(values) <= spread.p10 <= spread.p50 <= spread.p90 <= max(values) * 1.000001


def test_a_schedule_that_cannot_end() -> None:
    key, gone = ("f", "a"), ("f", "gone")
    assert simulate_end({key: WaitingCell([gone], 1.0, 1.0)}, 2) is None
    assert simulate_end({key: WaitingCell([gone], 1.0, 1.0)}, 2, [(5.0, gone)]) == 6.0
    first = {("f", n): WaitingCell([], s, s) for n, s in (("a", 1.0), ("b", 2.0), ("c", 3.0))}
    assert simulate_end(first, 2) == 3.0


def test_an_audit_has_a_row_of_its_own_after_all_cells() -> None:
    traits = CellTraits(agent="eve")
    audits = [sample(5, traits, "audit", usd=2.0)] * cf.MANY
    attempts = [sample(10, usd=1.0)] * cf.MANY
    both = forecast_cost(plan_of(a=[], b=[]), {"a": HERE, "b": HERE}, attempts, 2,
                         ("audit", traits, audits))  # fmt: skip
    assert [cell.name for cell in both.cells] == ["a", "b", "audit"]
    assert (both.cells[2].usd, both.usd) == (Spread(2.0, 2.0, 2.0), Spread(4.0, 4.0, 4.0))
    assert both.seconds == Spread(15.0, 15.0, 15.0)
    alone = forecast_cost(plan_of(a=[]), {}, attempts, 2, ("audit", traits, audits))
    assert (alone.seconds, alone.usd) == (Spread(5.0, 5.0, 5.0), Spread(2.0, 2.0, 2.0))
