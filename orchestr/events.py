"""The words of the journal: one record a line, kinds from a closed list (rows E34, E37, E38).

Pure: what an event is, not where it is kept (``orchestr.store.Journal``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """Every kind of event. A kind that is not here is refused when it is appended."""

    RUN_STARTED = "run.started"  # data: goals, options, pid, command
    RUN_FORCED = "run.forced"  # data: names; the same run id forces nothing twice
    RUN_FINISHED = "run.finished"  # data: exit, forge (requests, points, remaining)
    CELL_IGNORED = "cell.ignored"
    CELL_UNIGNORED = "cell.unignored"
    CELL_FORGOTTEN = "cell.forgotten"  # data: phases, attempt
    CELL_ADOPTED = "cell.adopted"  # from an existing PR; data: url, head
    CELL_BLOCKED = "cell.blocked"  # data: upstream, reason
    CELL_WARNED = "cell.warned"  # a person should know, nothing failed; data: reason
    PHASE_STARTED = "phase.started"  # data: why; changes [{field, old, new}] where known
    PHASE_DONE = "phase.done"  # data: seconds; plus what the phase made
    PHASE_FAILED = "phase.failed"  # data: reason, hint, seconds
    WORKTREE_ADDED = "worktree.added"  # data: path, branch, base
    WORKTREE_REMOVED = "worktree.removed"  # data: path, head
    ATTEMPT_OPENED = "attempt.opened"  # data: key, agent, model
    ATTEMPT_STARTED = "attempt.started"  # the supervisor runs; data: pid
    ATTEMPT_ADOPTED = "attempt.adopted"  # a running or finished one of an earlier run
    ATTEMPT_LIMITED = "attempt.limited"  # usage limit; data: until, wait_s, agent
    ATTEMPT_EXITED = "attempt.exited"  # data: code, reason, seconds; of all its starts:
    # cost_usd (None: unknown), cost_known_usd, tokens [input, cached, output], session
    ATTEMPT_CLOSED = "attempt.closed"  # data: outcome, reason
    PUSH_INTENDED = "push.intended"  # data: branch, sha, expected
    PUSH_DONE = "push.done"  # data: branch, sha
    PR_INTENDED = "pr.intended"  # data: head, base
    PR_OPENED = "pr.opened"  # data: url, draft
    PR_UPDATED = "pr.updated"  # data: url, draft
    PR_SEEN = "pr.seen"  # data: url, state, draft, checks, review
    FORGE_AWAY = "forge.away"  # data: repo, reason


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal. ``ts`` is ISO-8601 UTC with offset; ``run`` names the run."""

    kind: Kind
    ts: str
    run: str = ""
    feature: str = ""
    cell: str = ""
    phase: str = ""
    attempt: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)
