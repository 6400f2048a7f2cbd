"""The queue's own journal, `<state>/landing/queue.jsonl`: its events as JSON, and back.

What features show of a landing is in their own journals; this one is what `queue.replay` needs,
over all features. Kinds of events and fields that only a later version knows are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from orchestr.codec import InvalidRecord, decode, encode
from orchestr.landing.events import Event
from orchestr.state import events
from orchestr.state.journal import Journal, utc_timestamp

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Event)}


class LandingJournal:
    """Append-only; whoever appends holds the landing lease."""

    def __init__(self, path: Path, run: str = "") -> None:
        self._journal = Journal(path)
        self.run = run

    def append(self, event: Event) -> None:
        """Write one event durably, before it counts."""
        data = encode_event(event)
        self._journal.append(
            events.Event(events.EventKind.LAND_QUEUE, utc_timestamp(), self.run, data=data)
        )

    def read(self) -> Iterator[Event]:
        """Every event, oldest first."""
        for line in self._journal.read():
            event = decode_event(line.data)
            if event is not None:
                yield event


def encode_event(event: Event) -> dict[str, Any]:
    """As JSON-able data, with the event's name under `event`."""
    return {"event": type(event).__name__, **encode(event, order="deterministic")}


def decode_event(data: Any) -> Event | None:
    """The event, None when this version does not know its kind or a field has another type."""
    kind = _KINDS.get(str(data.get("event"))) if isinstance(data, dict) else None
    try:
        return None if kind is None else decode(data, kind)
    except InvalidRecord:
        return None
