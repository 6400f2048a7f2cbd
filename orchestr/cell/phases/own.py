"""A phase of one's own (`orchestr.spec.own_phases`): an agent's, or a command's.

Its result is `phases/NAME.toml`, and with `output` the JSON beside it. What it changes in files
becomes part of the cell's result: `implement.toml` then names the head that it left, so checks,
reviews and all after them see no difference. It is made again when its definition, what it reads,
or what it works on changed: a repair, too, is followed by all phases after `implement`
(`follow_repair`).

What survives a crash: the phase's own result, and the move that keeps those of phases before it
valid, are written before `implement.toml`; the attempt is closed last. A kill between them finds
the attempt open and writes the same again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from orchestr.cell.agent.attempt import close_attempt
from orchestr.cell.context import CellContext
from orchestr.cell.inputs import own_key
from orchestr.cell.own_results import (
    anchor_of,
    find_phase,
    names_after,
    names_read,
    read_given,
    read_output_text,
    read_outputs,
)
from orchestr.cell.phases.run_phase import PhaseResult, run_phase
from orchestr.cell.record import CellRecord, Decision
from orchestr.codec import replace
from orchestr.errors import OrchestrError
from orchestr.files import write_atomic
from orchestr.git.repo import CommitId
from orchestr.spec.own_phases import OwnPhase
from orchestr.spec.phases import Phase
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind
from orchestr.state.moves import Move, Moves
from orchestr.state.results import (
    ImplementOutcome,
    ImplementRecord,
    OwnOutcome,
    OwnResult,
    digest,
    own_output_name,
)
from orchestr.state.seals import digest_bytes


class OwnStep(StrEnum):
    """What the phase can do."""

    KEEP = "keep"  # the result is for these inputs
    CANNOT = "cannot"  # what it works on is not there
    WORK = "work"  # go on with the open try, or begin one; passed over where `when:` is false


@dataclass(frozen=True, slots=True)
class OwnInputs:
    """``given`` is what it works on, ``is_current`` whether its result is of that.
    ``has_output``: its JSON is there as written."""

    key: str
    given: str | None = None
    result: OwnResult | None = None
    is_current: bool = False
    has_output: bool = True
    open_attempt: Attempt | None = None


def decide(inputs: OwnInputs) -> Decision[OwnStep]:
    """What the phase does now and why. Pure."""
    why = _find_reason_to_run(inputs)
    if why is None:
        return Decision(OwnStep.KEEP, None)
    return Decision(OwnStep.CANNOT if inputs.given is None else OwnStep.WORK, why)


def _find_reason_to_run(inputs: OwnInputs) -> str | None:
    result, newest = inputs.result, inputs.open_attempt
    if inputs.given is None:
        return "there is nothing to work on yet"
    if result is not None and result.key == inputs.key and inputs.is_current and inputs.has_output:
        return None
    if newest is not None:
        return f"{newest.label} was interrupted and goes on"
    if result is None:
        return "it was not done yet"
    if result.key != inputs.key:
        return "its definition or what it reads changed"
    return "what it works on changed" if not inputs.is_current else "its output is missing"


class OwnPhaseModule:
    """The phase of one name, as `orchestr.cell.phases.run_phase` wants it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def reason_to_run(self, ctx: CellContext) -> str | None:
        """Why it would run, or None. Starts nothing."""
        return decide(_read_inputs(ctx, find_phase(ctx, self.name))).why

    def run(self, ctx: CellContext) -> PhaseResult:
        """Make its result. Raises PhaseFailed with the reason, Interrupted when stopped."""
        return _run_own_phase(ctx, find_phase(ctx, self.name))


def _read_inputs(ctx: CellContext, phase: OwnPhase) -> OwnInputs:
    given = read_given(ctx, phase.name)
    if given is None:
        return OwnInputs("")
    result = OwnResult.read(ctx.dir, phase.name)
    newest = CellRecord.of_cell(ctx).newest_own
    mine = newest is not None and newest.is_open and newest.of == phase.name
    return OwnInputs(
        own_key(ctx, phase),
        given,
        result,
        is_current=result is not None and _is_current(ctx, phase, result, given),
        has_output=result is None or _has_output(ctx, result, phase.name),
        open_attempt=newest if mine else None,
    )


def _has_output(ctx: CellContext, result: OwnResult, name: str) -> bool:
    if result.outcome is not OwnOutcome.ANSWERED:
        return True
    try:
        return read_output_text(ctx, name) is not None
    except OrchestrError:
        return False


