"""When what happened: spans of runs, cells, phases, attempts and waits, made from the journal.

Pure: events in, spans out; no clock, no disk. The report draws them, `export` writes them. Like
`orchestr.lifecycle` it never refuses a journal: what a kill left open ends with the last word of
its run and is called interrupted, and an attempt that outlived its run (its supervisor went on) is
one span over both runs.

Times are seconds since 1970. A span without ``end`` is still going on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from math import isfinite
from typing import Any

from orchestr.events import Event, Kind
from orchestr.spec.records import Phase


class SpanKind(StrEnum):
    """What a span is the time of."""

    RUN = "run"
    CELL = "cell"  # one cell's part of one run
    PHASE = "phase"
    ATTEMPT = "attempt"  # from the moment it was opened until it was closed
    WORK = "work"  # the agent itself
    QUEUE = "queue"  # an attempt waits for a free slot
    LIMIT = "limit"  # a usage limit of the provider
    UPSTREAM = "upstream"  # a cell waits for the tree of another one


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of time. ``state``: done, failed, aborted, interrupted, running.

    ``note`` says why it began or how it ended; ``data`` holds what the journal says besides
    (why, agent, model, cost_usd, cost_known_usd, tokens, exit).
    """

    kind: SpanKind
    name: str
    start: float
    end: float | None
    state: str = "done"
    cell: str = ""
    phase: str = ""
    attempt: int = 0
    run: str = ""
    note: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    def seconds(self, now: float) -> float:
        """Its length; until ``now`` while it goes on."""
        return max((now if self.end is None else self.end) - self.start, 0.0)


@dataclass(frozen=True)
class Timeline:
    """All spans by start; ``critical`` is the chain of cells that the newest run waited for."""

    spans: tuple[Span, ...] = ()
    critical: tuple[str, ...] = ()

    def of(self, *kinds: SpanKind, cell: str | None = None) -> list[Span]:
        """The spans of some kinds, of one cell or of all."""
        mine = self.spans if cell is None else self._by_cell.get(cell, ())
        return [s for s in mine if s.kind in kinds]

    @cached_property
    def _by_cell(self) -> dict[str, list[Span]]:
        found: dict[str, list[Span]] = {}
        for span in self.spans:
            found.setdefault(span.cell, []).append(span)
        return found


def make_timeline(
    events: Iterable[Event],
    upstreams: Mapping[str, Iterable[str]] | None = None,
    *,
    live: bool = False,
) -> Timeline:
    """The timeline of a feature. ``upstreams`` of the plan, for waits and the critical path.

    ``live``: somebody holds the lease, so what is open goes on; else it was interrupted.
    """
    builder = _Builder()
    for event in events:
        at = _time(event.ts)
        if at is not None:
            builder.take(event, at)
    spans = builder.finish(live)
    spans += _cells(spans)
    above = {cell: tuple(names) for cell, names in (upstreams or {}).items()}
    waits, blockers = _waits(spans, above)
    spans = sorted([*spans, *waits], key=lambda s: (s.start, _ORDER[s.kind]))
    return Timeline(tuple(spans), _critical(spans, blockers))


_ORDER = {kind: place for place, kind in enumerate(SpanKind)}
_PRODUCT = frozenset(p.value for p in Phase) - {Phase.PUBLISH.value}


