"""Pieces of time as frozen records; `orchestr.state.timeline` makes them from the journal.

Pure data for whoever draws or exports. Times are seconds since 1970. A span without ``end`` is
still going on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from orchestr.spec.phases import Phase


class SpanKind(StrEnum):
    """What a span is the time of."""

    RUN = "run"
    CELL = "cell"  # one cell's part of one run
    PHASE = "phase"
    ATTEMPT = "attempt"  # from the moment it was opened until it was closed
    REPAIR = "repair"  # a round: the attempt's agent mends what a check or a review found
    REVIEW = "review"  # one reviewer, once
    WORK = "work"  # the agent itself, in an attempt, a repair or a review
    QUEUE = "queue"  # an attempt waits for a free slot
    LIMIT = "limit"  # a usage limit of the provider
    CHECK = "check"
    APPROVAL = "approval"  # a person is asked
    LAND = "land"  # where a cell was landed, or was not: a point
    UPSTREAM = "upstream"  # a cell waits for the tree of another one


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of time. ``state``: done, failed, aborted, interrupted, running; waits (a phase that
    ended at a gate), blockers (a review that found some), unchanged and refused (a repair).

    ``note`` says why it began or how it ended; ``data`` holds what the journal says besides
    (why, agent, model, cost_usd, cost_known_usd, tokens, exit). What a repair cost is its own,
    not its attempt's.
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

    def end_at(self, at: float, **changes: Any) -> Span:
        """The span, ended: where it began, if the clock was put back meanwhile."""
        return replace(self, end=max(at, self.start), **changes)


@dataclass(frozen=True)
class Timeline:
    """All spans by start; ``critical`` is the chain of cells that the newest run waited for."""

    spans: tuple[Span, ...] = ()
    critical: tuple[str, ...] = ()

    def select_spans(self, *kinds: SpanKind, cell: str | None = None) -> list[Span]:
        """The spans of some kinds, of one cell or of all."""
        mine = self.spans if cell is None else self._by_cell.get(cell, ())
        return [s for s in mine if s.kind in kinds]

    @cached_property
    def _by_cell(self) -> dict[str, list[Span]]:
        found: dict[str, list[Span]] = {}
        for span in self.spans:
            found.setdefault(span.cell, []).append(span)
        return found


PLACE = {kind: place for place, kind in enumerate(SpanKind)}  # the outer one of two comes first
_OUTSIDE = ("", Phase.PUBLISH.value)  # no part of what dependents wait for


def cell_spans(spans: list[Span]) -> list[Span]:
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


def upstream_waits(
    spans: list[Span], above: Mapping[str, tuple[str, ...]]
) -> tuple[list[Span], dict[tuple[str, str], str]]:
    """What cells waited for in each run: spans, and (run, cell) -> the upstream that came last."""
    began = {s.run: s.start for s in spans if s.kind is SpanKind.RUN}
    product: dict[tuple[str, str], float] = {}
    for s in spans:
        if s.kind is SpanKind.PHASE and s.phase not in _OUTSIDE and s.end is not None:
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


def critical_chain(spans: list[Span], blockers: Mapping[tuple[str, str], str]) -> tuple[str, ...]:
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


def increase_since(value: Any, before: Any) -> Any:
    """What came on top of ``before``: a number, or counts."""
    if before is None:
        return value
    if isinstance(value, list | tuple) and isinstance(before, list | tuple):
        parts = [increase_since(one, two) for one, two in zip(value, before, strict=False)]
        return parts if all(part is not None for part in parts) else None
    if isinstance(value, int | float) and isinstance(before, int | float):
        return max(value - before, 0)
    return None


def parse_time(ts: str) -> float | None:
    try:
        return datetime.fromisoformat(ts).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def positive_or_none(number: float | None) -> float | None:
    return None if number is None or number < 0 else float(number)
