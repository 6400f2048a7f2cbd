"""Words, widths and columns: what every plain rendering shares.

Pure, and imports nothing heavy, so that ``list`` and ``status`` start fast. Whatever an agent or a
forge wrote goes through `clean_line` before it reaches a terminal: an escape sequence in a
transcript must not move the reader's cursor or set the title of their window.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime

# CSI, then OSC/DCS/PM/APC strings up to BEL or ST (or the end of what we have), then short escapes.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
# Control characters, and the marks that turn text around (they can make a path read as another).
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# One column each, and nearly all that is ever shown: Latin letters, an ellipsis, lines of tables.
_NARROW = re.compile(r"[\x00-\u02ff\u2026\u2500-\u257f]*")
_SGR = {
    "dim": "2",
    "bold": "1",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "magenta": "35",
    "cyan": "36",
}


def clean_line(text: str) -> str:
    """One line without escape sequences, control characters and runs of blanks."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    text = _ESCAPES.sub("", text)
    # A carriage return draws over its line: what a person would have seen is what comes last.
    text = text.rstrip("\r\n").replace("\r\n", "\n").rpartition("\r")[2]
    text = text.replace("\n", " ").replace("\t", " ")
    return " ".join(_CONTROLS.sub("", text).split())


def printable_line(line: str) -> str:
    """One line with its blanks kept, safe for a terminal: for diffs and programs' output."""
    if line.isascii() and line.isprintable():
        return line.rstrip()
    text = _ESCAPES.sub("", line).rstrip("\r\n").rpartition("\r")[2].expandtabs(4)
    return _CONTROLS.sub("", text).rstrip()


def headline(text: str | None) -> str:
    """The first line that says something: reasons may carry the tail of a program's output."""
    lines = (clean_line(line) for line in (text or "").splitlines())
    return next((line for line in lines if line), "")


def display_width(text: str) -> int:
    """Columns that the text takes on a terminal."""
    if _NARROW.fullmatch(text):
        return len(text)
    return sum(_char_width(c) for c in text)


def _char_width(char: str) -> int:
    if unicodedata.combining(char) or char in "\u200b\u200c\u200d\ufeff\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def clip(text: str, columns: int) -> str:
    """The text in at most that many columns, with an ellipsis where it was cut."""
    if columns <= 0:
        return ""
    if display_width(text) <= columns:
        return text
    if text.isascii():
        return text[: columns - 1].rstrip() + "…"
    kept, used = [], 0
    for char in text:
        used += _char_width(char)
        if used > columns - 1:
            break
        kept.append(char)
    return "".join(kept).rstrip() + "…"


def pad(text: str, columns: int) -> str:
    """Clipped or filled with blanks to exactly that many columns."""
    text = clip(text, columns)
    return text + " " * (columns - display_width(text))


def paint(text: str, style: str, colour: bool) -> str:
    """The text in a style (words of `CellState.style`) by SGR codes, if colours are wanted."""
    codes = ";".join(_SGR[word] for word in style.split() if word in _SGR)
    return f"\x1b[{codes}m{text}\x1b[0m" if colour and codes else text


def format_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, indent: str = "", gap: str = "  "
) -> list[str]:
    """Aligned columns; the last one is never cut nor filled, so long URLs stay whole."""
    sizes = [
        max(display_width(row[i]) for row in (header, *rows)) if i < len(header) - 1 else 0
        for i in range(len(header))
    ]
    lines = []
    for row in (header, *rows):
        fields = [pad(field, size) for field, size in zip(row, sizes, strict=True) if size]
        lines.append(indent + gap.join([*fields, row[-1]]).rstrip())
    return lines


def format_fitting_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    columns: int,
    spare: Sequence[str],
    *,
    indent: str = "",
) -> list[str]:
    """A table in at most ``columns`` (0: any) if it can be: without the ``spare`` columns, in turn.

    A line that is still too long stays whole, as nobody can follow half an address.
    """
    kept = list(range(len(header)))
    lines = format_table(header, rows, indent=indent)
    for name in spare:
        if not columns or max(map(display_width, lines)) <= columns:
            break
        kept = [i for i in kept if header[i] != name]
        cut = [[row[i] for i in kept] for row in (header, *rows)]
        lines = format_table(cut[0], cut[1:], indent=indent)
    return lines


def format_tries(attempt: int, repairs: int) -> str:
    """`2`, with repairs `2+1`; `-` without an attempt."""
    return "-" if not attempt else f"{attempt}+{repairs}" if repairs else str(attempt)


def format_duration(seconds: float | None) -> str:
    """A time span for people: ``3.2 s``, ``4 min 05 s``, ``2 h 03 min``; ``-`` if unknown."""
    if seconds is None:
        return "-"
    if seconds < 59.95:
        return f"{max(seconds, 0.0):.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def format_stopwatch(seconds: float) -> str:
    """A time span in few columns: ``0:07``, ``12:03``, ``3:04:05``."""
    minutes, rest = divmod(max(int(seconds), 0), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def parse_local_time(ts: str | None) -> datetime | None:
    """The time of an ISO-8601 text in the reader's zone, or None."""
    try:
        return datetime.fromisoformat(ts).astimezone() if ts else None
    except (ValueError, OverflowError, OSError):
        return None


def format_clock(ts: str | None) -> str:
    """``12:35:01`` in the reader's zone; dashes when there is no readable time."""
    at = parse_local_time(ts)
    return at.strftime("%H:%M:%S") if at else "--:--:--"


def seconds_between(start: str | None, end: str | datetime | None) -> float | None:
    """Seconds between two journal times, never below 0; None when one is missing."""
    first = parse_local_time(start)
    last = end.astimezone() if isinstance(end, datetime) else parse_local_time(end)
    return max((last - first).total_seconds(), 0.0) if first and last else None


def format_size(count: int) -> str:
    """Bytes for people, in steps of 1024."""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TB"


def format_dollars(known: float, complete: bool) -> str:
    """A cost; an unknown part is named, as 0 would be read as free."""
    shown = "under $0.01" if 0 < known < 0.005 else f"${known:.2f}"
    if complete:
        return shown
    return f"{shown} + unknown" if known else "unknown"


def format_tokens(number: int) -> str:
    """``950 tokens``, ``12k tokens``, ``3.4M tokens``."""
    return f"{shorten_number(number)} token{'' if number == 1 else 's'}"


def shorten_number(number: int) -> str:
    """``950``, ``12k``, ``3.4M``."""
    if number < 10_000:
        return str(number)
    return f"{number / 1000:.0f}k" if number < 1_000_000 else f"{number / 1e6:.1f}M"


def format_count(number: int, noun: str) -> str:
    """``1 cell``, ``6 cells``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
