"""Commits that were pushed to a cell's branch elsewhere become part of its result.

They are merged in the worktree, or replace ours where the person rewrote the branch; the proof is
the one of an agent's commits. Repeated after a kill: what is merged already is found in the branch.
"""

from __future__ import annotations

from orchestr.cell.context import CellContext
from orchestr.cell.ownership import format_paths
from orchestr.cell.proof.person_commits import take_person_commit
from orchestr.cell.proof.prove_cell_head import prove_cell_head
from orchestr.cell.worktree import clone_guard
from orchestr.cell.worktree.ensure import ensure_worktree
from orchestr.cell.worktree.prepare_branch import follow_rewritten_remote, prepare_branch
from orchestr.cell.worktree.worktree_guard import recover_worktree
from orchestr.codec import replace
from orchestr.git.repo import CommitId
from orchestr.git.runner import YES_OR_FATAL
from orchestr.state import attempts
from orchestr.state.results import ImplementRecord, WorktreeMarker


def take_pushed_commits(
    ctx: CellContext, marker: WorktreeMarker, done: ImplementRecord, theirs: CommitId
) -> ImplementRecord | None:
    """Make ``theirs``, pushed to the branch elsewhere, part of the result; without an agent.

    Returns the new result, None when the branch has it already. Raises PhaseFailed for a conflict:
    a person resolves it.
    """
    ensure_worktree(ctx, marker)
    recover_worktree(ctx, ctx.dir / clone_guard.GUARD)
    dirty = ctx.worktree_repo.dirty_paths()
    if dirty:
        raise ctx.fail(
            "somebody pushed commits to its branch, and its worktree has uncommitted changes: "
            + format_paths(dirty),
            hint=f"commit or stash them: git -C {ctx.worktree} status",
        )
    if ctx.repo.resolve_commit(theirs) is None:
        remote, ref = ctx.repo.remotes.push, f"refs/heads/{ctx.cell.branch}"
        ctx.repo.fetch(remote, ref, locks=ctx.run.layout.locks_dir)
    if ctx.repo.resolve_commit(theirs) and follow_rewritten_remote(ctx, theirs):
        return take_person_commit(ctx, marker, theirs)
    start, notes = prepare_branch(ctx, marker)
    if notes:
        ctx.worktree_repo.run_git("merge", "--abort", answers=YES_OR_FATAL)
        raise ctx.fail(
            f"commits that somebody pushed to {ctx.cell.branch} conflict with ours",
            hint=f"git -C {ctx.worktree} pull --no-rebase {ctx.repo.remotes.push} "
            f"{ctx.cell.branch}, "
            f"or let the agent do it: orchestr run --force {ctx.name}",
        )
    if start == done.head:
        return None
    base = CommitId(marker.base)
    proof = prove_cell_head(ctx, ctx.worktree_repo, base=base, start=base, head=start)
    if not proof.ok:
        raise ctx.fail(
            f"with what was pushed to its branch elsewhere: {'; '.join(proof.findings)}",
            hint=f"correct it in {ctx.worktree} and commit, then: orchestr run {ctx.name}; "
            f"or have its agent do it: orchestr run --force {ctx.name}",
        )
    merged = replace(done, head=start, tree=ctx.repo.resolve_tree(start))
    merged.write(ctx.dir)
    attempts.end_preparation(ctx.dir)
    return merged
