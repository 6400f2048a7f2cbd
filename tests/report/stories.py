"""Journals for the tests of the timeline: short to write, seconds after noon."""

from __future__ import annotations

from typing import Any

from orchestr.state.events import Event, EventKind

NOON = 1779105600.0  # 2026-05-18T12:00:00Z


def at(second: float, kind: EventKind, cell: str = "", phase: str = "", attempt: int = 0,
       run: str = "r1", **data: Any) -> Event:  # fmt: skip
    minutes, rest = divmod(second, 60)
    ts = f"2026-05-18T12:{int(minutes):02d}:{rest:06.3f}+00:00"
    return Event(kind, ts, run, "demo", cell, phase, attempt, data)


def built(cell: str, begin: float, seconds: float, attempt: int = 1, run: str = "r1",
          cost: float | None = 0.5) -> list[Event]:  # fmt: skip
    """A cell from its worktree to its pull request; the agent works all but two seconds."""
    end = begin + seconds
    return [
        at(begin, EventKind.PHASE_STARTED, cell, "worktree", run=run, why="no marker"),
        at(begin + 0.5, EventKind.PHASE_DONE, cell, "worktree", run=run, seconds=0.5),
        at(begin + 0.5, EventKind.PHASE_STARTED, cell, "implement", run=run, why="not done yet"),
        at(begin + 0.5, EventKind.ATTEMPT_OPENED, cell, "implement", attempt, run, agent="claude",
           model="opus"),
        at(begin + 1, EventKind.ATTEMPT_STARTED, cell, "implement", attempt, run, agent="claude"),
        at(end - 1, EventKind.ATTEMPT_EXITED, cell, "implement", attempt, run, code=0,
           reason="exited", seconds=seconds - 2, cost_usd=cost, cost_known_usd=cost or 0.1,
           tokens=[100, 40, 20]),
        at(end - 1, EventKind.ATTEMPT_CLOSED, cell, "implement", attempt, run, outcome="done"),
        at(end - 1, EventKind.PHASE_DONE, cell, "implement", attempt, run, seconds=seconds - 1.5),
        at(end - 1, EventKind.PHASE_STARTED, cell, "review", run=run, why="not reviewed"),
        at(end - 0.5, EventKind.PHASE_DONE, cell, "review", run=run),
        at(end - 0.5, EventKind.PHASE_STARTED, cell, "publish", run=run, why="not published"),
        at(end, EventKind.PHASE_DONE, cell, "publish", run=run),
    ]  # fmt: skip


def run(events: list[Event], begin: float = 0, end: float | None = None, name: str = "r1",
        code: int = 0) -> list[Event]:  # fmt: skip
    """The events inside one run; without ``end`` it was killed or goes on."""
    last = [] if end is None else [at(end, EventKind.RUN_FINISHED, run=name, exit=code)]
    return [at(begin, EventKind.RUN_STARTED, run=name, goals=["demo"]), *events, *last]
