"""What the merge queue wants next: a queue in, actions out. No clock, no disk, no git.

A lane (repository and target branch) is worked on as a pipeline, as Zuul does: the first
candidate stands on the target, each other one on the nearest candidate before it that has not
failed, all on the assumption that those before them land. Only a candidate whose base is the
target itself is judged: green lands, red or conflict is repaired or parked and those behind are
made again without it. The window grows by one with each landing and is halved by a failure; which
candidates in it are worth a check is `orchestr.landing.pipeline`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest

from orchestr.landing.actions import (
    Action,
    CheckCandidate,
    Generate,
    LandCandidate,
    MakeCandidate,
    RecordEvent,
    RepairChange,
    Retarget,
    UpdateBranch,
    Verify,
)
from orchestr.landing.blame import decide_blames, route_red
from orchestr.landing.events import (
    Candidate,
    CandidateSpec,
    GroupClosed,
    GroupOpened,
    Parked,
    Split,
    Stage,
    Trouble,
)
from orchestr.landing.lane import Lane
from orchestr.landing.pipeline import PipelineSlot, build_pipeline, order_changes
from orchestr.landing.queue import Queue
from orchestr.landing.queue_item import QueueItem, sort_by_entry
from orchestr.landing.rung import Rung


def decide_actions(q: Queue) -> tuple[Action, ...]:
    """Everything that should be under way now, what comes first first."""
    found: list[Action] = []
    for item in sort_by_entry(q.items.values()):
        if item.frozen:
            continue
        if item.stage is Stage.LANDED and item.tidy < 2:
            key = item.change.key
            found.append(Retarget(key) if item.tidy == 0 else Verify(key))
        elif item.stage is Stage.REPAIRING and item.trouble is not None:
            found.append(
                RepairChange(item.change.key, item.trouble, item.repairs, item.detail, True)
            )
    found += decide_blames(q)
    # The first of every lane before the second of any: checks may be fewer than lanes.
    order = order_changes(q)
    lanes = zip_longest(*(_decide_lane(q, lane, order) for lane in sorted(q.tips)))
    found += (action for action in chain.from_iterable(lanes) if action is not None)
    found += _close_groups(q)
    return tuple(dict.fromkeys(found))  # two lanes may open the same group


def _decide_lane(q: Queue, lane: Lane, order: Sequence[QueueItem]) -> Iterator[Action]:
    if lane in q.stopped:  # also a push that may have happened: it is looked for next time
        return
    intent = q.intents.get(lane)
    if intent is not None:  # a push that may have happened comes before everything else
        yield LandCandidate(intent[0], intent[1], intended=True)
        return
    landing = False
    for slot in build_pipeline(q, lane, order):
        spec, candidate = slot.spec, slot.candidate
        if spec is None:
            continue
        if candidate is None:
            yield MakeCandidate(spec)
            continue
        open_needs = _has_open_needs(q, slot)
        if candidate.generating:
            yield Generate(spec, candidate.commit, candidate.generating)
            continue
        if candidate.failed and candidate.early and not open_needs:
            if candidate.commit:
                yield CheckCandidate(spec, candidate.commit, again=True)
                continue
        elif candidate.commit and candidate.green is None and not candidate.is_empty:
            yield CheckCandidate(spec, candidate.commit)
            continue
        if spec.base != q.tips[lane] or open_needs or slot.ahead:
            if not candidate.commit and len(spec.parts) > 1 and not slot.ahead:
                yield RecordEvent(Split(spec))
            continue
        if candidate.failed:
            yield _handle_failure(q, slot, candidate)
        elif not landing:
            landing = True
            yield _open_group(q, slot) or _land_candidate(q, spec, candidate)


def _land_candidate(q: Queue, spec: CandidateSpec, candidate: Candidate) -> Action:
    if candidate.rung is not Rung.GIT and spec.lane.repo in q.rules.buttons:
        return UpdateBranch(spec, candidate.commit)
    return LandCandidate(spec, candidate.commit)


def is_doomed(q: Queue, spec: CandidateSpec) -> bool:
    """Whether a candidate can never be asked about again: one of its changes has another head or
    is out of the queue, what it stands on failed, or the target moved away from below it.
    """
    commits = {c.commit: c for c in q.candidates.values() if c.spec.lane == spec.lane and c.commit}
    while True:
        for key, head in spec.parts:
            item = q.items.get(key)
            if item is None or item.stage is not Stage.QUEUED or item.change.head != head:
                return True
        if spec.base == q.tips.get(spec.lane):
            return False
        below = commits.get(spec.base)
        if below is None or below.failed:
            return True
        spec = below.spec


def keys_in_candidate(q: Queue, spec: CandidateSpec) -> frozenset[str]:
    """The keys of all changes that a candidate holds: landed in its lane, below it, its own."""
    return frozenset(heads_in_candidate(q, spec))


def heads_in_candidate(q: Queue, spec: CandidateSpec) -> dict[str, str]:
    """The changes that a candidate holds, and which head of each; what has landed in other lanes,
    too."""
    landed = {k: i.change.head if i.stage is Stage.LANDED else i.landed for k, i in q.items.items()}
    found: dict[str, str] = {}
    commits = {c.commit: c for c in q.candidates.values() if c.spec.lane == spec.lane and c.commit}
    below: CandidateSpec | None = spec
    while below is not None:
        found = {**dict(below.parts), **found}
        under = commits.get(below.base)
        below = under.spec if under is not None and below.base != q.tips.get(spec.lane) else None
    return {**{key: head for key, head in landed.items() if head}, **found}


def _has_open_needs(q: Queue, slot: PipelineSlot) -> bool:
    """Whether something that it needs, and does not bring itself, has not landed."""
    keys = {item.change.key for item in slot.parts}
    return any(
        need not in keys and q.items[need].stage is not Stage.LANDED
        for item in slot.parts
        for need in item.change.needs
    )


def _handle_failure(q: Queue, slot: PipelineSlot, candidate: Candidate) -> Action:
    """What to do with a candidate that failed on the target itself."""
    if len(slot.parts) > 1:
        return RecordEvent(Split(candidate.spec))
    (item,) = slot.parts
    if candidate.commit and candidate.rung is not Rung.GIT:  # what resolves more may be right
        red = f"resolved by {candidate.rung}, it was red: {candidate.detail}"
        return MakeCandidate(candidate.spec, candidate.rung, red)
    routed = route_red(q, item, candidate)
    if routed is not None:
        return routed
    trouble = Trouble.RED if candidate.commit else Trouble.CONFLICT
    detail = candidate.detail
    if not candidate.commit:
        detail = "\n".join(filter(None, (", ".join(candidate.conflicts), candidate.detail)))
    if item.repairs < q.rules.repairs and not item.change.reverts:
        return RepairChange(item.change.key, trouble, item.repairs + 1, detail)
    tries = f" after {item.repairs} repairs" if item.repairs else ""
    what = f"red{tries}: {detail}" if candidate.commit else f"conflict{tries} in {detail}"
    return RecordEvent(Parked(item.change.key, trouble, what))


def _open_group(q: Queue, slot: PipelineSlot) -> RecordEvent | None:
    """A group is journalled before its first push."""
    for item in slot.parts:
        group = item.change.group
        if not q.groups.get(group):
            members = [i for i in q.items.values() if i.change.group == group]
            keys = [i.change.key for i in _in_plan_order(members) if _may_follow(i)]
            return RecordEvent(GroupOpened(group, tuple(keys)))
    return None


def _may_follow(item: QueueItem) -> bool:
    """Whether it is not landed yet and nothing that is known now keeps it from it."""
    return item.stage not in (Stage.LANDED, Stage.PARKED) and not item.change.hold


def _close_groups(q: Queue) -> Iterator[RecordEvent]:
    """A group is over when nothing of it can move any more."""
    for group in q.groups:
        members = _in_plan_order(i for i in q.items.values() if i.change.group == group)
        if any(_is_moving(i) for i in members):
            continue
        landed = tuple(i.change.key for i in members if i.stage is Stage.LANDED)
        left = tuple(i.change.key for i in members if i.stage is not Stage.LANDED)
        yield RecordEvent(GroupClosed(group, landed, left))


def _is_moving(item: QueueItem) -> bool:
    """Whether something of it is still to come, or is not known in this process."""
    under_way = item.stage in (Stage.QUEUED, Stage.REPAIRING) or (
        item.stage is Stage.LANDED and item.tidy < 2
    )
    return item.frozen or under_way or item.blames is not None


def _in_plan_order(items: Iterable[QueueItem]) -> list[QueueItem]:
    return sorted(items, key=lambda i: (i.change.order, i.change.key))
