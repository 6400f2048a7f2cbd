"""Commits that came onto a cell's branch while its candidates worked (`best_of`).

An author that works alone finds them in its branch, and they are part of what it makes. So they are
part of what the chosen candidate made: merged with it, and proved and checked with it. Where that
needs a decision a person takes it, and nothing is done without these commits.
"""

from __future__ import annotations

from orchestr.cell.context import CellContext
from orchestr.cell.worktree.person_changes import set_aside_person_changes
from orchestr.cell.worktree.prepare_branch import merge_commit
from orchestr.git.repo import CommitId


def join_newer_commits(ctx: CellContext, start: CommitId, made: CommitId, branch: str) -> CommitId:
    """The head of ``made``, which a candidate made on ``branch`` from ``start``, with what is newer
    on the cell's branch. Safe to repeat: what was joined before is the head.

    Raises PhaseFailed where both conflict, or where the cell's branch was rewritten.
    """
    set_aside_person_changes(ctx)
    repo, tip = ctx.repo, ctx.worktree_repo.require_head()
    if repo.is_ancestor(made, tip):
        return tip
    hint = (
        f"git -C {ctx.worktree} merge {branch}, then: orchestr run {ctx.name}; or have the work "
        f"done again from there: orchestr run --force {ctx.name}"
    )
    if not repo.is_ancestor(start, tip):
        raise ctx.fail(
            f"{ctx.cell.branch} was rewritten while its candidates worked: it is at {tip[:12]}, "
            f"and they began at {start[:12]}",
            hint=hint,
        )
    if repo.is_ancestor(tip, made):
        return made
    if repo.merge_trees(tip, made).tree is None or merge_commit(
        ctx, made, f"Merge what was chosen into {ctx.cell.branch}"
    ):
        raise ctx.fail(
            f"commits that came onto {ctx.cell.branch} while its candidates worked conflict with "
            "the chosen one",
            hint=hint,
        )
    return ctx.worktree_repo.require_head()
