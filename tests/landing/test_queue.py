"""The queue's decisions, one story each; a book that gives back what was written."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

from orchestr.landing.actions import (
    Action,
    CheckCandidate,
    LandCandidate,
    MakeCandidate,
    RecordEvent,
    RepairChange,
)
from orchestr.landing.decide import decide_actions
from orchestr.landing.events import (
    CandidateSpec,
    Checked,
    Conflicted,
    Event,
    GroupOpened,
    Landed,
    LandingChange,
    LandIntended,
    Lost,
    Made,
    Offered,
    QueueRules,
    Split,
    Stage,
    Started,
    TargetSeen,
)
from orchestr.landing.journal import LandingJournal, decode_event, encode_event
from orchestr.landing.lane import Lane
from orchestr.landing.queue import Queue, apply_event, replay
from tests.landing.world import World

APP, WEB = Lane("app", "main"), Lane("web", "main")


def change(
    name: str, *needs: str, lane: Lane = APP, order: int = 0, paths: str = ""
) -> LandingChange:
    known = frozenset(paths) if paths else None
    return LandingChange(f"f/{name}", lane, f"{name}0", order, "f",
                  tuple(f"f/{n}" for n in needs), paths=known)  # fmt: skip


def queue(changes: Iterable[LandingChange], rules: QueueRules | None = None) -> Queue:
    opening: list[Event] = [Started(("f",))]
    opening += [Offered(c) for c in changes]
    opening += [TargetSeen(APP, "a"), TargetSeen(WEB, "w"), GroupOpened("f", ())]
    return replay(opening, rules or QueueRules())


def made(q: Queue) -> Queue:
    """With every candidate that can be made now; a commit is named by its base and parts."""
    while makes := [a for a in decide_actions(q) if isinstance(a, MakeCandidate)]:
        for spec in (a.spec for a in makes):
            q = apply_event(
                q, Made(spec, f"{spec.base}.{'+'.join(h for _, h in spec.parts)}", "tree")
            )
    return q


def verdict(q: Queue, commit: str, green: bool = True) -> Queue:
    spec = next(s for s, c in q.candidates.items() if c.commit == commit)
    return apply_event(q, Checked(spec, commit, green, "why"))


def commits(q: Queue) -> list[str]:
    """What is to be checked now."""
    return [a.commit for a in decide_actions(q) if isinstance(a, CheckCandidate)]


def landings(actions: Iterable[Action]) -> list[str]:
    return [a.commit for a in actions if isinstance(a, LandCandidate)]


def land(q: Queue) -> Queue:
    (one,) = [a for a in decide_actions(q) if isinstance(a, LandCandidate)]
    q = apply_event(q, LandIntended(one.spec, one.commit))
    return apply_event(q, Landed(one.spec, one.commit, one.commit))


def test_each_is_checked_on_the_one_before_it_and_only_the_first_lands() -> None:
    q = made(queue([change("x"), change("y", order=1), change("z", order=2)], QueueRules(window=2)))
    assert commits(q) == ["a.x0", "a.x0.y0"]
    q = verdict(q, "a.x0.y0")
    assert landings(decide_actions(q)) == []
    q = verdict(q, "a.x0")
    assert landings(decide_actions(q)) == ["a.x0"]
    q = made(land(q))
    assert landings(decide_actions(q)) == ["a.x0.y0"]  # checked already, as exactly that commit
    assert q.window_size(APP) == 3 and commits(q) == ["a.x0.y0.z0"]


def test_a_failure_in_the_middle_is_judged_on_the_target_only_and_passed_over_by_those_behind() -> (
    None
):
    q = made(queue([change("x"), change("y", order=1), change("z", order=2)]))
    q = made(verdict(q, "a.x0.y0", green=False))
    assert commits(q) == ["a.x0", "a.x0.z0"]
    assert not [a for a in decide_actions(q) if isinstance(a, RepairChange)]
    q = land(verdict(q, "a.x0"))
    (repair,) = [a for a in decide_actions(q) if isinstance(a, RepairChange)]
    assert (repair.key, repair.number, repair.started) == ("f/y", 1, False)


def test_what_needs_a_failed_one_waits_for_it() -> None:
    q = made(queue([change("x"), change("y", "x", order=1), change("z", order=2)]))
    q = made(verdict(q, "a.x0", green=False))
    assert commits(q) == ["a.z0"]


def test_another_repository_is_checked_early_and_lands_late() -> None:
    q = made(queue([change("x"), change("y", "x", lane=WEB, order=1)]))
    q = verdict(q, "w.y0")
    assert landings(decide_actions(q)) == []
    q = land(verdict(q, "a.x0"))
    assert landings(decide_actions(q)) == ["w.y0"]


def test_red_before_its_upstream_landed_is_checked_once_more() -> None:
    q = made(queue([change("x"), change("y", "x", lane=WEB, order=1)]))
    q = verdict(q, "w.y0", green=False)
    assert commits(q) == ["a.x0"]
    q = land(verdict(q, "a.x0"))
    (again,) = [a for a in decide_actions(q) if isinstance(a, CheckCandidate)]
    assert (again.commit, again.again) == ("w.y0", True)
    q = verdict(q, "w.y0", green=False)
    assert [a.key for a in decide_actions(q) if isinstance(a, RepairChange)] == ["f/y"]


def test_a_moved_target_makes_all_again_and_forgets_no_intent() -> None:
    q = verdict(made(queue([change("x"), change("y", order=1)])), "a.x0")
    (one,) = [a for a in decide_actions(q) if isinstance(a, LandCandidate)]
    q = apply_event(apply_event(q, LandIntended(one.spec, one.commit)), TargetSeen(APP, "b"))
    assert decide_actions(q) == (LandCandidate(one.spec, "a.x0", intended=True),)
    q = made(apply_event(q, Landed(one.spec, "a.x0", "b")))
    assert q.items["f/x"].stage is Stage.LANDED and commits(q) == ["b.y0"]


def test_what_a_rewound_target_lost_comes_before_what_needs_it() -> None:
    q = queue([change("x"), change("y", "x", lane=WEB, order=1), change("z", order=2)])
    q = land(verdict(made(q), "a.x0"))
    q = apply_event(q, Lost("f/x"))
    x, y = q.items["f/x"], q.items["f/y"]
    assert (x.stage, y.stage) == (Stage.QUEUED, Stage.QUEUED) and x.seq < y.seq


def test_disjoint_changes_pass_each_other() -> None:
    rules = QueueRules(disjoint=True)
    q = made(queue([change("x", paths="p"), change("y", order=1, paths="q"),
                    change("z", order=2, paths="p")], rules))  # fmt: skip
    assert commits(q) == ["a.x0", "a.y0", "a.x0.z0"]
    q = made(land(verdict(q, "a.y0")))
    assert commits(q) == ["a.y0.x0", "a.y0.x0.z0"]


def test_a_red_batch_is_halved_until_one_is_to_blame() -> None:
    q = made(queue([change(n, order=i) for i, n in enumerate("wxyz")], QueueRules(batch=4)))
    assert commits(q) == ["a.w0+x0+y0+z0"]
    q = verdict(q, "a.w0+x0+y0+z0", green=False)
    (note,) = decide_actions(q)
    assert isinstance(note, RecordEvent) and isinstance(note.event, Split)
    q = made(apply_event(q, note.event))
    assert commits(q) == ["a.w0+x0", "a.w0+x0.y0+z0"]


def test_a_conflict_is_no_check() -> None:
    q = queue([change("x")], QueueRules(repairs=0))
    (make,) = decide_actions(q)
    assert isinstance(make, MakeCandidate)
    q = apply_event(q, Conflicted(make.spec, "f/x", ("file",)))
    (note,) = decide_actions(q)
    assert isinstance(note, RecordEvent) and "conflict in file" in str(note.event)


def test_the_book_gives_back_what_was_written(tmp_path: Path) -> None:
    changes = [change("x", paths="pq"), change("y", "x", lane=WEB, order=1)]
    world = World(random.Random(1), changes, bad={"x0"}, cures={"f/x": 1}, moves=0.3)
    _, journal = world.run(QueueRules(disjoint=True))
    book = LandingJournal(tmp_path / "queue.jsonl")
    for event in journal:
        book.append(event)
    assert list(book.read()) == journal
    assert decode_event({"event": "Unknown"}) is None
    assert decode_event({**encode_event(TargetSeen(APP, "a")), "lane": 3}) is None
    assert isinstance(journal[-1], object) and CandidateSpec(APP, (), "a").keys == ()