def _is_current(ctx: CellContext, phase: OwnPhase, result: OwnResult, given: str) -> bool:
    """Whether a result is of what is there. After `implement` that is what it left,
    or what phases after it made of that."""
    if anchor_of(ctx, phase.name) is not Phase.IMPLEMENT:
        return result.before == given
    if result.tree == given:
        return True
    return Moves.read(ctx.dir).has_way(phase.name, result.tree, given)


def _find_reason_to_pass(ctx: CellContext, phase: OwnPhase) -> str | None:
    """Why a phase is passed over now. Raises PhaseFailed for a condition that has no answer."""
    done = ImplementRecord.read(ctx.dir)
    late = anchor_of(ctx, phase.name) not in (Phase.WORKTREE, Phase.PLAN)
    if late and done is not None and done.outcome is ImplementOutcome.ADOPTED:
        return "its pull request was there before"
    if phase.when is None:
        return None
    from orchestr.checks.kinds.state_invariant import evaluate_expression

    values = read_outputs(ctx, names_read(phase))
    try:
        found = evaluate_expression(phase.when, values)
    except ValueError as error:
        raise ctx.fail(
            f"`when` of phase `{phase.name}` has no answer: {error}",
            hint=f"correct it in {ctx.run.feature.path}: {phase.when}",
        ) from None
    if not isinstance(found, bool):
        raise ctx.fail(
            f"`when` of phase `{phase.name}` is {found!r}, not true or false",
            hint=f"compare it with something in {ctx.run.feature.path}: {phase.when}",
        )
    return None if found else f"{phase.when} is false"


def _run_own_phase(ctx: CellContext, phase: OwnPhase) -> PhaseResult:
    inputs = _read_inputs(ctx, phase)
    decision = decide(inputs)
    if decision.step is OwnStep.KEEP:
        _close_open_attempt(ctx, inputs)
        return PhaseResult.up_to_date()
    record = CellRecord.of_cell(ctx)
    marker, given, why = record.marker, inputs.given, decision.why or ""
    if decision.step is OwnStep.CANNOT or marker is None or given is None:
        raise ctx.fail(f"phase `{phase.name}` has nothing to work on",
                       hint=f"orchestr run {ctx.name}")  # fmt: skip
    passed = _find_reason_to_pass(ctx, phase)
    if passed is not None:
        end_open_attempt(ctx, passed)
        result = _make_result(ctx, phase, inputs, given)
        result = replace(result, outcome=OwnOutcome.SKIPPED, reason=passed)
        result.write(ctx.dir, phase.name)
        return PhaseResult.built(why, outcome=str(result.outcome), reason=passed)
    result = _carry_out_try(ctx, phase, inputs, given)
    return PhaseResult.built(
        why,
        attempt=result.attempt,
        outcome=str(result.outcome),
        **({"head": result.head} if result.head and phase.changes_files else {}),
        **({"changed": True} if result.outcome is OwnOutcome.CHANGED else {}),
    )


def _carry_out_try(ctx: CellContext, phase: OwnPhase, inputs: OwnInputs, given: str) -> OwnResult:
    """Begin or go on with a try, and write down what it made."""
    from orchestr.cell.agent.own_attempt import (
        begin_own_attempt,
        carry_out_own,
        clear_leftovers,
        end_own_attempt,
    )
    from orchestr.cell.phases.checkout_head import checkout_head
    from orchestr.cell.worktree.ensure import ensure_worktree

    record = CellRecord.of_cell(ctx)
    marker, done, newest = record.marker, record.implemented, record.newest_own
    assert marker is not None
    key = digest(inputs.key, given)
    goes_on = newest is not None and newest.is_open and newest.key == key
    if goes_on and newest is not None:
        start = CommitId(newest.start)
    elif anchor_of(ctx, phase.name) in (Phase.WORKTREE, Phase.PLAN) or done is None:
        start = _prepare_reading(ctx)
    else:
        end_own_attempt(ctx, newest, marker, "what it works on changed")
        newest = CellRecord.of_cell(ctx).newest_own
        ensure_worktree(ctx, marker)
        clear_leftovers(ctx, newest)
        start = checkout_head(ctx, done, marker)
    attempt = begin_own_attempt(ctx, phase, newest, marker, key, start)
    work = carry_out_own(ctx, phase, attempt, marker)
    result = replace(_make_result(ctx, phase, inputs, given), attempt=work.attempt)
    if work.output is not None:
        place = ctx.dir / own_output_name(phase.name)
        place.parent.mkdir(exist_ok=True)
        write_atomic(place, work.output)
        result = replace(result, outcome=OwnOutcome.ANSWERED, output=digest_bytes(work.output))
    elif work.head is not None and done is not None:
        tree = str(ctx.repo.resolve_tree(work.head))
        outcome = OwnOutcome.UNCHANGED if tree == given else OwnOutcome.CHANGED
        head = done.head if outcome is OwnOutcome.UNCHANGED else work.head
        result = replace(result, outcome=outcome, tree=tree, head=head)
        if outcome is OwnOutcome.CHANGED:
            names = names_after(ctx, Phase.IMPLEMENT)
            move = Move(phase.name, given, tree, names[: names.index(phase.name)])
            Moves.read(ctx.dir).add(move).write(ctx.dir)
    result.write(ctx.dir, phase.name)
    if done is not None and result.outcome is OwnOutcome.CHANGED:
        _move_result(ctx, done, CommitId(result.head))
    close_attempt(ctx, attempt, "done", "")
    return result


