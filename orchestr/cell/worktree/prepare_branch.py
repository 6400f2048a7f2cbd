"""Before an attempt: the branch stands where the agent shall start, and nothing was lost.

Merges what others did in the meantime (a person's commits on the remote branch, a moved base)
into the cell's branch; a conflict is left in the worktree for the agent, with a note.
"""

from __future__ import annotations

from orchestr.cell.context import CellContext
from orchestr.cell.pull_request.foreign_commits import pushed_commits
from orchestr.cell.worktree import commit_style
from orchestr.cell.worktree.damage import restore_missing_files
from orchestr.cell.worktree.discard import put_worktree
from orchestr.cell.worktree.landing_request import EVIDENCE
from orchestr.cell.worktree.operations import unfinished_operation
from orchestr.cell.worktree.person_changes import (
    begin_change,
    end_change,
    set_aside_person_changes,
)
from orchestr.cell.worktree.resolved_files import take_resolved_files
from orchestr.cell.worktree.salvage import attempt_ref, find_free_ref
from orchestr.cell.worktree.setup_baseline import put_back_changes, record_idle_paths
from orchestr.cell.worktree.take_out_kit import take_out_kit
from orchestr.cell.worktree.walled_hooks import wall_hooks
from orchestr.git.checkout import clear_the_way
from orchestr.git.errors import GitError
from orchestr.git.repo import CommitId
from orchestr.git.worktrees import clear_stale_locks
from orchestr.state import attempts
from orchestr.state.results import HeadRecord, PublishRecord, WorktreeMarker


def prepare_branch(ctx: CellContext, marker: WorktreeMarker) -> tuple[CommitId, str]:
    """Returns the commit that the new head must descend from, and notes for the prompt."""
    repo = ctx.worktree_repo
    clear_stale_locks(ctx.worktree)
    if attempts.attempt_numbers(ctx.dir):  # a new worktree is whole
        restore_missing_files(ctx)
    set_aside_person_changes(ctx)
    base = CommitId(marker.base)
    notes: list[str] = []
    before = repo.resolve_commit("HEAD")
    killed = attempts.is_branch_in_preparation(ctx.dir)  # the branch may have moved then already
    attempts.begin_preparation(ctx.dir)
    if attempts.fresh_request(ctx.dir) is not None:
        _reset_to_base(ctx, base)
    elif before != base or HeadRecord.read(ctx.dir) is not None:  # else it was just made
        notes += _merge_remote(ctx)
        notes += merge_commit(ctx, base, f"Merge the moved base into {ctx.cell.branch}")
    head = repo.resolve_commit("HEAD")
    if head is None:
        raise ctx.fail("its branch has no commit", hint="orchestr doctor")
    head = take_out_kit(ctx, base, head)
    end_change(ctx)
    if head == before and not killed:
        attempts.end_preparation(ctx.dir)
    notes = notes or leftover_notes(ctx)
    evidence = ctx.dir / EVIDENCE
    if evidence.exists():
        notes.append(evidence.read_text(encoding="utf-8"))
    return head, "\n".join(notes)


def leftover_notes(ctx: CellContext) -> list[str]:
    """What an earlier attempt left in the worktree, for the prompt. Changes nothing."""
    if not attempts.attempt_numbers(ctx.dir):
        return []  # no agent has worked here; to look through a big worktree takes a while
    repo = ctx.worktree_repo
    under_way = unfinished_operation(repo)
    if under_way is not None:
        return [f"An earlier attempt left a {under_way} unfinished here; finish it first."]
    if repo.dirty_paths():
        return ["An earlier attempt left uncommitted changes here; go on from them."]
    return []


def _reset_to_base(ctx: CellContext, base: CommitId) -> None:
    """`--fresh`: keep everything under a ref, then put the branch back to the base."""
    newest = attempts.newest_attempt(ctx.dir)
    number = newest.number if newest else 0
    begin_change(ctx)
    old = HeadRecord.read(ctx.dir)
    if old is not None and ctx.repo.resolve_commit(old.head) is not None:
        head = CommitId(old.head)
        ctx.repo.update_ref(find_free_ref(ctx, f"{attempt_ref(ctx, number)}-head", head), head)
    put_worktree(ctx, number, base, clean=True)
    record_idle_paths(ctx)


