"""What the renderings need to know of a feature: journal, result files, leases; no network.

The files outrank the journal: a cell whose files are all there is done, whatever a killed run
could not write down any more.
"""

from __future__ import annotations

from orchestr.cell import approval
from orchestr.cell.agent.stop_agent import has_running_agent
from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.gates import current_gate_digest
from orchestr.cell.notes import read_notes
from orchestr.cell.phases import cross_checks
from orchestr.cell.pull_request.text import pull_request_url
from orchestr.cell.removed_cells import removed_cells_of
from orchestr.cell.worktree.signing import sign_command
from orchestr.files import cache_record_reads
from orchestr.process.lease import read_lease
from orchestr.spec.phases import Phase
from orchestr.state import attempts
from orchestr.state.candidates import has_candidates
from orchestr.state.cell_state import interpret_view
from orchestr.state.landing_transitions import AFTER_PHASES
from orchestr.state.replay import CellView, replay, reset_interrupted
from orchestr.state.results import WorktreeMarker
from orchestr.state.states import CellState
from orchestr.tasks.stale import stale_phases
from orchestr.views.model import CellFacts, CrossFacts, FeatureStatus
from orchestr.views.query.audit import audit_facts
from orchestr.views.query.spec_lock import lock_facts


def feature_status(run: FeatureRun, *, fresh: bool = True) -> FeatureStatus:
    """All that is known of a feature now. ``fresh`` reads the journal again."""
    lease = read_lease(run.layout.lease_file(run.feature.name))
    view = replay(run.journal.read()) if fresh else run.past
    view = interpret_view(reset_interrupted(view, lease is not None), run.plan)
    live = f"PID {lease.pid}, {lease.command}" if lease is not None else None
    with cache_record_reads():
        facts = {
            p.name: cell_facts(run.cell_context(p.name), view.cell(p.name)) for p in run.plan.cells
        }
    cross, removed = cross_check_facts(run), tuple(removed_cells_of(run))
    return FeatureStatus(
        run.feature, run.plan, view, facts, live, cross, removed, lock_facts(run),
        audit=audit_facts(run),
    )  # fmt: skip


def cross_check_facts(run: FeatureRun) -> tuple[CrossFacts, ...]:
    """What the cross checks said of the heads as they are now."""
    if not run.feature.cross_checks:
        return ()
    folder = run.layout.feature_dir(run.feature.name)
    found = []
    for repo, row, current in cross_checks.cross_check_results(run):
        logs = folder / "cross-checks" / repo
        rows = tuple(r for r in row.get("rows", ()) if isinstance(r, dict))
        told, commit = str(row.get("told") or ""), str(row.get("commit") or "")
        passed = row.get("passed") is True if current else None
        found.append(
            CrossFacts(repo, passed, told, commit, rows, str(logs) if logs.is_dir() else "")
        )
    return tuple(found)


def cell_facts(ctx: CellContext, view: CellView) -> CellFacts:
    """Facts of one cell from its result files; ``view`` is what the journal says of it."""
    state = view.state
    head, marker = ctx.read_head(), WorktreeMarker.read(ctx.dir)
    stale = stale_phases(ctx)
    stale.pop(Phase.WORKTREE, None) if ctx.cell.track_base else None
    if state is CellState.DONE and set(stale) == {Phase.WORKTREE} and _lacks_upstream(ctx):
        stale.clear()  # built without it (--ignore-deps); nothing can be made again before it is
    phases = {str(p): "pending" if p in stale else "done" for p in ctx.cell.task_phases}
    if state is CellState.FAILED and phases.get(view.phase) == "pending":
        phases[view.phase] = "failed"
    if state is CellState.APPROVAL and phases.get(view.phase) == "pending":
        phases[view.phase] = view.phases.get(view.phase, "pending")
    newest = attempts.current_attempt(ctx.dir)
    shown: CellState | None = CellState.IGNORED if view.ignored and not state.is_moving else None
    settled = state in SETTLED and not stale and view.phase not in AFTER_PHASES
    at_rest = state in (CellState.PENDING, CellState.DONE) or settled
    if shown is None and at_rest:
        shown = CellState.PENDING if stale else CellState.DONE
    was_done = shown is CellState.PENDING and state is CellState.DONE
    orphan = newest is not None and newest.is_open and has_running_agent(ctx.dir, newest)
    orphan = orphan or (has_candidates(ctx.dir) and _has_working_candidate(ctx))
    if orphan and state is CellState.PENDING:
        shown = CellState.RUNNING
    latest = attempts.latest_work(ctx.dir)
    log = attempts.attempt_folder(ctx.dir, latest.number) / "transcript.jsonl" if latest else None
    return CellFacts(
        base=marker.base_ref if marker else None,
        head=head.head if head else None,
        tree=head.tree if head else None,
        worktree=str(ctx.worktree) if ctx.worktree.exists() else None,
        log=str(log) if log is not None and log.exists() else None,
        pr_url=pull_request_url(ctx),
        sign=sign_command(ctx),
        notes=read_notes(ctx, head),
        approvals=read_gates(ctx) if ctx.cell.proof.approve else (),
        state=shown,
        outdated=next(iter(stale.values()), None) if was_done else None,
        phases=None if state in (CellState.RUNNING, CellState.WAITING) else phases,
    )


def _has_working_candidate(ctx: CellContext) -> bool:
    """Whether the agent of one of its attempts side by side lives."""
    from orchestr.cell.candidate import list_candidates

    found = ((one, attempts.newest_attempt(one.dir)) for one in list_candidates(ctx))
    return any(
        newest is not None and newest.is_open and has_running_agent(one.dir, newest)
        for one, newest in found
    )


def _lacks_upstream(ctx: CellContext) -> bool:
    """Whether an upstream has no result yet."""
    return any(ctx.run.cell_context(name).read_head() is None for name in ctx.plan.upstreams)


def read_gates(ctx: CellContext) -> tuple[dict[str, str | None], ...]:
    """The gates of a cell with their last decisions, and whether they count for what is there."""
    found = []
    for gate in ctx.cell.proof.approve:
        now = current_gate_digest(ctx, gate)
        said = approval.read_decision(ctx.dir, gate)
        state = "nothing yet" if now is None else "waits"
        if said is not None and now is not None and said.digest == now:
            state = said.verdict
        elif said is not None and said.verdict == approval.APPROVED and now is not None:
            state = "changed since"
        row = {"gate": str(gate), "state": state, "digest": now}
        for word in ("name", "email", "user", "at", "reason"):
            row[word] = (getattr(said, word) or None) if said is not None else None
        found.append(row)
    return tuple(found)


SETTLED = (
    CellState.APPROVAL,
    CellState.NEEDS_PERSON,
    CellState.FAILED,
    CellState.ABORTED,
    CellState.BLOCKED,
)
