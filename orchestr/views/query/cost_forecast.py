"""What a run will take, from the journals of the workspace; what one took against that.

Reads only; the arithmetic is `orchestr.plan.cost_forecast`. A report forecasts again from what was
known before its run, so nothing has to be kept at the start, and a kill changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from orchestr.cell.agent.next_attempt import count_allowed_retries
from orchestr.cell.agent_chain import list_authors, list_beside
from orchestr.cell.agent_options import planned_options
from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.input_changes import read_kept_inputs
from orchestr.cell.inputs import reviewer_model_of
from orchestr.errors import OrchestrError
from orchestr.plan.cost_forecast import (
    BudgetLimit,
    BudgetRisk,
    CellTraits,
    CostSample,
    FeatureCost,
    Spread,
    add_samples,
    find_budget_risks,
    forecast_cost,
)
from orchestr.plan.dag import CellForecast, ForecastOutcome
from orchestr.spec.agent_options import NO_OPTIONS, Role
from orchestr.spec.phases import Action, Phase
from orchestr.spec.records import AUDIT
from orchestr.state.cost_samples import list_audit_samples, list_cost_samples, make_audit_traits
from orchestr.state.events import Event, EventKind
from orchestr.state.journal import Journal
from orchestr.state.layout import WorkspaceLayout
from orchestr.state.timeline import SpanKind, make_timeline
from orchestr.tasks.stale import audit_reasons
from orchestr.views.run_report.forecast import Figure, ForecastLine, judge_figure

MOST_BYTES = 8 << 20  # of journals that are read, the newest first: a second at most
_JournalEvents = tuple[Path, list[Event]]  # a journal and what it holds


def _list_samples(layout: WorkspaceLayout, journals: Iterable[_JournalEvents]) -> list[CostSample]:
    """The ended attempts of the workspace, also of features that have no spec any more. What
    cannot be read is passed over."""
    found: list[CostSample] = []
    for path, events in journals:
        with suppress(OSError, OrchestrError):
            feature = path.stem
            found += list_cost_samples(feature, events, _read_known(layout, feature, events))
    return found


def _read_journals(layout: WorkspaceLayout) -> Iterator[_JournalEvents]:
    """The newest journals within `MOST_BYTES`, at least one; what cannot be read is left out."""
    room = MOST_BYTES
    for number, path in enumerate(_list_journals(layout)):
        with suppress(OSError, OrchestrError):
            room -= path.stat().st_size
            if room < 0 and number:
                return
            events = list(Journal(path).read())
            yield path, events


def forecast_run_cost(
    run: FeatureRun, forecasts: Sequence[CellForecast], *, audits: bool = False
) -> FeatureCost:
    """The figures for the cells that would get an attempt. ``audits``: the run is one of the whole
    feature, so that it may end with its audit."""
    journals = list(_read_journals(run.layout))
    cells = [
        forecast.name
        for forecast in forecasts
        if forecast.would is ForecastOutcome.RUN and Phase.IMPLEMENT in forecast.phases
    ]
    moves = any(forecast.would is ForecastOutcome.RUN for forecast in forecasts)
    audit = None
    if audits and run.feature.auditors and (moves or audit_reasons(run)):
        traits = make_audit_traits(
            (one.agent, reviewer_model_of(run, one)) for one in run.feature.auditors
        )
        taken = [one for path, events in journals for one in list_audit_samples(path.stem, events)]
        audit = (AUDIT, traits, taken)
    samples = _list_samples(run.layout, journals)
    return _forecast_cells(run, cells, samples, audit, side_by_side=True)


def find_run_risks(run: FeatureRun, cost: FeatureCost) -> tuple[BudgetRisk, ...]:
    """The budgets of settings and command line that p90 passes."""
    limits = run.settings.limits
    spent = run.budget.total_spending()
    known = [
        ("limits.budget_usd", "usd", limits.budget_usd, spent.usd, False),
        ("limits.budget_tokens", "tokens", limits.budget_tokens, float(spent.tokens), False),
        ("limits.attempt_usd", "usd", limits.attempt_usd, 0.0, True),
        ("limits.attempt_tokens", "tokens", limits.attempt_tokens, 0.0, True),
    ]
    if run.purse is not None:
        known.append(("--budget", "usd", run.purse.cap.usd, 0.0, False))
        known.append(("--budget-tokens", "tokens", run.purse.cap.tokens, 0.0, False))
    return find_budget_risks(
        cost,
        [
            BudgetLimit(name, unit, float(limit), before, each)
            for name, unit, limit, before, each in known
            if limit is not None
        ],
    )


def judge_run_cost(
    run: FeatureRun, run_id: str, events: Sequence[Event], seconds: float | None
) -> tuple[ForecastLine, ...]:
    """Where the truth of a run fell: a line for each cell whose attempt ended in it, then one for
    all of them (``cell`` empty) where there is more than one. Empty without any.

    ``seconds`` is the length of the run; its time is judged only where all its attempts began in it
    and it waited for no person.
    """
    every = _list_samples(run.layout, _read_journals(run.layout))
    names = {plan.name for plan in run.plan.cells}
    mine: dict[str, CostSample] = {}
    for s in sorted(every, key=lambda s: s.attempt):
        if s.feature == _journal_name(run) and s.run == run_id and s.cell in names:
            one_by_one = s.cell in mine and not list_beside(run.cell_context(s.cell))
            mine[s.cell] = add_samples(mine[s.cell], s) if one_by_one else s
    if not mine:
        return ()
    begin = min(s.opened for s in mine.values())
    cost = _forecast_cells(run, list(mine), [s for s in every if s.ended <= begin])
    lines = [
        ForecastLine(
            cell.name,
            cell.likeness.value,
            cell.samples,
            judge_figure(cell.seconds, mine[cell.name].seconds),
            judge_figure(cell.tokens, mine[cell.name].tokens),
            judge_figure(cell.usd, mine[cell.name].usd),
        )
        for cell in cost.cells
    ]
    if len(lines) > 1:
        whole = mine.values()
        lines.append(
            ForecastLine(
                "",
                "",
                cost.history,
                judge_figure(cost.seconds, seconds) if is_whole_run(run_id, events) else Figure(),
                _judge_sum(cost.without[1], cost.tokens, [s.tokens for s in whole]),
                _judge_sum(cost.without[2], cost.usd, [s.usd for s in whole]),
            )
        )
    return tuple(lines)


def _forecast_cells(
    run: FeatureRun, cells: Iterable[str], samples: Sequence[CostSample],
    audit: tuple[str, CellTraits, Sequence[CostSample]] | None = None,
    *, side_by_side: bool = False,
) -> FeatureCost:  # fmt: skip
    """``side_by_side``: a cell with `best_of` takes all of its attempts."""
    works = [c for c in map(run.cell_context, cells) if c.cell.action is Action.AGENT]
    own = {(s.cell, s.attempt): s for s in samples if s.feature == _journal_name(run)}
    wanted, beside, followers, retries = {}, {}, {}, {}
    for ctx in works:
        mine = [s for (cell, _), s in sorted(own.items()) if cell == ctx.cell.name]
        several = list_beside(ctx) if side_by_side else ()
        first, *others = [_read_traits(ctx, mine, name) for name in several or (None,)]
        behind = () if list_beside(ctx) else list_authors(ctx)[1:]
        followers[ctx.cell.name] = [_read_traits(ctx, mine, name) for name in behind]
        wanted[ctx.cell.name], beside[ctx.cell.name] = first, others
        retries[ctx.cell.name] = count_allowed_retries(ctx)
    if _journal_name(run) != run.feature.name:
        samples = [
            replace(s, feature=run.feature.name) if s.feature == _journal_name(run) else s
            for s in samples
        ]
    jobs = run.settings.limits.jobs
    return forecast_cost(run.plan, wanted, samples, jobs, audit, beside, followers, retries)


def _read_traits(
    ctx: CellContext, before: Sequence[CostSample], agent: str | None = None
) -> CellTraits:
    """What is known before the work: how many files it touches only from an attempt before.
    ``agent``: another one than the cell's."""
    files = [s.traits.files for s in before if s.traits.files is not None]
    name = agent or ctx.run.overrides.agent or ctx.agent_name
    known = name in ctx.run.settings.agents
    options = planned_options(ctx, Role.IMPLEMENT, agent=name).options if known else NO_OPTIONS
    return CellTraits(
        ctx.cell.repo,
        name if known else "",
        options.model or "",
        sum(map(len, ctx.cell.todo)),
        files[-1] if files else None,
    )


