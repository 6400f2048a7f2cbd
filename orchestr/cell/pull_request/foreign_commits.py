"""What this workspace pushed: by the journal, so that an older head of ours is never taken for
somebody else's commits."""

from __future__ import annotations

from orchestr.state.events import Kind
from orchestr.state.journal import Journal


def pushed(journal: Journal, cell: str) -> set[str]:
    """Every commit that this workspace pushed, or meant to push, for a cell."""
    return {
        str(event.data.get("sha"))
        for event in journal.read()
        if event.cell == cell and event.kind in (Kind.PUSH_INTENDED, Kind.PUSH_DONE)
    }
