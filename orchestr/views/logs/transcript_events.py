"""``logs``: a transcript for people, a line of it at a time.

Pure: lines of a transcript in, styled lines for people out. Our own lines (what a program printed)
are shown as they are, with a diff among them in colours; an agent's events come from its adapter
(`dialect.event_parser`) and are put into words by `events.EventFormatter`. Owns no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from orchestr.agents.events import Parse
from orchestr.views.logs.dialect import recognise_line
from orchestr.views.logs.edit_diff import diff_style
from orchestr.views.logs.events import EventFormatter, Line
from orchestr.views.logs.transcript import format_line, record_of
from orchestr.views.terminal.text import clip, format_clock, paint, parse_local_time, printable_line

_LONGEST = 2000  # columns of one line, whatever the terminal
_HUNK = re.compile(r"(diff --git |@@ -\d|--- \S|\+\+\+ \S)")


@dataclass(slots=True)
class TranscriptFormatter:
    """Formats one transcript. ``full`` folds nothing; ``at`` is the newest time that was read."""

    full: bool = False
    parse: Parse = recognise_line
    at: datetime | None = None
    _in_diff: bool = False
    _events: EventFormatter = field(init=False)

    def __post_init__(self) -> None:
        self._events = EventFormatter(self.full)

    def format_record(self, raw: bytes) -> list[Line]:
        """The lines for one line of the transcript; none for book-keeping. Never raises."""
        record = record_of(raw)
        if record is None:
            words = format_line(raw)
            return [(words, "")] if words else []
        stamp = self._clock_prefix(record)
        if "stream" in record and isinstance(record.get("text"), str):
            lines = self._format_own_line(record)
        else:
            self._in_diff = False
            lines = self._events.format_events(self.parse(raw))
        lines = [(clip(text, _LONGEST), style) for text, style in lines]
        if lines and stamp and not lines[0][0].startswith("  │"):
            lines[0] = (stamp + lines[0][0], lines[0][1])
        return lines

    def _clock_prefix(self, record: dict[str, Any]) -> str:
        value = record.get("ts") or record.get("timestamp")
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                value = datetime.fromtimestamp(value / 1000, UTC).isoformat()
            except (ValueError, OverflowError, OSError):
                return ""
        found = parse_local_time(value) if isinstance(value, str) else None
        if found is None:
            return ""
        self.at = found
        return f"{format_clock(str(value))} "

    def _format_own_line(self, record: dict[str, Any]) -> list[Line]:
        text = printable_line(str(record["text"]))
        if not text.strip():
            return []
        if record.get("stream") == "stderr":
            return [(f"! {text}", "yellow")]
        if _HUNK.match(text):
            self._in_diff = True
        elif self._in_diff and text[:1] not in " +-@\\" and not text.startswith("index "):
            self._in_diff = False
        return [(text, diff_style(text) if self._in_diff else "")]


def paint_lines(lines: Iterable[Line], columns: int, colour: bool) -> list[str]:
    """For the terminal: cut to ``columns`` (0: not at all), in colours where they are wanted."""
    return [paint(clip(t, columns) if columns else t, style, colour) for t, style in lines]
