"""One repository's trouble stays there: what ends the landing of a lane, and not of the others.

A landing over one lane has nothing else to go on with: there the error ends it, as it is.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestr.errors import OrchestrError
from orchestr.git.errors import FetchFailed, ProtocolRefused
from orchestr.landing.actions import Action, RecordEvent, RepairChange, Retarget, Verify
from orchestr.landing.candidates import TargetReplaced
from orchestr.landing.events import LaneStopped
from orchestr.landing.lane import Lane
from orchestr.landing.session import LandingSession

OF_ONE_LANE = (FetchFailed, ProtocolRefused, TargetReplaced)  # they say nothing of other origins


def find_stop(
    session: LandingSession, action: Action, error: OrchestrError, offered: Iterable[str]
) -> LaneStopped:
    """What the failure of an action means for its lane. Raises ``error`` itself where it ends the
    landing. ``offered``: the keys of all that is to land."""
    match action:
        case RepairChange(key):
            lane = session.queue.items[key].change.lane
        case Retarget() | Verify() | RecordEvent():
            raise error
        case _:
            lane = action.spec.lane
    lanes = {session.queue.items[key].change.lane for key in offered}
    if not isinstance(error, OF_ONE_LANE) or lanes <= {lane}:
        raise error
    return LaneStopped(lane, error.message, error.hint or "")


def look_at_targets(
    session: LandingSession, lanes: Iterable[Lane]
) -> tuple[dict[Lane, str], list[LaneStopped]]:
    """Where the targets are at their origins, and those that could not be looked at.

    Raises the error of the first one where that is all of them.
    """
    tips: dict[Lane, str] = {}
    failed: dict[Lane, OrchestrError] = {}
    for lane in lanes:
        try:
            tips[lane] = session.fetch_target_tip(lane)
        except OF_ONE_LANE as error:
            failed[lane] = error
    if failed and not tips:
        raise next(iter(failed.values()))
    stops = [LaneStopped(lane, error.message, error.hint or "") for lane, error in failed.items()]
    return tips, stops
