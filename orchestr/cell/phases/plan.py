"""Phase `plan`, for cells with `approve: plan`: a plan is written, then a person approves it.

Its result is `plan.md` (what the person reads, and may edit) and `plan.toml` (what `implement`
depends on: the digest that was approved). It is made again when the todo, the base or an upstream
changed, and after a refusal, whose reason its prompt then names. A kill at any point goes on there
(`orchestr.cell.agent.write_plan`); a cell whose work was done before the gate was asked for needs
none.
"""

from __future__ import annotations

from dataclasses import replace

from orchestr.cell import approval
from orchestr.cell.agent import write_plan
from orchestr.cell.agent.plan_prompt import read_plan
from orchestr.cell.agent.run_agent import author, drive, settle_lost, stop_running, stop_unrecorded
from orchestr.cell.approval import Decision
from orchestr.cell.context import CellContext
from orchestr.cell.phases import implement
from orchestr.cell.phases.run_phase import Result
from orchestr.cell.pull_request import adopt
from orchestr.cell.worktree import branch_guard, clone_guard
from orchestr.cell.worktree.ensure import ensure
from orchestr.errors import Interrupted, OrchestrError, PhaseFailed
from orchestr.files import write_if_changed
from orchestr.spec.checks import Gate
from orchestr.spec.phases import Phase
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.results import PLAN_TEXT, Implemented, Marker, Planned, digest


def key_of(ctx: CellContext, marker: Marker) -> str:
    """What a plan is for."""
    return digest(ctx.digest_of(Phase.PLAN), marker.content())


def reason(ctx: CellContext) -> str | None:
    """Why the phase would run, or None. Starts nothing."""
    marker = Marker.read(ctx.dir)
    if marker is None:
        return "its worktree is not made yet"
    planned = Planned.read(ctx.dir)
    if planned is None and _exempt(ctx, marker):
        return None
    newest = attempts.newest_plan(ctx.dir)
    if newest is not None and newest.is_open:
        return f"{newest.words} was interrupted and goes on"
    if planned is None:
        return "it was not planned yet"
    if planned.key != key_of(ctx, marker):
        return "its todo or what it builds on changed"
    if not planned.digest:
        return None
    if read_plan(ctx) is None:
        return "its plan.md is missing"
    if _refusal(ctx, planned) is not None:
        return "its plan was refused"
    return None if write_plan.approved(ctx) else "its plan waits for your approval"


def run(ctx: CellContext) -> Result:
    """Make the plan where needed, then insist on a yes to it. Raises NeedsApproval."""
    marker = Marker.read(ctx.dir)
    if marker is None:
        raise ctx.fail("its worktree marker is missing", hint=f"orchestr run {ctx.name}")
    key = key_of(ctx, marker)
    planned = Planned.read(ctx.dir)
    if planned is None and _exempt(ctx, marker):
        planned = Planned(key, "")
        planned.write(ctx.dir)
        write_if_changed(ctx.dir / PLAN_TEXT, b"")
    if planned is not None and planned.key == key and not planned.digest:
        return Result.kept()
    why = reason(ctx)
    if why is None:
        return Result.kept()
    while True:
        refusal = _refusal(ctx, planned) if planned is not None else None
        text = read_plan(ctx)
        if planned is None or planned.key != key or refusal is not None or text is None:
            planned, text = _make(ctx, marker, key, refusal)
        value = approval.plan_digest(text, ctx.cell.todo)
        if value != planned.digest:  # a person edited it
            planned = replace(planned, digest=value)
            planned.write(ctx.dir)
        try:
            yes = approval.require(ctx, Gate.PLAN, value)
        except PhaseFailed:
            if _refusal(ctx, planned) is None:
                raise
        else:
            return Result.built(why, plan=planned.plan, approved_by=yes.who)


def _exempt(ctx: CellContext, marker: Marker) -> bool:
    """Whether the work was done before anybody asked for a plan, or by somebody else."""
    done = Implemented.read(ctx.dir)
    if done is not None:
        return done.key == implement.key_of(ctx, marker)
    return adopt.candidate(ctx) is not None


def _refusal(ctx: CellContext, planned: Planned) -> Decision | None:
    """A refusal of this plan that no new one has answered."""
    said = approval.read(ctx.dir, Gate.PLAN)
    if said is None or said.verdict != approval.REFUSED or said.at == planned.answers:
        return None
    return said if said.digest == planned.digest else None


def _make(
    ctx: CellContext, marker: Marker, key: str, refusal: Decision | None
) -> tuple[Planned, str]:
    """A plan by the agent. Raises PhaseFailed with the reason, Interrupted when stopped."""
    answers = refusal.at if refusal else ""
    plan = _take_over(ctx, marker, digest(key, answers))
    if plan is None:
        ctx.check_cancelled()
        ctx.check_budget()
        stop_unrecorded(ctx)
        _end_attempt(ctx)
        plan = write_plan.open_plan(ctx, marker, digest(key, answers))
    if not (attempts.folder(ctx.dir, plan.number) / "notes.txt").exists():
        ensure(ctx, marker)
        write_plan.look(ctx, plan)
        implement.note(ctx, plan, marker, refusal.reason if refusal else "")
    try:
        drive(ctx, author(ctx, plan))
        text = write_plan.text_of(ctx, plan)
        harm = write_plan.undo(ctx, plan, marker)
        moved = branch_guard.moved_branches(ctx, plan)
        if moved:
            harm.append(f"the agent moved branches of other cells: {moved}; they were put back")
        if harm:
            raise ctx.fail(f"while its agent planned, {'; '.join(harm)}")
    except Interrupted:
        write_plan.undo(ctx, plan, marker)
        write_plan.close(ctx, plan, "aborted", "stopped")
        raise
    except OrchestrError as error:
        message = "; ".join([error.message, *write_plan.undo(ctx, plan, marker)])
        write_plan.close(ctx, plan, "failed", message)
        hint = error.hint or f"orchestr logs --plan {ctx.name}"
        raise PhaseFailed(message, hint=hint) from error
    write_if_changed(ctx.dir / PLAN_TEXT, text.encode())
    value = approval.plan_digest(text, ctx.cell.todo)
    planned = Planned(key, value, -plan.number, answers)
    planned.write(ctx.dir)
    write_plan.close(ctx, plan, "done")
    return planned, text


def _take_over(ctx: CellContext, marker: Marker, key: str) -> Attempt | None:
    """The open plan of the same key to go on with, after ending what must not go on."""
    newest = attempts.newest_plan(ctx.dir)
    if newest is None or not newest.is_open:
        return None
    if newest.key != key:
        stop_running(ctx, newest)
        write_plan.undo(ctx, newest, marker)
        write_plan.close(ctx, newest, "superseded", "its todo or what it builds on changed")
        return None
    lost = settle_lost(ctx, newest)
    if lost is not None:
        write_plan.undo(ctx, newest, marker)
        write_plan.close(ctx, newest, "failed", lost)
        return None
    return newest


def _end_attempt(ctx: CellContext) -> None:
    """An attempt that was interrupted carries out another plan: nothing works beside this one."""
    newest = attempts.newest(ctx.dir)
    if newest is not None and newest.is_open:
        marker = Marker.read(ctx.dir)
        stop_running(ctx, newest)
        if marker is not None:
            clone_guard.leave(ctx, newest, marker.base_ref)
        implement.keep_quietly(ctx, newest)
        implement.close(ctx, newest, "superseded", "its plan is made again")
