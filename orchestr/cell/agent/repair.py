"""One round of repair: the author's session goes on with what is red, the host proves the result.

The phases (`check`, `review`) decide what is asked, and with `repairs.repair_stop_reason` when to
give up. A round survives a kill at any point: its record is written first, then the words for the
session, then the supervisor owns the agent; whoever finds the record open goes on where it is.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from orchestr.cell.agent.launch import REPAIR, attempt_session, prepare_next_start
from orchestr.cell.agent.run_agent import author_work, drive_agent
from orchestr.cell.agent.stop_agent import stop_agent
from orchestr.cell.context import CellContext
from orchestr.cell.proof.commit_result import commit_and_prove_repair
from orchestr.cell.worktree.branch_guard import restore_surroundings, snapshot_branches
from orchestr.cell.worktree.branch_tip import find_branch_tip
from orchestr.cell.worktree.harm_record import add_harm
from orchestr.cell.worktree.person_changes import record_left, set_aside_person_changes
from orchestr.cell.worktree.readable_checkout import put_back_upstreams
from orchestr.cell.worktree.restore import restore_worktree
from orchestr.cell.worktree.trespass import find_trespass, set_foreign_files_aside
from orchestr.cell.worktree.worktree_guard import salvage_uncommitted
from orchestr.codec import replace
from orchestr.errors import Interrupted, MachineFault, OrchestrError
from orchestr.files import read_file, write_atomic
from orchestr.git.repo import CommitId
from orchestr.spec.phases import Action, Phase
from orchestr.state import attempts, repairs
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind
from orchestr.state.repairs import RepairRound
from orchestr.state.results import ImplementRecord, WorktreeMarker
from orchestr.supervisor import client
from orchestr.supervisor.client import AttemptState, ExitReason


def author_attempt(ctx: CellContext, done: ImplementRecord) -> Attempt | None:
    """The attempt whose agent can mend a result; None for a person's or an adopted one."""
    if ctx.cell.action is Action.PUSH or not done.attempt:
        return None
    return attempts.read_attempt(ctx.dir, done.attempt)


def open_repair(
    ctx: CellContext, attempt: Attempt, phase: Phase, origin: str, head: CommitId, *,
    red: str, why: str, words: str, of: int, asked_by: str = "",
) -> RepairRound:  # fmt: skip
    """Begin a round: record it and journal it. `carry_out_repair` does it."""
    known = repairs.read_rounds(ctx.dir, attempt.number)
    number = max((one.number for one in known), default=0) + 1
    going = repairs.current_series(known, phase, origin)
    place = sum(one.outcome in repairs.COUNTED for one in going) + 1
    folder = attempts.attempt_folder(ctx.dir, attempt.number)
    starts = len(list(folder.glob("exit.*.json"))) + 1
    record = RepairRound(number, str(phase), origin, head, red, why, starts,
                         asked_by=asked_by)  # fmt: skip
    repairs.begin_round(ctx.dir, attempt.number, record, words)
    ctx.emit(
        EventKind.REPAIR_OPENED, phase=phase, attempt=attempt.number, round=place, of=of, why=why
    )
    return record


def carry_out_repair(
    ctx: CellContext, attempt: Attempt, marker: WorktreeMarker, record: RepairRound
) -> RepairRound:
    """Bring an open round to its end. Raises PhaseFailed when its agent failed, Interrupted."""
    phase = Phase(record.phase)
    ctx.check_cancelled()
    attempt = attempts.reopen(ctx.dir, attempt, str(phase))
    try:
        _resume_author(ctx, attempt, marker, record)
        ended = drive_agent(ctx, author_work(ctx, attempt, phase, round=record.number))
        if (
            ended.amend is not None
        ):  # only an attempt is blocked on a contract, and goes on after it
            ctx.emit(
                EventKind.CELL_WARNED, phase=phase, attempt=attempt.number,
                reason=f"its repair needs a contract of another cell changed ({ended.amend}): "
                "nothing was handed over; put it into the todo of the contract's owner",
            )  # fmt: skip
        put_back_upstreams(ctx)
        harm = restore_surroundings(ctx, attempt, marker.base_ref)
        harm += find_trespass(ctx, attempt)
        if harm:
            raise ctx.fail(f"while its agent repaired, {'; '.join(harm)}")
        set_foreign_files_aside(ctx, attempt, CommitId(record.before))
        head, findings = commit_and_prove_repair(
            ctx, attempt, marker, CommitId(record.before),
            is_own=not record.asked_by and not ctx.run.landing,
        )  # fmt: skip
    except Interrupted:
        restore_surroundings(ctx, attempt, marker.base_ref)
        end_stopped_repair(ctx, attempt)
        attempts.close(ctx.dir, attempt, "aborted", "stopped", tip=find_branch_tip(ctx))
        raise
    except OrchestrError as error:
        if error.repeatable:  # it stays open: the next run commits what the agent left
            raise
        harm = restore_surroundings(ctx, attempt, marker.base_ref)
        mended = _clean_worktree(ctx, attempt, record)
        text = add_harm(error.reason, [*harm, *mended])
        _close_and_journal(ctx, attempt, record, repairs.FAILED, detail=text)
        attempts.close(ctx.dir, attempt, "done", "", tip=find_branch_tip(ctx))
        repairs.end_series(ctx.dir, attempt.number, record.phase, record.origin)
        hint = error.hint or f"orchestr logs {ctx.name}"
        raise ctx.fail(f"repair of {record.why}: {text}", hint=hint) from error
    outcome = repairs.UNCHANGED
    if ctx.repo.resolve_tree(head) != ctx.repo.resolve_tree(record.before):
        outcome = repairs.CHANGED
    if findings:
        outcome = repairs.REFUSED
    closed = _close_and_journal(
        ctx, attempt, record, outcome, after=head, detail="; ".join(findings)
    )
    attempts.close(ctx.dir, attempt, "done", "", tip=find_branch_tip(ctx))
    return closed


