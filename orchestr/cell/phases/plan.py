"""Phase `plan`, for cells that list it or have `approve: plan`: a plan is written, and with the
gate a person approves it.

Its result is `plan.md` (what the person reads, and may edit) and `plan.toml` (what `implement`
depends on: the digest that was approved, or without the gate that of the plan as it is). It is made
again when the todo, the base or an upstream changed, and after a refusal, whose reason its prompt
then names. A kill at any point goes on there (`orchestr.cell.agent.write_plan`); a cell whose work
was done before the phase was asked for needs none.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from orchestr.cell import approval
from orchestr.cell.agent import write_plan
from orchestr.cell.agent.attempt import close_attempt, try_salvage, write_start_files
from orchestr.cell.agent.plan_prompt import read_plan
from orchestr.cell.agent.run_agent import author_work, drive_agent
from orchestr.cell.agent.stop_agent import (
    end_lost_agent,
    stop_attempt_agents,
    stop_unrecorded_agents,
)
from orchestr.cell.approval import ApprovalDecision
from orchestr.cell.context import CellContext
from orchestr.cell.inputs import attempt_key, plan_key
from orchestr.cell.phases.run_phase import PhaseResult
from orchestr.cell.pull_request import adopt
from orchestr.cell.record import CellRecord, Decision
from orchestr.cell.worktree.branch_guard import restore_surroundings
from orchestr.cell.worktree.ensure import ensure_worktree
from orchestr.cell.worktree.harm_record import add_harm
from orchestr.codec import replace
from orchestr.errors import Interrupted, OrchestrError, PhaseFailed
from orchestr.files import write_if_changed
from orchestr.spec.checks import Gate
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.results import PLAN_TEXT, PlanRecord, WorktreeMarker, digest


class PlanStep(StrEnum):
    """What the phase can do."""

    KEEP = "keep"  # the plan is approved, or none is needed
    CANNOT = "cannot"  # there is no worktree to plan in
    RECORD_NONE = "record none"  # the work was done before there was a gate
    MAKE = "make"  # the agent writes a plan
    END_OPEN = "end open"  # a plan stands, a kill left one open
    ASK = "ask"  # a person says yes or no
    TAKE_EDIT = "take edit"  # no person is asked: the plan counts as it is now


@dataclass(frozen=True, slots=True)
class PlanInputs:
    """``key``: what a plan would be for. ``text``: of `plan.md`; ``value``: what a person approves
    of it. ``said``: the last decision at the gate. ``needs_none``: the work is there already.
    ``is_gated``: a person is asked."""

    key: str
    text: str | None = None
    value: str = ""
    said: ApprovalDecision | None = None
    needs_none: bool = False
    is_gated: bool = True


def decide(record: CellRecord, inputs: PlanInputs) -> Decision[PlanStep]:
    """What the phase does now and why; ``why`` is None while nothing would run. Pure."""
    planned, newest = record.planned, record.newest_plan
    if record.marker is None:
        return Decision(PlanStep.CANNOT, "its worktree is not made yet")
    if planned is None and inputs.needs_none:
        return Decision(PlanStep.RECORD_NONE, None)
    is_open = newest is not None and newest.is_open
    why = f"{newest.label} was interrupted and goes on" if newest is not None and is_open else None
    if planned is None:
        return Decision(PlanStep.MAKE, why or "it was not planned yet")
    if planned.key != inputs.key:
        return Decision(PlanStep.MAKE, why or "its todo or what it builds on changed")
    if not planned.digest:
        return Decision(PlanStep.KEEP, None)
    if inputs.text is None:
        return Decision(PlanStep.MAKE, why or "its plan.md is missing")
    if inputs.is_gated and find_unanswered_refusal(planned, inputs.said) is not None:
        return Decision(PlanStep.MAKE, why or "its plan was refused")
    if is_open:
        return Decision(PlanStep.END_OPEN, why)
    if not inputs.is_gated and inputs.value == planned.digest:
        return Decision(PlanStep.KEEP, None)
    if not inputs.is_gated:
        return Decision(PlanStep.TAKE_EDIT, "its plan was edited")
    approved = inputs.said is not None and inputs.said.approves(inputs.value)
    if approved and inputs.value == planned.digest:
        return Decision(PlanStep.KEEP, None)
    return Decision(PlanStep.ASK, "its plan waits for your approval")


def find_unanswered_refusal(
    planned: PlanRecord, said: ApprovalDecision | None
) -> ApprovalDecision | None:
    """A refusal of this plan that no new one has answered. Pure."""
    if said is None or said.verdict != approval.REFUSED or said.at == planned.answers:
        return None
    return said if said.digest == planned.digest else None


def read_inputs(ctx: CellContext, record: CellRecord) -> PlanInputs:
    """The inputs of `decide`, by files. Raises PhaseFailed as `find_adoptable_pr`."""
    if record.marker is None:
        return PlanInputs("")
    text = read_plan(ctx)
    value = "" if text is None else approval.plan_digest(text, ctx.cell.todo)
    return PlanInputs(
        plan_key(ctx, record.marker),
        text,
        value,
        approval.read_decision(ctx.dir, Gate.PLAN),
        needs_none=record.planned is None and _needs_no_plan(ctx, record),
        is_gated=ctx.cell.has_plan_gate,
    )


def _needs_no_plan(ctx: CellContext, record: CellRecord) -> bool:
    """Whether the work was done before a plan was asked for, or is another's."""
    if record.implemented is None:
        return adopt.find_adoptable_pr(ctx) is not None
    marker = record.marker
    return marker is not None and record.implemented.key == attempt_key(ctx, marker)


