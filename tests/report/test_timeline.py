"""From a journal to spans: attempts, waits, interruptions, the critical path."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestr.state.events import Event, EventKind
from orchestr.state.timeline import SpanKind, Timeline, make_timeline
from tests.report.stories import NOON, at, built, run

CHAIN = {"a": (), "b": ("a",), "c": ()}


def told(line: Timeline, *kinds: SpanKind, cell: str | None = None) -> list[tuple[object, ...]]:
    """Name, begin and end in seconds after noon, state."""
    return [
        (s.name, round(s.start - NOON, 3), None if s.end is None else round(s.end - NOON, 3),
         s.state)
        for s in line.select_spans(*kinds, cell=cell)
    ]  # fmt: skip


def test_a_run_of_two_cells_one_after_the_other() -> None:
    line = make_timeline(run([*built("a", 1, 10), *built("b", 10.6, 6)], end=17), CHAIN)
    assert told(line, SpanKind.RUN) == [("r1", 0, 17, "done")]
    assert told(line, SpanKind.CELL) == [("a", 1, 11, "done"), ("b", 10.6, 16.6, "done")]
    assert told(line, SpanKind.QUEUE, cell="a") == [("waits for a slot", 1.5, 2, "done")]
    assert told(line, SpanKind.WORK, cell="a") == [("claude", 2, 10, "done")]
    assert told(line, SpanKind.UPSTREAM) == [("waits for a", 0, 10.6, "done")]
    (attempt,) = line.select_spans(SpanKind.ATTEMPT, cell="a")
    assert (attempt.data["agent"], attempt.data["model"]) == ("claude", "opus")
    assert (attempt.data["cost_usd"], attempt.data["tokens"]) == (0.5, [100, 40, 20])
    assert line.critical == ("a", "b")


def test_the_critical_path_is_of_what_really_waited() -> None:
    events = [*built("a", 0, 5), *built("b", 4.6, 5), *built("c", 0, 20)]
    assert make_timeline(run(events, end=21), CHAIN).critical == ("c",)


def test_a_failed_phase_says_why_it_began_and_how_it_ended() -> None:
    events = [
        at(1, EventKind.PHASE_STARTED, "a", "implement", why="its todo changed"),
        at(2, EventKind.PHASE_FAILED, "a", "implement", reason="exit 3"),
    ]
    (phase,) = make_timeline(run(events, end=3, code=1)).select_spans(SpanKind.PHASE)
    assert (phase.state, phase.note, phase.data["why"]) == ("failed", "exit 3", "its todo changed")


def test_a_usage_limit_is_a_wait_between_two_starts_of_one_attempt() -> None:
    events = [
        at(0, EventKind.PHASE_STARTED, "a", "implement"),
        at(0, EventKind.ATTEMPT_OPENED, "a", "implement", 1, agent="claude"),
        at(1, EventKind.ATTEMPT_STARTED, "a", "implement", 1),
        at(5, EventKind.ATTEMPT_EXITED, "a", "implement", 1, code=1, reason="exited", seconds=4.0),
        at(5, EventKind.ATTEMPT_LIMITED, "a", "implement", 1, until=NOON + 60),
        at(60, EventKind.ATTEMPT_STARTED, "a", "implement", 1),
        at(
            70, EventKind.ATTEMPT_EXITED, "a", "implement", 1, code=0, reason="exited", seconds=10.0
        ),
        at(70, EventKind.ATTEMPT_CLOSED, "a", "implement", 1, outcome="done"),
        at(70, EventKind.PHASE_DONE, "a", "implement", 1),
    ]
    line = make_timeline(run(events, end=71))
    assert told(line, SpanKind.LIMIT) == [("usage limit", 5, 60, "done")]
    assert told(line, SpanKind.WORK) == [("claude", 1, 5, "failed"), ("claude", 60, 70, "done")]
    assert told(line, SpanKind.ATTEMPT) == [("attempt 1", 0, 70, "done")]


def test_an_attempt_outlives_a_killed_run_and_is_one_span() -> None:
    first = [
        at(1, EventKind.PHASE_STARTED, "a", "implement"),
        at(1, EventKind.ATTEMPT_OPENED, "a", "implement", 1, agent="claude"),
        at(2, EventKind.ATTEMPT_STARTED, "a", "implement", 1),
    ]
    second = [
        at(100, EventKind.PHASE_STARTED, "a", "implement", run="r2"),
        at(101, EventKind.ATTEMPT_ADOPTED, "a", "implement", 1, run="r2"),
        at(101, EventKind.ATTEMPT_EXITED, "a", "implement", 1, run="r2", code=0, reason="exited",
           seconds=30.0),
        at(102, EventKind.ATTEMPT_CLOSED, "a", "implement", 1, run="r2", outcome="done"),
        at(102, EventKind.PHASE_DONE, "a", "implement", 1, run="r2"),
    ]  # fmt: skip
    line = make_timeline([*run(first), *run(second, 99, 103, "r2")])
    assert told(line, SpanKind.RUN) == [("r1", 0, 2, "interrupted"), ("r2", 99, 103, "done")]
    assert told(line, SpanKind.PHASE) == [
        ("implement", 1, 2, "interrupted"),
        ("implement", 100, 102, "done"),
    ]
    assert told(line, SpanKind.ATTEMPT) == [("attempt 1", 1, 102, "done")]
    assert told(line, SpanKind.WORK) == [("claude", 2, 32, "done")], "it ended before the look"


def test_attempts_side_by_side_have_one_span_each() -> None:
    part = {"part": "review-1-eve", "reviewer": "eve"}
    events = [at(0, EventKind.PHASE_STARTED, "a", "implement")]
    for kind, data in [
        (EventKind.ATTEMPT_OPENED, {"agent": "claude"}),
        (EventKind.ATTEMPT_STARTED, {}),
        (EventKind.ATTEMPT_EXITED, {"code": 0, "reason": "exited"}),
        (EventKind.ATTEMPT_STARTED, part),
        (EventKind.ATTEMPT_EXITED, {"code": 0, "reason": "exited", **part}),
        (EventKind.REVIEW_DONE, {"reviewer": "eve", "verdict": "accept"}),
        (EventKind.ATTEMPT_CLOSED, {"outcome": "done"}),
    ]:
        events += [
            at(len(events), kind, "a", "review" if "reviewer" in data else "implement", n, **data)
            for n in (1, 2)
        ]
    line = make_timeline(run(events, end=20))
    assert told(line, SpanKind.ATTEMPT) == [
        ("attempt 1", 1, 13, "done"),
        ("attempt 2", 1, 13, "done"),
    ]
    assert told(line, SpanKind.REVIEW) == [("eve", 7, 9, "done")] * 2
    assert [s.note for s in line.select_spans(SpanKind.REVIEW)] == ["accept"] * 2


def test_what_is_open_goes_on_only_while_somebody_runs_it() -> None:
    events = run(built("a", 0, 10)[:5])
    assert told(make_timeline(events, live=True), SpanKind.ATTEMPT) == [
        ("attempt 1", 0.5, None, "running")
    ]
    assert told(make_timeline(events), SpanKind.ATTEMPT) == [("attempt 1", 0.5, 1, "interrupted")]


def test_rounds_and_reviews_have_their_own_time_and_cost() -> None:
    part = {"part": "review-1-eve", "reviewer": "eve"}
    again = {"part": "review-2-eve", "reviewer": "eve"}
    other = {"part": "review-1-bob", "reviewer": "bob"}
    events = [
        *built("a", 0, 10)[:8],
        at(9, EventKind.PHASE_STARTED, "a", "review"),
        at(9, EventKind.ATTEMPT_STARTED, "a", "review", 1, agent="claude", **part),
        at(10, EventKind.ATTEMPT_STARTED, "a", "review", 1, agent="codex", **other),
        at(12, EventKind.ATTEMPT_EXITED, "a", "review", 1, code=0, reason="exited", seconds=3.0,
           cost_usd=0.25, **part),
        at(12, EventKind.REVIEW_DONE, "a", "review", 1, reviewer="eve", verdict="1 blocker",
           blockers=1),
        at(15, EventKind.ATTEMPT_EXITED, "a", "review", 1, code=0, reason="exited", seconds=5.0,
           **other),
        at(15, EventKind.REVIEW_DONE, "a", "review", 1, reviewer="bob", verdict="no issues",
           blockers=0),
        at(16, EventKind.REPAIR_OPENED, "a", "review", 1, round=1, of=3,
           why="review: a hole (eve)"),
        at(17, EventKind.ATTEMPT_STARTED, "a", "review", 1, round=1, agent="claude"),
        at(27, EventKind.ATTEMPT_EXITED, "a", "review", 1, round=1, code=0, reason="exited",
           seconds=10.0, cost_usd=0.75, tokens=[150, 60, 30]),
        at(28, EventKind.REPAIR_CLOSED, "a", "review", 1, round=1, outcome="changed"),
        at(29, EventKind.CHECK_DONE, "a", "review", name="unit", passed=True, detail="3 passed",
           seconds=0.5),
        at(30, EventKind.ATTEMPT_STARTED, "a", "review", 1, agent="claude", **again),
        at(31, EventKind.ATTEMPT_EXITED, "a", "review", 1, code=0, reason="exited", seconds=1.0,
           **again),
        at(31, EventKind.REVIEW_DONE, "a", "review", 1, reviewer="eve", verdict="no issues",
           blockers=0),
        at(32, EventKind.PHASE_DONE, "a", "review", 1),
    ]  # fmt: skip
    line = make_timeline(run(events, end=33))
    assert told(line, SpanKind.ATTEMPT) == [("attempt 1", 0.5, 9, "done")]
    assert told(line, SpanKind.REVIEW) == [
        ("eve", 9, 12, "blockers"),
        ("bob", 10, 15, "done"),
        ("eve", 30, 31, "done"),
    ]
    (repair,) = line.select_spans(SpanKind.REPAIR)
    assert (repair.name, repair.state, repair.note) == (
        "repair 1 of 3",
        "done",
        "review: a hole (eve)",
    )
    assert (repair.data["cost_usd"], repair.data["tokens"]) == (0.25, [50, 20, 10]), "its own"
    assert [s.data.get("cost_usd") for s in line.select_spans(SpanKind.REVIEW)] == [
        0.25,
        None,
        None,
    ]
    assert told(line, SpanKind.CHECK) == [("unit", 28.5, 29, "done")]
    agents = [s[1:3] for s in told(line, SpanKind.WORK)]
    assert agents == [(1, 9), (9, 12), (10, 15), (17, 27), (30, 31)]


def test_a_gate_is_waited_at_over_runs_and_is_no_failure() -> None:
    ask = [
        at(1, EventKind.PHASE_STARTED, "a", "publish"),
        at(2, EventKind.APPROVAL_ASKED, "a", "publish", gate="publish"),
        at(3, EventKind.PHASE_FAILED, "a", "publish", state="approval", gate="publish"),
    ]
    open_ = make_timeline(run(ask, end=4, code=1))
    assert told(open_, SpanKind.APPROVAL) == [("asks for approval to publish", 2, None, "running")]
    assert told(open_, SpanKind.PHASE) == [("publish", 1, 3, "waits")]
    given_ = at(90, EventKind.APPROVAL_GIVEN, "a", "publish", run="", name="Ada")
    line = make_timeline([*run(ask, end=4, code=1), given_])
    (asked,) = line.select_spans(SpanKind.APPROVAL)
    assert (asked.end, asked.state, asked.note) == (NOON + 90, "done", "approved by Ada")


def test_landing_is_a_point() -> None:
    line = make_timeline(
        [
            *run(built("a", 0, 10), end=11),
            at(
                60,
                EventKind.LAND_PARKED,
                "a",
                run="l1",
                state="merge_conflict",
                reason="both changed x",
            ),
            at(90, EventKind.LAND_DONE, "a", run="l2", target="main", commit="c0ffee"),
        ]
    )
    assert told(line, SpanKind.LAND) == [
        ("not landed", 60, 60, "failed"),
        ("landed", 90, 90, "done"),
    ]


KINDS = st.sampled_from(list(EventKind))
ODD = st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.lists(st.integers())
EVENTS = st.lists(
    st.builds(
        Event,
        KINDS,
        st.sampled_from(["", "nonsense", "2026-05-18T12:00:01+00:00", "2026-05-18T11:00:00+00:00"]),
        st.sampled_from(["", "r1", "r2"]),
        st.just("demo"),
        st.sampled_from(["", "a", "b"]),
        st.sampled_from(["", "implement", "review", "odd"]),
        st.integers(0, 3),
        st.dictionaries(
            st.sampled_from(
                [
                    "reason",
                    "why",
                    "seconds",
                    "code",
                    "exit",
                    "outcome",
                    "tokens",
                    "round",
                    "of",
                    "passed",
                    "cost_usd",
                ]
            ),
            ODD,
        ),
    ),
    max_size=30,
)


def test_a_clock_that_was_put_back_ends_a_span_where_it_began() -> None:
    begun = Event(EventKind.PHASE_STARTED, "2026-05-18T12:00:01+00:00", "r", "demo", "a", "check")
    ended = Event(EventKind.PHASE_DONE, "2026-05-18T11:00:00+00:00", "r", "demo", "a", "check")
    for span in make_timeline([begun, ended], {}, live=False).spans:
        assert span.end == span.start


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(EVENTS, st.booleans())
def test_no_journal_is_refused_and_no_span_ends_before_it_begins(
    events: list[Event], live: bool
) -> None:
    line = make_timeline(events, {"b": ("a",)}, live=live)
    assert all(s.end is None or s.end >= s.start for s in line.spans)
    open_ = {s.kind for s in line.spans if s.end is None}
    assert live or open_ <= {SpanKind.APPROVAL}, "only a person is waited for without a run"
