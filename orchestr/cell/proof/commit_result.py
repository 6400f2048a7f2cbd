"""After the agent ended: commit what it left and prove the commits before they count."""

from __future__ import annotations

from orchestr.cell.context import CellContext
from orchestr.cell.ownership import Claims, claims_of, some
from orchestr.cell.proof.verify_commits import prove
from orchestr.cell.worktree import commit_style
from orchestr.cell.worktree.branch_guard import AFTER, moved_branches
from orchestr.cell.worktree.salvage import operation
from orchestr.git.repo import CommitId
from orchestr.git.worktrees import Finding, validate_worktree
from orchestr.state.attempts import Attempt
from orchestr.state.results import Head, Marker


def settled(
    ctx: CellContext, attempt: Attempt, marker: Marker, before: CommitId
) -> tuple[CommitId, tuple[str, ...]]:
    """After a repair: commit what was left; the head, and why it is no good. Safe to repeat."""
    head, base = committed(ctx, attempt), CommitId(marker.base)
    if head == base == before:
        return head, ()  # nothing was needed, and nothing was done
    found = prove(ctx.tree_repo, base=base, start=before, head=head, claims=_claims(ctx))
    return head, found.findings


def committed(ctx: CellContext, attempt: Attempt) -> CommitId:
    """The head after the engine has committed what the agent left. Raises PhaseFailed when the
    worktree is in no state to go on from."""
    verdict = validate_worktree(ctx.repo, ctx.worktree, ctx.cell.branch)
    if verdict.finding is not Finding.OK:
        if verdict.finding is Finding.DETACHED and (what := operation(ctx.tree_repo)):
            raise ctx.fail(f"the agent left a {what} unfinished")
        raise ctx.fail(f"after the agent ended, {AFTER[verdict.finding].format(verdict.detail)}")
    repo = ctx.tree_repo
    unmerged = repo.unmerged()
    under_way = operation(repo)
    if unmerged:
        where = some(list(unmerged))
        raise ctx.fail(f"the agent left a {under_way or 'merge'} unfinished, conflicts in {where}")
    if under_way in ("rebase", "bisect", "series of commits"):  # others end with the next commit
        raise ctx.fail(f"the agent left a {under_way} unfinished")
    repo.commit_all(commit_style.message(ctx))
    head = repo.resolve("HEAD")
    if head is None:
        raise ctx.fail("the branch has no commit after the agent ended")
    moved = moved_branches(ctx, attempt)
    if moved:
        raise ctx.fail(f"the agent moved branches of other cells: {moved}; they were put back")
    return head


def _claims(ctx: CellContext) -> Claims:
    return claims_of(ctx.run.feature, ctx.cell)


def _settle_fresh(
    ctx: CellContext, attempt: Attempt, base: CommitId, head: CommitId
) -> tuple[CommitId, str]:
    """After `--fresh`: keep the old head if its tree is the same and it contains the base;
    else anchor the product to the new head, so that dependents notice."""
    old = Head.read(ctx.dir)
    if old is None or ctx.repo.resolve(old.head) is None:
        return head, ""
    old_head = CommitId(old.head)
    if not attempt.fresh or ctx.repo.is_ancestor(old_head, head):
        return head, old.anchor
    if old.tree == ctx.repo.tree(head) and ctx.repo.is_ancestor(base, old_head):
        ctx.repo.update_ref(f"refs/heads/{ctx.cell.branch}", old_head, head)
        return old_head, old.anchor
    return head, head
