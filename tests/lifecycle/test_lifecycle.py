"""Stories told by a journal, and the views they give."""

from __future__ import annotations

from typing import Any

from orchestr.state.events import Event, EventKind
from orchestr.state.replay import CellState, median_durations, replay, reset_interrupted

FIRST, SECOND = "run-1", "run-2"


def at(second: int) -> str:
    return f"2026-05-18T12:00:{second:02d}+00:00"


def event(kind: EventKind, cell: str = "java", phase: str = "", **more: Any) -> Event:
    attempt, run, second = more.pop("attempt", 0), more.pop("run", FIRST), more.pop("at", 0)
    return Event(kind, at(second), run, "mlkem", cell, phase, attempt, more)


START = event(EventKind.RUN_STARTED, "")
WORKTREE = [
    event(EventKind.PHASE_STARTED, phase="worktree", at=1),
    event(EventKind.WORKTREE_ADDED, path="/w", branch="b", base="c0ffee"),
    event(EventKind.PHASE_DONE, phase="worktree", at=2),
]
IMPLEMENT = [
    event(EventKind.PHASE_STARTED, phase="implement", at=3),
    event(EventKind.ATTEMPT_OPENED, attempt=1, agent="scripted", model="m"),
    event(EventKind.ATTEMPT_STARTED, attempt=1, pid=1),
    event(EventKind.ATTEMPT_EXITED, attempt=1, code=0, reason="exited", seconds=4.0, cost_usd=0.5),
    event(EventKind.ATTEMPT_CLOSED, attempt=1, outcome="done"),
    event(EventKind.PHASE_DONE, phase="implement", attempt=1, at=7),
]
REST = [
    event(EventKind.PHASE_STARTED, phase="check"),
    event(EventKind.PHASE_DONE, phase="check"),
    event(EventKind.PHASE_DONE, phase="review"),
    event(EventKind.PHASE_STARTED, phase="publish"),
    event(EventKind.PR_OPENED, url="local://java/pull/1", draft=True),
    event(EventKind.PHASE_DONE, phase="publish", at=9),
]
END = event(EventKind.RUN_FINISHED, "", exit=0)
WHOLE = [START, *WORKTREE, *IMPLEMENT, *REST, END]


def test_a_cell_that_went_well() -> None:
    view = replay(WHOLE)
    java = view.cell("java")
    assert java.state is CellState.DONE
    assert set(java.phases.values()) == {"done"}
    assert (java.attempt, java.agent, java.seconds, java.cost_usd) == (1, "scripted", 4.0, 0.5)
    assert (java.started_at, java.finished_at) == (at(1), at(9))
    assert (java.pr_url, java.pr_state, java.pr_draft) == ("local://java/pull/1", "open", True)
    assert (view.exit, view.surprises) == (0, ())


def test_between_two_phases_a_cell_is_still_running() -> None:
    java = replay([START, *WORKTREE]).cell("java")
    assert (java.state, java.phase, java.is_partial) == (CellState.RUNNING, "worktree", True)


def test_a_failed_phase_keeps_its_reason_and_the_next_command() -> None:
    failed = event(
        EventKind.PHASE_FAILED,
        phase="check",
        reason="make test: exit 2",
        hint="orchestr logs x",
        at=9,
    )
    java = replay([START, *WORKTREE, *IMPLEMENT, failed]).cell("java")
    assert (java.state, java.reason, java.hint) == (
        CellState.FAILED,
        "make test: exit 2",
        "orchestr logs x",
    )
    assert java.phases["check"] == "failed"


def test_a_blocked_cell_names_its_upstream() -> None:
    view = replay([START, event(EventKind.CELL_BLOCKED, "web", upstream="java")])
    assert view.cell("web").reason == "upstream java failed"
    assert view.cell("web").phases == {"worktree": "blocked"}


def test_a_usage_limit_is_waiting_until_the_next_attempt_goes_on() -> None:
    limited = [*WORKTREE, *IMPLEMENT[:3], event(EventKind.ATTEMPT_LIMITED, attempt=1, until=at(30))]
    waiting = replay(limited).cell("java")
    assert (waiting.state, waiting.waiting_until) == (CellState.WAITING, at(30))
    again = replay([*limited, event(EventKind.ATTEMPT_STARTED, attempt=1)]).cell("java")
    assert (again.state, again.waiting_until, again.reason) == (CellState.RUNNING, None, None)


def test_a_dead_run_leaves_its_cells_running_until_they_are_settled() -> None:
    dead = replay([START, *WORKTREE, *IMPLEMENT[:3]])
    assert (dead.cell("java").state, dead.cell("java").run) == (CellState.RUNNING, FIRST)
    assert reset_interrupted(dead, live=True) == dead
    settled = reset_interrupted(dead, live=False).cell("java")
    assert settled.state is CellState.PENDING
    assert settled.reason == "interrupted, goes on with the next run"
    assert [p for p, v in settled.phases.items() if v == "done"] == ["worktree"]
    assert "running" not in settled.phases.values()


def test_a_living_run_does_not_vouch_for_cells_of_an_earlier_dead_one() -> None:
    dead = [START, *WORKTREE]
    two = [event(EventKind.RUN_STARTED, "", run=SECOND)]
    two += [event(EventKind.PHASE_STARTED, "web", "worktree", run=SECOND)]
    view = reset_interrupted(replay([*dead, *two]), live=True)
    assert (view.cell("java").state, view.cell("web").state) == (
        CellState.PENDING,
        CellState.RUNNING,
    )


def test_ctrl_c_aborts_what_was_running() -> None:
    java = replay([START, *WORKTREE, event(EventKind.RUN_FINISHED, "", exit=130)]).cell("java")
    assert java.state is CellState.ABORTED


