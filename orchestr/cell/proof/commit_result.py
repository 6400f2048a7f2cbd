"""After the agent ended: commit what it left and prove the commits before they count."""

from __future__ import annotations

from orchestr.agents import AgentVerdict
from orchestr.cell import amendment
from orchestr.cell.auto_amendment import judge_bounds
from orchestr.cell.context import CellContext
from orchestr.cell.ownership import PathsNotOwned, format_paths
from orchestr.cell.proof.prove_cell_head import prove_cell_head
from orchestr.cell.proof.verify_commits import find_wholesale_deletion
from orchestr.cell.worktree import commit_style
from orchestr.cell.worktree.branch_guard import AFTER
from orchestr.cell.worktree.discard import put_worktree
from orchestr.cell.worktree.landing_request import find_landing_head
from orchestr.cell.worktree.operations import unfinished_operation
from orchestr.cell.worktree.salvage import attempt_ref
from orchestr.cell.worktree.signing import warn_of_slow_commit
from orchestr.cell.worktree.take_out_kit import take_out_kit
from orchestr.cell.worktree.walled_hooks import wall_hooks
from orchestr.errors import OrchestrError, as_disk_full
from orchestr.git.open_conflicts import list_open_conflicts
from orchestr.git.repo import CommitId
from orchestr.git.worktree_state import WorktreeFinding, validate_worktree
from orchestr.git.worktrees import clear_stale_locks
from orchestr.state.attempts import Attempt
from orchestr.state.results import (
    HeadRecord,
    ImplementOutcome,
    ImplementRecord,
    WorktreeMarker,
)


def commit_and_prove_repair(
    ctx: CellContext,
    attempt: Attempt,
    marker: WorktreeMarker,
    before: CommitId,
    *,
    is_own: bool = True,
) -> tuple[CommitId, tuple[str, ...]]:
    """After a repair: commit what was left; the head, and why it is no good. Safe to repeat.

    ``is_own``: the cell's own checks or reviewers asked for it."""
    head, base = commit_agent_work(ctx, attempt, before), CommitId(marker.base)
    if head == base == before:
        return head, ()  # nothing was needed, and nothing was done
    found = prove_cell_head(ctx, ctx.worktree_repo, base=base, start=before, head=head)
    if found.private:  # no later commit can undo that: it would be in the history
        put_worktree(ctx, attempt.number, before)
        return before, found.private
    deleted = find_wholesale_deletion(ctx.worktree_repo, before, head, len(found.changed))
    # A repair that a person or the landing asked for is about other things than the contract.
    bound = judge_bounds(ctx, attempt, head) if is_own else None
    unbound = bound.findings if bound is not None else ()
    return head, (*found.findings, *unbound, *filter(None, [deleted]))


def prove_attempt(
    ctx: CellContext, attempt: Attempt, marker: WorktreeMarker, verdict: AgentVerdict
) -> ImplementRecord:
    """After an attempt: commit what was left, prove the head; the result. Safe to repeat.

    Raises PathsNotOwned when nothing but the ownership of paths is in the way.
    """
    claim = verdict.no_change
    repo, base, start = ctx.worktree_repo, CommitId(marker.base), CommitId(attempt.start)
    head = commit_agent_work(ctx, attempt, start)
    if (
        claim is not None
        and repo.resolve_tree(head) == repo.resolve_tree(base)
        and repo.is_ancestor(start, head)
    ):
        return ImplementRecord(
            attempt.key,
            base,
            repo.resolve_tree(base),
            base,
            ImplementOutcome.NO_CHANGE_NEEDED,
            attempt.number,
            claim,
        )
    if verdict.amend is not None:
        raise amendment.amend_request_failure(ctx, attempt, verdict.amend)
    proof = prove_cell_head(ctx, repo, base=base, start=start, head=head, by_agent=True)
    if proof.private:  # the next attempt must not build on a history that has it
        put_worktree(ctx, attempt.number, start)
        kept = f"its branch was put back, all is kept below {attempt_ref(ctx, attempt.number)}"
        raise ctx.fail(f"{'; '.join(proof.private)}; {kept}")
    if not proof.ok and not proof.faults:
        raise PathsNotOwned(proof.ownership, head)
    if not proof.ok:
        raise ctx.fail("; ".join(proof.findings))
    outside = judge_bounds(ctx, attempt, head)
    if outside is not None:
        raise PathsNotOwned(outside, head)
    head, anchor = _settle_fresh_head(ctx, attempt, base, head)
    return ImplementRecord(
        attempt.key,
        head,
        repo.resolve_tree(head),
        base,
        ImplementOutcome.CHANGED,
        attempt.number,
        anchor=anchor,
        lands=find_landing_head(ctx, attempt),
    )


def commit_agent_work(ctx: CellContext, attempt: Attempt, since: CommitId) -> CommitId:
    """The head after the engine has committed what the agent left, without what the kit brought
    into the worktree. ``since`` is where the agent began. Raises PhaseFailed when the worktree is
    in no state to go on from."""
    verdict = validate_worktree(ctx.repo, ctx.worktree, ctx.cell.branch)
    if verdict.finding is not WorktreeFinding.OK:
        if verdict.finding is WorktreeFinding.DETACHED and (
            what := unfinished_operation(ctx.worktree_repo)
        ):
            raise ctx.fail(f"the agent left a {what} unfinished")
        raise ctx.fail(f"after the agent ended, {AFTER[verdict.finding].format(verdict.detail)}")
    repo = ctx.worktree_repo
    clear_stale_locks(ctx.worktree)  # of a git that ended with its agent
    unmerged = list_open_conflicts(repo)  # those that are resolved are added with the rest
    under_way = unfinished_operation(repo)
    if unmerged:
        where = format_paths(unmerged)
        raise ctx.fail(f"the agent left a {under_way or 'merge'} unfinished, conflicts in {where}")
    if under_way in ("rebase", "bisect", "series of commits"):  # others end with the next commit
        raise ctx.fail(f"the agent left a {under_way} unfinished")
    try:
        with warn_of_slow_commit(ctx):
            head = wall_hooks(ctx, repo).commit_all(_make_message(ctx, attempt))
    except OrchestrError as error:
        raise as_disk_full(error) or error from error
    head = head or repo.resolve_commit("HEAD")
    if head is None:
        raise ctx.fail("the branch has no commit after the agent ended")
    return take_out_kit(ctx, since, head, engine=False)


def _make_message(ctx: CellContext, attempt: Attempt) -> str:
    """Of what an agent left uncommitted; a phase of one's own is named by its name."""
    if attempt.of:
        return commit_style.commit_message(ctx, "chore", attempt.of)
    return commit_style.commit_message(ctx)


def _settle_fresh_head(
    ctx: CellContext, attempt: Attempt, base: CommitId, head: CommitId
) -> tuple[CommitId, str]:
    """After `--fresh`: keep the old head if its tree is the same and it contains the base;
    else anchor the product to the new head, so that dependents notice."""
    old = HeadRecord.read(ctx.dir)
    if old is None or ctx.repo.resolve_commit(old.head) is None:
        return head, ""
    old_head = CommitId(old.head)
    if not attempt.fresh or ctx.repo.is_ancestor(old_head, head):
        return head, old.anchor
    if old.tree == ctx.repo.resolve_tree(head) and ctx.repo.is_ancestor(base, old_head):
        ctx.repo.update_ref(f"refs/heads/{ctx.cell.branch}", old_head, head)
        return old_head, old.anchor
    return head, head
