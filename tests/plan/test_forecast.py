"""What a run would do, cell by cell, and why."""

from __future__ import annotations

from orchestr.plan.dag import CellForecast, ForecastOutcome, forecast_run, make_plan
from orchestr.spec.phases import LISTED, Phase
from orchestr.spec.records import Cell, Feature

PLAN = make_plan(
    Feature(
        "mlkem",
        "mlkem",
        "",
        (
            Cell("proto", "platform", "p"),
            Cell("service", "platform", "s", depends_on=("proto",)),
            Cell("java", "java", "j", depends_on=("proto",)),
        ),
    )
)
ALL = LISTED


def test_nothing_is_stale() -> None:
    assert [f.would for f in forecast_run(PLAN, {})] == [ForecastOutcome.UP_TO_DATE] * 3


def test_dependents_of_a_cell_that_runs_may_run() -> None:
    told = forecast_run(PLAN, {"proto": {Phase.IMPLEMENT: "its todo changed"}})
    assert told[0] == CellForecast("proto", ForecastOutcome.RUN, "its todo changed", ALL[1:])
    assert told[1] == CellForecast(
        "service", ForecastOutcome.RUN, "proto runs first (its tree may change)", ALL, may=True
    )


def test_a_late_phase_does_not_move_the_tree() -> None:
    told = forecast_run(PLAN, {"proto": {Phase.PUBLISH: "the title changed"}})
    assert [f.would for f in told] == [
        ForecastOutcome.RUN,
        ForecastOutcome.UP_TO_DATE,
        ForecastOutcome.UP_TO_DATE,
    ]
    assert told[0].phases == (Phase.PUBLISH,)


def test_an_own_late_reason_is_told_beside_the_moving_upstream() -> None:
    told = forecast_run(
        PLAN, {"proto": {Phase.IMPLEMENT: "no result yet"}, "java": {Phase.CHECK: "a new check"}}
    )
    assert told[2].why == "a new check; proto runs first (its tree may change)"
    assert not told[2].may


def test_a_blocked_cell_blocks_all_below_it() -> None:
    told = forecast_run(PLAN, {}, {"proto": "needs a tool"})
    assert [f.would for f in told] == [ForecastOutcome.BLOCKED] * 3
    assert told[2].why == "upstream proto is blocked: needs a tool"


def test_an_ignored_cell_with_a_result_counts_as_satisfied() -> None:
    missing = {n: {Phase.IMPLEMENT: "no result yet"} for n in ("proto", "java")}
    with_result = forecast_run(PLAN, missing, ignored={"proto"}, have_result={"proto"})
    assert [f.would for f in with_result] == [
        ForecastOutcome.UP_TO_DATE,
        ForecastOutcome.UP_TO_DATE,
        ForecastOutcome.RUN,
    ]
    without = forecast_run(PLAN, missing, ignored={"proto"})
    assert [f.would for f in without] == [ForecastOutcome.BLOCKED] * 3


def test_only_the_selected_cells_run() -> None:
    missing = {n: {Phase.IMPLEMENT: "its todo changed"} for n in ("proto", "service", "java")}
    told = forecast_run(PLAN, missing, only={"java"}, have_result={"proto"})
    assert [f.would for f in told] == [
        ForecastOutcome.UP_TO_DATE,
        ForecastOutcome.BLOCKED,
        ForecastOutcome.RUN,
    ]
    free = forecast_run(PLAN, missing, only={"java"}, ignore_deps=True)
    assert free[2].would is ForecastOutcome.RUN
