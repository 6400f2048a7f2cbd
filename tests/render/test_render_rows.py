"""What the live table shows, for a width and a height; as plain text, without a terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from render_stories import (
    ALL_DONE,
    FEATURE,
    MIDDLE,
    NOW,
    PLAN,
    STARTED,
    WORKING,
    event,
    view,
    whole,
)

from orchestr.plan.dag import make_plan
from orchestr.spec.records import Cell, Feature
from orchestr.state.events import Event, EventKind
from orchestr.state.replay import replay
from orchestr.views.live.eta import time_left
from orchestr.views.live.rows import Line, build_table
from orchestr.views.terminal.text import display_width


def words(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in line).rstrip() for line in lines]


def draw(columns: int, lines: int, *events: Event, slots: int = 3) -> list[str]:
    views = {"mlkem": view(*events)}
    said = "Editing lib/ocrypto/mlkem.go\x1b[0m and its test"
    return words(
        build_table([PLAN], views, columns, lines, NOW, slots=slots, tail=lambda f, c: said)
    )


def test_at_80_columns() -> None:
    assert draw(80, 24, *MIDDLE) == [
        "   CELL              STATE      TRY    TIME  NOW",
        " ✓ platform-proto    done         1    1:00  …hub.com/opentdf/platform/pull/101",
        " ▶ platform-service  implement    1    4:00  Editing lib/ocrypto/mlkem.go and…",
        " ✗ java-sdk          failed       2    0:09  exit code 2",
        " ⊘ xtest             blocked                 upstream java-sdk failed",
        " ━━━━━━━━ 1 of 4 done, 1 running, 1 failed, 1 blocked, agents 1/3, $0.25, 5:00",
    ]


@pytest.mark.parametrize("columns", [120, 200])
def test_wide_terminals_show_whole_addresses(columns: int) -> None:
    lines = draw(columns, 50, *MIDDLE)
    assert lines[1].endswith("1:00   $0.25  https://github.com/opentdf/platform/pull/101")
    assert lines[2].endswith("Editing lib/ocrypto/mlkem.go and its test")


def test_a_phase_of_ones_own_is_named_while_it_works() -> None:
    works = [
        event(EventKind.PHASE_STARTED, "java-sdk", "generate"),
        event(EventKind.ATTEMPT_OPENED, "java-sdk", "generate", 2, agent="phase:generate"),
        event(EventKind.ATTEMPT_STARTED, "java-sdk", "generate", 2, pid=1),
    ]
    assert draw(80, 24, *works)[3].startswith(" ▶ java-sdk          generate ")


def test_a_cell_that_waits_for_a_slot_is_queued() -> None:
    queued = [
        event(EventKind.PHASE_STARTED, "java-sdk", "implement"),
        event(EventKind.ATTEMPT_OPENED, "java-sdk", "implement", 1, agent="scripted"),
    ]
    lines = draw(80, 24, *queued)
    assert lines[3] == " ∙ java-sdk          queued       1    5:00  waits for a free agent"
    assert "agents 0/3, 1 queued" in lines[-1]


def test_a_usage_limit_tells_when_it_ends() -> None:
    limited = event(
        EventKind.ATTEMPT_LIMITED, "java-sdk", "implement", 1, agent="claude", until=0.0
    )
    assert "usage limit of claude until 00:00:00" in draw(120, 24, *MIDDLE, limited)[3]


def test_before_the_first_event_all_cells_are_pending() -> None:
    assert draw(80, 24)[1:] == [
        " · platform-proto    pending",
        " · platform-service  pending                 waits for platform-proto",
        " · java-sdk          pending                 waits for platform-proto",
        " · xtest             pending                 waits for java-sdk",
        " ━━━━━━━━ 0 of 4 done, agents 0/3",
    ]


def test_finished_cells_are_folded_first_and_what_runs_or_failed_stays() -> None:
    assert [line[:20].rstrip() for line in draw(80, 6, *MIDDLE)] == [
        "   CELL",
        " ▶ platform-service",
        " ✗ java-sdk",
        " ⊘ 1 blocked  ✓ 1 do",
        " ━━━━━━━━ 1 of 4 don",
    ]


MANY = make_plan(Feature("many", "m", "", tuple(Cell(f"c{i:02}", "r", f"b{i}") for i in range(60))))


def many(done: int, running: int) -> list[str]:
    events: list[Event] = []
    for index in range(done):
        events += whole(f"c{index:02}")
    for index in range(done, done + running):
        events.append(event(EventKind.PHASE_STARTED, f"c{index:02}", "check"))
    return words(build_table([MANY], {"many": replay(events)}, 80, 12, NOW))


def test_sixty_cells_fit_into_twelve_lines() -> None:
    lines = many(done=30, running=3)
    assert len(lines) == 11
    assert [line.split()[1] for line in lines if "▶" in line] == ["c30", "c31", "c32"]
    assert lines[-2] == " · 22 pending  ✓ 30 done"


def test_too_many_running_cells_are_counted() -> None:
    lines = many(done=0, running=60)
    assert lines[-2] == " ▶ 52 running"


@given(
    st.integers(1, 210),
    st.integers(1, 60),
    st.integers(0, 30),
    st.integers(0, 30),
    st.integers(0, len(MIDDLE)),
)
def test_the_table_always_fits(
    columns: int, lines: int, done: int, running: int, prefix: int
) -> None:
    drawn = build_table([PLAN], {"mlkem": view(*MIDDLE[:prefix])}, columns, lines, NOW)
    assert all(display_width("".join(t for t, _ in line)) < max(columns, 21) for line in drawn)
    assert len(drawn) <= max(lines - 1, 1)


def test_the_table_is_steady_while_it_runs() -> None:
    starts = set()
    for end in range(len(ALL_DONE)):
        head, *_ = draw(80, 24, *ALL_DONE[:end])
        starts.add(head)
    assert len(starts) == 1


def test_elapsed_grows_while_a_cell_runs() -> None:
    views = {"mlkem": view(*MIDDLE)}
    later = datetime(2026, 5, 18, 12, 5, 0, tzinfo=UTC) + timedelta(hours=2)
    assert "2:04:00" in words(build_table([PLAN], views, 80, 24, later))[2]


TIMED = make_plan(FEATURE, {"platform-proto": 60.0, "platform-service": 300.0, "java-sdk": 100.0})


def timed(*events: Event, slots: int = 3) -> list[str]:
    return words(build_table([TIMED], {"mlkem": view(*events)}, 80, 24, NOW, slots=slots))


def test_what_is_usual_and_what_is_left() -> None:
    lines = timed(STARTED, *whole("platform-proto"), *WORKING)
    assert lines[0] == "   CELL              STATE      TRY    TIME USUAL  NOW"
    assert lines[2] == " ▶ platform-service  implement    1    4:00 ~5:00"
    assert lines[3] == " · java-sdk          pending                ~1:40"
    # java-sdk in 1:40, then xtest, of which nobody knows more than the others' median.
    assert lines[-1].endswith("5:00, ~3:20 left")
    # With one agent they wait for platform-service first.
    assert timed(STARTED, *whole("platform-proto"), *WORKING, slots=1)[-1].endswith("~4:20 left")


def test_what_cannot_start_any_more_is_not_waited_for() -> None:
    lines = timed(*MIDDLE)
    assert lines[-1].endswith("~1:00 left")  # platform-service alone


def test_an_overdue_cell_is_given_half_its_time_again() -> None:
    later = NOW + timedelta(minutes=6)
    views = {"mlkem": view(STARTED, *whole("platform-proto"), *WORKING)}
    assert time_left([TIMED], views, later, 3) == 300.0
    assert time_left([PLAN], views, later, 3) is None  # nothing is known


def test_the_newest_failures_are_folded_last() -> None:
    events: list[Event] = []
    for index in range(40):
        at = f"12:{index:02}:00"
        events.append(
            event(EventKind.PHASE_FAILED, f"c{index:02}", "implement", reason="no", at=at)
        )
    events += [event(EventKind.PHASE_STARTED, f"c{i:02}", "implement") for i in range(40, 60)]
    lines = words(build_table([MANY], {"many": replay(events)}, 80, 12, NOW))
    assert [line.split()[1] for line in lines if "no" in line.split()] == ["c38", "c39"]
    assert sum("▶" in line for line in lines) == 7  # six cells, and those that are counted


REVIEWING = (
    STARTED,
    *whole("platform-proto"),
    event(EventKind.PHASE_STARTED, "java-sdk", "implement"),
    event(EventKind.ATTEMPT_OPENED, "java-sdk", "implement", 1, agent="scripted"),
    event(EventKind.ATTEMPT_STARTED, "java-sdk", "implement", 1, agent="scripted"),
    event(EventKind.ATTEMPT_EXITED, "java-sdk", "implement", 1, code=0, reason="exited"),
    event(EventKind.PHASE_DONE, "java-sdk", "implement", 1),
    event(EventKind.PHASE_STARTED, "java-sdk", "review"),
)


def reads(name: str, number: int) -> Event:
    part = f"review-{number}-{name}"
    return event(EventKind.ATTEMPT_STARTED, "java-sdk", "review", 1, reviewer=name, part=part)


def judged(name: str, number: int, verdict: str) -> tuple[Event, Event]:
    part = f"review-{number}-{name}"
    return (
        event(EventKind.ATTEMPT_EXITED, "java-sdk", "review", 1, reviewer=name, part=part, code=0,
              reason="exited"),
        event(EventKind.REVIEW_DONE, "java-sdk", "review", 1, reviewer=name, verdict=verdict),
    )  # fmt: skip


def test_reviewers_and_rounds_are_named_and_counted() -> None:
    both = (*REVIEWING, reads("eve", 1), reads("bob", 2))
    lines = draw(120, 24, *both)
    assert " ▶ java-sdk          review           1 " in lines[3]
    assert "eve reads, bob reads · " in lines[3] and "agents 2/3" in lines[-1]
    one = draw(120, 24, *both, *judged("bob", 2, "1 blocker"))
    assert "eve reads, bob: 1 blocker · " in one[3] and "agents 1/3" in one[-1]
    mends = (
        *both,
        *judged("bob", 2, "1 blocker"),
        *judged("eve", 1, "no issues"),
        event(
            EventKind.REPAIR_OPENED, "java-sdk", "review", 1, round=1, of=3, why="review: a hole"
        ),
        event(EventKind.ATTEMPT_STARTED, "java-sdk", "review", 1, round=1, agent="scripted"),
    )
    lines = draw(120, 24, *mends)
    assert " review         1+1 " in lines[3] and "  repair 1 of 3 · " in lines[3]
    again = draw(
        120, 24, *mends,
        event(EventKind.ATTEMPT_EXITED, "java-sdk", "review", 1, round=1, code=0, reason="exited"),
        event(EventKind.REPAIR_CLOSED, "java-sdk", "review", 1, round=1, outcome="changed"),
        event(EventKind.CHECK_DONE, "java-sdk", "review", name="unit", passed=True),
    )  # fmt: skip
    assert "  round 2 of 4, check unit passed" in again[3], "and no word of the agent that is done"
    assert "agents 0/3" in again[-1]
