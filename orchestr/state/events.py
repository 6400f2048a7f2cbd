"""The journal's events: the kinds, and the envelope that every event has.

Pure: what an event is, not where it is kept (``orchestr.state.journal.Journal``). The fields of
each kind are declared in `orchestr.state.event_details`. Reading them never fails: fields of a
newer version are passed over (and kept in ``data``), and a value of another type than the declared
one counts as missing, so that one odd value costs no event. Empty texts and numbers that are not
finite count as missing, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite
from typing import Any, get_args, get_type_hints

import msgspec

from orchestr.state.event_details import EventDetails, LandQueue


class EventKind(StrEnum):
    """Every kind of event. A kind that is not here is refused when it is appended."""

    RUN_STARTED = "run.started"
    RUN_FORCED = "run.forced"
    RUN_FINISHED = "run.finished"
    SPEC_LOCKED = "spec.locked"
    SPEC_CHANGED = "spec.changed"
    SPEC_AMENDED = "spec.amended"
    CELL_IGNORED = "cell.ignored"
    CELL_UNIGNORED = "cell.unignored"
    CELL_FORGOTTEN = "cell.forgotten"
    CELL_ADOPTED = "cell.adopted"
    CELL_BLOCKED = "cell.blocked"
    CELL_AMENDED = "cell.amended"
    CELL_WAITING = "cell.waiting"
    CELL_WARNED = "cell.warned"
    CELL_MOVED = "cell.moved"
    CELL_RETIRED = "cell.retired"
    CELL_ACCEPTED = "cell.accepted"
    PHASE_STARTED = "phase.started"
    PHASE_DONE = "phase.done"
    PHASE_FAILED = "phase.failed"
    APPROVAL_ASKED = "approval.asked"
    APPROVAL_GIVEN = "approval.given"
    APPROVAL_REFUSED = "approval.refused"
    WORKTREE_ADDED = "worktree.added"
    WORKTREE_REMOVED = "worktree.removed"
    ATTEMPT_OPENED = "attempt.opened"
    ATTEMPT_STARTED = "attempt.started"
    ATTEMPT_ADOPTED = "attempt.adopted"
    ATTEMPT_LIMITED = "attempt.limited"
    ATTEMPT_EXITED = "attempt.exited"
    ATTEMPT_GIVEN_BACK = "attempt.given-back"
    ATTEMPT_CLOSED = "attempt.closed"
    RESULT_WRITTEN = "result.written"
    CHECK_DONE = "check.done"
    CANDIDATES_JUDGED = "candidates.judged"
    REPAIR_OPENED = "repair.opened"
    REPAIR_CLOSED = "repair.closed"
    REVIEW_DONE = "review.done"
    AUDIT_DONE = "audit.done"
    PUSH_INTENDED = "push.intended"
    PUSH_DONE = "push.done"
    PR_INTENDED = "pr.intended"
    PR_OPENED = "pr.opened"
    PR_UPDATED = "pr.updated"
    PR_SEEN = "pr.seen"
    LAND_QUEUE = "land.queue"
    LAND_REPAIR = "land.repair"
    LAND_ALLOWED = "land.allowed"
    LAND_DONE = "land.done"
    LAND_PARKED = "land.parked"
    LAND_WAITS = "land.waits"
    LAND_KEPT = "land.kept"
    LAND_UPDATE = "land.update"
    LAND_UNDONE = "land.undone"
    FOLLOW_NOTED = "follow.noted"
    FOLLOW_PARKED = "follow.parked"
    FOLLOW_CLEARED = "follow.cleared"
    FOLLOW_ANSWERED = "follow.answered"
    FORGE_AWAY = "forge.away"
    FORGE_WAITS = "forge.waits"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal. ``ts`` is ISO-8601 UTC with offset; ``run`` names the run.

    ``data`` holds the fields as they were written, those of a newer version included, and is what
    is written again. Readers use `details`.
    """

    kind: EventKind
    ts: str
    run: str = ""
    feature: str = ""
    cell: str = ""
    phase: str = ""
    attempt: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def details(self) -> EventDetails:
        """The fields of its kind, typed."""
        return _decode_details(self.kind, self.data)


_CLASSES: Mapping[str, type[EventDetails]] = {
    str(one.__struct_config__.tag): one for one in get_args(EventDetails)
}
_TYPES: dict[type[EventDetails], dict[str, Any]] = {}
_OPEN = frozenset({LandQueue})  # its fields are declared by the queue's own records
_MISFITS = (msgspec.ValidationError, OverflowError)


def _decode_details(kind: str, data: Mapping[str, Any]) -> EventDetails:
    """The fields of an event of this kind. Never raises for what the values hold."""
    chosen = _CLASSES[kind]
    known = {k: v for k, v in data.items() if k in chosen.__struct_fields__ and _counts(v)}
    try:
        return msgspec.convert(known, chosen)
    except _MISFITS:
        types = _TYPES.get(chosen) or _TYPES.setdefault(chosen, get_type_hints(chosen))
        return chosen(**{k: v for k, v in known.items() if _fits(v, types[k])})


def undeclared_fields(kind: EventKind, names: Iterable[str]) -> list[str]:
    """What an emitter would write that the class of this kind does not declare, sorted."""
    chosen = _CLASSES[kind]
    return [] if chosen in _OPEN else sorted(set(names) - set(chosen.__struct_fields__))


def _counts(value: Any) -> bool:
    return value != "" and not (isinstance(value, float) and not isfinite(value))


def _fits(value: Any, declared: Any) -> bool:
    try:
        msgspec.convert(value, declared)
    except _MISFITS:
        return False
    return True
