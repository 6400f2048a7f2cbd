"""The life of a cell, read from the journal: events in, views out.

Pure: no clock, no disk, no process table. `replay` is a fold of `apply_event`, so a view can be
carried on event by event (the live table) or made again from the whole journal (``status``), with
the same
result. A journal is never refused: a kill can cut it anywhere, and later versions add data. What
does not fit the table of states is kept in ``FeatureView.surprises``.

A run that died leaves its cells running, because the journal cannot know; `reset_interrupted` turns
them into pending once the caller has seen that nobody holds the lease.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from statistics import median

from orchestr.spec.phases import Phase
from orchestr.state.event_details import AttemptExited, RunFinished, RunStarted
from orchestr.state.events import Event, EventKind
from orchestr.state.forge_details import ForgeUnreachable
from orchestr.state.phase_marks import merge_marks, running_phases
from orchestr.state.states import CellState, FeatureState, may_follow, summarize_states
from orchestr.state.transitions import (
    _apply_to_cell,
    _end_unfinished_cell,
)
from orchestr.state.view import NONE, CellView, FeatureView

__all__ = [
    "CellState",
    "CellView",
    "FeatureState",
    "FeatureView",
    "apply_event",
    "median_durations",
    "replay",
    "reset_interrupted",
    "summarize_states",
]

_SURPRISES_KEPT = 50
_INTERRUPTED = 130


def apply_event(view: FeatureView, event: Event) -> FeatureView:
    """The view after one more event. Never raises, whatever the event's data holds."""
    cells = dict(view.cells)
    return _apply_to_view(replace(view, cells=cells), cells, event)


def replay(events: Iterable[Event], start: FeatureView | None = None) -> FeatureView:
    """The view after all events: the same as folding `apply_event`, without a copy for each."""
    view = start or FeatureView()
    cells = dict(view.cells)
    view = replace(view, cells=cells)
    for event in events:
        view = _apply_to_view(view, cells, event)
    return view


def reset_interrupted(view: FeatureView, live: bool) -> FeatureView:
    """Turn what only a living run can be doing into pending where no such run exists.

    ``live``: a process holds the feature's lease now. Even then, cells that the living run has not
    reached yet were interrupted in an earlier one.
    """
    cells = dict(view.cells)
    for name, cell in view.cells.items():
        if cell.state.is_moving and not (live and cell.run == view.run):
            cells[name] = replace(
                cell,
                state=CellState.PENDING,
                phases=merge_marks(
                    cell.phases, dict.fromkeys(running_phases(cell.phases), "pending")
                ),
                reason="interrupted, goes on with the next run",
                hint=None,
                waiting_until=None,
                slot="",
            )
    return replace(view, cells=cells)


def median_durations(events: Iterable[Event]) -> dict[str, float]:
    """Median seconds per cell of the attempts that ended well: the plan's weights."""
    found: dict[str, list[float]] = {}
    for event in events:
        if event.kind is not EventKind.ATTEMPT_EXITED or event.phase not in ("", Phase.IMPLEMENT):
            continue
        match event.details:
            case AttemptExited(code=0, reason="exited", seconds=float() | int() as seconds):
                found.setdefault(event.cell, []).append(seconds)
            case _:
                pass
    return {cell: median(times) for cell, times in found.items()}


def _apply_to_view(view: FeatureView, cells: dict[str, CellView], event: Event) -> FeatureView:
    """One event on a view whose ``cells`` is the given, private dict."""
    if event.kind is EventKind.RESULT_WRITTEN:  # every fifth event; it changes no state
        return view
    if event.feature and not view.feature:
        view = replace(view, feature=event.feature)
    details = event.details
    match details:
        case RunStarted():
            view = replace(
                view,
                run=event.run,
                run_started_at=event.ts,
                run_finished_at=None,
                exit=None,
                forge_away=NONE,
            )
        case RunFinished():
            code = details.exit
            for name, cell in cells.items():
                if cell.state.is_moving and cell.run == event.run:
                    cells[name] = _end_unfinished_cell(cell, event.ts, stopped=code == _INTERRUPTED)
            view = replace(view, run_finished_at=event.ts, exit=None if code is None else int(code))
        case ForgeUnreachable():
            repo = details.repo or ""
            reason = details.reason or "no answer"
            view = replace(view, forge_away={**view.forge_away, repo: reason})
        case _:
            pass
    if not event.cell:
        return view
    old = cells.get(event.cell) or CellView(event.cell)
    new = _apply_to_cell(old, event)
    if new.state is not CellState.RUNNING and new.slot:
        new = replace(new, slot="")
    if not new.state.is_moving and (new.doing or new.reviewers):
        new = replace(new, doing="", reviewers=NONE)
    if new is not old and event.kind is not EventKind.PR_SEEN:
        new = replace(new, run=event.run or view.run)
    cells[event.cell] = new
    if not may_follow(old.state, new.state) and len(view.surprises) < _SURPRISES_KEPT:
        told = f"{event.ts} {event.cell}: {event.kind} turns {old.state} into {new.state}"
        view = replace(view, surprises=(*view.surprises, told))
    return view
