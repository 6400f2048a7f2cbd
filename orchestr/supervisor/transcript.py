"""Write an agent's output as JSON lines, in bounded memory.

Owns cutting the agent's output into lines and appending them to `transcript.jsonl`. Leaves what
the lines mean to `orchestr.agents`, and what is hidden of them to
`orchestr.process.redact_stream`. Never truncates what earlier starts wrote.

Survives a crash: appended to, a torn last line is ended before the next record; when the disk
is full, what did not fit whole is taken back and counted, and the agent's pipes are drained on.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Any, Literal

from orchestr.process.redact_stream import StreamRedactor
from orchestr.supervisor.protocol import utc_timestamp

Stream = Literal["stdout", "stderr"]
LONGEST_TEXT = 64 << 10  # a longer line of text is cut in pieces with "more": true
LONGEST_JSON = 1 << 20  # an event of an agent may hold a whole file
LAST_LINE = 4 << 10


class TranscriptFile:
    """The file, appended to. ``lost`` counts bytes that could not be written; ``error`` why."""

    def __init__(self, path: Path) -> None:
        self.lost = 0
        self.error = ""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._size = os.fstat(self._fd).st_size
        if self._size and os.pread(self._fd, 1, self._size - 1) != b"\n":
            self.write(b"\n")

    def write(self, records: bytes) -> None:
        """Append whole records, as many as fit. Never raises OSError."""
        written = 0
        try:
            while written < len(records):
                written += os.write(self._fd, memoryview(records)[written:])
            self._size += written
        except OSError as error:
            whole = records.rfind(b"\n", 0, written) + 1
            self._size += whole
            self.lost += len(records) - whole
            self.error = error.strerror or str(error)
            with suppress(OSError):
                os.ftruncate(self._fd, self._size)

    def close(self) -> None:
        """Make it durable and close it."""
        with suppress(OSError):
            os.fsync(self._fd)
        os.close(self._fd)


class LineReader:
    """One stream of an agent: bytes in, records out to a file.

    ``as_json``: lines that are JSON objects are kept as they are. ``results`` counts the events in
    ``ends``, ``has_ended`` says that none of ``goes_on`` came after the last of them; ``last_line``
    is the last line of text that is not empty. Of what comes ``redactor`` hides the secrets first;
    None: it is written as it is.
    """

    def __init__(
        self,
        stream: Stream,
        out: TranscriptFile,
        *,
        as_json: bool,
        redactor: StreamRedactor | None = None,
        ends: tuple[str, ...] = ("result",),
        goes_on: tuple[str, ...] = (),
    ) -> None:
        self._ends, self._goes_on = ends, goes_on
        self.has_ended = False
        self._redactor = redactor
        self.results = 0
        self.last_line = ""
        self._out = out
        self._stream = stream
        self._as_json = as_json
        self._longest = LONGEST_JSON if as_json else LONGEST_TEXT
        self._rest = bytearray()
        self._cut = False  # the beginning of the line in `_rest` was written already

    def feed(self, chunk: bytes) -> None:
        """Take some output; whole lines are written, the rest is kept for the next call."""
        self._feed_hidden(chunk if self._redactor is None else self._redactor.feed(chunk))

    def _feed_hidden(self, chunk: bytes) -> None:
        end = chunk.rfind(b"\n")
        records: list[str] = []
        if end >= 0:
            self._rest += chunk[:end]
            self._append_lines(self._rest.split(b"\n"), records)
            self._rest = bytearray(chunk[end + 1 :])
        else:
            self._rest += chunk
        while len(self._rest) > self._longest:
            self._append_piece(self._rest, records)
            self._cut = True
        self._write_records(records)

    def finish(self) -> None:
        """The stream has ended: what is left is a line without an end."""
        if self._redactor is not None:
            self._feed_hidden(self._redactor.finish())
        records: list[str] = []
        if self._rest or self._cut:
            self._append_lines([self._rest], records)
            self._rest = bytearray()
        self._write_records(records)

    def _append_lines(self, lines: list[bytearray], records: list[str]) -> None:
        if not self._as_json:
            last = next((line for line in reversed(lines) if line.strip()), None)
            if last is not None:
                self.last_line = _visible_text(last)
        stamp = self._record_prefix()
        for line in lines:
            event = None
            if self._as_json and not self._cut and line[:64].lstrip()[:1] == b"{":
                event = self._parse_event(line)
            self._cut = False
            if event is not None:
                records.append(event)
            elif len(line) > LONGEST_TEXT:
                self._append_long_line(line, records)
            else:
                text = line.decode("utf-8", "replace").removesuffix("\r")
                records.append(f"{stamp}{encode_basestring_ascii(text)}}}\n")

    def _parse_event(self, line: bytearray) -> str | None:
        """The agent's own line, when it is a JSON object in good UTF-8."""
        try:
            text = line.decode("utf-8").strip()
            event = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(event, dict):
            return None
        if any(matches_event(event, words) for words in self._ends):
            self.results += 1
            self.has_ended = True
        elif any(matches_event(event, words) for words in self._goes_on):
            self.has_ended = False
        return text + "\n"

    def _append_long_line(self, line: bytearray, records: list[str]) -> None:
        while len(line) > LONGEST_TEXT:
            self._append_piece(line, records)
        text = line.decode("utf-8", "replace").removesuffix("\r")
        records.append(f"{self._record_prefix()}{encode_basestring_ascii(text)}}}\n")

    def _append_piece(self, line: bytearray, records: list[str]) -> None:
        """Move the beginning of a line that is too long to the records, cut between characters."""
        size = LONGEST_TEXT
        while size > LONGEST_TEXT - 4 and line[size] & 0xC0 == 0x80:
            size -= 1
        text = line[:size].decode("utf-8", "replace")
        records.append(f'{self._record_prefix()}{encode_basestring_ascii(text)},"more":true}}\n')
        del line[:size]

    def _record_prefix(self) -> str:
        return f'{{"ts":"{utc_timestamp()}","stream":"{self._stream}","text":'

    def _write_records(self, records: list[str]) -> None:
        if records:
            self._out.write("".join(records).encode())


def matches_event(event: dict[str, Any], words: str) -> bool:
    """Whether an event is meant by `TYPE`, or by `TYPE FIELD.FIELD=VALUE`."""
    kind, _, condition = words.partition(" ")
    if event.get("type") != kind:
        return False
    path, _, wanted = condition.partition("=")
    found: Any = event
    for name in path.split(".") if path else ():
        found = found.get(name) if isinstance(found, dict) else None
    return not path or found == wanted


def _visible_text(line: bytearray) -> str:
    """What a terminal would show of a line with carriage returns, at most 4 KiB."""
    shown = next(part for part in reversed(line.split(b"\r")) if part.strip())
    return shown[:LAST_LINE].decode("utf-8", "replace").strip()