def end_stopped_repair(ctx: CellContext, attempt: Attempt) -> None:
    """After a repair was stopped: its round does not count, the next one starts clean.

    What the agent left uncommitted is kept; a worktree that nobody works in must not be dirty,
    or no check could say what it was run on.
    """
    record = repairs.find_open_round(repairs.read_rounds(ctx.dir, attempt.number))
    if record is not None:
        _clean_worktree(ctx, attempt, record)
        _close_and_journal(ctx, attempt, record, repairs.ABORTED, detail="stopped")


def is_repair_started(ctx: CellContext, attempt: Attempt, record: RepairRound) -> bool:
    """Whether the agent has been started for an open round: it works, or has ended by itself."""
    folder = attempts.attempt_folder(ctx.dir, attempt.number)
    if not _is_author_resumed(folder, record):
        return False
    match client.read_attempt_state(folder):
        case AttemptState.RUNNING:
            return True
        case AttemptState.EXITED:
            end = client.read_exit(folder)
            return end is not None and end.reason != ExitReason.STOPPED
        case _:
            return False


def call_off_repair(ctx: CellContext, attempt: Attempt, record: RepairRound) -> None:
    """End a round that nobody asks for any more, and its agent. What it left is kept."""
    if _is_author_resumed(attempts.attempt_folder(ctx.dir, attempt.number), record):
        stop_agent(ctx, author_work(ctx, attempt, Phase(record.phase), round=record.number))
    done = _clean_worktree(ctx, attempt, record)
    _close_and_journal(
        ctx, attempt, record, repairs.VOID, detail="; ".join(["not asked for any more", *done])
    )
    attempts.close(ctx.dir, attempt, "done", "", tip=find_branch_tip(ctx))


def _clean_worktree(ctx: CellContext, attempt: Attempt, record: RepairRound) -> list[str]:
    """Put right what an agent left in the middle of a repair; what had to be done."""
    done = restore_worktree(ctx, replace(attempt, start=record.before))
    left = attempts.attempt_folder(ctx.dir, attempt.number) / "left" / f"round-{record.number}"
    try:
        return [*done, *salvage_uncommitted(ctx, attempt.number, left)]
    except MachineFault:
        raise
    except OrchestrError as error:
        return [*done, f"the worktree could not be put right: {error.reason}"]


def _resume_author(
    ctx: CellContext, attempt: Attempt, marker: WorktreeMarker, record: RepairRound
) -> None:
    """Let the session go on with the round's words, unless that has been done."""
    folder = attempts.attempt_folder(ctx.dir, attempt.number)
    if _is_author_resumed(folder, record):
        return
    words = read_file(repairs.words_path(ctx.dir, attempt.number, record.number)).decode("utf-8")
    session = attempt_session(ctx, attempt)
    set_aside_person_changes(ctx)
    record_left(ctx, attempt.number, goes_on=True)
    snapshot_branches(ctx, attempt, marker)
    write_atomic(folder / REPAIR, words.encode())
    prepare_next_start(folder, session, words)


def _is_author_resumed(folder: Path, record: RepairRound) -> bool:
    return len(list(folder.glob("exit.*.json"))) >= record.starts


def _close_and_journal(
    ctx: CellContext,
    attempt: Attempt,
    record: RepairRound,
    outcome: str,
    *,
    after: str = "",
    detail: str = "",
) -> RepairRound:
    with suppress(OrchestrError):  # the next step that needs it repairs a damaged worktree
        record_left(ctx, attempt.number)
    closed = repairs.close_round(
        ctx.dir, attempt.number, record, outcome, after=after, detail=detail
    )
    ctx.emit(
        EventKind.REPAIR_CLOSED,
        phase=record.phase,
        attempt=attempt.number,
        round=record.number,
        outcome=outcome,
        head=closed.after,
        detail=detail,
    )
    return closed
