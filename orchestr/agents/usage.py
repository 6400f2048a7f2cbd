"""A transcript added up in one pass: how the agent's last start ended, what the attempt took.

Owns the sums. A transcript holds every start of an attempt (an agent resumes its session
after a usage limit), so figures that count the whole session are counted once: a later total
that holds an earlier one is reduced by it. Reads line by line, in bounded memory; `UsageMeter`
reads on from where it was, for the budget of a running agent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from orchestr.agents.events import (
    SHELLS,
    ActionDenied,
    AgentResult,
    ErrorReport,
    Event,
    Message,
    Note,
    OutputLine,
    Parse,
    SessionStarted,
    SubagentEvent,
    TokenUsage,
    ToolResult,
    ToolUse,
    UsageLimit,
    UsageScope,
)

MOST_REFUSED, LONGEST_COMMAND = 200, 300  # of refused commands that are remembered
LONGEST = (1 << 20) + 4096  # bytes of a line that are looked at; the transcript's longest event
MeasureFiles = Callable[[Collection[str]], TokenUsage | None]  # of these sessions


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """Dollars per million tokens; ``cached`` is for input that was read from a cache."""

    input: float
    output: float
    cached: float | None = None

    def cost_of(self, usage: TokenUsage) -> float:
        """What the tokens cost, in dollars."""
        cached = self.input if self.cached is None else self.cached
        fresh = max(0, usage.input - usage.cached)
        return (fresh * self.input + usage.cached * cached + usage.output * self.output) / 1e6


@dataclass(slots=True)
class UsageTally:
    """The sums so far. ``result``, ``limit``, ``error`` and ``last`` are of the last start.

    ``spent_usd`` is the known part of the cost; ``unpriced`` is True when some of it is unknown.
    """

    prices: TokenPrices | None = None
    session_id: str | None = None
    sessions: set[str] = field(default_factory=set)
    filed: TokenUsage | None = None  # by the agent's own records, all its starts
    used: TokenUsage = field(default_factory=TokenUsage)
    spent_usd: float = 0.0
    unpriced: bool = False
    result: AgentResult | None = None
    limit: UsageLimit | None = None
    error: str = ""
    retrying: str = ""  # what kept it from an answer last, when it tries again itself
    note: str = ""
    last: str = ""
    tools: int = 0
    refused: list[str] = field(default_factory=list)  # of the last start
    _live: TokenUsage = field(default_factory=TokenUsage)
    _asked: tuple[str, str] = ("", "")  # the newest tool's id, and its command
    _told: bool = False  # whether the agent ever said what it took
    _ids: set[str] = field(default_factory=set)
    _sessions: dict[str, tuple[TokenUsage, float]] = field(default_factory=dict)

    def begin_new_start(self) -> None:
        """A new start of the agent: what ended the one before says nothing about it."""
        self._settle_live_usage()
        self.result, self.limit, self.error, self.note, self.last = None, None, "", "", ""
        self._ids.clear()
        self.refused.clear()
        self.retrying = ""

    @property
    def total_usage(self) -> TokenUsage:
        """All tokens, those of a start that gave no result, too."""
        streamed = add_usages(self.used, self._live)
        return streamed if self.filed is None else _larger_usage(streamed, self.filed)

    @property
    def _beyond(self) -> TokenUsage:
        """What the agent's own records know beyond its stream: of a start that was cut off."""
        if self.filed is None:
            return TokenUsage()
        return subtract_usage(self.filed, add_usages(self.used, self._live))

    @property
    def known_usd(self) -> float:
        """What is known to be spent up to now."""
        beyond = self._price_usage(self._beyond)
        return self.spent_usd + (self._price_usage(self._live) or 0.0) + (beyond or 0.0)

    @property
    def cost_usd(self) -> float | None:
        """The cost; None when any part of it is unknown, or nothing was ever reported."""
        live, beyond = self._price_usage(self._live), self._price_usage(self._beyond)
        if self.unpriced or live is None or not (self._told or self._beyond):
            return None
        if beyond is None and (self.result is None or self.result.cost_usd is None):
            return None
        return round(self.spent_usd + live + (beyond or 0.0), 6)

    def add_event(self, event: Event) -> None:
        """Take one event."""
        match event:
            case SessionStarted(session_id):
                self.session_id = session_id or self.session_id
                if session_id:
                    self.sessions.add(session_id)
            case Message(text, more):
                self.last = (self.last + text)[-LONGEST:] if more else text
                self.limit, self.retrying = None, ""
            case ToolUse():
                self.tools, self.limit, self.last = self.tools + 1, None, ""
                self.retrying = ""
                self._asked = (event.id, event.what if event.name in SHELLS else "")
            case SubagentEvent(Message()):
                self.limit = None
            case SubagentEvent(ToolUse()):
                self.tools, self.limit = self.tools + 1, None
            case ActionDenied():
                self._add_refusal(event)
            case ToolResult() | Note() | SubagentEvent():
                pass
            case TokenUsage():
                if event and not (event.id and event.id in self._ids):
                    self._ids.add(event.id)
                    self._told = True
                    self._live, self.limit = add_usages(self._live, event), None
            case UsageLimit(until):
                if self.limit is None or until is not None:
                    self.limit = event
            case ErrorReport(text, final):
                if final:
                    self.error = text or self.error
                else:
                    self.retrying = text
            case OutputLine(text):
                # Of what is no event, the line that names an error says most.
                if "error" in text.lower() or "error" not in self.note.lower():
                    self.note = text
            case AgentResult():
                self.result = event
                self._add_result(event)

    def _add_refusal(self, denied: ActionDenied) -> None:
        """Note a refused command: what the event says, else what the tool with its id asked for."""
        command = denied.what if denied.tool in SHELLS else ""
        if not denied.what and denied.id and denied.id == self._asked[0]:
            command = self._asked[1]
        if command and len(self.refused) < MOST_REFUSED:
            self.refused.append(command[:LONGEST_COMMAND])

    def _add_result(self, result: AgentResult) -> None:
        """Replace what was counted live by what the result says of it."""
        total, cost = result.total, result.cost_usd
        self._told = self._told or total is not None or cost is not None
        if total is None:
            if cost is not None:
                self.used, self._live = add_usages(self.used, self._live), TokenUsage()
                self.spent_usd += cost
            else:
                self._settle_live_usage()
            return
        session = self.session_id or ""
        before, paid = self._sessions.get(session, (TokenUsage(), 0.0))
        self._sessions[session] = (total, cost or 0.0)
        if self._includes_earlier_result(result, before):
            total = subtract_usage(total, before)
            cost = None if cost is None else max(0.0, cost - paid)
        if cost is None:
            cost = self._price_usage(total)
        if cost is None:
            self.unpriced = True
        self.used = add_usages(self.used, total)
        self.spent_usd += cost or 0.0
        self._live = TokenUsage()

    def _includes_earlier_result(self, result: AgentResult, before: TokenUsage) -> bool:
        """Whether the figures hold those of an earlier result of the session."""
        total = result.total
        if total is None or not before or total.input < before.input:
            return False
        match result.scope:
            case UsageScope.PROCESS:
                return False
            case UsageScope.SESSION:
                return True
            case UsageScope.UNSURE:
                # What this start alone has asked for stands in its own events.
                return total.input >= before.input + self._live.input

    def _settle_live_usage(self) -> None:
        cost = self._price_usage(self._live)
        if cost is None:
            self.unpriced = True
        self.used, self._live = add_usages(self.used, self._live), TokenUsage()
        self.spent_usd += cost or 0.0

    def _price_usage(self, usage: TokenUsage) -> float | None:
        if not usage:
            return 0.0
        if usage.cost_usd is not None:
            return usage.cost_usd
        return self.prices.cost_of(usage) if self.prices is not None else None


