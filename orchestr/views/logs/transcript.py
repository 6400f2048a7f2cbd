"""``logs``: an agent's transcript for people, a line at a time.

Transcripts grow to gigabytes, so nothing here reads a whole file: the tail is found by seeking
backwards, and a line that is absurdly long is cut before it is parsed. Understands our own lines
(``{"ts", "stream", "text"}``) and the event streams of the known agents; an event that it does not
know is shown by its type, never dropped in silence.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from orchestr.agents.events import Parse
from orchestr.views.logs.events import one_line
from orchestr.views.terminal.text import clean_line, clip, format_clock, parse_local_time

_BLOCK = 64 * 1024
_LINE_LIMIT = 1024 * 1024
_TAIL_LIMIT = 16 * 1024 * 1024
_WORDS = 500
# Book-keeping of the agents' streams: true, but nothing that a person waits for.
_QUIET = frozenset({"turn.started", "item.started", "item.updated", "step_start", "stream_event"})


def format_line(line: bytes | str, parse: Parse | None = None) -> str | None:
    """One transcript line for people, or None for book-keeping.

    ``12:35:01 text``; what went to stderr is marked ``!``; no control characters come through.
    ``parse`` is the adapter's translation of a line (`dialect.event_parser`).
    """
    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
    if not text.strip():
        return None
    try:
        # A cut line is no JSON any more; its beginning is shown as it is.
        record = json.loads(text) if len(text) <= _LINE_LIMIT else None
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        return clip(clean_line(text[: 8 * _WORDS]), _WORDS) or None
    words = _describe_record(record, text.encode(), parse)
    if words is None or not (words := clean_line(words)):
        return None
    stamp = _clock_prefix(record)
    mark = "! " if record.get("stream") == "stderr" else ""
    return f"{stamp}{mark}{clip(words, _WORDS)}"


def record_of(line: bytes) -> dict[str, Any] | None:
    """The JSON object of a line; None for anything else, a line that was cut too."""
    try:
        record = json.loads(line) if len(line) <= _LINE_LIMIT else None
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def format_line_or_empty(line: bytes, *, stamp: bool = True) -> str:
    """`format_line`, with or without the clock; empty where there is nothing to show."""
    words = format_line(line) or ""
    record = None if stamp else record_of(line)
    return words.removeprefix(_clock_prefix(record)) if record else words


def last_words(path: Path, parse: Parse | None = None) -> str | None:
    """What the agent said last, without the clock: for the live table. None if nothing yet."""
    try:
        lines = read_tail(path, 8)
    except OSError:
        return None
    for line in reversed(lines):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(record, dict):
            continue
        words = clean_line(_describe_record(record, line, parse) or "")
        if words and words[0] not in '{}[]",':  # a line of indented JSON is no sentence
            return clip(words, _WORDS)
    return None


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


def _describe_record(record: dict[str, Any], line: bytes, parse: Parse | None) -> str | None:
    """By the adapter's events where there is an adapter; else by the record itself."""
    if parse is None or "stream" in record:
        return _describe_event(record)
    return one_line(parse(line)) or None


def _describe_event(record: dict[str, Any]) -> str | None:
    """An event in words: ours first, then claude, codex, gemini and opencode."""
    if "stream" in record and isinstance(record.get("text"), str):
        return str(record["text"])
    kind = str(record.get("type", ""))
    if kind in _QUIET:
        return None
    match kind:
        case "message" if record.get("role") == "user":
            return None  # the prompt, which gemini repeats
        case "assistant" | "user" | "message":
            return _describe_message(record)
        case "thread.started":
            return f"session {record.get('thread_id', '')}"
        case "init":
            return f"session {record.get('session_id', '')} {record.get('model', '')}"
        case "system":
            return _describe_system_event(record)
        case "rate_limit_event":
            info = _dict_or_empty(record.get("rate_limit_info"))
            return None if info.get("status") == "allowed" else f"rate limit: {info.get('status')}"
        case "result":
            return _describe_result(record)
        case "item.completed":
            return _describe_codex_item(_dict_or_empty(record.get("item")))
        case "tool_use":
            part = _dict_or_empty(record.get("part"))
            name = record.get("tool_name") or part.get("tool") or "tool"
            given = record.get("parameters") or _dict_or_empty(part.get("state")).get("input")
            return f"{name} {shorten_value(given)}"
        case "tool_result":
            return f"result: {shorten_value(record.get('output') or record.get('status'))}"
        case "text" | "reasoning":
            return shorten_value(
                _dict_or_empty(record.get("part")).get("text") or record.get("text")
            )
        case "error" | "turn.failed":
            return f"error: {shorten_value(record.get('error') or record.get('message') or record)}"
        case "turn.completed" | "step_finish":
            return None
        case "":
            return shorten_value(record)
        case _:
            return kind


def _describe_message(record: dict[str, Any]) -> str | None:
    message = record.get("message")
    content = (
        _dict_or_empty(message).get("content")
        if isinstance(message, dict)
        else record.get("content")
    )
    if isinstance(content, str):
        return content
    parts = []
    for block in content if isinstance(content, list) else ():
        block = _dict_or_empty(block)
        match block.get("type"):
            case "text":
                parts.append(shorten_value(block.get("text")))
            case "tool_use":
                parts.append(f"{block.get('name', 'tool')} {shorten_value(block.get('input'))}")
            case "tool_result":
                word = "failed" if block.get("is_error") else "result"
                parts.append(f"{word}: {shorten_value(block.get('content'))}")
            case _:
                pass
    return " | ".join(p for p in parts if p) or None


def _describe_system_event(record: dict[str, Any]) -> str | None:
    match record.get("subtype"):
        case "init":
            return f"session {record.get('session_id', '')} {record.get('model', '')}"
        case "api_retry":
            return f"the server answered {record.get('error_status')}, tried again"
        case "permission_denied":
            return f"permission denied: {shorten_value(record.get('tool_name') or record)}"
        case other:
            return str(other) if other else None


def _describe_result(record: dict[str, Any]) -> str:
    bad = record.get("is_error") or record.get("status") == "error"
    parts = ["ended with an error" if bad else "ended"]
    cost, turns = record.get("total_cost_usd"), record.get("num_turns")
    parts += [f"{turns} turns"] if turns else []
    parts += [f"${cost:.2f}"] if isinstance(cost, int | float) else []
    said = shorten_value(record.get("result"))
    return ", ".join(parts) + (f": {said}" if said else "")


def _describe_codex_item(item: dict[str, Any]) -> str | None:
    match item.get("type"):
        case "agent_message" | "reasoning":
            return shorten_value(item.get("text"))
        case "command_execution":
            said = shorten_value(item.get("aggregated_output"))
            line = f"$ {shorten_value(item.get('command'))} (exit {item.get('exit_code')})"
            return f"{line} | result: {said}" if said else line
        case "file_change":
            paths = [str(_dict_or_empty(c).get("path")) for c in item.get("changes") or ()]
            return f"changed {', '.join(paths)}"
        case "error":
            return f"note: {shorten_value(item.get('message'))}"
        case other:
            return str(other) if other else None


def shorten_value(value: Any) -> str:
    """A value in a few words: the one useful field of a tool's input, else its JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value[: 8 * _WORDS]
    if isinstance(value, dict):
        for key in ("command", "file_path", "filePath", "path", "pattern", "text", "message"):
            if isinstance(value.get(key), str):
                return shorten_value(value[key])
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return " ".join(shorten_value(v) for v in value[:5])
    return json.dumps(value, ensure_ascii=False)[: 8 * _WORDS]


def _dict_or_empty(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
