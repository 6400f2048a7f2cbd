"""What attempts took, read from journals: of this version and of earlier ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestr.plan.cost_forecast import CellTraits
from orchestr.state.cost_samples import list_audit_samples, list_cost_samples
from orchestr.state.events import Event, EventKind
from orchestr.state.journal import Journal
from orchestr.views.query.cost_forecast import is_whole_run

JOURNALS = sorted((Path(__file__).parents[1] / "compat" / "journals").glob("*.jsonl"))
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class Story:
    """Events of one cell, seconds after the begin."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, at: float, kind: str, phase: str = "implement", attempt: int = 0,
             **data: Any) -> Story:  # fmt: skip
        ts = (BEGIN + timedelta(seconds=at)).isoformat()
        self.events.append(Event(EventKind(kind), ts, "r1", "f", "a", phase, attempt, data))
        return self

    def own_phase(self, at: float, number: int, name: str, following: str, **usage: Any) -> Story:
        """6 s in a phase of one's own, which is a try with a number, too."""
        self.tell(at, "phase.started", name, following=following)
        self.tell(at, "attempt.opened", name, number, agent="claude")
        self.tell(at, "attempt.started", name, number, agent="claude")
        self.tell(at + 6, "attempt.exited", name, number, code=0, reason="exited", **usage)
        self.tell(at + 6, "attempt.closed", name, number, outcome="done")
        return self.tell(at + 6, "phase.done", name, number, following=following, seconds=6)

    def attempt(self, at: float, number: int, outcome: str = "done", **data: Any) -> Story:
        """One that waits 5 s for a slot and works 10 s, between a worktree and a check."""
        self.tell(at, "phase.started", "worktree").tell(at + 2, "phase.done", "worktree", seconds=2)
        self.tell(at + 2, "phase.started")
        self.tell(at + 2, "attempt.opened", attempt=number, agent="claude", model="sonnet", **data)
        self.tell(at + 7, "attempt.started", attempt=number, agent="claude")
        usage = {"cost_usd": 0.5, "tokens": [100, 50, 10]}
        self.tell(at + 17, "attempt.exited", attempt=number, code=0, reason="exited", **usage)
        self.tell(at + 17, "attempt.closed", attempt=number, outcome=outcome)
        if outcome != "done":
            return self.tell(at + 17, "phase.failed", reason="no")
        self.tell(at + 17, "phase.done", attempt=number, files=3)
        self.tell(at + 17, "phase.started", "check")
        return self.tell(at + 21, "phase.done", "check", seconds=4)


def test_an_attempt_is_its_work_without_its_waits() -> None:
    (one,) = list_cost_samples("f", Story().attempt(0, 1, repo="app", todo=77).events)
    assert one.traits == CellTraits("app", "claude", "sonnet", 77, 3)
    assert one.seconds == pytest.approx(2 + 10 + 4)
    assert (one.tokens, one.usd, one.run) == (110, 0.5, "r1")


def test_repairs_and_reviews_are_part_of_it() -> None:
    story = Story().attempt(0, 1)
    story.tell(21, "phase.started", "review")
    asks = {"part": "review-1-codex", "reviewer": "codex", "agent": "codex"}
    story.tell(21, "attempt.opened", "review", 1, **asks).tell(
        22, "attempt.started", "review", 1, **asks
    )
    story.tell(30, "attempt.exited", "review", 1, code=0, reason="exited", cost_usd=0.25,
               tokens=[10, 0, 1], **asks)  # fmt: skip
    story.tell(30, "review.done", "review", 1, reviewer="codex", verdict="approved", blockers=0)
    story.tell(31, "phase.done", "review", seconds=10)
    (one,) = list_cost_samples("f", story.events)
    assert (one.tokens, one.usd) == (121, 0.75)
    assert one.seconds == pytest.approx(2 + 10 + 4 + 9)
    assert one.traits.agent == "claude"


def test_phases_of_ones_own_are_part_of_the_attempt_that_they_belong_to() -> None:
    story = Story()
    for begin, first in ((0, 1), (100, 4)):
        story.own_phase(begin, first, "classify", "implement", tokens=[7, 0, 0], cost_usd=0.1)
        story.attempt(begin + 10, first + 1)
        story.own_phase(begin + 40, first + 2, "docs", "check", tokens=[5, 0, 0], cost_usd=0.2)
    story.tell(200, "attempt.opened", "make", 7, agent="phase:make")  # of a version before
    story.tell(203, "attempt.exited", "make", 7, code=0, reason="exited", cost_usd=None)
    story.tell(204, "attempt.closed", "make", 7, outcome="done")
    one, two = list_cost_samples("f", story.events)
    assert (one.attempt, two.attempt) == (2, 5), "they are no attempts at the work"
    assert (one.tokens, two.tokens) == (122, 122)
    assert (one.usd, two.usd) == (pytest.approx(0.8), pytest.approx(0.8))
    assert one.seconds == pytest.approx(2 * 6 + 2 + 10 + 4)


