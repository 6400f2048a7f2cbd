"""The merge queue: state and events in, actions out. No clock, no disk, no git.

`step` folds what happened into a `Queue`; `decide` looks at a queue and says what should be under
way, always the same for the same queue. So a process that was killed replays its events and
goes on; whatever it was doing is simply asked for again, and every action can be done twice.

A lane (repository and target branch) is worked on as a pipeline, as Zuul does: the first
candidate stands on the target, each other one on the nearest candidate before it that has not
failed, all on the assumption that those before them land. Only a candidate whose base is the
target itself is judged: green lands, red or conflict is repaired or parked and those behind are
made again without it. The window grows by one with each landing and is halved by a failure.

Why it ends and never blocks itself: changes stand in one order over all lanes (when they became
eligible, then plan order), and a change becomes eligible no earlier than what it needs. So the
first change of that order that has not landed is the first of its lane and needs nothing.

The invariants (tests/landing/test_queue_properties.py): the target is only moved to a commit that
was checked green as exactly that commit, on the base it is moved from; nothing lands twice;
nothing is lost; what a change needs has landed before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from orchestr.landing.records import (
    Action,
    Candidate,
    Change,
    CheckCandidate,
    Checked,
    Conflicted,
    Event,
    GroupClosed,
    GroupOpened,
    Land,
    Landed,
    LandIntended,
    Lane,
    Lost,
    Made,
    MakeCandidate,
    Note,
    NotLanded,
    Offered,
    Parked,
    Repair,
    Repaired,
    RepairStarted,
    Retarget,
    Retargeted,
    Rules,
    Spec,
    Split,
    Stage,
    Started,
    TargetSeen,
    Trouble,
    Verified,
    Verify,
)


@dataclass(frozen=True, slots=True)
class Item:
    """A change and how far it is. ``seq``: when it became eligible; ``limit``: the most changes in
    a candidate with it (0: the rules'); ``tidy``: Landed, Retargeted, Verified as 0, 1, 2.
    """

    change: Change
    stage: Stage = Stage.WAITING
    seq: int = 0
    repairs: int = 0
    limit: int = 0
    trouble: Trouble | None = None
    detail: str = ""
    before: str = ""
    after: str = ""
    tidy: int = 2
    frozen: bool = False  # its group is not asked for in this process
    undone: str = ""  # the head that was rolled back: it does not land again


@dataclass(frozen=True, slots=True)
class Queue:
    """Everything the decisions rest on. Made by `replay`; never changed in place."""

    rules: Rules = field(default_factory=Rules)
    items: Mapping[str, Item] = field(default_factory=dict)
    tips: Mapping[Lane, str] = field(default_factory=dict)
    windows: Mapping[Lane, int] = field(default_factory=dict)
    candidates: Mapping[Spec, Candidate] = field(default_factory=dict)
    intents: Mapping[Lane, tuple[Spec, str]] = field(default_factory=dict)
    groups: Mapping[str, bool] = field(default_factory=dict)  # True: its first push may happen
    seq: int = 0

    def window(self, lane: Lane) -> int:
        return self.windows.get(lane, self.rules.window)


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a lane's pipeline. ``spec`` None: what it stands on is not made yet."""

    parts: tuple[Item, ...]
    spec: Spec | None
    candidate: Candidate | None
    chain: frozenset[str]  # every change in it and below it, down to the target


def replay(events: Iterable[Event], rules: Rules | None = None) -> Queue:
    """The queue after these events."""
    queue = Queue(rules or Rules())
    for event in events:
        queue = step(queue, event)
    return queue


# --- what happened ------------------------------------------------------------------------------


def step(queue: Queue, event: Event) -> Queue:
    """The queue after one more event. What does not fit (a late answer) changes nothing."""
    return _settle(_step(queue, event))


def _step(q: Queue, event: Event) -> Queue:
    match event:
        case Started(groups):
            return _started(q, groups)
        case Offered(change, landed):
            return _offer(q, change, landed)
        case TargetSeen(lane, tip):
            return _at(q, lane, tip)
        case Made(spec, commit, tree):
            return _keep(q, Candidate(spec, commit, tree))
        case Conflicted(spec, key, paths):
            return _keep(q, Candidate(spec, "", conflicts=paths, detail=key, early=_early(q, spec)))
        case Checked(spec, commit, green, detail):
            known = q.candidates.get(spec)
            if known is None or known.commit != commit:
                return q
            early = _early(q, spec)
            return _keep(q, replace(known, green=green, detail=detail, early=early))
        case GroupOpened(group, _):
            return replace(q, groups={**q.groups, group: True})
        case GroupClosed(group, _, _):
            return replace(q, groups={k: v for k, v in q.groups.items() if k != group})
        case LandIntended(spec, commit):
            return replace(q, intents={**q.intents, spec.lane: (spec, commit)})
        case Landed():
            return _landed(q, event)
        case NotLanded(spec, tip, refused):
            q = _at(_without_intent(q, spec), spec.lane, tip)
            if refused:
                for key in spec.keys:
                    q = _park(q, key, Trouble.RED, refused)
            return q
        case Split(spec):
            half = max(1, len(spec.parts) // 2)
            q = _with(q, *(replace(q.items[k], limit=half) for k in spec.keys if k in q.items))
            return _narrowed(q, spec.lane)
        case RepairStarted(key, trouble, number, detail):
            item = q.items[key]
            q = _with(q, replace(item, stage=Stage.REPAIRING, repairs=number, trouble=trouble,
                                 detail=detail, limit=1))  # fmt: skip
            return _narrowed(q, item.change.lane)
        case Repaired(key, head, paths):
            item = q.items[key]
            if item.stage is not Stage.REPAIRING:
                return q
            change = replace(item.change, head=head, paths=paths, hold="")
            return _with(q, replace(item, change=change, stage=Stage.WAITING))
        case Parked(key, trouble, reason):
            failed = q.items[key].stage is Stage.QUEUED
            q = _park(q, key, trouble, reason)
            return _narrowed(q, q.items[key].change.lane) if failed else q
        case Retargeted(key):
            return _with(q, replace(q.items[key], tidy=max(1, q.items[key].tidy)))
        case Verified(key):
            return _with(q, replace(q.items[key], tidy=2))
        case Lost(key):
            item = q.items[key]
            return _with(q, replace(item, stage=Stage.WAITING, before="", after="", tidy=2))
        case _:
            assert_never(event)


def _started(q: Queue, groups: tuple[str, ...]) -> Queue:
    """A new process: full windows, another try for what was parked, others' changes stand still.

    Verdicts that were green stay (nobody pays for them twice), red ones and conflicts do not.
    """
    items: dict[str, Item] = {}
    for key, item in q.items.items():
        asked = item.change.group in groups
        stage = Stage.WAITING if asked and item.stage is Stage.PARKED else item.stage
        items[key] = replace(item, stage=stage, frozen=not asked)
    kept = {spec: one for spec, one in _pruned(q).items() if not one.failed}
    return replace(q, items=items, windows={}, candidates=kept)


def _offer(q: Queue, change: Change, landed: bool) -> Queue:
    old = q.items.get(change.key)
    if landed:
        item = Item(change, Stage.LANDED) if old is None else replace(old, stage=Stage.LANDED)
        return _with(q, replace(item, change=change, frozen=False))
    if old is None:
        return _with(q, Item(change))
    if old.stage is Stage.LANDED:
        return _with(q, replace(old, frozen=False))
    if old.change.head == change.head or old.stage is Stage.REPAIRING:
        head = old.change.head if old.stage is Stage.REPAIRING else change.head
        return _with(q, replace(old, change=replace(change, head=head), frozen=False))
    before = old.before if old.undone else ""
    return _with(q, Item(change, undone=old.undone, before=before))  # a person's new try


def _landed(q: Queue, event: Landed) -> Queue:
    spec = event.spec
    steps = event.steps or ((spec.base, event.commit),) * len(spec.parts)
    q = _without_intent(q, spec)
    for (key, _), (before, after) in zip(spec.parts, steps, strict=True):
        item = q.items[key]
        if item.stage is not Stage.LANDED:
            item = replace(item, stage=Stage.LANDED, before=before, after=after, tidy=0,
                           trouble=None, detail="", limit=0)  # fmt: skip
            q = _with(q, item)
        undone = q.items.get(item.change.reverts)
        if undone is not None:
            q = _with(q, replace(undone, stage=Stage.WAITING, undone=undone.change.head, tidy=2))
    window = min(q.rules.ceiling, q.window(spec.lane) + 1)
    return _at(replace(q, windows={**q.windows, spec.lane: window}), spec.lane, event.tip)


def _park(q: Queue, key: str, trouble: Trouble, reason: str) -> Queue:
    item = q.items[key]
    return _with(q, replace(item, stage=Stage.PARKED, trouble=trouble, detail=reason))


def _with(q: Queue, *items: Item) -> Queue:
    return replace(q, items={**q.items, **{item.change.key: item for item in items}})


def _keep(q: Queue, candidate: Candidate) -> Queue:
    return replace(q, candidates={**q.candidates, candidate.spec: candidate})


def _narrowed(q: Queue, lane: Lane) -> Queue:
    window = max(q.rules.floor, q.window(lane) // 2)
    return replace(q, windows={**q.windows, lane: window})


def _without_intent(q: Queue, spec: Spec) -> Queue:
    return replace(q, intents={k: v for k, v in q.intents.items() if v[0] != spec})


def _at(q: Queue, lane: Lane, tip: str) -> Queue:
    if q.tips.get(lane) == tip:
        return q
    q = replace(q, tips={**q.tips, lane: tip})
    return replace(q, candidates=_pruned(q))


def _pruned(q: Queue) -> dict[Spec, Candidate]:
    """The candidates that still stand on their target, directly or on each other."""
    live = {(lane, tip) for lane, tip in q.tips.items()}
    kept: dict[Spec, Candidate] = {}
    for spec, candidate in q.candidates.items():  # a base is made before what stands on it
        if (spec.lane, spec.base) in live:
            kept[spec] = candidate
            live.add((spec.lane, candidate.commit))
    return kept


def _early(q: Queue, spec: Spec) -> bool:
    """Whether something that the parts need in another lane has not landed yet."""
    return any(
        need in q.items and q.items[need].stage is not Stage.LANDED
        for key in spec.keys
        if key in q.items
        for need in q.items[key].change.needs
        if need not in spec.keys and q.items[need].change.lane != spec.lane
    )


def _settle(q: Queue) -> Queue:
    """Queue what became eligible, take out what is not any more; in plan order, to the end."""
    changed = True
    while changed:
        changed = False
        for item in sorted(q.items.values(), key=lambda i: (i.change.order, i.change.key)):
            eligible = obstacle(q, item) is None
            if item.stage is Stage.WAITING and eligible:
                q = replace(q, seq=q.seq + 1)
                q = _with(q, replace(item, stage=Stage.QUEUED, seq=q.seq))
                changed = True
            elif item.stage is Stage.QUEUED and not eligible:
                q = _with(q, replace(item, stage=Stage.WAITING))
                changed = True
            elif item.stage is Stage.QUEUED and _overtakes(q, item):
                q = replace(q, seq=q.seq + 1)
                q = _with(q, replace(item, seq=q.seq))
                changed = True
    return q


def _overtakes(q: Queue, item: Item) -> bool:
    """Whether it stands before something it needs that came back into the queue."""
    needs = (q.items[need] for need in item.change.needs)
    return any(n.stage is Stage.QUEUED and n.seq > item.seq for n in needs)


def obstacle(q: Queue, item: Item) -> str | None:
    """Why a waiting change is not eligible, in words; None when it is."""
    if item.frozen:
        return f"feature {item.change.group} is not being landed now"
    if item.change.hold:
        return item.change.hold
    if item.undone == item.change.head:
        return "it was rolled back and has no new head since"
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


# --- what is to be done -------------------------------------------------------------------------


def decide(q: Queue) -> tuple[Action, ...]:
    """Everything that should be under way now, what comes first first."""
    found: list[Action] = []
    for item in _ordered(q.items.values()):
        if item.frozen:
            continue
        if item.stage is Stage.LANDED and item.tidy < 2:
            key = item.change.key
            found.append(Retarget(key) if item.tidy == 0 else Verify(key))
        elif item.stage is Stage.REPAIRING and item.trouble is not None:
            found.append(Repair(item.change.key, item.trouble, item.repairs, item.detail, True))
    for lane in sorted(q.tips):
        found += _decide_lane(q, lane)
    found += _close_groups(q)
    return tuple(dict.fromkeys(found))  # two lanes may open the same group


def _decide_lane(q: Queue, lane: Lane) -> Iterator[Action]:
    intent = q.intents.get(lane)
    if intent is not None:  # a push that may have happened comes before everything else
        yield Land(intent[0], intent[1], intended=True)
        return
    landing = False
    for slot in pipeline(q, lane):
        spec, candidate = slot.spec, slot.candidate
        if spec is None:
            continue
        if candidate is None:
            yield MakeCandidate(spec)
            continue
        open_needs = _open_needs(q, slot)
        if candidate.failed and candidate.early and not open_needs:
            if candidate.commit:
                yield CheckCandidate(spec, candidate.commit, again=True)
                continue
        elif candidate.commit and candidate.green is None and not candidate.empty:
            yield CheckCandidate(spec, candidate.commit)
            continue
        if spec.base != q.tips[lane] or open_needs:
            if not candidate.commit and len(spec.parts) > 1:
                yield Note(Split(spec))
            continue
        if candidate.failed:
            yield _mend(q, slot, candidate)
        elif not landing:
            landing = True
            yield _open_group(q, slot) or Land(spec, candidate.commit)


def pipeline(q: Queue, lane: Lane) -> list[Slot]:
    """The lane's candidates in order, no more than its window, each with what it stands on."""
    tip = q.tips[lane]
    slots: list[Slot] = []
    queued = [i for i in q.items.values() if i.stage is Stage.QUEUED and i.change.lane == lane]
    for parts in _batches(q, _ordered(queued)):
        if len(slots) >= q.window(lane):
            break
        below = next((s for s in reversed(slots) if not _fails(s) and _linked(q, s, parts)), None)
        base: str | None = tip
        chain: frozenset[str] = frozenset()
        if below is not None:
            base = below.candidate.commit if below.candidate is not None else None
            chain = below.chain
        keys = frozenset(item.change.key for item in parts)
        missing = (
            need
            for item in parts
            for need in item.change.needs
            if q.items[need].change.lane == lane and q.items[need].stage is not Stage.LANDED
        )
        if not keys | chain >= set(missing):
            continue  # what it needs failed, and is judged first
        spec = None
        if base is not None:
            heads = tuple((item.change.key, item.change.head) for item in parts)
            spec = Spec(lane, heads, base)
        found = q.candidates.get(spec) if spec is not None else None
        slots.append(Slot(parts, spec, found, chain | keys))
    return slots


def _fails(slot: Slot) -> bool:
    return slot.candidate is not None and slot.candidate.failed


def _linked(q: Queue, slot: Slot, parts: tuple[Item, ...]) -> bool:
    """Whether ``parts`` are to be checked on top of this slot."""
    if not q.rules.disjoint:
        return True
    keys = {item.change.key for item in slot.parts}
    if any(keys & set(item.change.needs) for item in parts):
        return True
    ours, theirs = _paths(parts), _paths(slot.parts)
    return ours is None or theirs is None or bool(ours & theirs)


def _paths(parts: tuple[Item, ...]) -> frozenset[str] | None:
    known = [item.change.paths for item in parts]
    if any(paths is None for paths in known):
        return None
    return frozenset().union(*(paths or () for paths in known))


def _ordered(items: Iterable[Item]) -> list[Item]:
    return sorted(items, key=lambda i: (i.seq, i.change.order, i.change.key))


def _batches(q: Queue, items: list[Item]) -> Iterator[tuple[Item, ...]]:
    batch: list[Item] = []
    room = 0
    for item in items:
        limit = min(item.limit or q.rules.batch, q.rules.batch)
        # One that waits for another lane never joins: two batches could wait for each other.
        if batch and len(batch) < min(room, limit) and not _waits_abroad(q, item):
            batch.append(item)
            room = min(room, limit)
            continue
        if batch:
            yield tuple(batch)
        batch, room = [item], limit
    if batch:
        yield tuple(batch)


def _waits_abroad(q: Queue, item: Item) -> bool:
    needs = (q.items[need] for need in item.change.needs)
    return any(n.stage is not Stage.LANDED and n.change.lane != item.change.lane for n in needs)


def _open_needs(q: Queue, slot: Slot) -> bool:
    """Whether something that it needs, and does not bring itself, has not landed."""
    keys = {item.change.key for item in slot.parts}
    return any(
        need not in keys and q.items[need].stage is not Stage.LANDED
        for item in slot.parts
        for need in item.change.needs
    )


def _mend(q: Queue, slot: Slot, candidate: Candidate) -> Action:
    """What to do with a candidate that failed on the target itself."""
    if len(slot.parts) > 1:
        return Note(Split(candidate.spec))
    (item,) = slot.parts
    trouble = Trouble.RED if candidate.commit else Trouble.CONFLICT
    detail = candidate.detail if candidate.commit else ", ".join(candidate.conflicts)
    if item.repairs < q.rules.repairs and not item.change.reverts:
        return Repair(item.change.key, trouble, item.repairs + 1, detail)
    tries = f" after {item.repairs} repairs" if item.repairs else ""
    what = f"red{tries}: {detail}" if candidate.commit else f"conflict{tries} in {detail}"
    return Note(Parked(item.change.key, trouble, what))


def _open_group(q: Queue, slot: Slot) -> Note | None:
    """A group is journalled before its first push."""
    for item in slot.parts:
        group = item.change.group
        if not q.groups.get(group):
            members = [i for i in q.items.values() if i.change.group == group]
            keys = [i.change.key for i in _in_plan(members) if i.stage is not Stage.LANDED]
            return Note(GroupOpened(group, tuple(keys)))
    return None


def _close_groups(q: Queue) -> Iterator[Note]:
    """A group is over when nothing of it can move any more."""
    for group in q.groups:
        members = _in_plan(i for i in q.items.values() if i.change.group == group)
        moving = (Stage.QUEUED, Stage.REPAIRING)
        if any(i.frozen or i.stage in moving or i.tidy < 2 for i in members):
            continue
        landed = tuple(i.change.key for i in members if i.stage is Stage.LANDED)
        left = tuple(i.change.key for i in members if i.stage is not Stage.LANDED)
        yield Note(GroupClosed(group, landed, left))


def _in_plan(items: Iterable[Item]) -> list[Item]:
    return sorted(items, key=lambda i: (i.change.order, i.change.key))
