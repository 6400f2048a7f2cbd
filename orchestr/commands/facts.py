"""What the renderings are told of a feature: journal, result files, leases; no network.

The files outrank the journal: a cell whose files are all there is done, whatever a killed run
could not write down any more.
"""

from __future__ import annotations

from orchestr.cell import attempt as attempts
from orchestr.cell.context import CellContext, Run
from orchestr.cell.drive import is_alive
from orchestr.cell.prompt import pr_of
from orchestr.cell.records import Marker
from orchestr.cell.signing import sign_command
from orchestr.commands.stale import stale_phases
from orchestr.lifecycle import CellView, replay, settle
from orchestr.locks import read_lease
from orchestr.render.facts import CellFacts, FeatureStatus
from orchestr.spec.records import Phase
from orchestr.states import CellState


def feature_status(run: Run, *, fresh: bool = True) -> FeatureStatus:
    """All that is known of a feature now. ``fresh`` reads the journal again."""
    lease = read_lease(run.layout.lease(run.feature.name))
    view = replay(run.journal.read()) if fresh else run.past
    view = settle(view, lease is not None)
    live = f"PID {lease.pid}, {lease.command}" if lease is not None else None
    facts = {p.name: cell_facts(run.cell(p.name), view.cell(p.name)) for p in run.plan.cells}
    return FeatureStatus(run.feature, run.plan, view, facts, live)


def cell_facts(ctx: CellContext, view: CellView) -> CellFacts:
    """Facts of one cell from its result files; ``view`` is what the journal says of it."""
    state = view.state
    head, marker = ctx.head(), Marker.read(ctx.dir)
    stale = stale_phases(ctx)
    stale.pop(Phase.WORKTREE, None) if ctx.cell.track_base else None
    phases = {str(p): "pending" if p in stale else "done" for p in Phase}
    if state is CellState.FAILED and phases.get(view.phase) == "pending":
        phases[view.phase] = "failed"
    newest = attempts.newest(ctx.dir)
    shown: CellState | None = CellState.IGNORED if view.ignored and not state.is_moving else None
    at_rest = state in (CellState.PENDING, CellState.DONE) or (state in SETTLED and not stale)
    if shown is None and at_rest:
        shown = CellState.PENDING if stale else CellState.DONE
    orphan = newest is not None and newest.is_open and is_alive(ctx.dir, newest)
    if orphan and state is CellState.PENDING:
        shown = CellState.RUNNING
    log = attempts.folder(ctx.dir, newest.number) / "transcript.jsonl" if newest else None
    return CellFacts(
        base=marker.base_ref if marker else None,
        head=head.head if head else None,
        tree=head.tree if head else None,
        worktree=str(ctx.worktree) if ctx.worktree.exists() else None,
        log=str(log) if log is not None and log.exists() else None,
        pr_url=pr_of(ctx),
        sign=sign_command(ctx),
        state=shown,
        phases=None if state in (CellState.RUNNING, CellState.WAITING) else phases,
    )


SETTLED = (CellState.FAILED, CellState.ABORTED, CellState.BLOCKED)
