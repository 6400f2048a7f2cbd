"""What the agents' event streams say, in our own few events: a line in, events out.

Pure. Owns the events and how a line becomes a record; what a record means is each adapter's
business, and nothing but the adapter reads an agent's JSON: usage, verdicts, `logs` and the report
read these events. Texts are whole; who remembers or shows one cuts it.

Nothing here raises on anything an agent can print: a torn line gives no event, and a record of an
unknown type or in an unknown form gives a `Note`, because a newer version of an agent must not end
a run, and a person should see that there was something.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The agent's session, by which it can be resumed. May come more than once."""

    session_id: str
    model: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """Something the model said; ``more`` continues the one before."""

    text: str
    more: bool = False


@dataclass(frozen=True, slots=True)
class TextEdit:
    """A part of a file before and after a change; a new file has nothing before."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool that the model used: its name and the most useful part of its input.

    ``id`` is what its `ToolResult` names. ``edits`` are the changes of files that were asked for,
    ``diff`` is the same as a unified diff, where the agent reports one.
    """

    name: str
    what: str = ""
    id: str = ""
    edits: tuple[TextEdit, ...] = ()
    diff: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back. ``exit_code`` is that of a command, where it is known."""

    id: str
    text: str = ""
    failed: bool = False
    exit_code: int | None = None


class NoteKind(StrEnum):
    """What a Note is about."""

    THOUGHT = "thought"  # the model's reasoning
    TASKS = "tasks"  # its list of what is to be done, a line each
    EVENT = "event"  # an event of the agent's that has no other meaning for us


@dataclass(frozen=True, slots=True)
class Note:
    """Something for a reader only: it has no part in how an end is judged."""

    text: str
    kind: NoteKind = NoteKind.EVENT


@dataclass(frozen=True, slots=True)
class SubagentEvent:
    """What an agent of the agent said or did. Its last words are not the agent's answer."""

    event: Message | ToolUse | ToolResult | Note


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
        return bool(self.input or self.output or self.cost_usd)


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

    ``total`` and ``cost_usd`` are its figures for ``scope``; ``turns`` is 0 where it counts none.
    """

    ok: bool
    text: str = ""
    cost_usd: float | None = None
    total: TokenUsage | None = None
    scope: UsageScope = UsageScope.PROCESS
    turns: int = 0


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """Something went wrong. Not ``final``: the agent tries again."""

    text: str
    final: bool = True


@dataclass(frozen=True, slots=True)
class ActionDenied:
    """A tool that the model wanted to use and was not let use. Where its record does not say what
    that was, ``id`` is that of the `ToolUse`."""

    tool: str
    what: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class OutputLine:
    """A line that is no event: what went to stderr, or plain text."""

    text: str


Event = (
    SessionStarted
    | Message
    | ToolUse
    | ToolResult
    | Note
    | SubagentEvent
    | TokenUsage
    | UsageLimit
    | AgentResult
    | ErrorReport
    | ActionDenied
    | OutputLine
)
Record = Mapping[str, Any]
SHELLS = ("Bash", "bash", "run_shell_command", "$", "shell")  # tools that run commands
# The fields of a tool's input that say most, the best first.
SUMMARIES = ("command", "cmd", "file_path", "filePath", "path", "pattern", "text", "message",
             "description")  # fmt: skip
MOST_TOKENS = 10**15  # more than anyone pays for; what an agent names beyond it is no figure
Parse = Callable[[bytes], tuple[Event, ...]]


def make_line_parser(events: Callable[[Record], tuple[Event, ...]]) -> Parse:
    """The parser of a line (bytes, without or with its end) from one of a record."""

    def parse_line(line: bytes) -> tuple[Event, ...]:
        record = parse_record(line)
        if record is None:
            return ()
        if "stream" in record and isinstance(record.get("text"), str):
            text = str(record["text"]).strip()
            return (OutputLine(text),) if text else ()
        try:
            return events(record)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            return note_record(record)  # an event of a known name in a form of a later version

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


def mappings(value: Any) -> tuple[Record, ...]:
    """The mappings of a list, an empty one for each other member; none for anything else."""
    return tuple(map(mapping_or_empty, value)) if isinstance(value, list) else ()


def text_or_empty(value: Any) -> str:
    """The text, empty for anything else."""
    return value if isinstance(value, str) else ""


def count_or_zero(value: Any) -> int:
    """A number of tokens; 0 for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    if isinstance(value, float) and not isfinite(value):
        return 0
    return min(max(0, int(value)), MOST_TOKENS)


def amount_or_none(value: Any) -> float | None:
    """An amount, None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int):  # one of many digits has no float
        return float(value) if 0 <= value <= MOST_TOKENS else None
    if not isfinite(value):
        return None
    return float(value) if value >= 0 else None


def summarize_value(value: Any) -> str:
    """A value in a few words: the one useful field of a tool's input, else its JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        for key in SUMMARIES:
            if isinstance(value.get(key), str) and value[key]:
                return str(value[key])
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return " ".join(summarize_value(one) for one in value[:5])
    return json.dumps(value, ensure_ascii=False) if value else ""


def read_edits(value: Any) -> tuple[TextEdit, ...]:
    """The changes of files in a tool's input, by the names that most agents use."""
    given = mapping_or_empty(value)
    found = []
    for pair in mappings(given.get("edits")) or (given,):
        old = pair.get("old_string", pair.get("oldString"))
        new = pair.get("new_string", pair.get("newString", pair.get("content")))
        if isinstance(new, str) and not (old is None and "command" in pair):
            found.append(TextEdit(text_or_empty(old), new))
    return tuple(found)


def read_blocks(value: Any) -> str:
    """The text of a tool's result: a text, or a list of blocks, some of them no text."""
    if not isinstance(value, list):
        return summarize_value(value)
    return "\n".join(
        block["text"] if isinstance(block.get("text"), str) else f"[{block.get('type')}]"
        for block in mappings(value)
    )


def note_record(record: Record) -> tuple[Event, ...]:
    """A record that an adapter does not know: its type, or its JSON where it has none."""
    kind = record.get("type")
    return (Note(kind if isinstance(kind, str) and kind else summarize_value(record)),)
