"""Several agents for one cell, one after the other (`agents: [claude, codex]`): whose turn it is.

Decided from the record of the newest attempt alone, so a kill between two attempts changes nothing:
after one that failed the next agent works, after the last one the last again while `retry` lasts,
and then the first in a later run. Where nothing followed by itself (a reached budget, harm to the
clone) the turn stays with the one that was at work. A session never goes from one to another.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestr.cell.context import CellContext
from orchestr.state.attempts import Attempt

MAX_WAIT = 1800.0  # s that a usage limit is waited for while another agent could work


def choose_author(chain: Sequence[str], newest: Attempt | None, key: str) -> str:
    """The agent of an attempt at the work ``key`` that is opened or goes on now. Pure.

    ``newest`` is the cell's newest attempt; ``chain`` has at least one agent.
    """
    if newest is None or newest.key != key or newest.of or newest.agent not in chain:
        return chain[0]
    place = chain.index(newest.agent)
    match newest.outcome:
        case "failed" if place + 1 == len(chain):
            return chain[place] if newest.followed else chain[0]
        case "failed":
            return chain[place + 1] if newest.followed else chain[place]
        case "aborted" | "":
            return chain[place]
        case _:
            return chain[0]


def find_follower(chain: Sequence[str], agent: str) -> str | None:
    """The agent that works in the same run after ``agent`` failed; None after the last. Pure."""
    if agent not in chain or agent == chain[-1]:
        return None
    return chain[chain.index(agent) + 1]


def list_authors(ctx: CellContext) -> tuple[str, ...]:
    """The agents of a cell in their order; one that the command line names works alone."""
    if ctx.run.overrides.agent:
        return (ctx.run.overrides.agent,)
    return ctx.cell.agents or (ctx.agent_name,)


def list_workers(ctx: CellContext) -> tuple[str, ...]:
    """Every agent that may work as the cell's author, one after the other or side by side."""
    return tuple(dict.fromkeys(list_beside(ctx) or list_authors(ctx)))


def list_beside(ctx: CellContext) -> tuple[str, ...]:
    """The agent of each attempt side by side (`best_of`), in their order; empty where one works."""
    wanted = ctx.cell.best_of
    if wanted is None:
        return ()
    typed = ctx.run.overrides.agent
    return (typed,) * wanted.n if typed else wanted.list_agents(ctx.agent_name)


def find_max_wait(ctx: CellContext, attempt: Attempt) -> float | None:
    """Seconds that a usage limit of an attempt's agent is waited for; None: as long as it lasts,
    since no other agent follows. Others work beside a candidate: it waits for as long as its cell
    says."""
    if attempt.is_aside:
        return ctx.cell.max_wait
    if attempt.of or attempt.number < 0 or find_follower(list_authors(ctx), attempt.agent) is None:
        return None
    return MAX_WAIT if ctx.cell.max_wait is None else ctx.cell.max_wait


def explain_change(ctx: CellContext, attempts: Sequence[Attempt]) -> str:
    """Why the agent of the newest of these attempts is not the first of its chain; empty where it
    is. ``attempts``: those of the cell, oldest first."""
    own = [one for one in attempts if not one.of]
    if len(own) < 2 or not ctx.cell.agents or own[-1].agent == ctx.cell.agents[0]:
        return ""
    before, newest = own[-2:]
    if before.key != newest.key or before.agent == newest.agent:
        return ""
    return (
        f"{newest.agent} works on it instead of {before.agent}, whose attempt {before.number} "
        f"ended as {before.outcome}: {before.reason}"
    )
