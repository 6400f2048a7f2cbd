"""Our few events (`orchestr.agents.events`) as words for people.

Pure. What an agent's adapter made of a line of its stream comes in; for the views that need a
single line (`one_line`) or a styled story (`EventFormatter`) text comes out. Knows no agent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from orchestr.agents.events import (
    AgentResult,
    ErrorReport,
    Event,
    Message,
    OutputLine,
    SessionStarted,
    TokenUsage,
    ToolUse,
    UsageLimit,
)
from orchestr.views.terminal.text import (
    clean_line,
    clip,
    format_clock,
    format_tokens,
    printable_line,
)

Line = tuple[str, str]  # text, style
WORDS = 500  # characters of a text on one line


@dataclass(slots=True)
class EventFormatter:
    """Formats the events of one transcript; remembers the last message and the sums of usage."""

    _said: str = ""
    _input: int = 0
    _output: int = 0
    _cost: float = 0.0

    def format_events(self, events: Iterable[Event]) -> list[Line]:
        """The lines for the events of one line of the transcript."""
        return [line for event in events for line in self._format_event(event)]

    def _format_event(self, event: Event) -> list[Line]:
        match event:
            case Message(text, more):
                return self._format_message(text, "  " if more else "")
            case ToolUse(name, what):
                return [(f"▸ {clean_line(name)} {clip(clean_line(what), 300)}".rstrip(), "cyan")]
            case TokenUsage(input=given, output=out, cost_usd=cost):
                self._input, self._output = self._input + given, self._output + out
                self._cost += cost or 0.0
                return []
            case AgentResult():
                return [self._format_result(event)]
            case UsageLimit():
                return [(describe_limit(event), "bold yellow")]
            case ErrorReport(text, final):
                said = clip(clean_line(text), WORDS)
                return [(f"✗ {said}", "red") if final else (f"note: {said}", "dim")]
            case OutputLine(text):
                return [(printable_line(line), "") for line in text.splitlines()]
            case SessionStarted():
                return []

    def _format_message(self, text: str, indent: str) -> list[Line]:
        self._said = text or self._said
        return [(indent + printable_line(line), "") for line in text.strip("\n").splitlines()]

    def _format_result(self, result: AgentResult) -> Line:
        """The end with its usage; its words only when the last message did not say them."""
        if result.total is not None:
            self._input, self._output = result.total.input, result.total.output
        cost = self._cost if result.cost_usd is None else result.cost_usd
        line = "= ended" if result.ok else "= ended with an error"
        if self._input:
            line += f", {format_tokens(self._input)} in, {format_tokens(self._output)} out"
        line += f", ${cost:.{2 if cost >= 0.1 else 4}f}" if cost else ""
        said = clean_line(result.text)
        if said and said != clean_line(self._said):
            line += f": {clip(said, WORDS)}"
        return line, "bold green" if result.ok else "bold red"


def describe_limit(limit: UsageLimit) -> str:
    """`… limit: five hour, until 12:30:00`."""
    when = ""
    if limit.until is not None:
        try:
            when = f", until {format_clock(datetime.fromtimestamp(limit.until, UTC).isoformat())}"
        except (ValueError, OverflowError, OSError):
            when = ""
    return f"… limit: {clean_line(limit.kind).replace('_', ' ')}{when}"


def one_line(events: Iterable[Event]) -> str:
    """The events on one line, for the live table and the report; empty for book-keeping."""
    told = [text.strip() for text, _style in EventFormatter().format_events(events)]
    return clip(" | ".join(text for text in told if text), WORDS)