def reason_to_run(ctx: CellContext) -> str | None:
    """Why the phase would run, or None. Starts nothing."""
    record = CellRecord.of_cell(ctx)
    return decide(record, read_inputs(ctx, record)).why


def run(ctx: CellContext) -> PhaseResult:
    """Make the plan where needed, then insist on a yes to it. Raises NeedsApproval.

    After each step the cell is read and decided on again: a person may answer, or edit the plan,
    at any time.
    """
    why = None
    while True:
        record = CellRecord.of_cell(ctx)
        inputs = read_inputs(ctx, record)
        decision = decide(record, inputs)
        why = why or decision.why
        marker, planned = record.marker, record.planned
        match decision.step:
            case PlanStep.KEEP:
                break
            case PlanStep.RECORD_NONE:
                PlanRecord(inputs.key, "").write(ctx.dir)
                write_if_changed(ctx.dir / PLAN_TEXT, b"")
                return PhaseResult.up_to_date()
            case PlanStep.MAKE if marker is not None:
                refusal = None
                if planned is not None and inputs.is_gated:
                    refusal = find_unanswered_refusal(planned, inputs.said)
                _make_plan(ctx, record, marker, inputs.key, refusal)
            case PlanStep.END_OPEN if planned is not None and marker is not None:
                _end_open_plan(ctx, record.newest_plan, planned, marker)
            case PlanStep.ASK if planned is not None:
                _ask_person(ctx, planned, inputs.value)
            case PlanStep.TAKE_EDIT if planned is not None:
                replace(planned, digest=inputs.value).write(ctx.dir)
            case _:
                raise ctx.fail("its worktree marker is missing", hint=f"orchestr run {ctx.name}")
    if why is None or planned is None:
        return PhaseResult.up_to_date()
    if not inputs.is_gated:
        return PhaseResult.built(why, plan=planned.plan)
    if inputs.said is None:
        return PhaseResult.up_to_date()
    return PhaseResult.built(why, plan=planned.plan, approved_by=inputs.said.display_name)


def _ask_person(ctx: CellContext, planned: PlanRecord, value: str) -> None:
    """Wait for an answer to the plan as it is. Raises NeedsApproval when there is none."""
    if value != planned.digest:  # a person edited it
        planned = replace(planned, digest=value)
        planned.write(ctx.dir)
    try:
        approval.require_approval(ctx, Gate.PLAN, value)
    except PhaseFailed:
        if find_unanswered_refusal(planned, approval.read_decision(ctx.dir, Gate.PLAN)) is None:
            raise


