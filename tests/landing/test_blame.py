"""Whose change it is: from named files to causes, and what the queue makes of a cause."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from orchestr.landing.actions import RecordEvent, RepairChange
from orchestr.landing.causes import Blamed, Cause, choose_causes, describe_causes
from orchestr.landing.decide import decide_actions
from orchestr.landing.events import (
    Checked,
    GroupOpened,
    Landed,
    LandIntended,
    Offered,
    Parked,
    QueueRules,
    Repaired,
    RepairStarted,
    Stage,
    Started,
    Trouble,
)
from orchestr.landing.journal import LandingJournal
from orchestr.landing.queue import Queue, apply_event
from orchestr.landing.queue_item import QueueItem
from tests.landing.test_queue import change, commits, land, made, queue, verdict

HEADS = {"f/k": "k0", "f/c": "c0", "f/d": "d0"}


def test_one_that_has_every_named_file_is_the_cause() -> None:
    assert choose_causes("f/k", {}, HEADS) == () == choose_causes("f/k", {"lib.py": []}, HEADS)
    both = {"a.py": ["f/d", "f/c"], "b.py": ["f/c"]}
    assert choose_causes("f/k", both, HEADS) == (Cause("f/c", "c0", ("a.py", "b.py")),)
    mine = {**both, "b.py": ["f/k", "f/c"]}
    assert choose_causes("f/k", mine, HEADS) == (Cause("f/k", "k0", ("b.py",)),)
    apart = choose_causes("f/k", {"a.py": ["f/d"], "b.py": ["f/c"]}, HEADS)
    assert [(one.key, one.paths) for one in apart] == [("f/d", ("a.py",)), ("f/c", ("b.py",))]
    assert "a.py, which f:d changed and b.py, which f:c changed" in describe_causes("f/k", apart)
    assert describe_causes("f/k", ()) == "its output names no file of a cell"


def red(q: Queue, commit: str, *causes: Cause) -> Queue:
    spec = next(s for s, c in q.candidates.items() if c.commit == commit)
    return apply_event(q, Checked(spec, commit, False, "e.txt is wrong", 0.0, causes))


def blamed() -> Queue:
    """`k` is red on what has landed of `c`."""
    q = made(queue([change("c"), change("k", order=1)]))
    q = made(land(verdict(q, "a.c0")))
    q = red(q, "a.c0.k0", Cause("f/c", "c0", ("e.txt",)))
    while note := next((a for a in decide_actions(q) if isinstance(a, RecordEvent)), None):
        q = apply_event(q, note.event)
    return q


def waits(q: Queue, key: str = "f/k") -> QueueItem:
    return q.items[key]


def repairs(q: Queue) -> list[RepairChange]:
    return [one for one in decide_actions(q) if isinstance(one, RepairChange)]


def test_the_cause_is_repaired_lands_first_and_the_other_is_tried_again() -> None:
    q = blamed()
    assert waits(q).stage is Stage.WAITING and commits(q) == []
    (asked,) = repairs(q)
    assert (asked.key, asked.number, asked.started) == ("f/c", 1, False)
    assert "f:k is red on it" in asked.detail and "e.txt is wrong" in asked.detail
    q = apply_event(q, RepairStarted("f/c", Trouble.RED, 1, asked.detail))
    assert q.items["f/c"].earlier == (("a", "a.c0"),) and repairs(q)[0].started
    q = made(apply_event(q, Repaired("f/c", "c1")))
    assert commits(q) == ["a.c0.c1"] and waits(q).stage is Stage.WAITING
    q = made(land(verdict(q, "a.c0.c1")))
    assert commits(q) == ["a.c0.c1.k0"] and waits(q).blames is None


def test_a_cause_that_cannot_be_repaired_stays_landed_and_is_named() -> None:
    q = apply_event(blamed(), RepairStarted("f/c", Trouble.RED, 1))
    q = apply_event(q, Parked("f/c", Trouble.RED, "its agent changed nothing"))
    c = q.items["f/c"]
    assert (c.stage, c.before, c.after) == (Stage.LANDED, "a", "a.c0")
    notes = [a.event for a in decide_actions(q) if isinstance(a, RecordEvent)]
    (left,) = [note for note in notes if isinstance(note, Parked)]
    assert (left.key, left.cause) == ("f/k", "f/c")
    assert left.reason.startswith("red because of e.txt, which f:c changed; its agent changed")


def test_it_ends_with_a_person_where_no_repair_may_come() -> None:
    for rules, cause, why in (
        (QueueRules(repairs=0), Cause("f/c", "c0", ("e.txt",)), "no repair is allowed"),
        (None, Cause("g/other", "o0", ("e.txt",)), "nothing is known of g:other"),
    ):
        q = made(queue([change("c"), change("k", order=1)], rules))
        q = red(made(land(verdict(q, "a.c0"))), "a.c0.k0", cause)
        notes = [a.event for a in decide_actions(q) if isinstance(a, RecordEvent)]
        (left,) = [note for note in notes if isinstance(note, Parked)]
        assert left.key == "f/k" and why in left.reason
    # One that needs the tested change cannot land before it.
    q = made(queue([change("k"), change("c", "k", order=1)]))
    q = red(q, "a.k0", Cause("f/c", "c0", ("e.txt",)))
    (note,) = [a for a in decide_actions(q) if isinstance(a, RecordEvent)]
    assert isinstance(note.event, Parked)
    assert "f:c cannot land before f:k" in note.event.reason
    # Two that have a part each.
    q = made(queue([change("c"), change("d", order=1), change("k", order=2)]))
    q = made(land(verdict(q, "a.c0")))
    q = made(land(verdict(q, "a.c0.d0")))
    q = red(q, "a.c0.d0.k0", Cause("f/c", "c0", ("e",)), Cause("f/d", "d0", ("d",)))
    notes = [a.event for a in decide_actions(q) if isinstance(a, RecordEvent)]
    assert "no cell has all" in str([n for n in notes if isinstance(n, Parked)])


def test_a_feature_that_is_not_landed_now_is_not_waited_for() -> None:
    q = made(queue([change("c"), change("k", order=1)]))
    q = made(land(verdict(q, "a.c0")))
    frozen = apply_event(q, Started(()))
    assert frozen.items["f/c"].frozen
    q = replace(q, items={**q.items, "f/c": frozen.items["f/c"]})
    q = red(q, "a.c0.k0", Cause("f/c", "c0", ("e.txt",)))
    notes = [a.event for a in decide_actions(q) if isinstance(a, RecordEvent)]
    assert "feature f is not being landed now" in str([n for n in notes if isinstance(n, Parked)])


def test_a_process_goes_on_with_a_repair_and_forgets_what_nothing_was_done_about() -> None:
    q = blamed()
    assert waits(apply_event(q, Started(("f",)))).blames is None  # it is checked again
    q = apply_event(q, RepairStarted("f/c", Trouble.RED, 1))
    again = apply_event(q, Started(("f",)))
    assert waits(again).blames == Cause("f/c", "c0", ("e.txt",)) and repairs(again)[0].started


def test_a_head_that_came_while_an_older_one_was_pushed_still_lands() -> None:
    """The push may have happened before the kill, and a person has added a commit since."""
    q = verdict(made(queue([change("x")])), "a.x0")
    spec = next(iter(q.candidates))
    q = apply_event(q, LandIntended(spec, "a.x0"))
    new = change("x")
    q = apply_event(q, Offered(type(new)(new.key, new.lane, "x1", 0, "f")))
    q = made(apply_event(q, Landed(spec, "a.x0", "a.x0")))
    assert q.items["f/x"].landed == "x0" and commits(q) == ["a.x0.x1"]


def test_the_journal_gives_a_cause_back(tmp_path: Path) -> None:
    book = LandingJournal(tmp_path / "queue.jsonl")
    events = [Blamed("f/k", Cause("f/c", "c0", ("e.txt",)), "why"), GroupOpened("f", ())]
    for event in events:
        book.append(event)
    assert list(book.read()) == events
