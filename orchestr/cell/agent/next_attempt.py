"""Whether another attempt follows by itself after one that failed: `retry`, a chain of agents.

The answer is written with the end of the attempt that failed, and the next attempt counts from that
record. So a kill between two attempts, and a machine that loses one, cost no further try.
"""

from __future__ import annotations

from orchestr.cell.agent_chain import find_follower, list_authors
from orchestr.cell.context import CellContext
from orchestr.errors import AgentUnusable, FinalFailure, OrchestrError, PhaseFailed
from orchestr.state.attempts import Attempt


def decide_next(ctx: CellContext, attempt: Attempt, error: OrchestrError) -> str | None:
    """The words for what follows an attempt that ended with ``error``; None where nothing does."""
    what = f"attempt {attempt.number}"
    follower = find_follower(list_authors(ctx), attempt.agent)
    if follower is not None and type(error) in (PhaseFailed, AgentUnusable):
        return f"{what} of {attempt.agent} failed: {error.reason}; {follower} works on it next"
    retry = count_allowed_retries(ctx)
    if type(error) is not PhaseFailed or attempt.tries >= retry:
        return None
    number = f"retry {attempt.tries + 1} of {retry}"
    return f"{what} failed: {error.reason}; another one follows ({number})"


def count_allowed_retries(ctx: CellContext) -> int:
    """`retry` of the cell, else of the limits."""
    return ctx.run.settings.limits.retry if ctx.cell.retry is None else ctx.cell.retry


def find_failure_kind(error: OrchestrError) -> type[PhaseFailed]:
    """How an attempt fails: only a plain failure is one that a further attempt may change."""
    if type(error) is PhaseFailed:
        return PhaseFailed
    return AgentUnusable if type(error) is AgentUnusable else FinalFailure


def count_tries(newest: Attempt | None, key: str, agent: str) -> int:
    """How many attempts of ``agent`` at the work ``key`` failed before the one that is opened now.
    Pure.

    ``newest`` is the newest attempt of the cell. Where it failed for good the counting begins
    again: a person has the work done once more. So it does with another agent of a chain.
    """
    if newest is None or (newest.key, newest.agent) != (key, agent):
        return 0
    if newest.followed:
        return newest.tries + 1
    return newest.tries if newest.outcome == "aborted" else 0