def test_each_attempt_is_its_own_and_a_failed_one_counts() -> None:
    story = Story().attempt(0, 1, outcome="failed").attempt(100, 2)
    one, two = list_cost_samples("f", story.events)
    assert (one.attempt, one.seconds) == (1, pytest.approx(12))
    assert (two.attempt, two.seconds) == (2, pytest.approx(16))
    assert one.ended <= two.opened


@pytest.mark.parametrize("odd", [-1.0, float("nan"), float("inf"), "3", None])
def test_a_cost_that_cannot_be_is_unknown(odd: object) -> None:
    story = Story().tell(0, "phase.started").tell(0, "attempt.opened", attempt=1, agent="a")
    story.tell(0, "attempt.exited", attempt=1, code=0, cost_usd=odd, tokens=[-5, 0, 2])
    story.tell(1, "attempt.closed", attempt=1, outcome="done").tell(1, "phase.done", attempt=1)
    (one,) = list_cost_samples("f", story.events)
    assert (one.tokens, one.usd) == (None, None)


@pytest.mark.parametrize("outcome", ["aborted", "superseded", "forgotten"])
def test_what_did_not_come_to_its_end_says_nothing(outcome: str) -> None:
    assert list_cost_samples("f", Story().attempt(0, 1, outcome=outcome).events) == []
    broken = Story().tell(0, "attempt.opened", attempt=1, agent="claude")
    broken.tell(0, "attempt.exited", attempt=1, code=127, reason="exited")
    broken.tell(1, "attempt.closed", attempt=1, outcome="failed", reason="no such program")
    assert list_cost_samples("f", broken.events) == []
    cut = Story().attempt(0, 1).events[:-1]  # killed in its check
    assert list_cost_samples("f", cut) == []


def test_other_records_fill_in_what_a_journal_of_before_does_not_say() -> None:
    story = Story().attempt(0, 1).attempt(100, 2)
    known = {"a": CellTraits("app", todo=40)}
    one, two = list_cost_samples("f", story.events, known)
    assert (one.traits.repo, one.traits.todo) == ("app", None)  # the todo of then is not known
    assert (two.traits.repo, two.traits.todo) == ("app", 40)


def test_the_time_of_a_run_with_an_audit_is_not_that_of_its_cells() -> None:
    story = Story().attempt(0, 1)
    assert is_whole_run("r1", story.events)
    data = {"part": "1-eve", "reviewer": "eve", "agent": "eve"}
    ts = (BEGIN + timedelta(seconds=30)).isoformat()
    started = EventKind.ATTEMPT_STARTED
    story.events.append(Event(started, ts, "r1", "f", "audit", "review", 0, data))
    assert not is_whole_run("r1", story.events)


@pytest.mark.parametrize("journal", JOURNALS, ids=lambda path: path.stem)
def test_journals_of_earlier_versions_are_read(journal: Path) -> None:
    samples = list_cost_samples("f", list(Journal(journal).read()))
    assert all(one.seconds >= 0 and one.ended >= one.opened for one in samples)


def test_a_journal_of_the_first_version_has_history() -> None:
    found = {path.stem: list_cost_samples("f", list(Journal(path).read())) for path in JOURNALS}
    assert sum(map(len, found.values())) >= 3, {name: len(s) for name, s in found.items()}


def test_auditors_of_one_audit_are_one_sample_and_none_of_a_cell() -> None:
    story = Story()
    for at, usd in ((10, 0.25), (50, 0.5)):  # one audit, then another after its repair
        for name in ("eve", "ann"):
            asks = {"part": f"review-{at}-{name}", "reviewer": name, "agent": name}
            usage = {"cost_usd": usd, "tokens": [10, 0, 5]}
            story.tell(at, "attempt.opened", "review", 0, model="m", **asks)
            story.tell(at, "attempt.started", "review", 0, **asks)
            story.tell(at + 4, "attempt.exited", "review", 0, code=0, reason="exited",
                       **usage, **asks)  # fmt: skip
            story.tell(at + 4, "review.done", "review", 0, reviewer=name, verdict="1 failed")
        story.tell(at + 5, "audit.done", "", verdict="failed")
    story.tell(60, "audit.done", "", verdict="failed")  # every answer was known
    events = [replace(event, cell="audit") for event in story.events]
    one, two = list_audit_samples("f", events)
    assert (one.traits.agent, one.traits.model) == ("ann, eve", "m, m")
    assert (one.seconds, one.tokens, one.usd, two.usd) == (4.0, 30, 0.5, 1.0)
    assert list_cost_samples("f", events) == []
