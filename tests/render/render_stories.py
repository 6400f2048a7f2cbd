"""A small feature in the middle of its life, shared by the rendering tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from orchestr.plan.dag import make_plan
from orchestr.spec.records import Cell, Feature
from orchestr.state.events import Event, EventKind
from orchestr.state.replay import FeatureView, replay
from orchestr.views.model import CellFacts, FeatureStatus

NOW = datetime(2026, 5, 18, 12, 5, 0, tzinfo=UTC)
FEATURE = Feature(
    "mlkem",
    "DSPX-2399",
    "Pure ML-KEM-768",
    (
        Cell("platform-proto", "platform", "DSPX-2399-platform-proto"),
        Cell(
            "platform-service",
            "platform",
            "DSPX-2399-platform-service",
            depends_on=("platform-proto",),
        ),
        Cell("java-sdk", "java-sdk", "DSPX-2399-java-sdk", depends_on=("platform-proto",)),
        Cell("xtest", "tests", "DSPX-2399-xtest", depends_on=("java-sdk",)),
    ),
)
PLAN = make_plan(FEATURE)
URL = "https://github.com/opentdf/platform/pull/101"


def event(kind: EventKind, cell: str = "", phase: str = "", attempt: int = 0, **data: Any) -> Event:
    at = data.pop("at", "12:00:00")
    return Event(kind, f"2026-05-18T{at}+00:00", "r1", "mlkem", cell, phase, attempt, data)


def whole(cell: str) -> list[Event]:
    """A cell from its worktree to its pull request in one minute."""
    return [
        event(EventKind.PHASE_STARTED, cell, "worktree", why="no result yet"),
        event(EventKind.PHASE_DONE, cell, "worktree", seconds=0.2),
        event(EventKind.PHASE_STARTED, cell, "implement", why="no result yet"),
        event(EventKind.ATTEMPT_OPENED, cell, "implement", 1, agent="scripted"),
        event(EventKind.ATTEMPT_STARTED, cell, "implement", 1, agent="scripted"),
        event(
            EventKind.ATTEMPT_EXITED, cell, "implement", 1, code=0, reason="exited", cost_usd=0.25
        ),
        event(EventKind.PHASE_DONE, cell, "implement", 1, seconds=42.0, at="12:00:42"),
        event(EventKind.PHASE_DONE, cell, "check", seconds=3.0),
        event(EventKind.PHASE_DONE, cell, "review", seconds=0.1),
        event(EventKind.PR_OPENED, cell, "publish", url=URL, draft=True),
        event(EventKind.PHASE_DONE, cell, "publish", seconds=1.0, at="12:01:00"),
    ]


STARTED = event(EventKind.RUN_STARTED, goals=["feature:mlkem"], pid=7)
FAILING = [
    event(EventKind.PHASE_STARTED, "java-sdk", "implement", at="12:01:00"),
    event(EventKind.ATTEMPT_STARTED, "java-sdk", "implement", 2, agent="codex"),
    event(
        EventKind.ATTEMPT_EXITED, "java-sdk", "implement", 2, code=2, reason="exited", seconds=9.0
    ),
    event(
        EventKind.PHASE_FAILED,
        "java-sdk",
        "implement",
        2,
        reason="exit code 2\n\x1b[31mmvn: not found\x1b[0m",
        hint="orchestr logs mlkem:java-sdk",
        seconds=9.0,
        at="12:01:09",
    ),
    event(EventKind.CELL_BLOCKED, "xtest", upstream="java-sdk"),
]
WORKING = [
    event(EventKind.PHASE_STARTED, "platform-service", "implement", at="12:01:00"),
    event(EventKind.ATTEMPT_STARTED, "platform-service", "implement", 1, agent="scripted"),
]
MIDDLE = [STARTED, *whole("platform-proto"), *FAILING, *WORKING]
ALL_DONE = [STARTED, *(e for c in PLAN.cells for e in whole(c.name))]
FINISHED = event(EventKind.RUN_FINISHED, exit=0)


def status(*events: Event, facts: dict[str, CellFacts] | None = None) -> FeatureStatus:
    """The feature after these events."""
    return FeatureStatus(FEATURE, PLAN, replay(events), facts or {})


def view(*events: Event) -> FeatureView:
    return replay(events)
