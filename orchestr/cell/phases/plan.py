"""Phase `plan`, for cells with `approve: plan`: a plan is written, then a person approves it.

Its result is `plan.md` (what the person reads, and may edit) and `plan.toml` (what `implement`
depends on: the digest that was approved). It is made again when the todo, the base or an upstream
changed, and after a refusal, whose reason its prompt then names. A kill at any point goes on there
(`orchestr.cell.agent.write_plan`); a cell whose work was done before the gate was asked for needs
none.
"""

from __future__ import annotations

from orchestr.cell import approval
from orchestr.cell.agent import write_plan
from orchestr.cell.agent.plan_prompt import read_plan
from orchestr.cell.agent.run_agent import author_work, drive_agent
from orchestr.cell.agent.stop_agent import (
    end_lost_agent,
    stop_attempt_agents,
    stop_unrecorded_agents,
)
from orchestr.cell.approval import ApprovalDecision
from orchestr.cell.context import CellContext
from orchestr.cell.inputs import phase_digest
from orchestr.cell.phases import implement
from orchestr.cell.phases.run_phase import PhaseResult
from orchestr.cell.pull_request import adopt
from orchestr.cell.worktree import branch_guard, clone_guard
from orchestr.cell.worktree.ensure import ensure_worktree
from orchestr.codec import replace
from orchestr.errors import Interrupted, OrchestrError, PhaseFailed
from orchestr.files import write_if_changed
from orchestr.spec.checks import Gate
from orchestr.spec.phases import Phase
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.results import PLAN_TEXT, ImplementRecord, PlanRecord, WorktreeMarker, digest


def plan_key(ctx: CellContext, marker: WorktreeMarker) -> str:
    """What a plan is for."""
    return digest(phase_digest(ctx, Phase.PLAN), marker.content_digest())


def reason_to_run(ctx: CellContext) -> str | None:
    """Why the phase would run, or None. Starts nothing."""
    marker = WorktreeMarker.read(ctx.dir)
    if marker is None:
        return "its worktree is not made yet"
    planned = PlanRecord.read(ctx.dir)
    if planned is None and _needs_no_plan(ctx, marker):
        return None
    newest = attempts.newest_plan(ctx.dir)
    if newest is not None and newest.is_open:
        return f"{newest.label} was interrupted and goes on"
    if planned is None:
        return "it was not planned yet"
    if planned.key != plan_key(ctx, marker):
        return "its todo or what it builds on changed"
    if not planned.digest:
        return None
    if read_plan(ctx) is None:
        return "its plan.md is missing"
    if _unanswered_refusal(ctx, planned) is not None:
        return "its plan was refused"
    return None if write_plan.is_plan_approved(ctx) else "its plan waits for your approval"


def run(ctx: CellContext) -> PhaseResult:
    """Make the plan where needed, then insist on a yes to it. Raises NeedsApproval."""
    marker = WorktreeMarker.read(ctx.dir)
    if marker is None:
        raise ctx.fail("its worktree marker is missing", hint=f"orchestr run {ctx.name}")
    key = plan_key(ctx, marker)
    planned = PlanRecord.read(ctx.dir)
    if planned is None and _needs_no_plan(ctx, marker):
        planned = PlanRecord(key, "")
        planned.write(ctx.dir)
        write_if_changed(ctx.dir / PLAN_TEXT, b"")
    if planned is not None and planned.key == key and not planned.digest:
        return PhaseResult.up_to_date()
    why = reason_to_run(ctx)
    if why is None:
        return PhaseResult.up_to_date()
    while True:
        refusal = _unanswered_refusal(ctx, planned) if planned is not None else None
        text = read_plan(ctx)
        if planned is None or planned.key != key or refusal is not None or text is None:
            planned, text = _make_plan(ctx, marker, key, refusal)
        value = approval.plan_digest(text, ctx.cell.todo)
        if value != planned.digest:  # a person edited it
            planned = replace(planned, digest=value)
            planned.write(ctx.dir)
        try:
            yes = approval.require_approval(ctx, Gate.PLAN, value)
        except PhaseFailed:
            if _unanswered_refusal(ctx, planned) is None:
                raise
        else:
            return PhaseResult.built(why, plan=planned.plan, approved_by=yes.display_name)


