"""A candidate: one of several attempts at a cell's work side by side (`best_of`).

It is a cell beside its cell: records, worktree, branch, ports and claims of its own, under the
cell's names with a number (`api@2`), which no cell can have. So all that guards cells that work at
the same time guards candidates. Its attempts and its events are the cell's: numbers, transcripts
and costs stay when nothing else is left of it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestr.cell.context import CellContext
from orchestr.cell.seal_results import seal_results
from orchestr.state.candidates import CandidateGroup, has_candidates
from orchestr.state.events import EventKind
from orchestr.state.layout import CANDIDATE

# Of a candidate's worktree: what the journal says of the cell's is about another one.
_OWN_EVENTS = (EventKind.WORKTREE_ADDED, EventKind.WORKTREE_REMOVED)


class CandidateContext(CellContext):
    """What a candidate works in. ``owner`` is its cell, ``place`` its number, from 1."""

    def __init__(self, owner: CellContext, place: int, agent: str) -> None:
        self.owner, self.place = owner, place
        cell = replace(
            owner.cell,
            branch=f"{owner.cell.branch}.candidate-{place}",
            agents=(agent,),  # `agent` stays the cell's: its options are not for others
            best_of=None,
            was=None,
        )
        super().__init__(owner.run, cell, owner.plan)

    def find_records(self) -> None:
        """Its places are beside those of its cell."""
        owner, mark = self.owner, f"{CANDIDATE}{self.place}"
        self.dir: Path = owner.dir.with_name(owner.dir.name + mark)
        self.worktree: Path = owner.worktree.with_name(owner.worktree.name + mark)
        self.key: str = owner.key + mark
        run = self.run
        seal_results(self.dir, run.journal, owner.cell.name, owner.emit, lambda: bool(run.id))

    def emit(self, kind: EventKind, *, phase: str = "", attempt: int = 0, **data: Any) -> None:
        """Journal an event as its cell's."""
        if kind not in _OWN_EVENTS:
            super().emit(kind, phase=phase, attempt=attempt, **data)

    def is_cancelled(self) -> bool:
        """Whether the run, or its cell, was asked to stop."""
        return self.owner.is_cancelled()

    def check_cancelled(self) -> None:
        """Raises Interrupted when asked to stop."""
        self.owner.check_cancelled()


def list_candidates(ctx: CellContext) -> list[CandidateContext]:
    """The candidates that a cell has now; none after the decision was carried out."""
    if not has_candidates(ctx.dir):
        return []
    group = CandidateGroup.read(ctx.dir)
    if group is None:
        return []
    return [CandidateContext(ctx, place, name) for place, name in enumerate(group.agents, 1)]


def with_candidates(ctx: CellContext) -> list[CellContext]:
    """A cell and the candidates that it has now."""
    return [ctx, *list_candidates(ctx)]
