"""A timeline for other programs: Chrome trace, CSV, OpenTelemetry (OTLP as JSON).

Pure text. Spans are those of `orchestr.state.timeline`. Ids of OpenTelemetry are digests of what a
span is, so that a second export of the same journal gives the same trace and a collector merges
them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orchestr
from orchestr.state.timeline import Span, SpanKind, Timeline

COLUMNS = (
    "feature", "run", "kind", "cell", "phase", "attempt", "name", "state", "start", "end",
    "seconds", "agent", "model", "cost_usd", "input_tokens", "cached_tokens", "output_tokens",
    "note",
)  # fmt: skip
_WORKS = (SpanKind.ATTEMPT, SpanKind.REPAIR, SpanKind.REVIEW)
_PARTS = (SpanKind.WORK, SpanKind.QUEUE, SpanKind.LIMIT)
_ERROR, _OK, _UNSET = 2, 1, 0


class ExportFormat(StrEnum):
    """The formats of `export`."""

    CHROME = "chrome-trace"
    CSV = "csv"
    OTEL = "otel"


def export_text(line: Timeline, feature: str, format_: ExportFormat, now: float) -> str:
    """The timeline in one of the formats; what still goes on ends ``now``."""
    match format_:
        case ExportFormat.CHROME:
            return json.dumps(chrome_trace(line, feature, now), indent=1) + "\n"
        case ExportFormat.CSV:
            return csv_text(line, feature, now)
        case ExportFormat.OTEL:
            return json.dumps(otlp_trace(line, feature, now), indent=1) + "\n"


def chrome_trace(line: Timeline, feature: str, now: float) -> dict[str, Any]:
    """For chrome://tracing, Perfetto and speedscope: one process, a thread for each cell."""
    threads = {"": 0}
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "process_name", "pid": 1, "tid": 0, "args": {"name": feature}},
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": 0, "args": {"name": "runs"}},
    ]
    # A viewer nests by time, and needs the outer one of two that begin together first.
    for span in sorted(line.spans, key=lambda s: (s.start, -s.seconds(now))):
        thread = _thread_name(span)
        if thread not in threads:
            threads[thread] = len(threads)
            events.append({"ph": "M", "name": "thread_name", "pid": 1, "tid": threads[thread],
                           "args": {"name": thread}})  # fmt: skip
        events.append(
            {
                "ph": "X",
                "name": span.name,
                "cat": span.kind.value,
                "pid": 1,
                "tid": threads[thread],
                "ts": round(span.start * 1e6),
                "dur": round(span.seconds(now) * 1e6),
                "args": {"state": span.state, "note": span.note, **_attempt_data(span)},
            }
        )
    return {"traceEvents": events, "displayTimeUnit": "ms",
            "otherData": {"feature": feature, "version": orchestr.__version__}}  # fmt: skip


def _thread_name(span: Span) -> str:
    """Of the cell; reviewers work side by side and have lines of their own."""
    part = str(span.data.get("part") or "")
    if span.kind is SpanKind.REVIEW:
        return f"{span.cell} · {span.name}"
    if span.kind in _PARTS and part.startswith("review-"):
        return f"{span.cell} · {part.split('-', 2)[-1]}"
    if span.kind is SpanKind.APPROVAL:  # over runs
        return f"{span.cell} · approval"
    return span.cell


