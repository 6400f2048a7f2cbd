"""The lines of the live table, as pure data: (text, style) pieces for a width and a height.

Owns what stands where, so that it can be tested without a terminal; `live` draws it. Column widths
come from the plan and the terminal only, never from the contents, so nothing jumps while it runs.
When there are more cells than lines, finished cells are folded first, then pending and queued
ones; what runs or failed stays in sight.

Where earlier attempts told how long a cell takes (`Plan` weights), the time is shown beside what is
usual, and the footer says what is left by `eta.time_left`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestr.plan.dag import FeaturePlan
from orchestr.spec.phases import Action, Phase
from orchestr.state.cell_state import (
    QUEUED_SYMBOL,
    asks_for_approval,
    describe_cell,
    interpret_view,
    is_queued,
)
from orchestr.state.replay import CellState, CellView, FeatureView
from orchestr.views.live.eta import time_left, weights_are_seconds
from orchestr.views.live.progress import CellLabels, CellText
from orchestr.views.model import describe_activity
from orchestr.views.terminal.text import (
    clean_line,
    clip,
    display_width,
    format_clock,
    format_stopwatch,
    format_tries,
    headline,
    pad,
    seconds_between,
)

Piece = tuple[str, str]
Line = list[Piece]

_STATE = len("merge conflict")
_STATE_NARROW = len("implement") + 1
_BRIEF = {  # where the whole words have no room
    CellState.APPROVAL: "approval",
    CellState.MERGE_CONFLICT: "conflict",
    CellState.NEEDS_PERSON: "person",
}
_NARROW = 100
_TRY = 3
_TIME = 7
_USUAL = 6
_COST = 8
_NEWS = 2  # failures that are folded last of all
_BAR = 20
_BAR_NARROW = 8


@dataclass(frozen=True, slots=True)
class LiveRow:
    """One cell as it stands now."""

    feature: str
    view: CellView
    label: str
    usual: float | None = None
    waits_for: tuple[str, ...] = ()


def build_table(
    plans: Sequence[FeaturePlan],
    views: Mapping[str, FeatureView],
    columns: int,
    lines: int,
    now: datetime,
    *,
    slots: int = 0,
    tail: CellText | None = None,
) -> list[Line]:
    """At most ``lines - 1`` lines, each narrower than ``columns`` (a full line would wrap)."""
    columns = max(columns - 1, 20)
    labels = CellLabels(plans)
    left = time_left(plans, views, now, slots)
    views = {p.feature: interpret_view(views.get(p.feature, FeatureView()), p) for p in plans}
    rows = [row for p in plans for row in _live_rows(p, views[p.feature], labels)]
    room = max(lines - 3, 1)
    shown, folded = fold_rows(rows, room)
    name = min(max(labels.width, 4), max(columns // 3, 8))
    state = _STATE if columns >= _NARROW else _STATE_NARROW
    usual = _USUAL if any(r.usual is not None for r in rows) else 0
    cost = _COST if columns >= _NARROW else 0
    sizes = (name, state, usual, cost)
    rest = columns - (3 + name + 2 + state + 1 + _TRY + 1 + _TIME + usual + cost + 2)
    head = f"   {pad('CELL', name)}  {pad('STATE', state)} {'TRY':>{_TRY}} {'TIME':>{_TIME}}"
    head += pad(" USUAL", usual) if usual else ""
    head += f"{'COST':>{cost}}" if cost else ""
    found: list[Line] = [[(clip(head + ("  NOW" if rest >= 4 else ""), columns), "bold")]]
    for row in shown:
        found.append(_row_line(row, sizes, rest, columns, now, tail))
    if folded:
        found.append(_fit_line(folded, columns))
    last = _footer_line(rows, views.values(), columns, now, slots, left)
    # A window of a few lines keeps the counts.
    return [*found[: max(lines - 2, 0)], last]


def _live_rows(plan: FeaturePlan, view: FeatureView, labels: CellLabels) -> list[LiveRow]:
    known = weights_are_seconds(plan)
    found = []
    for cell in plan.cells:
        its = view.cell(cell.name)
        waits = tuple(u for u in cell.upstreams if not view.cell(u).state.is_good)
        usual = cell.weight if known and cell.action is Action.AGENT else None
        found.append(LiveRow(plan.feature, its, labels(plan.feature, cell.name), usual, waits))
    return found


def fold_rows(rows: Sequence[LiveRow], room: int) -> tuple[list[LiveRow], list[Piece]]:
    """The rows that fit into ``room`` lines, and the counts of those that do not, as one line."""
    if len(rows) <= room:
        return list(rows), []
    # The finished go in the order in which they ended, the rest from the bottom up.
    leaving = sorted((r for r in rows if r.view.state.is_good), key=lambda r: _end_time(r.view))
    for chosen in (CellState.PENDING, CellState.BLOCKED):
        leaving += [r for r in reversed(rows) if r.view.state is chosen]
    leaving += [r for r in reversed(rows) if is_queued(r.view)]
    limited = [r for r in rows if r.view.state is CellState.WAITING and not is_queued(r.view)]
    leaving += limited[:0:-1]  # one tells for all
    bad = sorted((r for r in rows if r.view.state.is_bad), key=lambda r: _end_time(r.view))
    bad = [r for r in bad if r.view.state is not CellState.BLOCKED]
    leaving += bad[:-_NEWS]
    # Where an agent works there is more to see than where a worktree or a check is made.
    leaving += [r for r in reversed(rows) if _is_busy(r.view) and not r.view.agents_at_work]
    gone = {id(r) for r in (*leaving, *bad)}
    leaving += [r for r in reversed(rows) if id(r) not in gone]
    leaving += bad[-_NEWS:]
    hidden = leaving[: len(rows) - max(room - 1, 0)]
    gone = {id(r) for r in hidden}
    pieces: list[Piece] = []
    for state in CellState:
        number = sum(r.view.state is state for r in hidden)
        queued = sum(r.view.state is state and is_queued(r.view) for r in hidden)
        if number - queued:
            pieces.append((f" {state.symbol} {number - queued} {state.label} ", state.style))
        if queued:
            pieces.append((f" {QUEUED_SYMBOL} {queued} queued ", "dim"))
    return [r for r in rows if id(r) not in gone], pieces


def _is_busy(view: CellView) -> bool:
    return view.state is CellState.RUNNING


def _end_time(view: CellView) -> str:
    return view.finished_at or ""


def _row_line(
    row: LiveRow,
    sizes: tuple[int, int, int, int],
    rest: int,
    columns: int,
    now: datetime,
    tail: CellText | None,
) -> Line:
    name, states, usual, cost = sizes
    view = row.view
    state, words_for = view.state, describe_cell(view.state, view)
    elapsed = seconds_between(
        view.started_at, view.finished_at or (now if state.is_moving else None)
    )
    if state is CellState.PENDING:
        elapsed = None  # the time is an earlier run's
    running = state is CellState.RUNNING
    late = running and row.usual is not None and (elapsed or 0) > 2 * row.usual + 60
    line: Line = [
        (f" {words_for.symbol} ", words_for.style),
        (pad(row.label, name) + "  ", "bold" if running else ""),
        (
            pad(_state_words(view, states), states) + " ",
            words_for.style,
        ),
        (f"{format_tries(view.attempt, view.repairs) if view.attempt else '':>{_TRY}} ", ""),
        (
            f"{format_stopwatch(elapsed) if elapsed is not None else '':>{_TIME}}",
            "yellow" if late else "",
        ),
    ]
    if usual:
        expected = f"~{format_stopwatch(row.usual)}" if row.usual and not state.is_good else ""
        line.append((f"{clip(expected, usual):>{usual}}", "dim"))
    if cost:
        line.append((f"{_cost_words(view):>{cost}}", "dim"))
    if rest < 4:
        return _fit_line(line, columns)
    words = _now_words(row, tail)
    link = view.pr_url if view.pr_url and view.pr_url != "none" else ""
    if link and display_width(words) + display_width(link) + 2 <= rest:
        words = f"{link}  {words}" if words else link
    elif link and not words:
        # The number at the end of the address is what tells pull requests apart.
        words = link if display_width(link) <= rest else "…" + link[-(rest - 1) :]
    line.append(
        (
            "  " + clip(words, rest),
            "red" if state.is_bad else "dim" if running or is_queued(view) else "",
        )
    )
    return _fit_line(line, columns)


def _cost_words(view: CellView) -> str:
    """What is known; `?` for a cost that is not."""
    if not view.costs:
        return ""
    known = f"${view.cost_known_usd:.2f}" if view.cost_known_usd else ""
    return known if view.cost_usd is not None else f"{known}?"


def _state_words(view: CellView, room: int) -> str:
    words = describe_cell(view.state, view).step
    return _BRIEF.get(view.state, words) if display_width(words) > room else words


def _now_words(row: LiveRow, tail: CellText | None) -> str:
    view = row.view
    if row.waits_for and view.state is CellState.PENDING:
        return f"waits for {', '.join(row.waits_for)}"
    if view.state is CellState.RUNNING:
        return _doing_words(row, tail)
    if view.state is CellState.WAITING:
        until = f" until {format_clock(view.waiting_until)}" if view.waiting_until else ""
        return (headline(view.reason) or "usage limit") + until
    if view.state.is_bad or view.state is CellState.APPROVAL:
        return headline(view.reason)
    return view.outcome.replace("_", " ") if view.outcome == "no_change_needed" else ""


def _doing_words(row: LiveRow, tail: CellText | None) -> str:
    """The round, who works at it, and the last words of that agent."""
    view = row.view
    words = describe_activity(view)
    # What the agent said last is over when a check or a push goes on.
    speaks = view.agents_at_work or view.phase in (Phase.PLAN, Phase.IMPLEMENT, "")
    said = clean_line((tail(row.feature, view.name) if tail and speaks else None) or "")
    return f"{words} · {said}" if words and said else words or said


def _footer_line(
    rows: Sequence[LiveRow],
    views: Iterable[FeatureView],
    columns: int,
    now: datetime,
    slots: int,
    left: float | None,
) -> Line:
    views = list(views)
    states = [r.view.state for r in rows]
    good = sum(s.counts_as_done for s in states)
    bar_columns = _BAR if columns >= _NARROW else _BAR_NARROW
    filled = bar_columns * good // len(states) if states else 0
    parts = [f"{good} of {len(states)} done"]
    busy = sum(_is_busy(r.view) for r in rows)
    parts += [f"{busy} running"] if busy else []
    waiting = sum(s is CellState.WAITING for s in states) - sum(is_queued(r.view) for r in rows)
    parts += [f"{waiting} waiting"] if waiting else []
    asked = sum(asks_for_approval(r.view) for r in rows if r.view.state is CellState.APPROVAL)
    parts += [f"{asked} to approve"] if asked else []
    bad = sum(s.is_bad and s is not CellState.BLOCKED for s in states)
    parts += [f"{bad} failed"] if bad else []
    blocked = states.count(CellState.BLOCKED)
    parts += [f"{blocked} blocked"] if blocked else []
    if slots:
        # A slot is taken while an agent works; checks and pushes take none.
        parts.append(f"agents {sum(r.view.agents_at_work for r in rows)}/{slots}")
        queued = sum(is_queued(r.view) for r in rows)
        parts += [f"{queued} queued"] if queued else []
    known = sum(r.view.cost_known_usd for r in rows)
    parts += [f"${known:.2f}"] if known else []
    times = [t for v in views if (t := seconds_between(v.run_started_at, v.run_finished_at or now))]
    parts += [format_stopwatch(max(times))] if times else []
    parts += [f"~{format_stopwatch(left)} left"] if left else []
    away = sorted({repo for v in views for repo in v.forge_away})
    parts += [f"forge away: {', '.join(away)}"] if away else []
    # What is left out first where there is no room; the agents say how many run.
    for spare in (" running" if slots else "", " blocked", " queued", " waiting"):
        if spare and display_width(", ".join(parts)) + 2 > columns:
            parts = [part for part in parts if not part.endswith(spare)]
    bar: Line = []
    if columns >= 60 and display_width(", ".join(parts)) + bar_columns + 3 <= columns:
        bar = [(" " + "━" * filled, "green"), ("━" * (bar_columns - filled), "dim")]
    return _fit_line([*bar, (" " + clean_line(", ".join(parts)), "bold")], columns)


def _fit_line(line: Line, columns: int) -> Line:
    fitted: Line = []
    for text, style in line:
        text = clip(text, columns) if display_width(text) > columns else text
        columns -= display_width(text)
        if text:
            fitted.append((text, style))
    return fitted