class _Builder:
    """What is open while the events go by."""

    def __init__(self) -> None:
        self.closed: list[Span] = []
        self.run: Span | None = None
        self.last = 0.0
        self.phases: dict[str, Span] = {}
        self.attempts: dict[str, Span] = {}
        self.parts: dict[str, Span] = {}  # of an attempt: queue, work or limit
        self.seen: dict[str, float] = {}  # when a cell was last heard of

    def take(self, event: Event, at: float) -> None:
        cell, data = event.cell, event.data
        match event.kind:
            case Kind.RUN_STARTED:
                self._end_run(self.last, "interrupted")
                self.run = Span(SpanKind.RUN, event.run, at, None, "running", run=event.run,
                                data=dict(data))  # fmt: skip
            case Kind.RUN_FINISHED if self.run is not None and self.run.run == event.run:
                code = data.get("exit")
                self.run = replace(self.run, data={**self.run.data, "exit": code})
                state = "done" if code == 0 else "aborted" if code == 130 else "failed"
                self._end_run(at, state)
            case Kind.PHASE_STARTED:
                self._end_phase(cell, self.last, "interrupted")
                self.phases[cell] = Span(
                    SpanKind.PHASE, event.phase, at, None, "running", cell, event.phase,
                    event.attempt, event.run, _text(data, "why"), {"why": _text(data, "why")},
                )  # fmt: skip
            case Kind.PHASE_DONE:
                self._phase_over(event, at, "done", "")
            case Kind.PHASE_FAILED:
                aborted = data.get("aborted") is True
                why = _text(data, "reason")
                self._phase_over(event, at, "aborted" if aborted else "failed", why)
            case (
                Kind.ATTEMPT_OPENED
                | Kind.ATTEMPT_STARTED
                | Kind.ATTEMPT_ADOPTED
                | Kind.ATTEMPT_LIMITED
                | Kind.ATTEMPT_EXITED
                | Kind.ATTEMPT_CLOSED
            ):
                self._attempt(event, at)
            case _:
                pass
        self.last = max(self.last, at)
        if cell:
            self.seen[cell] = at

    def _phase_over(self, event: Event, at: float, state: str, note: str) -> None:
        span = self.phases.get(event.cell)
        if span is None or span.phase != event.phase:  # its beginning was not journalled
            seconds = _number(event.data, "seconds") or 0.0
            span = Span(SpanKind.PHASE, event.phase, at - seconds, None, cell=event.cell,
                        phase=event.phase, run=event.run)  # fmt: skip
        else:
            del self.phases[event.cell]
        told = {k: event.data[k] for k in ("outcome", "head", "url") if event.data.get(k)}
        told = {**span.data, **told}
        self.closed.append(
            replace(span, end=at, state=state, note=note or span.note, data=told,
                    attempt=event.attempt or span.attempt)
        )  # fmt: skip

    def _attempt(self, event: Event, at: float) -> None:
        cell, number, data = event.cell, event.attempt, event.data
        span = self.attempts.get(cell)
        if span is not None and span.attempt != number:
            self._end_attempt(cell, self.seen.get(cell, span.start), "interrupted")
            span = None
        if span is None:
            if event.kind is Kind.ATTEMPT_CLOSED:
                return  # `forget` closes attempts that ended long ago
            span = Span(SpanKind.ATTEMPT, f"attempt {number}", at, None, "running", cell,
                        Phase.IMPLEMENT.value, number, event.run)  # fmt: skip
        named = ("agent", "model", "cost_usd", "cost_known_usd", "tokens", "session")
        told = {k: data[k] for k in named if data.get(k) not in (None, "")}
        span = replace(span, data={**span.data, **told})
        self.attempts[cell] = span
        match event.kind:
            case Kind.ATTEMPT_OPENED:
                self._part(span, SpanKind.QUEUE, "waits for a slot", at)
            case Kind.ATTEMPT_STARTED:
                self._part(span, SpanKind.WORK, str(span.data.get("agent", "agent")), at)
            case Kind.ATTEMPT_ADOPTED:
                if cell not in self.parts:
                    self._part(span, SpanKind.WORK, str(span.data.get("agent", "agent")), at)
            case Kind.ATTEMPT_LIMITED:
                self._part(span, SpanKind.LIMIT, "usage limit", at)
            case Kind.ATTEMPT_EXITED:
                part, seconds = self.parts.get(cell), _number(data, "seconds")
                end = at
                if part is not None and part.kind is SpanKind.WORK and seconds is not None:
                    # An adopted one may have ended long before anybody looked.
                    end = min(at, part.start + seconds)
                why = _text(data, "reason")
                good = data.get("code") == 0 and why == "exited"
                self._part_over(cell, end, "done" if good else "failed", why)
                code = {"exit": data.get("code"), "signal": data.get("signal"), "why": why}
                self.attempts[cell] = replace(span, data={**span.data, **code})
            case _:
                outcome = _text(data, "outcome")
                state = {"done": "done", "aborted": "aborted"}.get(outcome, "failed")
                if outcome in ("superseded", "forgotten"):
                    state = "done"
                note = _text(data, "reason")
                more = {**span.data, "outcome": outcome}
                self.attempts[cell] = replace(span, note=note, data=more)
                self._end_attempt(cell, at, state)

    def _part(self, attempt: Span, kind: SpanKind, name: str, at: float) -> None:
        self._part_over(attempt.cell, at, "done", "")
        self.parts[attempt.cell] = replace(
            attempt, kind=kind, name=name, start=at, end=None, state="running", data={}
        )

    def _part_over(self, cell: str, at: float, state: str, note: str) -> None:
        part = self.parts.pop(cell, None)
        if part is not None:
            end = max(at, part.start)
            self.closed.append(replace(part, end=end, state=state, note=note or part.note))

    def _end_attempt(self, cell: str, at: float, state: str) -> None:
        self._part_over(cell, at, state, "")
        span = self.attempts.pop(cell, None)
        if span is not None:
            self.closed.append(replace(span, end=max(at, span.start), state=state))

    def _end_phase(self, cell: str, at: float, state: str) -> None:
        span = self.phases.pop(cell, None)
        if span is not None:
            self.closed.append(replace(span, end=max(at, span.start), state=state))

    def _end_run(self, at: float, state: str) -> None:
        """Its phases end with it; attempts may outlive it."""
        for cell in list(self.phases):
            self._end_phase(cell, at, "aborted" if state == "aborted" else "interrupted")
        if self.run is not None:
            self.closed.append(replace(self.run, end=max(at, self.run.start), state=state))
        self.run = None

    def finish(self, live: bool) -> list[Span]:
        """Everything; what is open goes on if the run is ``live``."""
        if not live:
            self._end_run(self.last, "interrupted")
            for cell in list(self.attempts):
                self._end_attempt(cell, self.seen.get(cell, self.last), "interrupted")
        kept = [*self.phases.values(), *self.attempts.values(), *self.parts.values()]
        return [*self.closed, *kept, *([self.run] if self.run is not None else [])]


