"""What happened to a cell's work after it was made: rounds, gates, cross checks, landing.

Pure. Times and costs come from the timeline; what a verdict says in full stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from orchestr.registry import substitute_program_name
from orchestr.spec.phases import Delivery
from orchestr.state.states import CellState
from orchestr.state.timeline import Span, SpanKind
from orchestr.views.html import escape
from orchestr.views.html.model import FeaturePage
from orchestr.views.html.section_records import StateBadge
from orchestr.views.html.sections import state_badge
from orchestr.views.terminal.conflicts import shown_name
from orchestr.views.terminal.text import format_clock, format_dollars, format_duration, headline

KINDS = (SpanKind.CHECK, SpanKind.REPAIR, SpanKind.REVIEW, SpanKind.APPROVAL)
MOST = 60  # rounds of one cell that are shown, the newest


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A check, a repair, a review or a wait for a person, as a line of a table."""

    at: str
    what: str
    came: str
    time: str
    cost: str
    state: str


@dataclass(frozen=True, slots=True)
class CrossCheckEntry:
    """The cross checks of a repository."""

    repo: str
    commit: str
    verdicts: tuple[escape.PageVerdict, ...]
    words: str
    bad: bool


@dataclass(frozen=True, slots=True)
class LandingEntry:
    """Where a cell is on its way into its target."""

    cell: str
    state: StateBadge
    target: str
    commit: str
    at: float | None
    why: str


@dataclass(frozen=True, slots=True)
class ConflictEntry:
    """Two heads that will conflict: the later one, what it meets, in which files."""

    name: str
    other: str
    paths: tuple[str, ...]
    outcome: str
    hint: str
    bad: bool


def history_entries(page: FeaturePage, cell: str) -> list[HistoryEntry]:
    """In order; nothing where a cell was only checked and all of it was green."""
    spans = page.timeline.select_spans(*KINDS, cell=cell)
    if all(s.kind is SpanKind.CHECK and s.state == "done" for s in spans):
        return []
    return [_make_entry(span, page.now) for span in spans[-MOST:]]


def _make_entry(span: Span, now: float) -> HistoryEntry:
    what = {
        SpanKind.CHECK: f"check {span.name}",
        SpanKind.REVIEW: f"review by {span.name}",
    }.get(span.kind, span.name)
    came = span.note
    if span.kind is SpanKind.CHECK:
        came = ("passed: " if span.state == "done" else "RED: ") + span.note
        came = span.note if span.note.startswith("not evaluated: ") else came
    elif span.kind is SpanKind.REPAIR:
        word = {"done": "changed something", "running": "at work"}.get(span.state, span.state)
        came = f"{word}, for {span.note}"
    elif span.end is None:
        came = "waits" if span.kind is SpanKind.APPROVAL else "reads"
    cost = span.data.get("cost_usd")
    told = isinstance(cost, int | float)
    time = (
        format_duration(span.seconds(now))
        if span.end is not None or span.state == "running"
        else "-"
    )
    return HistoryEntry(
        format_clock(datetime.fromtimestamp(span.start).astimezone().isoformat()),
        escape.make_visible(what),
        escape.make_visible(headline(came)),
        time,
        format_dollars(float(cost), complete=True) if told and cost is not None else "-",
        span.state,
    )


def gate_words(gate: Mapping[str, str | None]) -> str:
    """`publish: approved by Ada <ada@x> at 2026-05-18T12:00:00+00:00`."""
    who = gate.get("name") or gate.get("user") or ""
    mail = f" <{gate['email']}>" if gate.get("email") else ""
    by = f" by {who}{mail}" if who else ""
    at = f" at {gate['at']}" if gate.get("at") else ""
    why = f": {gate['reason']}" if gate.get("reason") else ""
    return escape.make_visible(f"{gate.get('gate')}: {gate.get('state')}{by}{at}{why}")


def cross_check_entries(page: FeaturePage) -> list[CrossCheckEntry]:
    """Every repository with cross checks."""
    found = []
    spans = page.timeline.select_spans(SpanKind.CHECK, cell="")
    for one in page.status.cross:
        seconds = {s.name: s.seconds(page.now) for s in spans if s.data.get("repo") == one.repo}
        made = [escape.parse_verdict(row) for row in one.rows]
        verdicts = tuple(replace(v, seconds=seconds.get(v.name, v.seconds)) for v in made)
        words = ""
        if one.passed is None:
            words = "Not made yet for the heads as they are now."
        elif not one.passed:
            words = escape.make_visible(one.told) + (f"; output in {one.logs}" if one.logs else "")
        found.append(CrossCheckEntry(one.repo, one.commit, verdicts, words, one.passed is False))
    return found


def conflict_entries(page: FeaturePage) -> list[ConflictEntry]:
    """What a landing is expected to meet, what needs an agent or a person first."""
    name = page.status.feature.name
    forecast = page.status.forecast
    found = sorted(forecast.conflicts if forecast else (), key=lambda one: not one.left)
    return [
        ConflictEntry(
            shown_name(one.pair.second, name),
            shown_name(one.pair.first, name),
            one.paths,
            one.outcome,
            substitute_program_name(one.hint),
            bool(one.left),
        )
        for one in found
    ]


def landing_entries(page: FeaturePage) -> list[LandingEntry]:
    """Every cell once one was landed or parked, or where the feature is to be merged."""
    status = page.status
    spans = page.timeline.select_spans(SpanKind.LAND)
    if not spans and status.feature.delivery is not Delivery.MERGE:
        return []
    newest = {s.cell: s for s in spans}
    found = []
    for plan in status.plan.cells:
        state, seen = status.cell_state(plan.name), newest.get(plan.name)
        shown = state if state in _LANDING else CellState.PENDING
        why = "" if state in _LANDING else f"its cell is {state.label}: orchestr land comes after"
        if state is CellState.DONE:
            red = status.red_cross_checks
            why = f"cross checks in {red[0].repo} are red" if red else "ready: orchestr land"
            if not red and status.is_red_together:
                why = "the audit is red"
        elif state is CellState.ROLLED_BACK:
            why = f"rolled back; to land it again: orchestr land {status.feature.name} --again"
        elif state in _STUCK:
            why = headline(status.view.cell(plan.name).reason)
        landed = seen is not None and state in _LANDING
        told = seen.data if seen is not None and landed else {}
        at = seen.start if seen is not None and landed else None
        target, commit = str(told.get("target") or ""), str(told.get("commit") or "")
        found.append(
            LandingEntry(
                plan.name, state_badge(shown), target, commit, at, escape.make_visible(why)
            )
        )
    return found


_STUCK = (CellState.MERGE_CONFLICT, CellState.NEEDS_PERSON)
_LANDING = (CellState.LANDED, CellState.ROLLED_BACK, *_STUCK)
