"""All views say the same of the same cell at the same moment.

The journals of `tests/compat` are cut after every event; a view that decides for itself where a
cell stands, instead of asking `orchestr.state.cell_state`, differs at one of these moments.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestr.plan.dag import make_plan
from orchestr.spec.records import Cell, Feature
from orchestr.state.cell_state import describe_cell, interpret_view
from orchestr.state.events import Event, EventKind
from orchestr.state.journal import Journal
from orchestr.state.replay import CellState, apply_event, replay
from orchestr.state.timeline import Timeline
from orchestr.state.view import FeatureView
from orchestr.views.graph.formats import nodes_of
from orchestr.views.html.model import FeaturePage
from orchestr.views.html.sections import cell_rows, make_picture
from orchestr.views.live.rows import build_table
from orchestr.views.model import FeatureStatus
from orchestr.views.terminal.explain import explain_text
from orchestr.views.terminal.status import status_json, status_text
from orchestr.views.terminal.summary import summary_text

NOW = datetime(2026, 12, 1, tzinfo=UTC)
JOURNALS = sorted((Path(__file__).parent.parent / "compat" / "journals").glob("*.jsonl"))
EXPLAINED = {CellState.MERGE_CONFLICT: "has a merge conflict"}


def feature_of(events: list[Event]) -> Feature:
    """A spec with the cells of a journal, each one on top of the one before it."""
    names = list(dict.fromkeys(e.cell for e in events if e.cell and e.cell.isprintable()))
    cells = [
        Cell(name, "app", f"T-{name}", depends_on=tuple(names[number - 1 : number]))
        for number, name in enumerate(names)
    ]
    return Feature("demo", "T-1", "A journal", tuple(cells))


def moments(events: list[Event]) -> Iterator[FeatureView]:
    view = FeatureView()
    yield view
    for event in events:
        view = apply_event(view, event)
        yield view


def status_at(feature: Feature, view: FeatureView) -> FeatureStatus:
    return FeatureStatus(feature, make_plan(feature), view, live="PID 1, orchestr run")


def check_all_views(status: FeatureStatus, raw: FeatureView) -> None:
    plan = status.plan
    page = FeaturePage(status, Timeline(), NOW.timestamp())
    badges = {row.name: row.state for row in cell_rows(page, (), ())}
    boxes = {box.name: box for box in make_picture(page).boxes}
    nodes = {node.name: node for node in nodes_of(status, NOW)}
    told = {c["name"]: c for c in status_json([status])["features"][0]["cells"]}
    lines = status_text([status], NOW).splitlines()
    ends = summary_text([status], now=NOW).splitlines()
    table = [
        "".join(t for t, _ in line) for line in build_table([plan], {"demo": raw}, 250, 99, NOW)
    ]
    for cell in plan.cells:
        state, view = status.cell_state(cell.name), status.view.cell(cell.name)
        words = describe_cell(state, view)
        mark = f"{words.symbol} {words.label}"
        assert told[cell.name]["state"] == state.value
        assert any(line.split()[0] == cell.name and mark in line for line in lines[1:])
        assert badges[cell.name].word == words.label
        assert boxes[cell.name].title.startswith(f"{cell.name}: {words.label}\n")
        assert nodes[cell.name].note.startswith(words.step)
        assert nodes[cell.name].tip.startswith(f"{cell.name}: {words.label},")
        first = explain_text(status, cell.name, NOW).splitlines()[0]
        assert EXPLAINED.get(state, words.label) in first
        row = next(line for line in table if line[3:].split()[:1] == [cell.name])
        assert row.startswith(f" {words.symbol} {cell.name} ")
        assert row.split(cell.name, 1)[1].lstrip().startswith(words.step)
        if len(ends) > 1:  # else one line: nothing to be done
            done = mark.replace("done", "up to date") if state is CellState.DONE else mark
            mine = next(line for line in ends if line.split()[:1] == [cell.name])
            assert mark in mine or done in mine


@pytest.mark.parametrize("journal", JOURNALS, ids=lambda p: p.stem)
def test_all_views_agree_at_every_moment(journal: Path) -> None:
    events = list(Journal(journal).read())
    feature = feature_of(events)
    for view in moments(events):
        check_all_views(status_at(feature, view), view)


# ---- what used to be said wrongly --------------------------------------------------------------

STACK = Feature(
    "demo",
    "T-1",
    "",
    (Cell("low", "app", "T-low"), Cell("high", "app", "T-high", depends_on=("low",))),
)
STARTED = Event(EventKind.RUN_STARTED, "2026-11-30T12:00:00+00:00", "r1", "demo")


def happened(
    kind: EventKind, cell: str, phase: str = "", attempt: int = 0, **data: object
) -> Event:
    at = "2026-11-30T12:00:01+00:00"
    return Event(kind, at, "r1", "demo", cell, phase, attempt, data)


def built(cell: str) -> list[Event]:
    """Everything but its pull request."""
    return [
        happened(kind, cell, phase)
        for phase in ("worktree", "implement", "check", "review")
        for kind in (EventKind.PHASE_STARTED, EventKind.PHASE_DONE)
    ]


ASKED = [
    happened(EventKind.PHASE_STARTED, "low", "publish"),
    happened(EventKind.APPROVAL_ASKED, "low", "publish", gate="publish", reason="waits for you"),
]
STOPPED = [
    happened(EventKind.PHASE_FAILED, "low", "publish", reason="stopped", aborted=True),
    Event(EventKind.RUN_FINISHED, "2026-11-30T12:00:09+00:00", "r1", "demo", data={"exit": 130}),
]


def states_after(*events: Event) -> dict[str, tuple[CellState, str | None]]:
    view = interpret_view(replay([STARTED, *events]), make_plan(STACK))
    return {name: (view.cell(name).state, view.cell(name).reason) for name in ("low", "high")}


def test_a_queued_cell_is_not_running() -> None:
    opened = happened(EventKind.ATTEMPT_OPENED, "low", "implement", 1)
    begun = [happened(EventKind.PHASE_STARTED, "low", "implement"), opened]
    assert states_after(*begun)["low"] == (CellState.WAITING, "waits for a free agent")
    working = happened(EventKind.ATTEMPT_STARTED, "low", "implement", 1)
    assert states_after(*begun, working)["low"] == (CellState.RUNNING, None)


def test_a_built_cell_behind_a_gate_waits_for_the_approval() -> None:
    found = states_after(*built("low"), *built("high"), *ASKED)
    assert found["low"] == (CellState.APPROVAL, "waits for you")
    assert found["high"] == (CellState.APPROVAL, "waits for the approval of upstream low")


def test_a_built_cell_waits_for_its_upstream_to_be_published() -> None:
    found = states_after(*built("low"), *built("high"), ASKED[0])
    reason = "waits for upstream low to be published"
    assert found == {"low": (CellState.RUNNING, None), "high": (CellState.WAITING, reason)}


def test_what_waits_for_an_approval_still_does_after_the_run_was_stopped() -> None:
    found = states_after(*built("low"), *built("high"), *ASKED, *STOPPED)
    assert [state for state, _ in found.values()] == [CellState.APPROVAL, CellState.APPROVAL]


def test_a_cell_at_work_beside_a_gate_is_running_and_aborted_when_stopped() -> None:
    working = happened(EventKind.PHASE_STARTED, "high", "implement")
    assert states_after(*built("low"), *ASKED, working)["high"][0] is CellState.RUNNING
    stopped = states_after(*built("low"), *ASKED, working, *STOPPED)
    assert stopped["high"][0] is CellState.ABORTED


def test_an_idle_run_keeps_the_time_of_a_cell_behind_a_gate() -> None:
    next_run = Event(EventKind.RUN_STARTED, "2026-11-30T13:00:00+00:00", "r2", "demo")
    behind = Event(
        EventKind.CELL_BLOCKED, "2026-11-30T13:00:01+00:00", "r2", "demo", "high",
        data={"upstream": "low", "state": "approval", "reason": "waits for low"},
    )  # fmt: skip
    earlier = [STARTED, *built("low"), *built("high"), *ASKED, *STOPPED]
    view = replay([*earlier, next_run, behind])
    assert view.cell("high").started_at == "2026-11-30T12:00:01+00:00"
    assert view.cell("high").finished_at == "2026-11-30T12:00:09+00:00"


def test_to_interpret_twice_changes_nothing() -> None:
    plan = make_plan(STACK)
    for events in (built("low"), [*built("low"), *built("high"), *ASKED], ASKED, STOPPED):
        once = interpret_view(replay([STARTED, *events]), plan)
        assert interpret_view(once, plan) == once