def _prepare_reading(ctx: CellContext) -> CommitId:
    """The worktree is there; the commit that it stands on, before any work."""
    from orchestr.cell.worktree.ensure import ensure_worktree

    marker = CellRecord.of_cell(ctx).marker
    assert marker is not None
    ensure_worktree(ctx, marker)
    head = ctx.worktree_repo.resolve_commit("HEAD")
    if head is None:
        raise ctx.fail("its branch has no commit", hint="orchestr doctor")
    return head


def _make_result(ctx: CellContext, phase: OwnPhase, inputs: OwnInputs, given: str) -> OwnResult:
    """A result that leaves everything as it was."""
    after = anchor_of(ctx, phase.name) is Phase.IMPLEMENT
    done = ImplementRecord.read(ctx.dir) if after else None
    return OwnResult(
        inputs.key,
        given,
        OwnOutcome.UNCHANGED,
        tree=given if after else "",
        head=done.head if done is not None else "",
    )


def _move_result(ctx: CellContext, done: ImplementRecord, head: CommitId) -> ImplementRecord:
    """The cell's result is this head from now on; repairs are counted as before."""
    outcome = done.outcome
    if outcome is ImplementOutcome.NO_CHANGE_NEEDED:
        outcome = ImplementOutcome.CHANGED
    moved = replace(
        done, head=head, tree=ctx.repo.resolve_tree(head), outcome=outcome, first=done.origin
    )
    moved.write(ctx.dir)
    return moved


def _close_open_attempt(ctx: CellContext, inputs: OwnInputs) -> None:
    """A kill came after the result was written: only the attempt is left to be closed."""
    if inputs.open_attempt is not None:
        close_attempt(ctx, inputs.open_attempt, "done", "")


def end_open_attempt(ctx: CellContext, why: str = "the cell goes on without it") -> None:
    """Before others work in the worktree: a try that no phase goes on with ends."""
    newest = attempts.newest_attempt(ctx.dir)
    if newest is None or not newest.of or not newest.is_open:
        return
    from orchestr.cell.agent.own_attempt import end_own_attempt

    marker = CellRecord.of_cell(ctx).marker
    if marker is not None:
        end_own_attempt(ctx, newest, marker, why)


def is_to_be_followed(ctx: CellContext, done: ImplementRecord, head: CommitId) -> bool:
    """Whether a head that came after the result has other files than it, and phases of one's own
    stand after `implement`: they follow it."""
    if not ctx.cell.own_phases or head == done.head or not names_after(ctx, Phase.IMPLEMENT):
        return False
    return str(ctx.repo.resolve_tree(head)) != done.tree


def follow_repair(
    ctx: CellContext, done: ImplementRecord, head: CommitId, phase: Phase
) -> ImplementRecord:
    """After a repair made ``head``: it is the result, and the phases after `implement` run again
    on it, inside of ``phase``. Returns the result that they leave. Raises what they raise."""
    _move_result(ctx, done, head)
    for name in names_after(ctx, Phase.IMPLEMENT):
        run_phase(ctx, name)
    moved = ImplementRecord.read(ctx.dir)
    if moved is None:
        raise ctx.fail("its result is missing", hint=f"orchestr run {ctx.name}")
    ctx.emit(EventKind.PHASE_STARTED, phase=phase, why="it goes on with what follows the repair")
    return moved