def add_usages(one: TokenUsage, two: TokenUsage) -> TokenUsage:
    """The sum; its cost is known when the costs of both are."""
    cost = None
    if (one.cost_usd is not None or not one) and two.cost_usd is not None:
        cost = (one.cost_usd or 0.0) + two.cost_usd
    return TokenUsage(one.input + two.input, one.cached + two.cached, one.output + two.output, cost)


def subtract_usage(one: TokenUsage, two: TokenUsage) -> TokenUsage:
    """The difference, nowhere below zero."""
    return TokenUsage(
        max(0, one.input - two.input),
        max(0, one.cached - two.cached),
        max(0, one.output - two.output),
    )


def _larger_usage(one: TokenUsage, two: TokenUsage) -> TokenUsage:
    """The larger figure of each sort: each of the two may have missed something."""
    cached = max(one.cached, two.cached)
    return TokenUsage(max(one.input, two.input), cached, max(one.output, two.output), one.cost_usd)


def tally_transcript(
    path: Path,
    parse: Parse,
    *,
    since: int = 0,
    prices: TokenPrices | None = None,
    files: MeasureFiles | None = None,
) -> UsageTally:
    """Add up a transcript. ``since`` is the byte at which the agent's last start begins, ``files``
    what its own records say of sessions.

    A missing file is an empty one. Never raises for what is in it.
    """
    meter = UsageMeter(path, parse, since=since, prices=prices, files=files)
    meter.read_new_lines()
    return meter.finish_tally()


def read_whole_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Offset and beginning of every line that has an end; a longer line is cut."""
    offset = stream.tell()
    while line := stream.readline(LONGEST):
        rest = line
        while not rest.endswith(b"\n"):
            rest = stream.readline(LONGEST)
            if not rest:
                return  # torn, or still being written
        yield offset, line
        offset = stream.tell()


class UsageMeter:
    """The running total of an attempt, read on at each `read_new_lines`."""

    def __init__(
        self,
        path: Path,
        parse: Parse,
        *,
        since: int,
        prices: TokenPrices | None,
        files: MeasureFiles | None = None,
    ) -> None:
        self._path, self._parse, self._since = path, parse, since
        self._files = files
        self._offset = 0
        self._begun = since <= 0
        self.sums = UsageTally(prices)

    def finish_tally(self) -> UsageTally:
        """The sums of an attempt whose last start may have said nothing at all."""
        if not self._begun:
            self._begun = True
            self.sums.begin_new_start()
        return self.sums

    def read_new_lines(self) -> UsageTally:
        """The sums after all whole lines there are now."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                for offset, line in read_whole_lines(stream):
                    if not self._begun and offset >= self._since:
                        self._begun = True
                        self.sums.begin_new_start()
                    for event in self._parse(line):
                        self.sums.add_event(event)
                    self._offset = stream.tell()
        except FileNotFoundError:
            pass  # nothing was said yet
        except OSError as error:
            self.sums.note = f"transcript: {error.strerror}"
        if self._files is not None:
            self.sums.filed = self._files(self.sums.sessions)
        return self.sums
