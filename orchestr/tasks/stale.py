"""Which phases would run, and why: by the result files, without network or agents."""

from __future__ import annotations

from collections.abc import Collection

from orchestr.cell.context import CellContext, Run
from orchestr.cell.phases.run_phase import runner
from orchestr.errors import OrchestrError
from orchestr.plan.dag import Forecast, forecast
from orchestr.spec.phases import Phase
from orchestr.tasks.generate import Selection


def stale_phases(ctx: CellContext) -> dict[Phase, str]:
    """Phase -> why it would run. A phase behind a stale one is named by its own reason only."""
    found: dict[Phase, str] = {}
    for phase in ctx.cell.steps:
        try:
            why = runner(phase).reason(ctx)
        except OrchestrError as error:
            why = error.message
        if why is not None:
            found[phase] = why
    if ctx.cell.track_base and Phase.WORKTREE not in found:
        found[Phase.WORKTREE] = "track_base: the base is looked at in every run"
    return found


def foresee(
    run: Run,
    selection: Selection,
    cells: list[str] | None = None,
    *,
    forced: Collection[str] = (),
) -> tuple[Forecast, ...]:
    """What a run would do with every cell, staleness carried downstream.

    ``forced`` are the cells that `--force` or `--fresh` would forget first.
    """
    stale = {plan.name: stale_phases(run.cell(plan.name)) for plan in run.plan.cells}
    for name in forced:
        stale[name].setdefault(Phase.IMPLEMENT, "it is to be forced")
    have = [plan.name for plan in run.plan.cells if run.cell(plan.name).head() is not None]
    return forecast(
        run.plan,
        {name: phases for name, phases in stale.items() if phases},
        ignored=selection.still,
        only=cells,
        have_result=have,
        ignore_deps=selection.ignore_deps,
    )
