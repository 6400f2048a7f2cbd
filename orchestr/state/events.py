"""The words of the journal: one record a line, kinds from a closed list (rows E34, E37, E38).

Pure: what an event is, not where it is kept (``orchestr.state.journal.Journal``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """Every kind of event. A kind that is not here is refused when it is appended."""

    RUN_STARTED = "run.started"  # data: goals, options, pid, command
    RUN_FORCED = "run.forced"  # data: names; the same run id forces nothing twice
    RUN_FINISHED = "run.finished"  # data: exit, forge (requests, points, remaining)
    CELL_IGNORED = "cell.ignored"
    CELL_UNIGNORED = "cell.unignored"
    CELL_FORGOTTEN = "cell.forgotten"  # data: phases, attempt
    CELL_ADOPTED = "cell.adopted"  # from an existing PR; data: url, head
    CELL_BLOCKED = "cell.blocked"  # data: upstream, reason
    CELL_AMENDED = "cell.amended"  # its amendment is the owner's work; data: owner, contract, todo
    CELL_WAITING = "cell.waiting"  # for ports; data: reason, or over: it goes on
    CELL_WARNED = "cell.warned"  # a person should know, nothing failed; data: reason
    PHASE_STARTED = "phase.started"  # data: why; changes [{field, old, new}] where known
    PHASE_DONE = "phase.done"  # data: seconds; plus what the phase made
    PHASE_FAILED = "phase.failed"  # data: reason, hint, seconds; at a gate: state, gate
    APPROVAL_ASKED = "approval.asked"  # data: gate, digest, reason, hint
    APPROVAL_GIVEN = "approval.given"  # by `approve`; data: gate, digest, name, email, user
    APPROVAL_REFUSED = "approval.refused"  # the same, and reason
    WORKTREE_ADDED = "worktree.added"  # data: path, branch, base
    WORKTREE_REMOVED = "worktree.removed"  # data: path, head
    ATTEMPT_OPENED = "attempt.opened"  # data: key, agent, model
    ATTEMPT_STARTED = "attempt.started"  # the supervisor runs; data: pid
    ATTEMPT_ADOPTED = "attempt.adopted"  # a running or finished one of an earlier run
    ATTEMPT_LIMITED = "attempt.limited"  # usage limit; data: until, wait_s, agent, reason
    ATTEMPT_EXITED = "attempt.exited"  # data: code, reason, seconds; of all its starts:
    # cost_usd (None: unknown), cost_known_usd, tokens [input, cached, output], session;
    # these four kinds have `part` for an agent that is not the author (a reviewer)
    ATTEMPT_GIVEN_BACK = "attempt.given-back"  # to its agent, once; data: reason
    ATTEMPT_CLOSED = "attempt.closed"  # data: outcome, reason
    CHECK_DONE = "check.done"  # data: name, check (kind), passed, detail, seconds, cached, log
    REPAIR_OPENED = "repair.opened"  # data: round, of, why
    REPAIR_CLOSED = "repair.closed"  # data: round, outcome, head
    REVIEW_DONE = "review.done"  # data: reviewer, round, verdict, blockers, others
    PUSH_INTENDED = "push.intended"  # data: branch, sha, expected
    PUSH_DONE = "push.done"  # data: branch, sha
    PR_INTENDED = "pr.intended"  # data: head, base
    PR_OPENED = "pr.opened"  # data: url, draft
    PR_UPDATED = "pr.updated"  # data: url, draft
    PR_SEEN = "pr.seen"  # data: url, state, draft, checks, review
    LAND_QUEUE = "land.queue"  # data: event and its fields; only in the queue's own book
    LAND_REPAIR = "land.repair"  # its agent is to mend it; data: number, trouble, reason
    LAND_DONE = "land.done"  # data: target, before, commit, tree, head, strategy
    LAND_PARKED = "land.parked"  # data: state (merge_conflict, needs_person), reason, hint
    LAND_UPDATE = "land.update"  # its branch takes the new target in; data: old, new
    LAND_UNDONE = "land.undone"  # rolled back; data: target, commit, reverts
    FORGE_AWAY = "forge.away"  # data: repo, reason
    FORGE_WAITS = "forge.waits"  # a host lets us wait; data: host, reason, wait_s


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal. ``ts`` is ISO-8601 UTC with offset; ``run`` names the run."""

    kind: EventKind
    ts: str
    run: str = ""
    feature: str = ""
    cell: str = ""
    phase: str = ""
    attempt: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)
