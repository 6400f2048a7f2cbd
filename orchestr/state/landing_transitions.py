"""How events after the pull request opened change the view of a cell: landing, following."""

from __future__ import annotations

from dataclasses import replace

from orchestr.state.event_details import LandDone, LandParked, LandUndone
from orchestr.state.events import Event
from orchestr.state.follow_details import FollowCleared, FollowParked
from orchestr.state.landing_details import LandKept, LandWaits
from orchestr.state.phase_marks import PHASES, merge_marks, resting_state
from orchestr.state.states import CellState
from orchestr.state.view import CellView

FOLLOW = "follow"  # where a cell is whose pull request needs a person; no phase of a spec
LAND = "land"  # where a cell is that was not landed; no phase of a spec
AFTER_PHASES = (LAND, FOLLOW)  # what holds a cell there says no phase of it


def describe_resolved(details: LandDone | LandUndone) -> str:
    """How conflicts were resolved on the way, as a further clause; "" where there were none."""
    found = [str(one) for one in details.resolved or ()]
    return f"; conflicts resolved by {', by '.join(found)}" if found else ""


def apply_landing(
    cell: CellView, details: LandDone | LandKept | LandParked | LandUndone | LandWaits, event: Event
) -> CellView:
    """Landed, left to a person, rolled back, or waiting for another cell, which says nothing of its
    own work."""
    if isinstance(details, LandWaits):
        return replace(cell, phase=LAND, reason=details.reason, hint=None)
    if isinstance(details, LandKept):
        return replace(
            cell,
            state=CellState.LANDED,
            phases=merge_marks(cell.phases, dict.fromkeys(PHASES, "done")),
            reason=details.reason,
            hint=None,
            finished_at=event.ts,
            landing=CellState.LANDED,
            landed_head=details.head or cell.landed_head,
        )
    if isinstance(details, LandParked):
        has_conflict = details.state == CellState.MERGE_CONFLICT
        return replace(
            cell,
            state=CellState.MERGE_CONFLICT if has_conflict else CellState.NEEDS_PERSON,
            phase=LAND,
            reason=details.reason,
            hint=details.hint,
            finished_at=event.ts,
        )
    where = f"{details.target} at {(details.commit or '')[:12]}{describe_resolved(details)}"
    if isinstance(details, LandDone):
        state, reason = CellState.LANDED, f"landed on {where}"
    else:
        state, reason = CellState.ROLLED_BACK, f"rolled back on {where}"
    # A rollback names the commits that it reverts; the head is the one that landed.
    head = details.head or "" if isinstance(details, LandDone) else cell.landed_head
    return replace(cell, state=state, reason=reason, hint=None, landing=state, landed_head=head)


def apply_follow(cell: CellView, details: FollowParked | FollowCleared, event: Event) -> CellView:
    """A person is needed at its pull request, or not any more. The work itself stays done."""
    if isinstance(details, FollowParked):
        return replace(
            cell,
            state=CellState.NEEDS_PERSON,
            phase=FOLLOW,
            reason=details.reason,
            hint=details.hint,
            finished_at=event.ts,
        )
    if cell.phase != FOLLOW or cell.state is not CellState.NEEDS_PERSON:
        return cell
    rest = resting_state(cell.phases)
    state = cell.landing or rest if rest is CellState.DONE else rest
    return replace(cell, state=state, phase="", reason=None, hint=None)