def _read_known(
    layout: WorkspaceLayout, feature: str, events: Iterable[Event]
) -> dict[str, CellTraits]:
    """Repository and todo of the newest attempts, for journals that do not say them."""
    found = {}
    for cell in dict.fromkeys(event.cell for event in events if event.cell and event.attempt):
        with suppress(OSError, KeyError, TypeError, ValueError):
            kept = read_kept_inputs(layout.state / "cells" / feature / cell)
            todo = kept.get(Phase.IMPLEMENT, {}).get("todo")
            size = sum(map(len, todo)) if isinstance(todo, list) else None
            found[cell] = CellTraits(str(kept[Phase.WORKTREE]["repo"]), todo=size)
    return found


def _list_journals(layout: WorkspaceLayout) -> list[Path]:
    """The journals of features, the one that was written last first."""
    paths = []
    for path in (layout.state / "journal").glob("*.jsonl"):
        with suppress(OSError):
            paths.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(paths, reverse=True)]


def _journal_name(run: FeatureRun) -> str:
    """The name that the feature's journal has now."""
    return run.layout.journal_file(run.feature.name).stem


def is_whole_run(run_id: str, events: Iterable[Event]) -> bool:
    """Whether the time of a run is that of its cells' work: no attempt was opened before it and
    none after it, it waited for no person, and no audit came after them."""
    mine = [event for event in events if event.run == run_id]
    line = make_timeline(mine)
    adopted = any(event.kind is EventKind.ATTEMPT_ADOPTED for event in mine)
    audited = any(e.cell == AUDIT and e.kind is EventKind.ATTEMPT_STARTED for e in mine)
    return not adopted and not audited and not line.select_spans(SpanKind.APPROVAL, SpanKind.LIMIT)


def _judge_sum(without: int, spread: Spread | None, actual: Sequence[float | None]) -> Figure:
    """A sum is judged only where every part of it is known."""
    values = [value for value in actual if value is not None]
    if without or len(values) != len(actual):
        return Figure()
    return judge_figure(spread, sum(values))
