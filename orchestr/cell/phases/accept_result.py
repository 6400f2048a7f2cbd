"""Let a cell's result stand under an edited spec: no agent is paid for a corrected word.

A person answers for it, by name in the journal. Only what an agent was asked for is accepted (the
inputs of `plan` and `implement`; of a phase of one's own its prompt, agent and model, not another
definition); changed checks and reviewers run in the next run, and the pull
request gets its new text there. What the commits may touch is looked at again.

What survives a crash: the journal has the line first, and `implement.toml`, which makes the result
count, is written last. Until then the cell is as stale as before, and it is done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestr.cell.agent.plan_prompt import read_plan
from orchestr.cell.approval import carry_approval, plan_digest
from orchestr.cell.context import CellContext
from orchestr.cell.input_changes import InputChange, former_value, input_changes, save_inputs
from orchestr.cell.input_nodes import GIT
from orchestr.cell.inputs import attempt_key, own_key, plan_key
from orchestr.cell.phases.run_phase import phase_module
from orchestr.cell.proof.prove_cell_head import prove_cell_head
from orchestr.codec import replace
from orchestr.errors import OrchestrError
from orchestr.git.repo import CommitId
from orchestr.spec.own_phases import OwnPhase
from orchestr.spec.phases import Action, Gate, Phase
from orchestr.state import attempts
from orchestr.state.events import EventKind
from orchestr.state.results import (
    ImplementOutcome,
    ImplementRecord,
    OwnResult,
    PlanRecord,
    WorktreeMarker,
)

ACCEPTED = (Phase.PLAN, Phase.IMPLEMENT)


@dataclass(frozen=True, slots=True)
class StaleResult:
    """A result whose todo, agent or paths were edited since; ``planned``: its plan, if it needs
    one. ``changes`` is empty where the old values are not known."""

    marker: WorktreeMarker
    done: ImplementRecord
    planned: PlanRecord | None
    changes: tuple[InputChange, ...]
    own: tuple[OwnPhase, ...] = ()  # phases of one's own whose prompt, agent or model was edited


@dataclass(frozen=True, slots=True)
class Acceptor:
    """Who lets it stand, as git and the login name them, and why in their own words."""

    name: str
    email: str
    user: str
    reason: str = ""


def find_stale_result(ctx: CellContext) -> StaleResult | None:
    """What `accept_result` would let stand; None where the result is for this spec already.

    Raises PhaseFailed where there is none, or where more than the wording is another.
    """
    if ctx.cell.action is Action.PUSH:
        raise ctx.fail("a person makes its commits: there is nothing to accept")
    marker, done = WorktreeMarker.read(ctx.dir), ImplementRecord.read(ctx.dir)
    newest = attempts.current_attempt(ctx.dir)
    if newest is not None and newest.is_open:
        raise ctx.fail(
            f"{newest.label} has not ended",
            hint=f"orchestr run {ctx.name} lets it end; orchestr abort {ctx.name} stops it",
        )
    if marker is None or done is None:
        raise ctx.fail("it has no result that could stand", hint=f"orchestr run {ctx.name}")
    key = attempt_key(ctx, marker)
    planned = PlanRecord.read(ctx.dir) if ctx.cell.has_plan_phase else None
    is_planned = not ctx.cell.has_plan_phase or (
        planned is not None and planned.key == plan_key(ctx, marker)
    )
    why = phase_module(Phase.WORKTREE).reason_to_run(ctx)
    own = tuple(phase for phase in ctx.cell.own_phases if _is_reworded(ctx, phase))
    if why is None and done.key == key and is_planned and not own:
        return None
    if why is None and done.base != marker.base:
        why = f"it was built on {done.base[:12]}, and its base is {marker.base[:12]} now"
    if why is not None:
        raise ctx.fail(f"{why}: that is more than another wording", hint=f"orchestr run {ctx.name}")
    if Phase.IMPLEMENT not in ctx.cell.phases or (ctx.cell.has_plan_phase and planned is None):
        raise ctx.fail(
            "it has other phases now: that is more than another wording",
            hint=f"orchestr run {ctx.name}",
        )
    _refuse_foreign_paths(ctx, done)
    _refuse_edited_plan(ctx, planned)
    return StaleResult(marker, done, planned, _read_changes(ctx, own), own)


def _is_reworded(ctx: CellContext, phase: OwnPhase) -> bool:
    """Whether the result of a phase of one's own is there, and nothing but its words, agent or
    model were edited since, as far as its inputs are known."""
    result = OwnResult.read(ctx.dir, phase.name)
    if phase.prompt is None or result is None or result.key == own_key(ctx, phase):
        return False
    changes = input_changes(ctx, phase.name)
    return bool(changes) and {c.field for c in changes} <= {phase.prompt, "agent", "model"}


def _read_changes(ctx: CellContext, own: Sequence[OwnPhase]) -> tuple[InputChange, ...]:
    phases = (*ACCEPTED, *(phase.name for phase in own))
    found = (change for phase in phases for change in input_changes(ctx, phase))
    return tuple({c.field: c for c in found if c.origin != GIT}.values())


def _refuse_foreign_paths(ctx: CellContext, done: ImplementRecord) -> None:
    """Raises PhaseFailed where the edited spec does not give the cell what its commits touch."""
    if done.outcome is not ImplementOutcome.CHANGED:
        return
    base, head = CommitId(done.base), CommitId(done.head)
    if ctx.repo.resolve_commit(head) is None or ctx.repo.resolve_commit(base) is None:
        raise ctx.fail(
            f"its commit {head[:12]} is not in {ctx.repo_path}", hint=f"orchestr run {ctx.name}"
        )
    proof = prove_cell_head(ctx, ctx.repo, base=base, start=base, head=head)
    if not proof.ok:
        raise ctx.fail(
            f"its result does not fit the edited spec: {'; '.join(proof.findings)}",
            hint=f"orchestr run {ctx.name}: its agent gets the spec as it is now",
        )


def _refuse_edited_plan(ctx: CellContext, planned: PlanRecord | None) -> None:
    """Raises PhaseFailed where an approved plan is not what was approved: that is another yes."""
    if planned is None or not planned.digest:
        return
    text, todo = read_plan(ctx), former_value(ctx, Phase.PLAN, "todo")
    known = [todo] if isinstance(todo, list) else []
    if text is not None and planned.digest in [
        plan_digest(text, one) for one in [*known, ctx.cell.todo]
    ]:
        return
    raise ctx.fail(
        "its plan is not the one that was approved", hint=f"orchestr run {ctx.name} asks again"
    )


def accept_result(ctx: CellContext, found: StaleResult, by: Acceptor) -> None:
    """Write the keys of the edited spec into the cell's records. The caller holds the lease."""
    own = _list_standing(ctx, found)
    names = (*ACCEPTED, *(phase.name for phase in own))
    ctx.emit(
        EventKind.CELL_ACCEPTED,
        phases=[str(phase) for phase in ctx.cell.task_phases if phase in names],
        changes=[[c.phase, c.field, c.old, c.new] for c in found.changes],
        head=found.done.head, name=by.name, email=by.email, user=by.user, reason=by.reason or None,
    )  # fmt: skip
    if found.planned is not None:
        value, text = found.planned.digest, read_plan(ctx)
        if value and text is not None:  # the yes was to the plan and the todo of then
            value = plan_digest(text, ctx.cell.todo)
            carry_approval(ctx, Gate.PLAN, [found.planned.digest], value)
        key = plan_key(ctx, found.marker)
        replace(found.planned, key=key, digest=value).write(ctx.dir)
    key = attempt_key(ctx, found.marker)
    newest = attempts.newest_attempt_at(ctx.dir)
    if newest is not None and newest.key == found.done.key:
        attempts.write_attempt(ctx.dir, replace(newest, key=key))
    for phase in own:  # after the plan, which some of them read
        result = OwnResult.read(ctx.dir, phase.name)
        if result is not None:
            replace(result, key=own_key(ctx, phase)).write(ctx.dir, phase.name)
    for name in names:
        save_inputs(ctx, name)
    replace(found.done, key=key).write(ctx.dir)


def _list_standing(ctx: CellContext, found: StaleResult) -> list[OwnPhase]:
    """The phases of one's own that are not to be done again: what was reworded, and what is for
    this spec already."""
    standing = []
    for phase in ctx.cell.own_phases:
        result = OwnResult.read(ctx.dir, phase.name)
        valid = result is not None and result.key == own_key(ctx, phase)
        if valid or phase in found.own:
            standing.append(phase)
    return standing


def acceptance_hint(ctx: CellContext) -> str | None:
    """The command that lets a stale result stand; None where that is not possible."""
    try:
        return f"orchestr accept {ctx.name}" if find_stale_result(ctx) is not None else None
    except OrchestrError:
        return None