def _needs_no_plan(ctx: CellContext, marker: WorktreeMarker) -> bool:
    """Whether the work was done before anybody asked for a plan, or by somebody else."""
    done = ImplementRecord.read(ctx.dir)
    if done is not None:
        return done.key == implement.attempt_key(ctx, marker)
    return adopt.find_adoptable_pr(ctx) is not None


def _unanswered_refusal(ctx: CellContext, planned: PlanRecord) -> ApprovalDecision | None:
    """A refusal of this plan that no new one has answered."""
    said = approval.read_decision(ctx.dir, Gate.PLAN)
    if said is None or said.verdict != approval.REFUSED or said.at == planned.answers:
        return None
    return said if said.digest == planned.digest else None


def _make_plan(
    ctx: CellContext, marker: WorktreeMarker, key: str, refusal: ApprovalDecision | None
) -> tuple[PlanRecord, str]:
    """A plan by the agent. Raises PhaseFailed with the reason, Interrupted when stopped."""
    answers = refusal.at if refusal else ""
    plan = _resume_plan(ctx, marker, digest(key, answers))
    if plan is None:
        ctx.check_cancelled()
        ctx.check_budget()
        stop_unrecorded_agents(ctx)
        _supersede_attempt(ctx)
        plan = write_plan.open_plan(ctx, marker, digest(key, answers))
    if not (attempts.attempt_folder(ctx.dir, plan.number) / "notes.txt").exists():
        ensure_worktree(ctx, marker)
        write_plan.snapshot_worktree(ctx, plan)
        implement.write_start_files(ctx, plan, marker, refusal.reason if refusal else "")
    try:
        drive_agent(ctx, author_work(ctx, plan))
        text = write_plan.collect_plan_text(ctx, plan)
        harm = write_plan.undo_changes(ctx, plan, marker)
        moved = branch_guard.restore_moved_branches(ctx, plan)
        if moved:
            harm.append(f"the agent moved branches of other cells: {moved}; they were put back")
        if harm:
            raise ctx.fail(f"while its agent planned, {'; '.join(harm)}")
    except Interrupted:
        write_plan.undo_changes(ctx, plan, marker)
        write_plan.close_plan(ctx, plan, "aborted", "stopped")
        raise
    except OrchestrError as error:
        message = "; ".join([error.reason, *write_plan.undo_changes(ctx, plan, marker)])
        write_plan.close_plan(ctx, plan, "failed", message)
        hint = error.hint or f"orchestr logs --plan {ctx.name}"
        raise ctx.fail(message, hint=hint) from error
    write_if_changed(ctx.dir / PLAN_TEXT, text.encode())
    value = approval.plan_digest(text, ctx.cell.todo)
    planned = PlanRecord(key, value, -plan.number, answers)
    planned.write(ctx.dir)
    write_plan.close_plan(ctx, plan, "done")
    return planned, text


def _resume_plan(ctx: CellContext, marker: WorktreeMarker, key: str) -> Attempt | None:
    """The open plan of the same key to go on with, after ending what must not go on."""
    newest = attempts.newest_plan(ctx.dir)
    if newest is None or not newest.is_open:
        return None
    if newest.key != key:
        stop_attempt_agents(ctx, newest)
        write_plan.undo_changes(ctx, newest, marker)
        write_plan.close_plan(ctx, newest, "superseded", "its todo or what it builds on changed")
        return None
    lost = end_lost_agent(ctx, newest)
    if lost is not None:
        write_plan.undo_changes(ctx, newest, marker)
        write_plan.close_plan(ctx, newest, "failed", lost)
        return None
    return newest


def _supersede_attempt(ctx: CellContext) -> None:
    """An attempt that was interrupted carries out another plan: nothing works beside this one."""
    newest = attempts.newest_attempt(ctx.dir)
    if newest is not None and newest.is_open:
        marker = WorktreeMarker.read(ctx.dir)
        stop_attempt_agents(ctx, newest)
        if marker is not None:
            clone_guard.restore_clone(ctx, newest, marker.base_ref)
        implement.try_salvage(ctx, newest)
        implement.close_attempt(ctx, newest, "superseded", "its plan is made again")
