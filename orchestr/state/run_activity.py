"""Whether a run did anything, by its events. Pure, and light: asked at the end of every run."""

from __future__ import annotations

from collections.abc import Iterable

from orchestr.state.event_details import PhaseDone
from orchestr.state.events import Event, EventKind

# A run whose events are all of these only looked: everything was up to date.
IDLE = frozenset(
    {
        EventKind.RUN_STARTED,
        EventKind.RUN_FINISHED,
        EventKind.RUN_FORCED,
        EventKind.PR_SEEN,
        EventKind.PHASE_STARTED,
        EventKind.RESULT_WRITTEN,
        EventKind.LAND_QUEUE,
        EventKind.FORGE_WAITS,
    }
)


def is_idle(events: Iterable[Event]) -> bool:
    """Whether a run with these events changed nothing and found nothing."""
    for event in events:
        if event.kind in IDLE:
            continue
        details = event.details
        if isinstance(details, PhaseDone) and not details.made:
            continue
        return False
    return True
