"""Ending agents: those of a stopped attempt, those that a kill left, those without a record."""

from __future__ import annotations

from pathlib import Path

from orchestr.cell.agent.agent_work import AgentWork
from orchestr.cell.agent.run_agent import (
    LOST,
    NEVER,
    UNENDED,
    author_work,
    journal_exit,
    judge_exit,
    read_marker,
    reviewer_work,
)
from orchestr.cell.context import CellContext
from orchestr.process.file_lock import FlockLock
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.supervisor import client
from orchestr.supervisor.client import AttemptState, ExitReason, ExitRecord


def end_lost_agent(ctx: CellContext, attempt: Attempt) -> str | None:
    """For an open attempt found at the start: why it cannot go on, else None.

    Its supervisor vanished without `exit.json`: everything that carries the attempt's marker
    is killed before anything else starts in its worktree.
    """
    folder = attempts.attempt_folder(ctx.dir, attempt.number)
    if client.read_attempt_state(folder) is not AttemptState.LOST:
        return None
    client.end_leftovers(folder, attempt.process_marker(ctx.key))
    return LOST


def stop_unrecorded_agents(ctx: CellContext) -> None:
    """End agents whose `attempt.toml` is gone or could not be read: nobody can go on with them,
    and nothing may work beside the next attempt."""
    for number in (*attempts.attempt_numbers(ctx.dir), *attempts.plan_numbers(ctx.dir)):
        folder = attempts.attempt_folder(ctx.dir, number)
        if (
            attempts.read_attempt(ctx.dir, number) is None
            and client.read_attempt_state(folder) in UNENDED
        ):
            grace = ctx.run.settings.limits.grace
            client.stop_attempt(folder, marker=read_marker(folder), grace=grace)


def stop_attempt_agents(ctx: CellContext, attempt: Attempt) -> None:
    """End the agents of an attempt that must not go on, if they live; keeps what they wrote."""
    stop_agent(ctx, author_work(ctx, attempt))
    for folder in attempts.agent_folders(ctx.dir, attempt.number)[1:]:
        stop_agent(ctx, reviewer_work(folder, attempt.number))


def stop_agent(ctx: CellContext, work: AgentWork) -> None:
    """End an agent that must not go on, if it lives. What it took is journalled all the same."""
    if client.read_attempt_state(work.folder) is not AttemptState.EXITED:
        _prevent_start(work.folder)
        grace = ctx.run.settings.limits.grace
        end = client.stop_attempt(work.folder, marker=work.marker, grace=grace)
        end = end or ExitRecord(None, None, ExitReason.STOPPED, LOST)
        if end.detail != NEVER and work.agent in ctx.run.settings.agents:
            journal_exit(ctx, work, end, judge_exit(ctx, work, end))
    if work.marker:
        client.end_leftovers(work.folder, work.marker)


def _prevent_start(folder: Path) -> None:
    """A supervisor that was spawned but has not locked its attempt yet must find it ended."""
    lock = FlockLock(folder / client.LOCK)
    if lock.try_acquire():
        try:
            if client.read_exit(folder) is None:
                stopped = client.ExitRecord(None, None, client.ExitReason.STOPPED, NEVER)
                stopped.write(folder)
        finally:
            lock.release()


def has_running_agent(cell_dir: Path, attempt: Attempt) -> bool:
    """Whether an agent of an attempt works right now: its author, or a reviewer."""
    folders = attempts.agent_folders(cell_dir, attempt.number)
    return any(client.read_attempt_state(folder) is AttemptState.RUNNING for folder in folders)
