"""What the doit tasks of phases of one's own depend on and make: files in the cell's folder."""

from __future__ import annotations

from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.cell.own_results import anchor_of, find_phase
from orchestr.spec.phases import Phase
from orchestr.state.results import (
    CHECKS,
    HEAD,
    IMPLEMENT,
    MARKER,
    PLAN,
    REVIEW,
    own_result_name,
)

GIVENS: dict[Phase, tuple[str, ...]] = {
    Phase.WORKTREE: (MARKER,),
    Phase.PLAN: (MARKER, PLAN),
    Phase.IMPLEMENT: (IMPLEMENT,),
    Phase.CHECK: (IMPLEMENT, CHECKS),
    Phase.REVIEW: (REVIEW, HEAD),
}


def list_givens(ctx: CellContext, name: str) -> tuple[str, ...]:
    """The results of ours that a phase of one's own works on."""
    return GIVENS[anchor_of(ctx, name)]


def list_own_results_before(ctx: CellContext, phase: str) -> list[str]:
    """The results of phases of one's own that come before a phase."""
    own = {one.name for one in ctx.cell.own_phases}
    steps = ctx.cell.task_phases
    return [own_result_name(name) for name in steps[: steps.index(phase)] if name in own]


def list_own_targets(ctx: CellContext, name: str) -> list[Path]:
    """What a phase of one's own makes; the JSON is there unless it was passed over."""
    return [ctx.dir / own_result_name(name)]


def describe_own_phase(ctx: CellContext, name: str) -> str:
    """One line for `list`."""
    phase = find_phase(ctx, name)
    who = " ".join(phase.run) or f"the agent, by {phase.prompt}"
    if phase.continues is not None:
        who = f"the author's session, by {phase.prompt}"
    what = f", gives out {phase.output}" if phase.output is not None else ""
    when = f", when {phase.when}" if phase.when is not None else ""
    return f"{who}{what}{when}"