def csv_text(line: Timeline, feature: str, now: float) -> str:
    """One line a span, with a header; times are ISO-8601 UTC, unknown is empty."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(COLUMNS)
    for span in line.spans:
        told = _attempt_data(span)
        counts = told.get("tokens") or ("", "", "")
        end = "" if span.end is None else _iso_time(span.end)
        values = (
            feature, span.run, span.kind.value, span.cell, span.phase, span.attempt or "",
            span.name, span.state, _iso_time(span.start), end, round(span.seconds(now), 3),
            told.get("agent", ""), told.get("model", ""), told.get("cost_usd", ""), *counts,
            span.note,
        )  # fmt: skip
        rows.writerow([_escape_formula(value) for value in values])
    return out.getvalue()


def otlp_trace(line: Timeline, feature: str, now: float) -> dict[str, Any]:
    """OTLP/JSON (``resourceSpans``), a trace for each run: feature, cell, phase, attempt or round.

    The file is what an OTLP/HTTP collector takes at ``/v1/traces``.
    """
    owners = _parent_span_ids(line, feature)
    spans = []
    for span in line.spans:
        trace = _short_hash(f"{feature}\0{span.run}", 32)
        made: dict[str, Any] = {
            "traceId": trace,
            "spanId": _span_id(feature, span),
            "name": _otel_name(span, feature),
            "kind": 1,
            "startTimeUnixNano": str(round(span.start * 1e9)),
            "endTimeUnixNano": str(round((now if span.end is None else span.end) * 1e9)),
            "attributes": _span_attributes(span, feature),
            "status": _span_status(span),
        }
        parent = owners.get(_span_id(feature, span))
        if parent:
            made["parentSpanId"] = parent
        spans.append(made)
    resource = {"service.name": "orchestr", "service.version": orchestr.__version__,
                "orchestr.feature": feature}  # fmt: skip
    scope = {"name": "orchestr", "version": orchestr.__version__}
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attribute_pairs(resource)},
                "scopeSpans": [{"scope": scope, "spans": spans}],
            }
        ]
    }


def _parent_span_ids(line: Timeline, feature: str) -> dict[str, str]:
    """Span id -> id of the span that it is a part of."""
    runs = {s.run: _span_id(feature, s) for s in line.select_spans(SpanKind.RUN)}
    cells = {(s.run, s.cell): _span_id(feature, s) for s in line.select_spans(SpanKind.CELL)}
    phases: dict[tuple[str, str, str], list[Span]] = {}
    works: dict[tuple[str, int, str], list[Span]] = {}
    for span in line.spans:
        if span.kind is SpanKind.PHASE:
            phases.setdefault((span.run, span.cell, span.phase), []).append(span)
        elif span.kind in _WORKS:
            works.setdefault((span.cell, span.attempt, _part_of(span)), []).append(span)
    found: dict[str, str | None] = {}
    for span in line.spans:
        key, cell = _span_id(feature, span), cells.get((span.run, span.cell))
        if span.kind in (SpanKind.CELL, SpanKind.UPSTREAM, SpanKind.LAND):
            found[key] = runs.get(span.run)
        elif span.kind in (SpanKind.PHASE, SpanKind.APPROVAL):
            found[key] = cell
        elif span.kind in (*_WORKS, SpanKind.CHECK):
            around = _newest_begun_before(phases.get((span.run, span.cell, span.phase), ()), span)
            found[key] = _span_id(feature, around) if around else cell or runs.get(span.run)
        elif span.kind in _PARTS:
            around = _newest_begun_before(
                works.get((span.cell, span.attempt, _part_of(span)), ()), span
            )
            found[key] = _span_id(feature, around) if around else cell
    return {key: owner for key, owner in found.items() if owner}


def _part_of(span: Span) -> str:
    """Which agent of an attempt it is: its author, the same in a repair, or one reviewer."""
    return "repair" if span.kind is SpanKind.REPAIR else str(span.data.get("part") or "")


def _newest_begun_before(spans: Sequence[Span], inner: Span) -> Span | None:
    """The newest one that had begun."""
    return next((s for s in reversed(spans) if s.start <= inner.start), None)


def _otel_name(span: Span, feature: str) -> str:
    match span.kind:
        case SpanKind.RUN:
            return f"feature {feature}"
        case SpanKind.CELL:
            return f"cell {span.cell}"
        case SpanKind.PHASE:
            return f"phase {span.phase}"
        case SpanKind.WORK:
            return f"agent {span.name}"
        case SpanKind.REVIEW:
            return f"review by {span.name}"
        case SpanKind.CHECK:
            return f"check {span.name}"
        case _:
            return span.name


def _span_attributes(span: Span, feature: str) -> list[dict[str, Any]]:
    told = _attempt_data(span)
    counts = told.get("tokens") or (None, None, None)
    return _attribute_pairs(
        {
            "orchestr.kind": span.kind.value,
            "orchestr.feature": feature,
            "orchestr.run": span.run,
            "orchestr.cell": span.cell or None,
            "orchestr.phase": span.phase or None,
            "orchestr.attempt": span.attempt or None,
            "orchestr.state": span.state,
            "orchestr.note": span.note or None,
            "orchestr.cost_usd": told.get("cost_usd"),
            "gen_ai.agent.name": told.get("agent"),
            "gen_ai.request.model": told.get("model"),
            "gen_ai.usage.input_tokens": counts[0],
            "gen_ai.usage.output_tokens": counts[2],
        }
    )


def _attribute_pairs(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _attribute_value(value)} for key, value in values.items()
            if value is not None]  # fmt: skip


def _attribute_value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case _:
            return {"stringValue": str(value)}


def _span_status(span: Span) -> dict[str, Any]:
    if span.state in ("failed", "aborted", "interrupted", "refused", "blockers"):
        return {"code": _ERROR, "message": span.note or span.state}
    return {"code": _UNSET if span.state == "running" else _OK}


def _attempt_data(span: Span) -> dict[str, Any]:
    """What the journal says of an attempt; tokens only as three counts."""
    names = ("agent", "model", "cost_usd", "cost_known_usd", "tokens", "outcome", "exit", "why")
    told = {name: span.data[name] for name in names if span.data.get(name) is not None}
    counts = told.get("tokens")
    fits = isinstance(counts, list | tuple) and len(counts) == 3
    if not (fits and all(isinstance(n, int) for n in counts or ())):
        told.pop("tokens", None)
    return told


def _span_id(feature: str, span: Span) -> str:
    where = (feature, span.run, span.kind.value, span.cell, span.phase, span.attempt)
    what = (*where, span.name, span.start)
    return _short_hash("\0".join(map(str, what)), 16)


def _short_hash(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:digits]


def _iso_time(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")


def _escape_formula(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula is marked as text."""
    risky = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r")
    return f"'{value}" if risky else value
