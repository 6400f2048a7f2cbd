"""Where in a transcript a time begins, by looking at a few places of it only.

Agents' events do not all carry a time; a line without one belongs to the time before it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from orchestr.views.logs.transcript import record_of
from orchestr.views.terminal.text import parse_local_time

_NEAR = 256 * 1024  # bytes that are simply read through
_LOOKED = 4 * 1024 * 1024  # bytes after a place in which a line with a time is looked for
_LONGEST = 1024 * 1024


def time_of_line(line: bytes) -> datetime | None:
    """The time that a line of a transcript names, or None."""
    if b'"ts"' not in line and b'"timestamp"' not in line:
        return None
    record = record_of(line) or {}
    value = record.get("ts") or record.get("timestamp")
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            return None
    return parse_local_time(value) if isinstance(value, str) else None


def find_offset(path: Path, since: datetime) -> int:
    """A line's offset, not far before the first line that is as late. Raises OSError."""
    with path.open("rb") as stream:
        low, high = 0, stream.seek(0, 2)
        while high - low > _NEAR:
            middle = (low + high) // 2
            found = _first_time(stream, middle, high)
            if found is not None and found < since:
                low = middle
            else:  # later, or unknown: rather too much than too little
                high = middle
        if low:
            stream.seek(low)
            _read_line(stream)
            low = stream.tell()
    return low


def _first_time(stream: BinaryIO, offset: int, end: int) -> datetime | None:
    """The time of the first line after ``offset`` that names one."""
    stream.seek(offset)
    _read_line(stream)
    while stream.tell() < min(end, offset + _LOOKED):
        line = _read_line(stream)
        if not line:
            return None
        found = time_of_line(line)
        if found is not None:
            return found
    return None


def _read_line(stream: BinaryIO) -> bytes:
    """One line; of one that is too long only the beginning is kept, and all of it is passed."""
    line = stream.readline(_LONGEST)
    if len(line) < _LONGEST or line.endswith(b"\n"):
        return line
    while (more := stream.readline(_LONGEST)) and not more.endswith(b"\n"):
        pass
    return line