def _make_plan(
    ctx: CellContext,
    record: CellRecord,
    marker: WorktreeMarker,
    key: str,
    refusal: ApprovalDecision | None,
) -> None:
    """Have the agent write a plan, or go on with the open one. Raises PhaseFailed with the reason,
    Interrupted when stopped."""
    answers = refusal.at if refusal else ""
    plan = _resume_plan(ctx, record.newest_plan, marker, digest(key, answers))
    if plan is None:
        ctx.check_cancelled()
        ctx.check_budget()
        stop_unrecorded_agents(ctx)
        _supersede_attempt(ctx, record.newest_attempt, marker)
        plan = write_plan.open_plan(ctx, marker, digest(key, answers))
    if not (attempts.attempt_folder(ctx.dir, plan.number) / "notes.txt").exists():
        ensure_worktree(ctx, marker)
        write_plan.snapshot_worktree(ctx, plan)
        write_start_files(ctx, plan, marker, refusal.reason if refusal else "")
    try:
        drive_agent(ctx, author_work(ctx, plan))
        text = write_plan.collect_plan_text(ctx, plan)
        harm = write_plan.undo_changes(ctx, plan, marker)
        if harm:
            raise ctx.fail(f"while its agent planned, {'; '.join(harm)}")
    except Interrupted:
        write_plan.undo_changes(ctx, plan, marker)
        write_plan.close_plan(ctx, plan, "aborted", "stopped")
        raise
    except OrchestrError as error:
        if error.repeatable:  # it stays open: the next run takes what the agent wrote
            raise
        message = add_harm(error.reason, write_plan.undo_changes(ctx, plan, marker))
        write_plan.close_plan(ctx, plan, "failed", message)
        hint = error.hint or f"orchestr logs --plan {ctx.name}"
        raise ctx.fail(message, hint=hint) from error
    write_if_changed(ctx.dir / PLAN_TEXT, text.encode())
    value = approval.plan_digest(text, ctx.cell.todo)
    PlanRecord(key, value, -plan.number, answers).write(ctx.dir)
    write_plan.close_plan(ctx, plan, "done")


def _resume_plan(
    ctx: CellContext, newest: Attempt | None, marker: WorktreeMarker, key: str
) -> Attempt | None:
    """The open plan of the same key to go on with, after ending what must not go on."""
    if newest is None or not newest.is_open:
        return None
    if newest.key != key:
        _supersede_plan(ctx, newest, marker, "its todo or what it builds on changed")
        return None
    lost = end_lost_agent(ctx, newest)
    if lost is not None:
        write_plan.undo_changes(ctx, newest, marker)
        write_plan.close_plan(ctx, newest, "failed", lost)
        return None
    return newest


def _end_open_plan(
    ctx: CellContext, newest: Attempt | None, planned: PlanRecord, marker: WorktreeMarker
) -> None:
    """Close the plan that stands; end one that was to replace it and is not wanted any more."""
    if newest is None:
        return
    if newest.number == -planned.plan:
        write_plan.close_plan(ctx, newest, "done")
    else:
        _supersede_plan(ctx, newest, marker, "the plan before it stands")


def _supersede_plan(ctx: CellContext, plan: Attempt, marker: WorktreeMarker, why: str) -> None:
    stop_attempt_agents(ctx, plan)
    write_plan.undo_changes(ctx, plan, marker)
    write_plan.close_plan(ctx, plan, "superseded", why)


def _supersede_attempt(ctx: CellContext, newest: Attempt | None, marker: WorktreeMarker) -> None:
    """An attempt that was interrupted carries out another plan: nothing works beside this one."""
    if newest is not None and newest.is_open:
        stop_attempt_agents(ctx, newest)
        restore_surroundings(ctx, newest, marker.base_ref)
        try_salvage(ctx, newest)
        close_attempt(ctx, newest, "superseded", "its plan is made again")
