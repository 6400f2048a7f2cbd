"""The queue's own journal, `<state>/landing/queue.jsonl`: its events as JSON, and back.

What features show of a landing is in their own journals; this one is what `queue.replay` needs,
over all features. An event of a later version that cannot be read is passed over.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

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
    plain: dict[str, Any] = _to_plain_value(event)
    return {"event": type(event).__name__, **plain}


def decode_event(data: Any) -> Event | None:
    """The event, None when this version cannot read it."""
    try:
        kind = _KINDS[data["event"]]
        found: Event = _parse_value(kind, {k: v for k, v in data.items() if k != "event"})
        return found
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _to_plain_value(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _to_plain_value(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [_to_plain_value(one) for one in value]
    return value.value if isinstance(value, Enum) else value


def _parse_value(kind: Any, value: Any) -> Any:
    """``value`` as the annotated type ``kind``; raises TypeError, ValueError, KeyError."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        (kind,) = (one for one in get_args(kind) if one is not type(None))
        return _parse_value(kind, value)
    if origin is tuple:
        inner = get_args(kind)
        if inner[-1] is Ellipsis:
            return tuple(_parse_value(inner[0], one) for one in value)
        return tuple(_parse_value(one, part) for one, part in zip(inner, value, strict=True))
    if origin is frozenset:
        return frozenset(value)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{name: _parse_value(hints[name], part) for name, part in value.items()})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind}")
    return value
