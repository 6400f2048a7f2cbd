"""Which phases would run, and why: by the result files, without network or agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.phases.run_phase import phase_module
from orchestr.errors import OrchestrError
from orchestr.plan.dag import CellForecast, forecast_run
from orchestr.spec.phases import Phase
from orchestr.tasks.generate import CellSelection


def stale_phases(ctx: CellContext) -> dict[str, str]:
    """Phase -> why it would run. A phase behind a stale one is named by its own reason only."""
    found: dict[str, str] = {}
    for phase in ctx.cell.task_phases:
        try:
            why = phase_module(phase).reason_to_run(ctx)
        except OrchestrError as error:
            why = error.message
        if why is not None:
            found[phase] = why
    if ctx.cell.track_base and Phase.WORKTREE not in found:
        found[Phase.WORKTREE] = "track_base: the base is looked at in every run"
    return found


def audit_reasons(run: FeatureRun) -> list[str]:
    """Why the next run would make the feature's audit; at most one line, none without an audit."""
    if not run.feature.has_audit:
        return []
    from orchestr.audit.record import explain_missing_audit

    return list(filter(None, [explain_missing_audit(run)]))


def red_audit(run: FeatureRun) -> list[str]:
    """What the audit of the heads as they are now came to, where that is not green."""
    if not run.feature.has_audit:
        return []
    from orchestr.audit.record import describe_audit, read_current_audit

    record = read_current_audit(run)
    return [] if record is None or record.is_green else [f"audit {describe_audit(record)}"]


def forecast_selection(
    run: FeatureRun,
    selection: CellSelection,
    cells: list[str] | None = None,
    *,
    forced: Mapping[str, Sequence[str]] | None = None,
) -> tuple[CellForecast, ...]:
    """What a run would do with every cell, staleness carried downstream.

    ``forced`` are the cells that `--force` or `--fresh` would forget first, with the phases that
    they name; none: all of it.
    """
    stale = {plan.name: stale_phases(run.cell_context(plan.name)) for plan in run.plan.cells}
    for name, phases in (forced or {}).items():
        for phase in phases or (Phase.IMPLEMENT,):
            stale[name].setdefault(phase, "it is to be forced")
    have = [
        plan.name for plan in run.plan.cells if run.cell_context(plan.name).read_head() is not None
    ]
    return forecast_run(
        run.plan,
        {name: phases for name, phases in stale.items() if phases},
        ignored=selection.still,
        only=cells,
        have_result=have,
        ignore_deps=selection.ignore_deps,
    )
