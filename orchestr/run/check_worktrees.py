"""Pre-flight: worktrees that a person took off their branch, or moved.

What is committed there is in no result and does not land; a cell that has to run is refused. Costs
a look at one file a cell; git is asked only where that differs.
"""

from __future__ import annotations

from collections.abc import Collection

from orchestr.cell.context import CellContext
from orchestr.cell.worktree.misplaced import describe_misplaced, suggest_return
from orchestr.errors import MachineFault, OrchestrError
from orchestr.git.worktree_state import WorktreeFinding, validate_worktree, worktree_admin_dir
from orchestr.run.diagnostic import Diagnostic
from orchestr.spec.phases import Action
from orchestr.state import attempts
from orchestr.state.results import WorktreeMarker


def check_worktrees(chosen: Collection[CellContext]) -> list[Diagnostic]:
    """A warning for each cell whose worktree is on another branch or on none."""
    found = (_check_worktree(ctx) for ctx in chosen if ctx.cell.action is Action.AGENT)
    return [diagnostic for diagnostic in found if diagnostic is not None]


def _check_worktree(ctx: CellContext) -> Diagnostic | None:
    newest, marker = attempts.current_attempt(ctx.dir), WorktreeMarker.read(ctx.dir)
    if marker is None or marker.branch != ctx.cell.branch:
        return None  # not made yet, or the spec renames it
    if _is_on_branch(ctx) or (newest is not None and newest.is_open):
        return None  # an agent may be in the middle of a rebase
    try:
        verdict = validate_worktree(ctx.repo, ctx.worktree, ctx.cell.branch)
        if verdict.finding not in (WorktreeFinding.WRONG_BRANCH, WorktreeFinding.DETACHED):
            return None
        back = suggest_return(ctx.repo, ctx.worktree, ctx.cell.branch, verdict)
    except MachineFault:
        raise
    except OrchestrError:
        return None  # the repository itself is named by another look
    text = f"{ctx.name}: its worktree is {describe_misplaced(verdict)}, not on {ctx.cell.branch}"
    return Diagnostic("warning", f"{text}: what is committed there does not count", back)


def _is_on_branch(ctx: CellContext) -> bool:
    """By the file alone; True where there is no worktree."""
    admin = worktree_admin_dir(ctx.worktree)
    try:
        head = (admin / "HEAD").read_text(encoding="utf-8") if admin is not None else ""
    except (OSError, ValueError):
        return True
    return admin is None or head.strip() == f"ref: refs/heads/{ctx.cell.branch}"
