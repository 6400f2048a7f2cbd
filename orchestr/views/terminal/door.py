"""The terminal's door: all that we print goes through `make_printable`, wherever it is from.

Titles, file names, prompts and messages hold what agents, forges and strangers' repositories wrote.
An escape sequence in it would move the reader's cursor, set the title of their window or paint over
what was said; a bidi mark makes a path read as another. So `guard_streams` puts a `TerminalDoor`
before stdout and stderr, and such characters come out as `\\x1b`, `\\u202e`. No caller has to think
of it. Colours pass on a terminal, where only ours and those of a task's own program arrive.

JSON is not changed by this: it has escapes of its own. What must come out byte by byte
(`write_exact_json`) and what draws (the live table) takes the stream behind the door
(`stream_behind`).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

# Controls but tab and newline, the marks that turn text around, line separators, tags that are
# not shown, and the halves of characters by which Python keeps file names that are not UTF-8.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
    "\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff]"
)
# Colours and their end. Not 8: it makes text invisible.
_COLOURS = re.compile(r"\x1b\[(?:(?:[0-7]|9|[1-9][0-9]{1,2})?(?:[;:]|(?=m)))*m")


def make_printable(text: str, *, colours: bool = False) -> str:
    """Escape every character of the text that a terminal would obey or not show."""
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    if not _UNSAFE.search(text):
        return text
    if not colours:
        return _UNSAFE.sub(_escape, text)
    parts, at = [], 0
    for code in _COLOURS.finditer(text):
        parts += [_UNSAFE.sub(_escape, text[at : code.start()]), code[0]]
        at = code.end()
    return "".join((*parts, _UNSAFE.sub(_escape, text[at:])))


def _escape(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]


class TerminalDoor:
    """A text stream that writes `make_printable` of it; in all else it is the stream behind."""

    def __init__(self, stream: TextIO) -> None:
        self.behind = stream

    def write(self, text: str) -> int:
        """Write it; returns its length, as streams do."""
        self.behind.write(make_printable(text, colours=_is_terminal(self.behind)))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write them, one after the other."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)


@contextmanager
def guard_streams() -> Iterator[None]:
    """Inside, stdout and stderr have their door; twice is once."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = put_door(sys.stdout), put_door(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def put_door(stream: TextIO) -> TextIO:
    """The stream with a door before it."""
    return stream if isinstance(stream, TerminalDoor) else cast(TextIO, TerminalDoor(stream))


def stream_behind(stream: TextIO) -> TextIO:
    """The stream itself, for what draws with sequences of its own."""
    return stream.behind if isinstance(stream, TerminalDoor) else stream


def write_exact_json(text: str) -> None:
    """Lines of JSON to stdout, as they are. On a terminal what it would obey becomes an escape of
    JSON, which means the same."""
    stream = stream_behind(sys.stdout)
    stream.write(_UNSAFE.sub(_escape_json, text) if _is_terminal(stream) else text)


def _escape_json(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (OSError, ValueError, AttributeError):
        return False
