"""Finish what a killed landing began at a dependent: its branch moved, its phases are still open.

A landing merges the new target into the branches of dependents and runs their phases on the new
head (`orchestr.landing.after_landing`). Killed in between, the cell's evidence is for another head,
so it would be held back for ever. The journal (`land.update`) knows whose head it is.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestr.cell.context import CellContext, FeatureRun
from orchestr.codec import replace
from orchestr.errors import Interrupted, OrchestrError, Unavailable
from orchestr.git.repo import CommitId
from orchestr.landing.after_landing import Warn, list_phases_after_update, move_branch
from orchestr.landing.repair import perform_open_phases
from orchestr.state.events import EventKind
from orchestr.state.results import ImplementRecord
from orchestr.state.states import CellState

_HELD = (CellState.IGNORED, CellState.APPROVAL, CellState.LANDED)


def finish_updates(runs: Iterable[FeatureRun], warn: Warn) -> None:
    """Bring every update of a dependent to its end. Raises Interrupted, Unavailable."""
    for run in runs:
        for name, (old, new) in _newest_updates(run).items():
            try:
                _finish_update(run.cell_context(name), old, new, warn)
            except (Interrupted, Unavailable):
                raise
            except OrchestrError as error:  # it is held back, with its reason
                warn(f"{run.feature.name}:{name}: {error.reason}")


def _newest_updates(run: FeatureRun) -> dict[str, tuple[CommitId, CommitId]]:
    """Cell -> the head before and after the newest update of its branch."""
    names = {cell.name for cell in run.feature.cells}
    return {
        event.cell: (CommitId(str(event.data["old"])), CommitId(str(event.data["new"])))
        for event in run.journal.read()
        if event.kind is EventKind.LAND_UPDATE and event.cell in names
    }


def _finish_update(ctx: CellContext, old: CommitId, new: CommitId, warn: Warn) -> None:
    done = ImplementRecord.read(ctx.dir)
    if done is None or ctx.run.past.cell(ctx.cell.name).state in _HELD:
        return
    if done.head == old and ctx.repo.resolve_commit(f"refs/heads/{ctx.cell.branch}") == new:
        if not move_branch(ctx, old, new, warn):
            return
        replace(done, head=new, tree=ctx.repo.resolve_tree(new)).write(ctx.dir)
    elif done.head != new:
        return  # there is newer work, or it never began
    perform_open_phases(ctx, list_phases_after_update(ctx))
