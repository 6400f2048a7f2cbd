"""What comes of a red check that another change caused: decisions. No clock, no disk, no git.

The tested change waits, the cause is repaired by its own agent and lands first, then the tested one
is tried again. It always ends: each repair counts against `landing.repairs` of the cause; a change
never waits for one that waits for it or needs it; and what waits for a cause that does not come is
left to a person, with the cause by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from orchestr.landing.actions import Action, CheckCandidate, RecordEvent, RepairChange
from orchestr.landing.causes import Blamed, Cause, name_cell
from orchestr.landing.events import Candidate, Parked, Stage, Trouble
from orchestr.landing.queue import Queue, find_obstacle
from orchestr.landing.queue_item import QueueItem, sort_by_entry


def route_red(q: Queue, item: QueueItem, candidate: Candidate) -> Action | None:
    """What to do with a change that is red on the target itself; None: its own agent repairs it."""
    causes, key = candidate.causes, item.change.key
    if not candidate.commit or not causes or causes[0].key == key or item.change.reverts:
        return None
    if len(causes) > 1:
        named = " and ".join(f"{c.shown_paths} of {name_cell(c.key)}" for c in causes)
        why = f"no cell has all that its output names: {named}"
        return RecordEvent(
            Parked(key, Trouble.RED, f"red: {why}\n{candidate.detail}", causes[0].key)
        )
    (cause,) = causes
    other = q.items.get(cause.key)
    why = _find_reason_against(q, item, cause)
    if why:
        return RecordEvent(_leave_to_person(item, cause, why, candidate.detail))
    if other is not None and other.stage is Stage.LANDED and other.change.head != cause.head:
        return CheckCandidate(candidate.spec, candidate.commit, again=True)  # it came meanwhile
    return RecordEvent(Blamed(key, cause, candidate.detail))


def decide_blames(q: Queue) -> Iterator[Action]:
    """For every change that waits for a cause: the repair of that, once, or a person."""
    asked: set[str] = set()
    for item in sort_by_entry(q.items.values()):
        cause = item.blames
        if cause is None or item.stage is not Stage.WAITING or item.frozen:
            continue
        why = item.blame_failed or _find_reason_against(q, item, cause)
        if why:
            yield RecordEvent(_leave_to_person(item, cause, why, item.detail))
        elif _is_to_be_repaired(q, cause) and cause.key not in asked:
            asked.add(cause.key)
            number = q.items[cause.key].repairs + 1
            yield RepairChange(cause.key, Trouble.RED, number, _describe_for_cause(item, cause))


def _is_to_be_repaired(q: Queue, cause: Cause) -> bool:
    """Whether nothing has been done about a cause yet, and its target is not being moved to it: a
    head that lands must not be another one by then."""
    item = q.items[cause.key]
    intent = q.intents.get(item.change.lane)
    if intent is not None and cause.key in intent[0].keys:
        return False
    return item.change.head == cause.head and item.stage in (Stage.LANDED, Stage.QUEUED)


def _find_reason_against(q: Queue, item: QueueItem, cause: Cause) -> str:
    """Why it is of no use to wait for a cause; "" where it is."""
    other = q.items.get(cause.key)
    if other is None:
        return f"nothing is known of {name_cell(cause.key)}"
    if _waits_for(q, cause.key, item.change.key):
        return f"{name_cell(cause.key)} cannot land before {name_cell(item.change.key)}"
    if _is_stuck(q, other, frozenset()):
        if other.stage is Stage.PARKED:
            return f"{name_cell(cause.key)} needs a person"
        return f"{name_cell(cause.key)} does not land: {find_obstacle(q, other)}"
    if _is_to_be_repaired(q, cause) and other.repairs >= q.rules.repairs:
        return (
            f"it is so after {other.repairs} repairs" if other.repairs else "no repair is allowed"
        )
    return ""


def _waits_for(q: Queue, key: str, goal: str) -> bool:
    """Whether a change waits for another one, or needs it, directly or by others."""
    todo, seen = [key], set()
    while todo:
        item = q.items.get(todo.pop())
        if item is None or item.change.key in seen:
            continue
        seen.add(item.change.key)
        todo += [*item.change.needs, *([item.blames.key] if item.blames else [])]
    return goal in seen and goal != key


def _is_stuck(q: Queue, item: QueueItem, above: frozenset[str]) -> bool:
    """Whether nothing that is under way can make a change land."""
    if item.frozen or item.stage is Stage.PARKED or item.change.key in above:
        return True
    if item.stage is not Stage.WAITING:
        return False
    wanted = [*item.change.needs, *([item.blames.key] if item.blames else [])]
    if not wanted or find_obstacle(q, _without_waits(item)) is not None:
        return True
    known = [q.items.get(key) for key in wanted]
    return any(one is None or _is_stuck(q, one, above | {item.change.key}) for one in known)


def _without_waits(item: QueueItem) -> QueueItem:
    """The change as if it needed no other: what is against it then is its own."""
    return replace(item, change=replace(item.change, needs=()), blames=None)


def _leave_to_person(item: QueueItem, cause: Cause, why: str, detail: str) -> Parked:
    text = f"red because of {cause.shown_paths}, which {name_cell(cause.key)} changed; {why}"
    return Parked(item.change.key, Trouble.RED, f"{text}\n{detail}".rstrip(), cause.key)


def _describe_for_cause(item: QueueItem, cause: Cause) -> str:
    """What the agent of a cause is shown: which change is red because of it, and the evidence."""
    what = f"{name_cell(item.change.key)} is red on it, and its output names"
    return f"{what} {cause.shown_paths}, which this cell changed\n{item.detail}"
