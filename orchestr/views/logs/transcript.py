"""``logs``: the files of transcripts, and one line of them for the live table and the report.

Transcripts grow to gigabytes, so nothing here reads a whole file: the tail is found by seeking
backwards, and a line that is absurdly long is cut before it is parsed. Knows our own lines
(``{"ts", "stream", "text"}``); an agent's events come from its adapter (`dialect.event_parser`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from orchestr.agents.events import Parse
from orchestr.views.logs.dialect import recognise_line
from orchestr.views.logs.events import one_line
from orchestr.views.terminal.text import clean_line, clip, format_clock, parse_local_time

_BLOCK = 64 * 1024
_LINE_LIMIT = 1024 * 1024
_TAIL_LIMIT = 16 * 1024 * 1024
_WORDS = 500


def format_line(line: bytes | str, parse: Parse = recognise_line) -> str | None:
    """One transcript line for people, or None for book-keeping.

    ``12:35:01 text``; what went to stderr is marked ``!``; no control characters come through.
    """
    raw = line if isinstance(line, bytes) else line.encode()
    if not raw.strip():
        return None
    record = record_of(raw)
    if record is None:  # a cut line, too, whose beginning is shown as it is
        text = raw[: 32 * _WORDS].decode("utf-8", "replace")
        return clip(clean_line(text[: 8 * _WORDS]), _WORDS) or None
    words = _describe_record(record, raw, parse)
    if not words:
        return None
    mark = "! " if record.get("stream") == "stderr" else ""
    return f"{_clock_prefix(record)}{mark}{words}"


def record_of(line: bytes) -> dict[str, Any] | None:
    """The JSON object of a line; None for anything else, a line that was cut too."""
    try:
        record = json.loads(line) if len(line) <= _LINE_LIMIT else None
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def last_words(path: Path, parse: Parse = recognise_line) -> str | None:
    """What the agent said last, without the clock: for the live table. None if nothing yet."""
    try:
        lines = read_tail(path, 8)
    except OSError:
        return None
    for line in reversed(lines):
        record = record_of(line)
        words = "" if record is None else _describe_record(record, line, parse)
        if words and words[0] not in '{}[]",':  # a line of indented JSON is no sentence
            return words
    return None


def _describe_record(record: dict[str, Any], line: bytes, parse: Parse) -> str:
    """Our own line, or an agent's events, on one line; empty for book-keeping."""
    if "stream" in record and isinstance(record.get("text"), str):
        return clip(clean_line(record["text"][: 8 * _WORDS]), _WORDS)
    return one_line(parse(line))


def read_tail(path: Path, count: int, start: int = 0, end: int | None = None) -> list[bytes]:
    """The last ``count`` lines without their ends, reading only the end of the file.

    ``start`` and ``end`` (None: the file's) bound a part of it that is whole lines.

    An unfinished last line is left out: its rest is still to come. Of lines longer than 1 MB the
    first part, of a tail longer than 16 MB fewer lines. Raises OSError if it cannot be read.
    """
    with path.open("rb") as stream:
        last = stream.seek(0, os.SEEK_END)
        last = last if end is None else min(end, last)
        begin = max(_tail_start(stream, count, last), start)
        stream.seek(begin)
        data = stream.read(min(_TAIL_LIMIT, max(last - begin, 0)))
        return [line[:_LINE_LIMIT] for line in data.split(b"\n")[:-1]]


def read_lines(path: Path, offset: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Every finished line from there, and an unfinished one at the end. Raises OSError.

    Up to a line that begins at ``end`` or after it.
    """
    with path.open("rb") as stream:
        stream.seek(offset)
        while (end is None or stream.tell() < end) and (line := stream.readline(_LINE_LIMIT)):
            yield line.rstrip(b"\n")
            _skip_rest(stream, line)


class GrowingFile:
    """A file that is read as it grows. Waits for one that is not there yet, whose end is torn."""

    def __init__(self, path: Path, position: int = 0) -> None:
        self.path = path
        self.position = position
        self._rest = b""

    def read_new_lines(self, upto: int | None = None) -> Iterator[bytes]:
        """The lines that have come to their end since the last look, before byte ``upto``."""
        try:
            with self.path.open("rb") as stream:
                if stream.seek(0, os.SEEK_END) < self.position:
                    self.position, self._rest = 0, b""  # it was made again: begin anew
                stream.seek(self.position)
                while block := stream.read(_next_block_size(self.position, upto)):
                    self.position += len(block)
                    *found, self._rest = (self._rest + block).split(b"\n")
                    yield from found
                    if len(self._rest) > _LINE_LIMIT:
                        self._rest = self._rest[:_LINE_LIMIT]
        except FileNotFoundError:
            pass

    def read_torn_end(self) -> Iterator[bytes]:
        """What stands after the last line's end, once the writer has ended."""
        if self._rest:
            yield self._rest
            self._rest = b""


def _next_block_size(position: int, upto: int | None) -> int:
    return _BLOCK if upto is None else max(min(_BLOCK, upto - position), 0)


def _tail_start(stream: BinaryIO, count: int, end: int) -> int:
    """The offset of the ``count``-th line before ``end``."""
    position, wanted = end, count + 1
    if count <= 0:
        return end
    while position > 0 and end - position < _TAIL_LIMIT:
        step = min(_BLOCK, position)
        position -= step
        stream.seek(position)
        block = stream.read(step)
        found = block.count(b"\n")
        if found >= wanted:
            cut = len(block)
            for _ in range(wanted):
                cut = block.rindex(b"\n", 0, cut)
            return position + cut + 1
        wanted -= found
    if position == 0:
        return 0
    # In the middle of an enormous line: what follows its end is whole again.
    stream.seek(position)
    return position + len(stream.readline(_TAIL_LIMIT))


def _skip_rest(stream: BinaryIO, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = stream.readline(_LINE_LIMIT)


def _clock_prefix(record: dict[str, Any]) -> str:
    for key in ("ts", "timestamp"):
        value = record.get(key)
        if isinstance(value, str) and parse_local_time(value):
            return f"{format_clock(value)} "
    return ""
