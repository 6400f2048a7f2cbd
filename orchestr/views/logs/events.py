"""Our few events (`orchestr.agents.events`) as words for people.

Pure. What an agent's adapter made of a line of its stream comes in; for the views that need a
single line (`one_line`) or a styled story (`EventFormatter`) text comes out. Messages are shown
whole, a tool by the most useful part of its input, its result folded below it, an edit as a diff,
then usage, limits and the end. Knows no agent.

What is remembered of earlier events is bounded: which tool a late result belongs to, and the sums
of usage.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from orchestr.agents.events import (
    ActionDenied,
    AgentResult,
    ErrorReport,
    Event,
    Message,
    Note,
    NoteKind,
    OutputLine,
    SessionStarted,
    SubagentEvent,
    TokenUsage,
    ToolResult,
    ToolUse,
    UsageLimit,
    UsageScope,
)
from orchestr.views.logs.edit_diff import diff_of_edits, diff_style, printable_lines
from orchestr.views.terminal.text import (
    clean_line,
    clip,
    format_clock,
    format_tokens,
    printable_line,
)

Line = tuple[str, str]  # text, style
FOLD = 6  # lines of a result that are shown
WORDS = 500  # characters of a text on one line
_WHAT = 300  # characters of a tool's input
_THOUGHT = 2  # lines of a thought that are shown
_DIFF = 40  # lines of a diff that are shown
_REMEMBERED = 200  # tools whose result is awaited


@dataclass(slots=True)
class EventFormatter:
    """Formats the events of one transcript. ``full`` folds nothing."""

    full: bool = False
    _tools: OrderedDict[str, str] = field(default_factory=OrderedDict)
    _newest_tool: str = ""
    _session: str = ""
    _said: str = ""  # what was shown last: the end and a second report of an error repeat it
    _in_pieces: bool = False  # a message in pieces is being shown
    _answer: str = ""  # the answer whose usage was added last
    _input: int = 0
    _output: int = 0
    _cost: float = 0.0
    _seen: dict[str, tuple[int, int]] = field(default_factory=dict)  # of sessions that sum up

    def format_events(self, events: Iterable[Event]) -> list[Line]:
        """The lines for the events of one line of the transcript."""
        return [line for event in events for line in self._format_event(event)]

    def _format_event(self, event: Event) -> list[Line]:
        going_on, self._in_pieces = self._in_pieces, isinstance(event, Message) and event.more
        match event:
            case Message(text):
                lines = self._format_message(text)
                return (
                    [(f"  {line}", "") for line, _ in lines] if going_on and event.more else lines
                )
            case ToolUse():
                return self._format_tool_use(event)
            case ToolResult():
                return self._format_tool_result(event)
            case Note():
                return self._format_note(event)
            case SubagentEvent(inner):
                said = self._said
                lines = [(f"  {text}", style) for text, style in self._format_event(inner)]
                self._said = said
                return lines
            case TokenUsage():
                self._add_usage(event)
                return []
            case AgentResult():
                return [self._format_result(event)]
            case UsageLimit():
                return (
                    []
                    if self._is_repeated(event.kind)
                    else [(describe_limit(event), "bold yellow")]
                )
            case ErrorReport(text, final):
                said = clip(clean_line(text), WORDS)
                if not said or self._is_repeated(text):
                    return []
                self._said = text
                return [(f"✗ {said}", "red") if final else (f"note: {said}", "dim")]
            case ActionDenied():
                return []  # it was shown when it was tried
            case OutputLine(text):
                return [(printable_line(line), "") for line in text.splitlines()]
            case SessionStarted(session_id):
                if not session_id or session_id == self._session:
                    return []
                self._session = session_id
                return [(describe_session(event), "dim")]

    def _is_repeated(self, text: str) -> bool:
        return bool(text) and clean_line(text) == clean_line(self._said)

    def _format_message(self, text: str) -> list[Line]:
        lines = printable_lines(text.strip("\r\n"))
        while lines and not lines[0].strip():
            lines = lines[1:]
        while lines and not lines[-1].strip():
            lines = lines[:-1]
        if lines:
            self._said = text
        return [(line, "") for line in lines]

    def _format_tool_use(self, tool: ToolUse) -> list[Line]:
        """`▸ Bash go test ./...`, and below it the diff of an edit."""
        label = describe_tool(tool)
        self._tools[tool.id], self._newest_tool = label, tool.id
        while len(self._tools) > _REMEMBERED:
            self._tools.popitem(last=False)
        diff = printable_lines(tool.diff) if tool.diff else diff_of_edits(tool.edits)
        return [(f"▸ {label}", "cyan"), *self._format_diff(diff)]

    def _format_tool_result(self, result: ToolResult) -> list[Line]:
        """A result below its tool; one that comes late names the tool again."""
        label = self._tools.pop(result.id, "")
        style = "red" if result.failed else "dim"
        lines = fold_text(
            result.text, style, 0 if self.full else FOLD, "│ ", from_end=result.failed
        )
        if result.failed and result.exit_code is not None:
            lines.append((f"  │ exit {result.exit_code}", style))
        if not lines or not label or result.id == self._newest_tool:
            return lines
        return [(f"↳ {label}", "dim"), *lines]

    def _format_note(self, note: Note) -> list[Line]:
        match note.kind:
            case NoteKind.THOUGHT:
                return fold_text(note.text, "dim", 0 if self.full else _THOUGHT, "~ ")
            case NoteKind.TASKS:
                return [(clean_line(line), "dim") for line in note.text.splitlines()]
            case NoteKind.EVENT:
                words = clip(clean_line(note.text), WORDS)
                return [(words, "dim")] if words else []

    def _format_diff(self, lines: Sequence[str]) -> list[Line]:
        shown = lines if self.full else lines[:_DIFF]
        found = [(f"  │ {line}", diff_style(line)) for line in shown]
        left = len(lines) - len(shown)
        return [*found, (f"  │ … {left} more lines", "dim")] if left else found

    def _add_usage(self, usage: TokenUsage) -> None:
        """An answer that is reported in several lines counts once."""
        if usage.id and usage.id == self._answer:
            return
        self._answer = usage.id
        self._input, self._output = self._input + usage.input, self._output + usage.output
        self._cost += usage.cost_usd or 0.0

    def _format_result(self, result: AgentResult) -> Line:
        """The end with its usage; its words only when they were not the last ones before."""
        if result.total is not None:
            seen_in, seen_out = self._seen.get(self._session, (0, 0))
            total_in, total_out = result.total.input, result.total.output
            if result.scope is UsageScope.SESSION:  # the figures of earlier ends are in it
                self._seen[self._session] = (total_in, total_out)
                total_in, total_out = max(0, total_in - seen_in), max(0, total_out - seen_out)
            self._input, self._output = total_in, total_out
        line = f"= {describe_end(result)}"
        if self._input:
            line += f", {format_tokens(self._input)} in, {format_tokens(self._output)} out"
        cost = self._cost if result.cost_usd is None else result.cost_usd
        line += f", ${cost:.{2 if cost >= 0.1 else 4}f}" if cost else ""
        if result.text and not self._is_repeated(result.text):
            line += f": {clip(clean_line(result.text), WORDS)}"
        self._said = result.text or self._said
        return line, "bold green" if result.ok else "bold red"


def one_line(events: Iterable[Event]) -> str:
    """The events on one line, for the live table and the report; empty for book-keeping.

    A record of the end says more of it (the session again, a limit by its own text); the end
    itself is shown.
    """
    found = tuple(events)
    ends = [event for event in found if isinstance(event, AgentResult)]
    words = (clean_line(describe_event(event)) for event in ends or found)
    return clip(" | ".join(text for text in words if text), WORDS)


def describe_event(event: Event) -> str:
    """An event in a few words, without what came before it."""
    match event:
        case Message(text) | OutputLine(text) | Note(text):
            return text[: 8 * WORDS]
        case ToolUse():
            return describe_tool(event)
        case ToolResult(text=text, failed=failed):
            return f"{'failed' if failed else 'result'}: {text[: 8 * WORDS]}" if text else ""
        case SubagentEvent(inner):
            return describe_event(inner)
        case AgentResult(text=text, cost_usd=cost):
            line = describe_end(event) + ("" if cost is None else f", ${cost:.2f}")
            if not text:
                return line if event.turns or not event.ok else ""  # the message before says more
            return f"{line}: {text[: 8 * WORDS]}"
        case UsageLimit():
            return describe_limit(event)
        case ErrorReport(text, final):
            return f"{'error' if final else 'note'}: {text[: 8 * WORDS]}"
        case SessionStarted():
            return describe_session(event)
        case ActionDenied(tool, what):
            return f"denied: {tool} {what}"
        case TokenUsage():
            return ""


def describe_tool(tool: ToolUse) -> str:
    """`Bash go test ./...`."""
    return f"{clean_line(tool.name)} {clip(clean_line(tool.what), _WHAT)}".strip()


def describe_session(session: SessionStarted) -> str:
    """`session ID MODEL`."""
    return clean_line(f"session {session.session_id} {session.model}")


def describe_end(result: AgentResult) -> str:
    """`ended, 3 turns`."""
    turns = f", {result.turns} turn{'' if result.turns == 1 else 's'}" if result.turns else ""
    return ("ended" if result.ok else "ended with an error") + turns


def describe_limit(limit: UsageLimit) -> str:
    """`… limit: five hour, until 12:30:00`."""
    when = ""
    if limit.until is not None:
        try:
            when = f", until {format_clock(datetime.fromtimestamp(limit.until, UTC).isoformat())}"
        except (ValueError, OverflowError, OSError):
            when = ""
    return f"… limit: {clean_line(limit.kind).replace('_', ' ')}{when}"


def fold_text(text: str, style: str, most: int, mark: str, *, from_end: bool = False) -> list[Line]:
    """At most ``most`` lines (0: all), or the last ones, and how many are left out."""
    lines = [line for line in printable_lines(text) if line.strip()]
    left = len(lines) - most if most and len(lines) > most + 1 else 0
    if not left:
        return [(f"  {mark}{line}", style) for line in lines]
    shown = [(f"  {mark}{line}", style) for line in (lines[-most:] if from_end else lines[:most])]
    more = (f"  {mark}… {left} {'earlier' if from_end else 'more'} lines", "dim")
    return [more, *shown] if from_end else [*shown, more]
