"""The order of a landing, and the candidates of a lane that are worth a check. Pure.

Changes of one wave (queued before the first candidate after them was made) stand by their risk,
the least likely red first, each behind all that it needs; changes of a later wave stand behind
them, so none waits for ever. It is one order over all lanes: the first change of it that has not
landed is the first of its lane and waits for nothing.

A lane's candidates are a tree: each has not failed or has, and those behind stand on it or pass
over it. Without a number of machines only the path on which all pass is taken, up to the window.
With one, the nodes are taken by the probability that their verdict is used, as SubmitQueue does,
until every machine has work: behind a likely red change that is also the candidate without it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from orchestr.landing.events import Candidate, CandidateSpec, Stage
from orchestr.landing.lane import Lane
from orchestr.landing.likelihood import adjust_risk, combine_risks, risk_class
from orchestr.landing.queue import Queue
from orchestr.landing.queue_item import QueueItem

LEAST_USE = 0.05  # a verdict that is used less likely than that is not paid for,
LEAST_AHEAD = 0.3  # nor this one of a candidate for the case that something before it fails
BATCH_RISK = 0.5  # over the number of machines: what is under way may hold one red change


@dataclass(frozen=True, slots=True)
class PipelineSlot:
    """A place in a lane's pipeline. ``spec`` None: what it stands on is not made yet. ``ahead``:
    it is made for the case that something before it fails; it is not judged before that."""

    parts: tuple[QueueItem, ...]
    spec: CandidateSpec | None
    candidate: Candidate | None
    chain: frozenset[str]  # every change in it and below it, down to the target
    ahead: bool = False

    @property
    def has_failed(self) -> bool:
        return self.candidate is not None and self.candidate.failed

    @property
    def is_open(self) -> bool:
        """Whether its verdict is still to come."""
        known = self.candidate
        return known is None or not (known.failed or known.is_landable)


# --- the order ----------------------------------------------------------------------------------


def order_changes(q: Queue) -> list[QueueItem]:
    """Everything that is queued, in the order in which it is to land; over all lanes."""
    queued = {key: item for key, item in q.items.items() if item.stage is Stage.QUEUED}
    open_needs = {
        key: {need for need in item.change.needs if need in queued} for key, item in queued.items()
    }
    followers: dict[str, list[str]] = {}
    for key, needs in open_needs.items():
        for need in needs:
            followers.setdefault(need, []).append(key)
    ready = [_order_key(queued[key]) for key, needs in open_needs.items() if not needs]
    heapq.heapify(ready)
    found = []
    while ready:
        key = heapq.heappop(ready)[-1]
        found.append(queued[key])
        for other in followers.get(key, ()):
            open_needs[other].discard(key)
            if not open_needs[other]:
                heapq.heappush(ready, _order_key(queued[other]))
    return found


def _order_key(item: QueueItem) -> tuple[int, int, int, int, str]:
    change = item.change
    return item.wave, risk_class(change.risk), item.seq, change.order, change.key


# --- batches ------------------------------------------------------------------------------------


def make_batches(
    q: Queue, lane: Lane, items: Sequence[QueueItem], risks: Mapping[str, float]
) -> list[tuple[QueueItem, ...]]:
    """The changes of a lane, put together where the rules allow it.

    What is under way together stays together: another grouping would throw its check away.
    """
    if q.rules.batch <= 1:
        return [(item,) for item in items]
    under_way = {c.spec.parts for c in list_live_candidates(q, lane)}
    sizes = sorted({len(parts) for parts in under_way}, reverse=True)
    found: list[tuple[QueueItem, ...]] = []
    at = 0
    while at < len(items):
        known = (tuple(items[at : at + size]) for size in sizes)
        batch = next((b for b in known if _parts_of(b) in under_way), None)
        if batch is None:
            batch = _take_batch(q, lane, items[at:], risks)
        found.append(batch)
        at += len(batch)
    return found


def _take_batch(
    q: Queue, lane: Lane, items: Sequence[QueueItem], risks: Mapping[str, float]
) -> tuple[QueueItem, ...]:
    most = q.batch_size(lane)
    room = min(items[0].limit or most, most)
    batch = [items[0]]
    for item in items[1:]:
        room = min(room, item.limit or most)
        # One that waits for another lane never joins: two batches could wait for each other.
        if len(batch) >= room or _waits_for_other_lane(q, item):
            break
        if q.rules.adapt and combine_risks(
            risks[i.change.key] for i in (*batch, item)
        ) > BATCH_RISK / max(1, q.rules.machines):
            break
        batch.append(item)
    return tuple(batch)


def _waits_for_other_lane(q: Queue, item: QueueItem) -> bool:
    needs = (q.items[need] for need in item.change.needs)
    return any(n.stage is not Stage.LANDED and n.change.lane != item.change.lane for n in needs)


def _parts_of(items: Iterable[QueueItem]) -> tuple[tuple[str, str], ...]:
    return tuple((item.change.key, item.change.head) for item in items)


# --- what stands on what ------------------------------------------------------------------------


def list_live_candidates(q: Queue, lane: Lane) -> list[Candidate]:
    """The candidates of a lane that may still be asked about: their changes are queued as they
    are, and nothing that they stand on has failed."""
    bases = {q.tips.get(lane)}
    found = []
    for spec, candidate in q.candidates.items():  # a base is made before what stands on it
        if spec.lane != lane or spec.base not in bases or candidate.failed:
            continue
        items = ((q.items.get(key), head) for key, head in spec.parts)
        if all(
            item is not None and item.stage is Stage.QUEUED and item.change.head == head
            for item, head in items
        ):
            bases.add(candidate.commit)
            found.append(candidate)
    return found


# --- the pipeline -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Node:
    """A way down the tree to the batch at ``at``: what passed on it, and how likely it is."""

    at: int
    passed: tuple[PipelineSlot, ...] = ()
    use: float = 1.0
    ahead: bool = False


def build_pipeline(q: Queue, lane: Lane, order: Sequence[QueueItem]) -> list[PipelineSlot]:
    """The lane's candidates that are wanted, the most useful first, each with what it stands on;
    ``order`` are the queued changes."""
    items = [item for item in order if item.change.lane == lane]
    risks = {i.change.key: adjust_risk(i.change.risk, q.green, q.red) for i in items}
    batches = make_batches(q, lane, items, risks)
    ticket = count()  # equal ones in the order in which they were found
    ways = [(-1.0, next(ticket), _Node(0))]
    slots: dict[CandidateSpec, PipelineSlot] = {}
    open_slots, machines = 0, q.rules.machines

    def add_way(node: _Node, use: float, passed: tuple[PipelineSlot, ...], ahead: bool) -> None:
        if use >= (LEAST_AHEAD if ahead else LEAST_USE) or not slots:
            heapq.heappush(ways, (-use, next(ticket), _Node(node.at + 1, passed, use, ahead)))

    while ways and len(slots) < q.window_size(lane):
        node = heapq.heappop(ways)[-1]
        if node.at >= len(batches):
            continue
        slot = _place_slot(q, lane, batches[node.at], node)
        if slot is None:  # what it needs failed, and is judged first
            add_way(node, node.use, node.passed, node.ahead)
            continue
        if slot.spec is None:
            continue
        known = slots.get(slot.spec)
        if slot.is_open and known is None:
            if machines and open_slots >= machines:
                continue
            open_slots += 1
        if known is None or known.ahead:  # the one that is judged stands for both
            slots[slot.spec] = slot
        fails = 1.0 if slot.has_failed else 0.0
        if slot.is_open and machines:
            fails = combine_risks(risks[item.change.key] for item in slot.parts)
        if fails < 1.0:
            add_way(node, node.use * (1.0 - fails), (*node.passed, slot), node.ahead)
        if fails > 0.0:
            add_way(node, node.use * fails, node.passed, node.ahead or slot.is_open)
    return list(slots.values())


def _place_slot(
    q: Queue, lane: Lane, parts: tuple[QueueItem, ...], node: _Node
) -> PipelineSlot | None:
    below = next((s for s in reversed(node.passed) if _must_stand_on(q, s, parts)), None)
    base: str | None = q.tips[lane]
    chain: frozenset[str] = frozenset()
    if below is not None:
        made = below.candidate
        base = made.commit if made is not None and not made.generating else None
        chain = below.chain
    keys = frozenset(item.change.key for item in parts)
    missing = (
        need
        for item in parts
        for need in item.change.needs
        if q.items[need].change.lane == lane and q.items[need].stage is not Stage.LANDED
    )
    if not keys | chain >= set(missing):
        return None
    spec = None if base is None else CandidateSpec(lane, _parts_of(parts), base)
    known = q.candidates.get(spec) if spec is not None else None
    return PipelineSlot(parts, spec, known, chain | keys, node.ahead)


def _must_stand_on(q: Queue, slot: PipelineSlot, parts: tuple[QueueItem, ...]) -> bool:
    """Whether ``parts`` are to be checked on top of this slot."""
    if not q.rules.disjoint:
        return True
    keys = {item.change.key for item in slot.parts}
    if any(keys & set(item.change.needs) for item in parts):
        return True
    ours, theirs = _combined_paths(parts), _combined_paths(slot.parts)
    return ours is None or theirs is None or bool(ours & theirs)


def _combined_paths(parts: tuple[QueueItem, ...]) -> frozenset[str] | None:
    known = [item.change.paths for item in parts]
    if any(paths is None for paths in known):
        return None
    return frozenset().union(*(paths or () for paths in known))
