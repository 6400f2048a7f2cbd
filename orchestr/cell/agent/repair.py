"""One round of repair: the author's session goes on with what is red, the host proves the result.

What is asked and when to give up is decided by the phases (`check`, `review`) and by
`rounds.what_next`. A round survives a kill at any point: its record is written first, then the
session is told to go on, then the supervisor owns the agent; whoever finds the record open goes on
where it is.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from orchestr.cell.agent.launch import REPAIR, go_on, session_of
from orchestr.cell.agent.run_agent import author, drive, stop_work
from orchestr.cell.context import CellContext
from orchestr.cell.proof.commit_result import settled
from orchestr.cell.worktree import clone_guard
from orchestr.cell.worktree.branch_guard import note_branches
from orchestr.cell.worktree.salvage import restore
from orchestr.cell.worktree.worktree_guard import clear
from orchestr.errors import Interrupted, OrchestrError, PhaseFailed
from orchestr.files import write_atomic
from orchestr.git.repo import CommitId
from orchestr.spec.phases import Action, Phase
from orchestr.state import attempts, repairs
from orchestr.state.attempts import Attempt
from orchestr.state.events import Kind
from orchestr.state.repairs import Round
from orchestr.state.results import Implemented, Marker
from orchestr.supervisor import client
from orchestr.supervisor.client import Reason, State


def author_of(ctx: CellContext, done: Implemented) -> Attempt | None:
    """The attempt whose agent can mend a result; None for a person's or an adopted one."""
    if ctx.cell.action is Action.PUSH or not done.attempt:
        return None
    return attempts.read(ctx.dir, done.attempt)


def ask(
    ctx: CellContext, attempt: Attempt, phase: Phase, origin: str, head: CommitId, *,
    red: str, why: str, words: str, of: int,
) -> Round:  # fmt: skip
    """Begin a round: record it and journal it. `carry_out` does it."""
    known = repairs.every(ctx.dir, attempt.number)
    number = max((one.number for one in known), default=0) + 1
    going = repairs.series(known, phase, origin)
    place = sum(one.outcome in repairs.COUNTED for one in going) + 1
    folder = attempts.folder(ctx.dir, attempt.number)
    starts = len(list(folder.glob("exit.*.json"))) + 1
    record = Round(number, str(phase), origin, head, red, why, starts)
    repairs.begin(ctx.dir, attempt.number, record, words)
    ctx.emit(Kind.REPAIR_OPENED, phase=phase, attempt=attempt.number, round=place, of=of, why=why)
    return record


def carry_out(ctx: CellContext, attempt: Attempt, marker: Marker, record: Round) -> Round:
    """Bring an open round to its end. Raises PhaseFailed when its agent failed, Interrupted."""
    phase = Phase(record.phase)
    ctx.check_cancelled()
    attempt = attempts.reopen(ctx.dir, attempt, str(phase))
    try:
        _tell(ctx, attempt, marker, record)
        drive(ctx, author(ctx, attempt, phase, round=record.number))
        harm = clone_guard.leave(ctx, attempt, marker.base_ref)
        if harm:
            raise ctx.fail(f"while its agent repaired, {'; '.join(harm)}")
        head, findings = settled(ctx, attempt, marker, CommitId(record.before))
    except Interrupted:
        clone_guard.leave(ctx, attempt, marker.base_ref)
        stopped(ctx, attempt)
        attempts.close(ctx.dir, attempt, "aborted", "stopped")
        raise
    except OrchestrError as error:
        harm = clone_guard.leave(ctx, attempt, marker.base_ref)
        mended = _tidy(ctx, attempt, record)
        text = "; ".join([error.message.replace(f"cell {ctx.name}: ", ""), *harm, *mended])
        _end(ctx, attempt, record, repairs.FAILED, detail=text)
        attempts.close(ctx.dir, attempt, "done", "")
        repairs.end_series(ctx.dir, attempt.number, record.phase, record.origin)
        hint = error.hint or f"orchestr logs {ctx.name}"
        raise PhaseFailed(f"cell {ctx.name}: repair of {record.why}: {text}", hint=hint) from error
    outcome = repairs.UNCHANGED
    if ctx.repo.tree(head) != ctx.repo.tree(record.before):
        outcome = repairs.CHANGED
    if findings:
        outcome = repairs.REFUSED
    closed = _end(ctx, attempt, record, outcome, after=head, detail="; ".join(findings))
    attempts.close(ctx.dir, attempt, "done", "")
    return closed


def stopped(ctx: CellContext, attempt: Attempt) -> None:
    """After a repair was stopped: its round does not count, the next one starts clean.

    What the agent left uncommitted is kept; a worktree that nobody works in must not be dirty,
    or no check could say what it was run on.
    """
    record = repairs.open_one(repairs.every(ctx.dir, attempt.number))
    if record is not None:
        _tidy(ctx, attempt, record)
        _end(ctx, attempt, record, repairs.ABORTED, detail="stopped")


def under_way(ctx: CellContext, attempt: Attempt, record: Round) -> bool:
    """Whether the agent has been started for an open round: it works, or has ended by itself."""
    folder = attempts.folder(ctx.dir, attempt.number)
    if not _told(folder, record):
        return False
    match client.state(folder):
        case State.RUNNING:
            return True
        case State.EXITED:
            end = client.read_exit(folder)
            return end is not None and end.reason != Reason.STOPPED
        case _:
            return False


def call_off(ctx: CellContext, attempt: Attempt, record: Round) -> None:
    """End a round that nobody asks for any more, and its agent. What it left is kept."""
    if _told(attempts.folder(ctx.dir, attempt.number), record):
        stop_work(ctx, author(ctx, attempt, Phase(record.phase), round=record.number))
    done = _tidy(ctx, attempt, record)
    _end(ctx, attempt, record, repairs.VOID, detail="; ".join(["not asked for any more", *done]))
    attempts.close(ctx.dir, attempt, "done", "")


def _tidy(ctx: CellContext, attempt: Attempt, record: Round) -> list[str]:
    """Put right what an agent left in the middle of a repair; what had to be done."""
    done = restore(ctx, replace(attempt, start=record.before))
    left = attempts.folder(ctx.dir, attempt.number) / "left" / f"round-{record.number}"
    try:
        return [*done, *clear(ctx, attempt.number, left)]
    except OrchestrError as error:
        return [*done, f"the worktree could not be put right: {error.message}"]


def _tell(ctx: CellContext, attempt: Attempt, marker: Marker, record: Round) -> None:
    """Let the session go on with the round's words, unless that has been done."""
    folder = attempts.folder(ctx.dir, attempt.number)
    if _told(folder, record):
        return
    words = repairs.words_path(ctx.dir, attempt.number, record.number).read_text(encoding="utf-8")
    session = session_of(ctx, attempt)
    note_branches(ctx, attempt, marker)
    write_atomic(folder / REPAIR, words.encode())
    go_on(folder, session, words)


def _told(folder: Path, record: Round) -> bool:
    return len(list(folder.glob("exit.*.json"))) >= record.starts


def _end(ctx: CellContext, attempt: Attempt, record: Round, outcome: str, *, after: str = "",
         detail: str = "") -> Round:  # fmt: skip
    closed = repairs.close(ctx.dir, attempt.number, record, outcome, after=after, detail=detail)
    ctx.emit(Kind.REPAIR_CLOSED, phase=record.phase, attempt=attempt.number, round=record.number,
             outcome=outcome, head=closed.after, detail=detail)  # fmt: skip
    return closed
