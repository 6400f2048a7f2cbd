"""The timeline as percentages: one axis for all runs, in which idle nights take no room.

Pure. An axis is made of pieces of busy time, one after the other; a long gap between two of them
becomes a narrow break that says how long it was.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestr.state.timeline import Span, SpanKind, Timeline
from orchestr.views.terminal.text import format_duration

BREAK = 2.5  # percent of the width
RUNS = 10  # newest pieces that are drawn
TICKS = 7
LEAST = 0.35  # percent: a bar that nobody sees is no bar
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200,
         86400, 172800, 604800)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AxisPiece:
    """Busy time, and where it is drawn (percent)."""

    start: float
    end: float
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class AxisMark:
    """A word on the axis. ``kind``: tick, start (of a piece) or break."""

    left: float
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class SpanBar:
    """One span as drawn; ``look`` are CSS classes, ``label`` stands in it if there is room."""

    left: float
    width: float
    look: str
    title: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Axis:
    """From times to percent. ``hidden`` counts older pieces that are not drawn."""

    pieces: tuple[AxisPiece, ...]
    hidden: int = 0

    def position_at(self, time: float) -> float:
        """Where a time is drawn; in a gap it is the end of the piece before."""
        index = bisect_right([p.start for p in self.pieces], time) - 1
        if index < 0:
            return self.pieces[0].left if self.pieces else 0.0
        piece = self.pieces[index]
        share = (min(time, piece.end) - piece.start) / max(piece.end - piece.start, 1e-9)
        return piece.left + piece.width * share

    def is_visible(self, span: Span, now: float) -> bool:
        """Whether any of it is drawn."""
        end = now if span.end is None else span.end
        return bool(self.pieces) and end >= self.pieces[0].start


def make_axis(spans: Iterable[Span], now: float) -> Axis:
    """The axis of these spans; gaps of more than 4% of the busy time are broken."""
    times = sorted((s.start, now if s.end is None else s.end) for s in spans)
    merged: list[list[float]] = []
    for start, end in times:
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, max(end, start)])
    busy = sum(end - start for start, end in merged)
    joined: list[list[float]] = []
    for start, end in merged:
        if joined and start - joined[-1][1] <= max(0.04 * busy, 1.0):
            joined[-1][1] = end
        else:
            joined.append([start, end])
    hidden = max(len(joined) - RUNS, 0)
    joined = joined[hidden:]
    # Every piece keeps at least a little: a run of a second beside one of an hour is still there.
    weights = [max(end - start, 0.02 * busy, 0.05) for start, end in joined]
    room = 100.0 - BREAK * (len(joined) - 1)
    scale = room / sum(weights) if weights else 0.0
    pieces, left = [], 0.0
    for (start, end), weight in zip(joined, weights, strict=True):
        pieces.append(AxisPiece(start, max(end, start + 0.05), left, weight * scale))
        left += weight * scale + BREAK
    return Axis(tuple(pieces), hidden)


def make_marks(axis: Axis) -> list[AxisMark]:
    """Ticks (time since the beginning of their piece), beginnings, and breaks."""
    found: list[AxisMark] = []
    for before, piece in zip((None, *axis.pieces), axis.pieces, strict=False):
        if before is not None:
            gap = format_duration(piece.start - before.end)
            found.append(AxisMark(piece.left - BREAK / 2, f"{gap} later", "break"))
        found.append(AxisMark(piece.left, _format_time(piece.start), "start"))
        length = piece.end - piece.start
        wanted = max(TICKS * piece.width / 100.0, 1.0)
        step = next((s for s in STEPS if length / s <= wanted), STEPS[-1])
        count = int(length / step)
        for number in range(1, count + 1):
            left = piece.left + piece.width * number * step / length
            if left <= piece.left + piece.width - 3.0 or number < count:
                found.append(AxisMark(left, _format_tick(number * step), "tick"))
    return found


def make_bars(line: Timeline, axis: Axis, cell: str, now: float) -> list[SpanBar]:
    """The bars of one cell, in the order in which they are painted."""
    kinds = (
        SpanKind.UPSTREAM, SpanKind.PHASE, SpanKind.REPAIR, SpanKind.REVIEW, SpanKind.QUEUE,
        SpanKind.LIMIT, SpanKind.APPROVAL, SpanKind.LAND,
    )  # fmt: skip
    spans = [s for s in line.select_spans(*kinds, cell=cell) if axis.is_visible(s, now)]
    spans.sort(key=lambda s: kinds.index(s.kind))
    numbers = {(a.run, a.start): a.attempt for a in line.select_spans(SpanKind.ATTEMPT, cell=cell)}
    return [bar for s in spans if (bar := _make_bar(s, axis, now, numbers)) is not None]


_CLASS = {SpanKind.REVIEW: "reviewer"}  # `review` is the phase
_NOTED = frozenset(
    {SpanKind.PHASE, SpanKind.REPAIR, SpanKind.REVIEW, SpanKind.APPROVAL, SpanKind.LAND}
)


def _make_bar(
    span: Span, axis: Axis, now: float, numbers: dict[tuple[str, float], int]
) -> SpanBar | None:
    end = now if span.end is None else span.end
    left, right = axis.position_at(span.start), axis.position_at(end)
    width = right - left
    least = 0.0 if span.kind in (SpanKind.UPSTREAM, SpanKind.QUEUE, SpanKind.APPROVAL) else LEAST
    least = 2.0 if span.kind is SpanKind.LAND else least
    if width < 0.05 and not least:
        return None
    name = span.phase if span.kind is SpanKind.PHASE else _CLASS.get(span.kind, span.kind.value)
    words = [f"{span.cell}: {span.name}", format_duration(span.seconds(now))]
    if span.kind is SpanKind.REVIEW:
        words[0] = f"{span.cell}: review by {span.name}"
    if span.state not in ("done", "running", "blockers"):
        words.append(span.state)
    if span.note and span.kind in _NOTED:
        words.append(span.note.splitlines()[0][:200])
    label = ""
    if span.kind is SpanKind.PHASE and span.phase == "implement":
        label = str(span.attempt or next((n for (run, start), n in numbers.items()
                    if run == span.run and span.start <= start <= end), "")) or ""  # fmt: skip
    if span.kind is SpanKind.REPAIR:
        label = f"+{span.name.split()[1]}"
    elif span.kind is SpanKind.LAND:
        label = "★" if span.state == "done" else "!"
    look = f"b-{name} s-{span.state}"
    if span.kind is SpanKind.LAND:
        left = min(left, 100.0 - least)  # a point at the very end would stick out
    return SpanBar(round(left, 3), round(max(width, least), 3), look, ", ".join(words), label)


def _format_time(time: float) -> str:
    return datetime.fromtimestamp(time).astimezone().strftime("%d %b %H:%M:%S")


def _format_tick(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:g} s"
    if seconds < 3600:
        minutes = seconds / 60
        return f"{minutes:g} min" if minutes == int(minutes) else f"{minutes:.1f} min"
    return f"{seconds / 3600:g} h"


def covered_seconds(spans: Sequence[Span], now: float) -> float:
    """Seconds in which at least one of the spans went on."""
    total, reach = 0.0, float("-inf")
    for span in sorted(spans, key=lambda s: s.start):
        end = now if span.end is None else span.end
        if end > reach:
            total += end - max(span.start, reach)
            reach = end
    return total