def _merge_remote(ctx: CellContext) -> list[str]:
    """Commits that a person pushed to the branch are merged, never overwritten."""
    repo = ctx.worktree_repo
    if HeadRecord.read(ctx.dir) is None or not ctx.repo.has_remote():
        return []  # never published: nothing of a person's can be there
    try:
        listed = ctx.repo.ls_remote(ctx.repo.remotes.push, f"refs/heads/{ctx.cell.branch}")
        theirs = listed.get(f"refs/heads/{ctx.cell.branch}")
        head = repo.resolve_commit("HEAD")
        if (
            theirs is None
            or head is None
            or theirs in pushed_commits(ctx.run.journal, ctx.cell.name)
        ):
            return []  # our own older head: a fresh start must not get it back
        if ctx.repo.resolve_commit(theirs) is None:
            remote, ref = ctx.repo.remotes.push, f"refs/heads/{ctx.cell.branch}"
            ctx.repo.fetch(remote, ref, locks=ctx.run.layout.locks_dir)
    except GitError:
        return []  # publish asks again and is the one to insist
    if follow_rewritten_remote(ctx, CommitId(theirs)):
        return []
    return merge_commit(ctx, CommitId(theirs), f"Merge the remote branch {ctx.cell.branch}")


def follow_rewritten_remote(ctx: CellContext, theirs: CommitId) -> bool:
    """Put the branch on what a person force-pushed, if that dropped commits that we published.

    To merge would bring back what they removed on purpose. Our head stays under a ref. Raises
    PhaseFailed when there are newer commits here: a person decides what becomes of them.
    """
    repo, published = ctx.worktree_repo, PublishRecord.read(ctx.dir)
    head = repo.resolve_commit("HEAD")
    if published is None or head is None or repo.resolve_commit(published.head) is None:
        return False
    if repo.is_ancestor(published.head, theirs):
        return False
    if head != published.head:
        raise ctx.fail(
            f"the history of {ctx.cell.branch} was rewritten at the origin ({theirs[:12]}), and "
            f"here are commits that were not pushed",
            hint=f"git -C {ctx.worktree} rebase --onto {theirs[:12]} {published.head[:12]}",
        )
    newest = attempts.newest_attempt(ctx.dir)
    number = newest.number if newest else 0
    begin_change(ctx)
    ref = find_free_ref(ctx, f"{attempt_ref(ctx, number)}-head", head)
    ctx.repo.update_ref(ref, head)
    put_worktree(ctx, number, theirs)
    record_idle_paths(ctx)
    return True


def merge_commit(ctx: CellContext, other: CommitId, message: str) -> list[str]:
    """Merge a commit into the worktree's branch unless it is contained; notes on what conflicts."""
    repo = ctx.worktree_repo
    head = repo.resolve_commit("HEAD")
    if head is None or head == other or repo.is_ancestor(other, head):
        return []
    if repo.run_git("ls-files", "--unmerged").text.strip():
        return [CONFLICTS.format("files that are still unmerged")]
    begin_change(ctx)
    if repo.dirty_paths():
        message_of_rest = commit_style.commit_message(ctx, "chore", "left by an earlier attempt")
        wall_hooks(ctx, repo).commit_all(message_of_rest)
    with clear_the_way(repo, other):
        merged = wall_hooks(ctx, repo).merge(other, message)
    if merged.clean:
        put_back_changes(ctx, repo.require_head(), "a hook of the merge")
        record_idle_paths(ctx)
        return []
    resolved = take_resolved_files(ctx)
    left = [path for path in merged.conflicts if path not in resolved]
    notes = [CONFLICTS.format(", ".join(left[:20]))]
    return [*notes, RESOLVED.format(", ".join(resolved[:20]))] if resolved else notes


CONFLICTS = (
    "What this branch builds on has moved, and merging it left conflicts in {}. "
    "Resolve them first, keep both sides' intent, and finish the merge with a commit."
)
RESOLVED = (
    "Resolved and staged already, by a merge that keeps both sides: {}. Change them only where the "
    "rest needs it."
)
