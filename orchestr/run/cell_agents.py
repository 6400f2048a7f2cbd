"""The agents that cells start: authors, those of phases of one's own, reviewers."""

from __future__ import annotations

from collections.abc import Iterable

from orchestr.cell.agent_chain import list_workers
from orchestr.cell.context import CellContext
from orchestr.spec.checks import Reviewer
from orchestr.spec.phases import Action, Phase


def requested_reviewers(ctx: CellContext) -> tuple[Reviewer, ...]:
    """The reviewers that the cell's phases ask for."""
    return ctx.cell.proof.reviewers if Phase.REVIEW in ctx.cell.phases else ()


def list_cell_agents(cells: Iterable[CellContext]) -> set[str]:
    """The names of the agents that these cells start, commands of phases left out."""
    found: set[str] = set()
    for ctx in cells:
        if ctx.cell.action is Action.AGENT:
            found |= set(list_workers(ctx))
        found |= {phase.agent for phase in ctx.cell.own_phases if phase.agent is not None}
        found |= {reviewer.agent for reviewer in requested_reviewers(ctx)}
    return found
