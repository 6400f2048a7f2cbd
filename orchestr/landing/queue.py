"""The merge queue: what happened, folded into a state. No clock, no disk, no git.

`apply_event` folds one event into a `Queue`; `orchestr.landing.decide` says what should be under
way for a queue, always the same for the same queue. So a process that was killed replays its events
and
goes on; whatever it was doing is simply asked for again, and every action can be done twice.

Why it ends and never blocks itself: changes stand in one order over all lanes (when they became
eligible, then plan order), and a change becomes eligible no earlier than what it needs. So the
first change of that order that has not landed is the first of its lane and needs nothing.

The invariants (tests/landing/test_queue_properties.py): the target is only moved to a commit that
was checked green as exactly that commit, on the base it is moved from; nothing lands twice;
nothing is lost; what a change needs has landed before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from orchestr.landing.causes import Blamed, describe_wait
from orchestr.landing.events import (
    Candidate,
    CandidateSpec,
    Checked,
    Conflicted,
    Event,
    GroupClosed,
    GroupOpened,
    HeadMoved,
    LandAgain,
    Landed,
    LandingChange,
    LandIntended,
    LaneStopped,
    Lost,
    Made,
    NotLanded,
    Offered,
    Parked,
    QueueRules,
    Repaired,
    RepairStarted,
    Retargeted,
    Split,
    Stage,
    Started,
    TargetSeen,
    Trouble,
    Verified,
)
from orchestr.landing.lane import Lane
from orchestr.landing.queue_item import QueueItem, has_landed_anew, is_under_way, park_change

SLOW_CHECK = 60.0  # s; below it a batch saves less than the round costs in which it is halved
FIRST_BATCH = 1  # of a landing that adapts; doubled by each that lands, 1 after one that is red


@dataclass(frozen=True, slots=True)
class Queue:
    """Everything the decisions rest on. Made by `replay`; never changed in place."""

    rules: QueueRules = field(default_factory=QueueRules)
    items: Mapping[str, QueueItem] = field(default_factory=dict)
    tips: Mapping[Lane, str] = field(default_factory=dict)
    windows: Mapping[Lane, int] = field(default_factory=dict)
    candidates: Mapping[CandidateSpec, Candidate] = field(default_factory=dict)
    intents: Mapping[Lane, tuple[CandidateSpec, str]] = field(default_factory=dict)
    groups: Mapping[str, bool] = field(default_factory=dict)  # True: its first push may happen
    stopped: Mapping[Lane, LaneStopped] = field(default_factory=dict)
    seq: int = 0
    wave: int = 0  # one more with each candidate that is made
    batches: Mapping[Lane, int] = field(default_factory=dict)
    check_seconds: Mapping[Lane, float] = field(default_factory=dict)
    green: int = 0  # changes that landed since the start of this process
    red: int = 0  # and that were red on their target

    def window_size(self, lane: Lane) -> int:
        return self.windows.get(lane, self.rules.window)

    def batch_size(self, lane: Lane) -> int:
        """The most changes in one candidate of the lane now."""
        if not self.rules.adapt:
            return self.rules.batch
        slow = self.check_seconds.get(lane, 0.0) >= SLOW_CHECK
        return min(self.rules.batch, self.batches.get(lane, FIRST_BATCH)) if slow else 1


def replay(events: Iterable[Event], rules: QueueRules | None = None) -> Queue:
    """The queue after these events."""
    queue = Queue(rules or QueueRules())
    for event in events:
        queue = apply_event(queue, event)
    return queue


# --- what happened ------------------------------------------------------------------------------


def apply_event(queue: Queue, event: Event) -> Queue:
    """The queue after one more event. What does not fit (a late answer) changes nothing."""
    return _settle_eligibility(_fold_event(queue, event))


def _fold_event(q: Queue, event: Event) -> Queue:
    match event:
        case Started(groups):
            return _apply_started(q, groups)
        case Offered(change, landed):
            return _apply_offered(q, change, landed)
        case LandAgain(parts):
            asked = [q.items[key] for key, head in parts
                     if key in q.items and q.items[key].undone == head]  # fmt: skip
            return _with_items(q, *(replace(item, again=item.undone) for item in asked))
        case TargetSeen(lane, tip):
            return _with_target_tip(q, lane, tip)
        case LaneStopped(lane):
            return replace(q, stopped={**q.stopped, lane: event})
        case Made(spec, commit, tree, rung, resolved, generating, steps):
            q = replace(q, wave=q.wave + 1)
            made = Candidate(spec, commit, tree, rung=rung, resolved=resolved,
                             generating=generating, steps=steps)  # fmt: skip
            return _with_candidate(q, made)
        case Conflicted(spec, _, paths, red):
            early = _is_early(q, spec)
            return _with_candidate(q, Candidate(spec, "", conflicts=paths, detail=red, early=early))
        case HeadMoved(key, head, paths):
            item = q.items[key]
            change = replace(item.change, head=head, paths=paths, hold="")
            return _with_items(q, replace(item, change=change))
        case Checked(spec, commit, green, detail, seconds, causes):
            q = _with_check_seconds(q, spec.lane, seconds)
            known = q.candidates.get(spec)
            if known is None or known.commit != commit:
                return q
            return _with_candidate(
                q,
                replace(known, green=green, detail=detail, early=_is_early(q, spec), causes=causes),
            )
        case GroupOpened(group, _):
            return replace(q, groups={**q.groups, group: True})
        case GroupClosed(group, _, _):
            return replace(q, groups={k: v for k, v in q.groups.items() if k != group})
        case LandIntended(spec, commit):
            return replace(q, intents={**q.intents, spec.lane: (spec, commit)})
        case Landed():
            return _apply_landed(q, event)
        case NotLanded(spec, tip, refused):
            q = _with_target_tip(_without_intent(q, spec), spec.lane, tip)
            if refused:
                for key in spec.keys:
                    q = _with_items(q, *park_change(q.items, key, Trouble.RED, refused))
            return q
        case Split(spec):
            half = max(1, len(spec.parts) // 2)
            q = _with_items(
                q, *(replace(q.items[k], limit=half) for k in spec.keys if k in q.items)
            )
            q = replace(q, batches={**q.batches, spec.lane: 1})
            return _with_halved_window(q, spec.lane)
        case RepairStarted(key, trouble, number, detail):
            item = q.items[key]
            q = _with_red(q, item, trouble)
            begun = item.with_new_work() if item.stage is Stage.LANDED else item
            q = _with_items(q, replace(begun, stage=Stage.REPAIRING, repairs=number,
                                       trouble=trouble, detail=detail, limit=1))  # fmt: skip
            # Its agent failed and is asked once more, or another change failed because of it.
            again = item.stage in (Stage.REPAIRING, Stage.LANDED)
            return q if again else _with_halved_window(q, item.change.lane)
        case Blamed(key, cause, detail):
            item = replace(q.items[key], stage=Stage.WAITING, trouble=Trouble.RED, detail=detail,
                           blames=cause, blame_failed="", limit=1)  # fmt: skip
            return _with_halved_window(_with_items(q, item), item.change.lane)
        case Repaired(key, head, paths):
            item = q.items[key]
            if item.stage is not Stage.REPAIRING:
                return q
            change = replace(item.change, head=head, paths=paths, hold="")
            return _with_items(q, replace(item, change=change, stage=Stage.WAITING))
        case Parked(key, trouble, reason, cause):
            failed = q.items[key].stage is Stage.QUEUED
            q = _with_red(q, q.items[key], trouble)
            q = _with_items(q, *park_change(q.items, key, trouble, reason, cause))
            return _with_halved_window(q, q.items[key].change.lane) if failed else q
        case Retargeted(key):
            return _with_items(q, replace(q.items[key], tidy=max(1, q.items[key].tidy)))
        case Verified(key):
            return _with_items(q, replace(q.items[key], tidy=2))
        case Lost(key):
            item = q.items[key]
            return _with_items(q, replace(item, stage=Stage.WAITING, before="", after="", tidy=2))
        case _:
            assert_never(event)


def _apply_started(q: Queue, groups: tuple[str, ...]) -> Queue:
    """A new process: full windows, another try for what was parked, others' changes stand still.

    Verdicts that were green stay, so that no check runs twice for them; red ones and conflicts do
    not. What waits for a cause goes on waiting where that is under way, else it is tried again.
    """
    items: dict[str, QueueItem] = {}
    for key, item in q.items.items():
        asked = item.change.group in groups
        stage = Stage.WAITING if asked and item.stage is Stage.PARKED else item.stage
        blames = item.blames if is_under_way(q.items, item.blames, groups) else None
        items[key] = replace(item, stage=stage, frozen=not asked, blames=blames, blame_failed="")
    kept = {spec: one for spec, one in _standing_candidates(q).items() if not one.failed}
    q = replace(q, batches={}, green=0, red=0, stopped={})
    return replace(q, items=items, windows={}, candidates=kept)


def _apply_offered(q: Queue, change: LandingChange, landed: bool) -> Queue:
    old = q.items.get(change.key)
    if landed:
        item = QueueItem(change, Stage.LANDED) if old is None else replace(old, stage=Stage.LANDED)
        return _with_items(q, replace(item, change=change, frozen=False))
    if old is None:
        return _with_items(q, QueueItem(change))
    if old.stage is Stage.LANDED and change.head in ("", old.change.head):
        return _with_items(q, replace(old, frozen=False))
    if old.stage is Stage.LANDED:  # new work on what has landed: it lands, too
        kept = old.with_new_work()
        return _with_items(q, QueueItem(change, landed=kept.landed, earlier=kept.earlier))
    if old.change.head == change.head or old.stage is Stage.REPAIRING:
        head = old.change.head if old.stage is Stage.REPAIRING else change.head
        return _with_items(q, replace(old, change=replace(change, head=head), frozen=False))
    before = old.before if old.undone else ""
    new = QueueItem(change, undone=old.undone, before=before, first=old.first,
                    landed=old.landed, earlier=old.earlier)  # fmt: skip
    return _with_items(q, new)  # a person's new try


def _apply_landed(q: Queue, event: Landed) -> Queue:
    spec = event.spec
    steps = event.steps or ((spec.base, event.commit),) * len(spec.parts)
    q = _without_intent(q, spec)
    for (key, head), (before, after) in zip(spec.parts, steps, strict=True):
        item = q.items[key]
        if item.change.head != head and not item.change.reverts:  # it got another one meanwhile
            new = replace(item, landed=head, earlier=(*item.earlier, (before, after)))
            q = _with_items(q, new)
            continue
        if item.stage is not Stage.LANDED:
            item = replace(item, stage=Stage.LANDED, before=before, after=after, tidy=0,
                           trouble=None, detail="", limit=0, again="")  # fmt: skip
            q = _with_items(q, item)
        undone = q.items.get(item.change.reverts)
        if undone is not None:
            start = undone.earlier[0][0] if undone.earlier else undone.before
            back = replace(undone, stage=Stage.WAITING, undone=undone.change.head, tidy=2,
                           first=undone.first or start, landed="", earlier=())  # fmt: skip
            q = _with_items(q, back)
    window = min(q.rules.ceiling, q.window_size(spec.lane) + 1)
    batch = q.batches.get(spec.lane, FIRST_BATCH)
    if len(spec.parts) >= min(batch, q.rules.batch):
        batch = min(2 * batch, q.rules.batch)
    q = replace(
        q,
        windows={**q.windows, spec.lane: window},
        batches={**q.batches, spec.lane: batch},
        green=q.green + len(spec.parts),
    )
    return _with_target_tip(q, spec.lane, event.tip)


def _with_red(q: Queue, item: QueueItem, trouble: Trouble) -> Queue:
    """Count a change that was red on its target."""
    return replace(q, red=q.red + (trouble is Trouble.RED and item.stage is Stage.QUEUED))


def _with_check_seconds(q: Queue, lane: Lane, seconds: float) -> Queue:
    """What a check takes there; the newest count for half. One that was known took no time."""
    if not seconds:
        return q
    before = q.check_seconds.get(lane, seconds)
    return replace(q, check_seconds={**q.check_seconds, lane: (before + seconds) / 2})


def _with_items(q: Queue, *items: QueueItem) -> Queue:
    return replace(q, items={**q.items, **{item.change.key: item for item in items}})


def _with_candidate(q: Queue, candidate: Candidate) -> Queue:
    return replace(q, candidates={**q.candidates, candidate.spec: candidate})


def _with_halved_window(q: Queue, lane: Lane) -> Queue:
    # What keeps no machine from its work costs nothing: the likelihood says what is worth a check.
    floor = min(max(q.rules.floor, q.rules.machines), q.rules.window)
    window = max(floor, q.window_size(lane) // 2)
    return replace(q, windows={**q.windows, lane: window})


def _without_intent(q: Queue, spec: CandidateSpec) -> Queue:
    return replace(q, intents={k: v for k, v in q.intents.items() if v[0] != spec})


def _with_target_tip(q: Queue, lane: Lane, tip: str) -> Queue:
    if q.tips.get(lane) == tip:
        return q
    q = replace(q, tips={**q.tips, lane: tip})
    return replace(q, candidates=_standing_candidates(q))


def _standing_candidates(q: Queue) -> dict[CandidateSpec, Candidate]:
    """The candidates that still stand on their target, directly or on each other."""
    live = {(lane, tip) for lane, tip in q.tips.items()}
    kept: dict[CandidateSpec, Candidate] = {}
    for spec, candidate in q.candidates.items():  # a base is made before what stands on it
        if (spec.lane, spec.base) in live:
            kept[spec] = candidate
            live.add((spec.lane, candidate.commit))
    return kept


def _is_early(q: Queue, spec: CandidateSpec) -> bool:
    """Whether something that the parts need in another lane has not landed yet."""
    return any(
        need in q.items and q.items[need].stage is not Stage.LANDED
        for key in spec.keys
        if key in q.items
        for need in q.items[key].change.needs
        if need not in spec.keys and q.items[need].change.lane != spec.lane
    )


def _settle_eligibility(q: Queue) -> Queue:
    """Queue what became eligible, take out what is not any more; in plan order, to the end."""
    changed = True
    while changed:
        changed = False
        for item in sorted(q.items.values(), key=lambda i: (i.change.order, i.change.key)):
            eligible = find_obstacle(q, item) is None
            if item.stage is Stage.WAITING and eligible:
                q = replace(q, seq=q.seq + 1)
                if item.blames is not None:
                    q = _with_red_void(q, item.change.key)
                q = _with_items(
                    q, replace(item, stage=Stage.QUEUED, seq=q.seq, wave=q.wave, blames=None)
                )
                changed = True
            elif item.stage is Stage.QUEUED and not eligible:
                q = _with_items(q, replace(item, stage=Stage.WAITING))
                changed = True
            elif item.stage is Stage.QUEUED and _overtakes_its_needs(q, item):
                q = replace(q, seq=q.seq + 1)
                q = _with_items(q, replace(item, seq=q.seq, wave=q.wave))
                changed = True
    return q


def _with_red_void(q: Queue, key: str) -> Queue:
    """What was red because of another change is checked once more: on the same target, too, where
    the cause is in another repository."""
    void = {spec: replace(one, early=True) for spec, one in q.candidates.items()
            if key in spec.keys and one.green is False}  # fmt: skip
    return replace(q, candidates={**q.candidates, **void})


def _overtakes_its_needs(q: Queue, item: QueueItem) -> bool:
    """Whether it stands before something it needs that came back into the queue."""
    needs = (q.items[need] for need in item.change.needs)
    return any(n.stage is Stage.QUEUED and n.seq > item.seq for n in needs)


def find_obstacle(q: Queue, item: QueueItem) -> str | None:
    """Why a waiting change is not eligible, in words; None when it is."""
    if item.frozen:
        return f"feature {item.change.group} is not being landed now"
    if item.change.hold:
        return item.change.hold
    if item.undone and item.undone == item.change.head != item.again:
        return "it was rolled back and has no new head since"
    if item.change.lane in q.stopped:
        return q.stopped[item.change.lane].reason
    if item.blames is not None and not has_landed_anew(q.items, item.blames):
        return f"it waits for {describe_wait(item.blames, item.blames.key)}"
    for need in item.change.needs:
        upstream = q.items.get(need)
        if upstream is None:
            return f"it needs {need}, of which nothing is known"
        same = upstream.change.lane == item.change.lane
        together = upstream.change.group == item.change.group
        if upstream.stage is Stage.LANDED or (
            upstream.stage is Stage.QUEUED and (same or together)
        ):
            continue
        return f"it needs {need}, which is {upstream.stage}"
    return None