def test_a_run_of_one_phase_leaves_the_cell_pending() -> None:
    java = replay([START, *WORKTREE, END]).cell("java")
    assert (java.state, java.is_partial) == (CellState.PENDING, True)


def test_an_aborted_attempt_makes_the_failure_an_abort() -> None:
    stopped = [
        event(EventKind.ATTEMPT_CLOSED, attempt=1, outcome="aborted"),
        event(EventKind.PHASE_FAILED, phase="implement", reason="stopped"),
    ]
    assert replay([*IMPLEMENT[:3], *stopped]).cell("java").state is CellState.ABORTED


def test_forgetting_phases_makes_them_pending() -> None:
    java = replay([*WHOLE, event(EventKind.CELL_FORGOTTEN, phases=["check", "publish"])]).cell(
        "java"
    )
    assert java.state is CellState.PENDING
    assert [p for p, v in java.phases.items() if v == "pending"] == ["check", "publish"]
    assert java.pr_url == "local://java/pull/1"


def test_a_new_implementation_voids_the_later_phases() -> None:
    java = replay([*WHOLE, event(EventKind.PHASE_STARTED, phase="implement", run=SECOND)]).cell(
        "java"
    )
    assert java.phases["publish"] == "pending"
    assert java.phases["worktree"] == "done"


def test_a_worktree_made_again_leaves_a_finished_cell_done() -> None:
    assert replay([*WHOLE, *WORKTREE]).cell("java").state is CellState.DONE


def test_ignored_and_back() -> None:
    ignored = [*WHOLE, event(EventKind.CELL_IGNORED)]
    assert replay(ignored).cell("java").state is CellState.IGNORED
    assert replay([*ignored, event(EventKind.CELL_UNIGNORED)]).cell("java").state is CellState.DONE


def test_an_adopted_pull_request_is_done_without_an_agent() -> None:
    java = replay([START, event(EventKind.CELL_ADOPTED, url="u", head="h")]).cell("java")
    assert (java.state, java.pr_url, java.attempt) == (CellState.DONE, "u", 0)


def test_a_merged_pull_request_is_seen_without_touching_the_run() -> None:
    seen = event(EventKind.PR_SEEN, url="u", state="merged", draft=False, run=SECOND)
    java = replay([*WHOLE, seen]).cell("java")
    assert (java.pr_state, java.pr_draft, java.run) == ("merged", False, FIRST)


def test_unknown_cost_is_unknown_and_failed_attempts_count() -> None:
    costs = [
        event(EventKind.ATTEMPT_EXITED, attempt=1, code=1, reason="exited", cost_usd=0.25),
        event(EventKind.ATTEMPT_EXITED, attempt=2, code=0, reason="exited"),
    ]
    assert replay(costs[:1]).cell("java").cost_usd == 0.25
    both = replay(costs).cell("java")
    assert (both.cost_usd, both.cost_known_usd) == (None, 0.25)
    late = event(EventKind.ATTEMPT_CLOSED, attempt=2, outcome="done", cost_usd=0.5)
    assert replay([*costs, late]).cell("java").cost_usd == 0.75


def test_a_cell_nobody_touched_is_pending() -> None:
    assert replay([]).cell("ghost").state is CellState.PENDING


def test_durations_are_medians_of_attempts_that_ended_well() -> None:
    def exited(seconds: float, code: int = 0, reason: str = "exited") -> Event:
        return event(EventKind.ATTEMPT_EXITED, seconds=seconds, code=code, reason=reason)

    events = [exited(10), exited(30), exited(20), exited(999, code=1), exited(1, reason="idle")]
    assert median_durations(events) == {"java": 20.0}


def test_what_does_not_fit_is_reported_and_read_all_the_same() -> None:
    view = replay([event(EventKind.ATTEMPT_LIMITED, attempt=1)])
    assert view.cell("java").state is CellState.WAITING
    assert "turns pending into waiting" in view.surprises[0]


def test_an_attempt_waits_for_a_slot_before_its_agent_works() -> None:
    opened = replay([*WORKTREE, *IMPLEMENT[:2]]).cell("java")
    assert (opened.state, opened.slot) == (CellState.RUNNING, "queued")
    assert replay([*WORKTREE, *IMPLEMENT[:3]]).cell("java").slot == "working"
    assert replay([*WORKTREE, *IMPLEMENT[:4]]).cell("java").slot == ""


def test_the_end_of_a_usage_limit_may_be_given_in_seconds() -> None:
    limited = event(EventKind.ATTEMPT_LIMITED, attempt=1, until=60.0)
    assert replay([limited]).cell("java").waiting_until == "1970-01-01T00:01:00+00:00"


def test_a_phase_that_was_stopped_is_aborted() -> None:
    stopped = event(EventKind.PHASE_FAILED, phase="check", reason="stopped", aborted=True)
    assert replay([*WORKTREE, stopped]).cell("java").state is CellState.ABORTED


def test_the_time_of_an_earlier_run_is_not_that_of_a_blocked_cell() -> None:
    forgotten = event(
        EventKind.CELL_FORGOTTEN, run=SECOND, phases=["implement"], force="run-2", at=20
    )
    blocked = event(EventKind.CELL_BLOCKED, run=SECOND, upstream="proto", at=30)
    assert replay([*WHOLE, blocked]).cell("java").started_at is None
    assert replay([*WHOLE, forgotten, blocked]).cell("java").started_at is None
    begun = event(EventKind.PHASE_STARTED, run=SECOND, phase="worktree", at=25)
    assert replay([*WHOLE, begun, blocked]).cell("java").started_at == at(25)
