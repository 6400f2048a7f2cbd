"""What the agents' event streams say, in our own few events: a line in, events out.

Pure. Owns the events and how a line becomes a record; what a record means is each adapter's
business. Nothing here raises on anything an agent can print: torn lines, unknown events and
wrong types are passed over, because a newer version of an agent must not end a run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any

WORDS = 4000  # characters of a text that are kept: its beginning and its end


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The agent's session, by which it can be resumed."""

    session_id: str


@dataclass(frozen=True, slots=True)
class Message:
    """Something the model said; ``more`` continues the one before."""

    text: str
    more: bool = False


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool that the model used: its name and the most useful part of its input."""

    name: str
    what: str = ""


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens. ``input`` counts those read from a cache too, ``cached`` only them.

    ``cost_usd`` is the agent's own figure. An answer that is reported in several lines has
    the same ``id`` in each and counts once.
    """

    input: int = 0
    cached: int = 0
    output: int = 0
    cost_usd: float | None = None
    id: str = ""

    def __bool__(self) -> bool:
        return bool(self.input or self.output)


@dataclass(frozen=True, slots=True)
class UsageLimit:
    """The provider says "not now". ``until`` is Unix time, None when it names none."""

    until: float | None = None
    kind: str = "usage limit"


class UsageScope(StrEnum):
    """What the figures of a AgentResult count."""

    PROCESS = "process"  # this start of the agent
    SESSION = "session"  # the whole session, earlier starts too
    UNSURE = "unsure"  # one or the other, by version: claude


@dataclass(frozen=True, slots=True)
class AgentResult:
    """The agent's own end. ``ok`` is what it says, no evidence.

    ``total`` and ``cost_usd`` are its figures for ``scope``.
    """

    ok: bool
    text: str = ""
    cost_usd: float | None = None
    total: TokenUsage | None = None
    scope: UsageScope = UsageScope.PROCESS


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """Something went wrong. Not ``final``: the agent tries again."""

    text: str
    final: bool = True


@dataclass(frozen=True, slots=True)
class OutputLine:
    """A line that is no event: what went to stderr, or plain text."""

    text: str


Event = (
    SessionStarted
    | Message
    | ToolUse
    | TokenUsage
    | UsageLimit
    | AgentResult
    | ErrorReport
    | OutputLine
)
Record = Mapping[str, Any]
Parse = Callable[[bytes], tuple[Event, ...]]


def make_line_parser(events: Callable[[Record], tuple[Event, ...]]) -> Parse:
    """The parser of a line (bytes, without or with its end) from one of a record."""

    def parse_line(line: bytes) -> tuple[Event, ...]:
        record = parse_record(line)
        if record is None:
            return ()
        if "stream" in record and isinstance(record.get("text"), str):
            text = str(record["text"]).strip()
            return (OutputLine(text[:WORDS]),) if text else ()
        try:
            return events(record)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            return ()  # an event of a known name in a form of a later version

    return parse_line


def parse_record(line: bytes) -> Record | None:
    """The JSON object of a line, None for anything else (a torn or cut line, too)."""
    if line[:64].lstrip()[:1] != b"{":
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


# ---- reading values that may have any type ---------------------------------------------------


def mapping_or_empty(value: Any) -> Record:
    """The mapping, empty for anything else."""
    return value if isinstance(value, dict) else {}


def text_or_empty(value: Any) -> str:
    """The text, empty for anything else; the middle of a long one is left out."""
    if not isinstance(value, str):
        return ""
    half = WORDS // 2
    return value if len(value) <= WORDS else f"{value[:half]} [...] {value[-half:]}"


def count_or_zero(value: Any) -> int:
    """A number of tokens; 0 for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return 0
    return max(0, int(value))


def amount_or_none(value: Any) -> float | None:
    """An amount, None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return float(value) if value >= 0 else None


def summarize_tool_input(value: Any) -> str:
    """The most useful part of a tool's input: its command or path, else nothing."""
    given = mapping_or_empty(value)
    for key in ("command", "cmd", "file_path", "filePath", "path", "pattern", "description"):
        if isinstance(given.get(key), str):
            return text_or_empty(given[key])
    return ""
