"""The words of a spec: phases of a cell, its action, how a feature is delivered."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """Who does the work of a cell: an agent, or nobody (the engine pushes what is there)."""

    AGENT = "agent"
    PUSH = "push"


class Phase(StrEnum):
    """The steps that orchestr knows, in the order in which they run; a spec may add its own
    (`orchestr.spec.own_phases`).

    ``plan`` is there only for cells that list it or have the gate ``plan`` (`Cell.task_phases`).
    """

    WORKTREE = "worktree"
    PLAN = "plan"
    IMPLEMENT = "implement"
    CHECK = "check"
    REVIEW = "review"
    PUBLISH = "publish"


LISTED = tuple(phase for phase in Phase if phase is not Phase.PLAN)  # every cell has these


class Delivery(StrEnum):
    """What happens to a cell's pull request: left open, or landed by the merge queue."""

    PR = "pr"
    MERGE = "merge"


class Gate(StrEnum):
    """Where a person must say yes."""

    PLAN = "plan"
    PUBLISH = "publish"