def _cells(spans: list[Span]) -> list[Span]:
    """One span for each cell in each run, around its phases."""
    groups: dict[tuple[str, str], list[Span]] = {}
    for span in spans:
        if span.kind is SpanKind.PHASE:
            groups.setdefault((span.run, span.cell), []).append(span)
    found = []
    for (run, cell), phases in groups.items():
        last = max(phases, key=lambda s: (s.end is None, s.start))
        ends = [s.end for s in phases if s.end is not None]
        end = None if len(ends) < len(phases) else max(ends)
        start = min(s.start for s in phases)
        found.append(Span(SpanKind.CELL, cell, start, end, last.state, cell, run=run))
    return found


def _waits(
    spans: list[Span], above: Mapping[str, tuple[str, ...]]
) -> tuple[list[Span], dict[tuple[str, str], str]]:
    """What cells waited for in each run: spans, and (run, cell) -> the upstream that came last."""
    began = {s.run: s.start for s in spans if s.kind is SpanKind.RUN}
    product: dict[tuple[str, str], float] = {}
    for s in spans:
        if s.kind is SpanKind.PHASE and s.phase in _PRODUCT and s.end is not None:
            key = (s.run, s.cell)
            product[key] = max(product.get(key, 0.0), s.end)
    waits, blockers = [], {}
    for s in spans:
        if s.kind is not SpanKind.CELL or s.run not in began:
            continue
        done = [(product[s.run, u], u) for u in above.get(s.cell, ()) if (s.run, u) in product]
        done = [(at, name) for at, name in done if at <= s.start + 1.0]
        if not done:
            continue
        name = max(done)[1]
        blockers[s.run, s.cell] = name
        waits.append(
            Span(SpanKind.UPSTREAM, f"waits for {name}", began[s.run], s.start, "done", s.cell,
                 run=s.run, note=name)
        )  # fmt: skip
    return waits, blockers


def _critical(spans: list[Span], blockers: Mapping[tuple[str, str], str]) -> tuple[str, ...]:
    """The chain of cells that the newest run's end waited for, first one first."""
    cells = [s for s in spans if s.kind is SpanKind.CELL]
    if not cells:
        return ()
    run = max(cells, key=lambda s: s.start).run
    mine = [s for s in cells if s.run == run]
    last = max(mine, key=lambda s: (s.end is None, s.end or s.start))
    chain = [last.cell]
    while (run, chain[-1]) in blockers and blockers[run, chain[-1]] not in chain:
        chain.append(blockers[run, chain[-1]])
    return tuple(reversed(chain))


def _time(ts: str) -> float | None:
    try:
        return datetime.fromisoformat(ts).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""


def _number(data: Mapping[str, Any], key: str) -> float | None:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isfinite(value) and value >= 0 else None
