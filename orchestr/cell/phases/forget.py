"""Forget: put result files aside so that their phases run again.

Acts on files, not on doit's rows: the newest attempt is closed (refused while its agent lives),
the chosen phases' results move to `attempts/<n>/`; never `tree` and `head.toml`, so dependents
keep what they were built on until something else comes out (early cutoff).
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from orchestr.cell.agent.stop_agent import has_running_agent, stop_attempt_agents
from orchestr.cell.amendment import FILE as AMENDMENT
from orchestr.cell.candidate import list_candidates
from orchestr.cell.context import CellContext
from orchestr.cell.worktree.branch_tip import find_branch_tip
from orchestr.spec.phases import Action, Phase
from orchestr.state import attempts
from orchestr.state.candidates import has_candidates
from orchestr.state.events import EventKind
from orchestr.state.results import (
    CHECKS,
    IMPLEMENT,
    PLAN,
    PLAN_TEXT,
    PR_URL,
    PUBLISHED,
    REVIEW,
    own_output_name,
    own_result_name,
)

FILES: dict[Phase, tuple[str, ...]] = {
    Phase.WORKTREE: (),
    Phase.PLAN: (PLAN, PLAN_TEXT),
    Phase.IMPLEMENT: (IMPLEMENT, AMENDMENT),
    Phase.CHECK: (CHECKS,),
    Phase.REVIEW: (REVIEW,),
    Phase.PUBLISH: (PR_URL, PUBLISHED),
}


def list_result_files(phase: str) -> tuple[str, ...]:
    """The files of a cell's folder that a phase writes and `forget` moves away."""
    if phase in FILES:
        return FILES[Phase(phase)]
    return (own_result_name(phase), own_output_name(phase))


def forget_phases(ctx: CellContext, phases: Collection[str], *, fresh: str | None = None,
           force_id: str = "") -> list[str]:  # fmt: skip
    """Move the results of ``phases`` away; ``fresh`` asks the next attempt to start again.

    A plan that a person has read stays, unless ``phases`` is the plan alone: to do the work again
    needs no new one. Returns the names of the moved files. Raises PhaseFailed while the cell's
    agent works.
    """
    newest = attempts.current_attempt(ctx.dir)
    if len(phases) > 1:
        phases = [phase for phase in phases if phase != Phase.PLAN]
    own = [phase.name for phase in ctx.cell.own_phases]
    ends = {Phase.PLAN, Phase.IMPLEMENT, Phase.CHECK, Phase.REVIEW, *own} & set(phases)
    if ends and newest is not None and newest.is_open:
        if has_running_agent(ctx.dir, newest):
            raise ctx.fail(
                f"its agent works on {newest.label} right now",
                hint=f"orchestr abort {ctx.name}",
            )
        stop_attempt_agents(ctx, newest)
        attempts.close(ctx.dir, newest, "forgotten", "forgotten by a person",
                       tip=find_branch_tip(ctx))  # fmt: skip
    if Phase.IMPLEMENT in phases and has_candidates(ctx.dir):
        _forget_candidates(ctx)
    number = newest.number if newest else 0
    if Phase.REVIEW in phases:
        attempts.forget_opinions(ctx.dir, number)
    moved = [
        name
        for phase in ctx.cell.task_phases
        if phase in phases
        for name in list_result_files(phase)
        if _move_aside(ctx.dir / name, attempts.attempt_folder(ctx.dir, number))
    ]
    if Phase.IMPLEMENT in phases and ctx.cell.action is Action.AGENT:
        attempts.request_rebuild(ctx.dir)
    if fresh is not None and ctx.cell.action is Action.AGENT:
        # Last: a request without forgotten results would wait for a later day.
        attempts.request_fresh(ctx.dir, fresh)
    ctx.emit(
        EventKind.CELL_FORGOTTEN,
        attempt=number,
        phases=[str(p) for p in ctx.cell.task_phases if p in phases],
        moved=moved,
        fresh=fresh is not None,
        force=force_id,
    )
    return moved


def _forget_candidates(ctx: CellContext) -> None:
    """Nothing of attempts side by side is gone on with. Raises PhaseFailed while one works."""
    from orchestr.cell.phases.candidates import end_candidates

    for candidate in list_candidates(ctx):
        newest = attempts.current_attempt(candidate.dir)
        if newest is not None and newest.is_open and has_running_agent(candidate.dir, newest):
            raise ctx.fail(
                f"an agent works on {newest.label} right now", hint=f"orchestr abort {ctx.name}"
            )
    end_candidates(ctx, "forgotten by a person")


def _move_aside(path: Path, folder: Path) -> bool:
    """Move a file into an attempt's folder, never over an older one."""
    if not path.exists():
        return False
    folder.mkdir(parents=True, exist_ok=True)
    target, copy = folder / path.name, 1
    while target.exists():
        target, copy = folder / f"{path.name}.{copy}", copy + 1
    path.rename(target)
    return True
