"""The timeline for other programs: what they read must hold together."""

from __future__ import annotations

import csv
import io
import json
from itertools import pairwise

from orchestr.state.events import EventKind
from orchestr.state.timeline import make_timeline
from orchestr.views.export import ExportFormat, chrome_trace, csv_text, export_text, otlp_trace
from tests.report.stories import NOON, at, built, run

FAILED = [
    at(15, EventKind.PHASE_STARTED, "c", "implement"),
    at(16, EventKind.PHASE_FAILED, "c", "implement", reason="=cmd|'/c calc'!A1"),
]
EVENTS = run([*built("a", 0, 10), *built("b", 10, 5), *FAILED], end=17)
LINE = make_timeline(EVENTS, {"b": ("a",)})


def text(name: ExportFormat) -> str:
    return export_text(LINE, "demo", name, NOON + 20)


def test_csv_has_a_line_for_each_span_and_no_formulas() -> None:
    rows = list(csv.DictReader(io.StringIO(text(ExportFormat.CSV))))
    assert len(rows) == len(LINE.spans)
    (row,) = [r for r in rows if r["kind"] == "attempt" and r["cell"] == "a"]
    wanted = ("claude", "opus", "0.5", "100", "40", "20", "done")
    names = ("agent", "model", "cost_usd", "input_tokens", "cached_tokens", "output_tokens")
    assert tuple(row[n] for n in (*names, "state")) == wanted
    assert not any(v.startswith(("=", "+", "@")) for r in rows for v in r.values())


def test_otel_spans_form_one_tree_for_each_run() -> None:
    value = json.loads(text(ExportFormat.OTEL))
    spans = value["resourceSpans"][0]["scopeSpans"][0]["spans"]
    by_id = {s["spanId"]: s for s in spans}
    assert len(by_id) == len(spans) == len(LINE.spans)
    roots = [s for s in spans if "parentSpanId" not in s]
    assert [s["name"] for s in roots] == ["feature demo"]
    attempt = next(s for s in spans if s["name"] == "attempt 1")
    chain = [attempt["name"]]
    while "parentSpanId" in attempt:
        attempt = by_id[attempt["parentSpanId"]]
        chain.append(attempt["name"])
    assert chain == ["attempt 1", "phase implement", "cell a", "feature demo"]
    assert {s["traceId"] for s in spans} == {roots[0]["traceId"]}
    assert all(len(s["traceId"]) == 32 and len(s["spanId"]) == 16 for s in spans)
    assert text(ExportFormat.OTEL) == text(ExportFormat.OTEL)


def test_chrome_trace_nests_the_spans_of_a_cell() -> None:
    events = json.loads(text(ExportFormat.CHROME))["traceEvents"]
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert sorted(names.values()) == ["a", "b", "c", "runs"]
    mine = [e for e in events if e["ph"] == "X" and names[e["tid"]] == "a"]
    assert mine[0]["cat"] == "cell"
    assert all((x["ts"], -x["dur"]) <= (y["ts"], -y["dur"]) for x, y in pairwise(mine))


def test_rounds_and_reviews_hang_below_their_phase_and_reviewers_have_their_own_lines() -> None:
    events = [
        *built("a", 1, 10)[:8],
        at(10, EventKind.PHASE_STARTED, "a", "review"),
        *(at(10.5, EventKind.ATTEMPT_STARTED, "a", "review", 1, agent=name, reviewer=name,
             part=f"review-{n}-{name}") for n, name in enumerate(("eve", "bob"), 1)),
        *(event for n, name in enumerate(("eve", "bob"), 1) for event in (
            at(12 + n, EventKind.ATTEMPT_EXITED, "a", "review", 1, reviewer=name, code=0,
               reason="exited", seconds=1.5 + n, part=f"review-{n}-{name}"),
            at(12 + n, EventKind.REVIEW_DONE, "a", "review", 1, reviewer=name, verdict="1 blocker",
               blockers=1))),
        at(15, EventKind.REPAIR_OPENED, "a", "review", 1, round=1, of=3, why="a hole"),
        at(15, EventKind.ATTEMPT_STARTED, "a", "review", 1, round=1, agent="claude"),
        at(20, EventKind.ATTEMPT_EXITED, "a", "review", 1, round=1, code=0, reason="exited",
           seconds=5.0),
        at(20, EventKind.REPAIR_CLOSED, "a", "review", 1, round=1, outcome="changed"),
        at(21, EventKind.CHECK_DONE, "a", "review", name="unit", passed=True, seconds=0.5),
        at(22, EventKind.PHASE_DONE, "a", "review", 1),
        at(23, EventKind.CHECK_DONE, name="xtest", repo="tests", passed=True, seconds=0.5),
    ]  # fmt: skip
    line = make_timeline(run(events, end=24))
    spans = otlp_trace(line, "demo", NOON + 24)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    names = {s["spanId"]: s["name"] for s in spans}
    assert len(names) == len(spans), "no two have the same id"
    below = {(s["name"], names.get(s.get("parentSpanId", ""))) for s in spans}
    assert {
        ("review by eve", "phase review"), ("agent eve", "review by eve"),
        ("review by bob", "phase review"), ("agent bob", "review by bob"),
        ("repair 1 of 3", "phase review"), ("agent claude", "repair 1 of 3"),
        ("agent claude", "attempt 1"), ("check unit", "phase review"),
        ("check xtest", "feature demo"),
    } <= below  # fmt: skip
    trace = chrome_trace(line, "demo", NOON + 24)["traceEvents"]
    threads = {e["args"]["name"] for e in trace if e["name"] == "thread_name"}
    assert threads == {"runs", "a", "a · eve", "a · bob"}
    rows = list(csv.DictReader(io.StringIO(csv_text(line, "demo", NOON + 24))))
    assert {row["kind"] for row in rows} >= {"repair", "review", "check"}
