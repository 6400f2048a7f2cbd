"""How an event about an agent changes the view of its cell: who works, what it cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from orchestr.spec.phases import Phase
from orchestr.state.event_details import (
    AgentDetails,
    AttemptAdopted,
    AttemptClosed,
    AttemptExited,
    AttemptLimited,
    AttemptOpened,
    AttemptStarted,
    PhaseDone,
)
from orchestr.state.events import Event
from orchestr.state.phase_marks import is_own_phase
from orchestr.state.states import CellState
from orchestr.state.view import READS, CellView

AttemptDetails = (
    AttemptOpened | AttemptStarted | AttemptAdopted | AttemptLimited | AttemptExited | AttemptClosed
)


def apply_attempt(cell: CellView, details: AttemptDetails, event: Event) -> CellView:
    # Plans are counted downwards from -1. Like tries at phases of one's own they are no attempts
    # at the cell's work, and say nothing of its author.
    own = is_own_phase(event.phase)
    plan = event.attempt < 0 or own
    cell = replace(
        add_cost(cell, details, event),
        attempt=cell.attempt if plan else event.attempt or cell.attempt,
    )
    match details:
        case AttemptLimited():
            who = details.agent or cell.agent or "the agent"
            return replace(
                cell,
                state=CellState.WAITING,
                reason=details.reason or f"usage limit of {who}",
                hint=None,
                waiting_until=_format_limit_end(details.until),
            )
        case AttemptExited():
            seconds = details.seconds
            seconds = cell.seconds if seconds is None or plan else seconds
            reader = details.reviewer
            if details.part:  # the author's time is another matter
                ended = {**cell.reviewers, reader: "has read"} if reader else cell.reviewers
                return replace(cell, reviewers=ended, slot="")
            return replace(cell, seconds=seconds, slot="")
        case AttemptClosed():
            # Closing only names the outcome: `forget` closes attempts of cells at rest, too.
            outcome = details.outcome
            return replace(cell, outcome=None if plan and outcome == "done" else outcome)
        case _:
            part = details.part
            named = None if part else details.agent
            reviewer = details.reviewer
            read = {**cell.reviewers, reviewer: READS} if part and reviewer else cell.reviewers
            return replace(
                cell,
                state=CellState.RUNNING,
                phase=event.phase or cell.phase or Phase.IMPLEMENT.value,
                slot="queued" if isinstance(details, AttemptOpened) else "working",
                doing="" if part else cell.doing or _resumed_repair_text(details),
                reviewers=read,
                agent=cell.agent if own else named or cell.agent,
                model=cell.model if own else details.model or cell.model,
                outcome=None,
                reason=None,
                hint=None,
                finished_at=None,
                started_at=cell.started_at or event.ts,
                waiting_until=None,
            )


def _resumed_repair_text(details: AgentDetails) -> str:
    """Of a repair that an earlier run had begun."""
    return f"repair {details.round:.0f}" if details.round else ""


def add_cost(cell: CellView, details: PhaseDone | AgentDetails, event: Event) -> CellView:
    """Note what an attempt cost; an attempt that ended without a figure is unknown, never 0."""
    attempt: int | str = f"{event.attempt}/{details.part}" if details.part else event.attempt
    cost, known = details.cost_usd, details.cost_known_usd
    if not event.attempt or (cost is None and not isinstance(details, AttemptExited)):
        return cell
    if cost is None and attempt in cell.costs and known is None:
        return cell
    if known is not None:  # the whole attempt's, as of now
        cell = replace(cell, floors={**cell.floors, attempt: known})
    if details.tokens is not None and len(details.tokens) == 3:
        counts = tuple(n for n in details.tokens if isinstance(n, int) and n >= 0)
        if len(counts) == 3:
            cell = replace(cell, tokens={**cell.tokens, attempt: counts})
    return replace(cell, costs={**cell.costs, attempt: cost})


def _format_limit_end(until: float | str | None) -> str | None:
    """A time as ISO-8601 UTC, given so or as seconds since 1970."""
    if until is None or isinstance(until, str):
        return until
    try:
        return datetime.fromtimestamp(until, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return None
