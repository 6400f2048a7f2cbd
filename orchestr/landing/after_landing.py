"""After a landing: dependents are updated, the pull request is verified, what is done is tidied.

A dependent's pull request that was for the landed branch is for the target now, and the new target
is merged into its branch, never rebased: the same tree needs no new attempt, its phases only run
on the new head. A dependent that is in the queue itself is left alone (it is checked on top of
what landed anyway, and a new head would throw that check away).

What survives a crash: each step looks first and may be repeated. A branch is moved by a merge
commit that depends on its two sides alone, journalled (`land.update`) before the worktree is
touched: one that a kill left half-way is kept under a ref and put to that commit.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, runtime_checkable

from orchestr.cell.agent.stop_agent import has_running_agent
from orchestr.cell.context import CellContext
from orchestr.cell.phases import publish
from orchestr.cell.pull_request.claim import is_foreign
from orchestr.cell.worktree.damage import belongs_to_clone
from orchestr.cell.worktree.discard import put_worktree, remove_cell_worktree
from orchestr.cell.worktree.operations import unfinished_operation
from orchestr.cell.worktree.readable_checkout import remove_checkouts
from orchestr.cell.worktree.setup import run_teardown
from orchestr.codec import replace
from orchestr.errors import Interrupted, NeedsApproval, OrchestrError, Unavailable
from orchestr.forges.base import ForgeAway, PRState, PullRequest, RepoRef
from orchestr.forges.routed import forge_for
from orchestr.git.lasting_commit import LastingCommit, make_lasting_commit
from orchestr.git.repo import Branch, CommitId
from orchestr.git.runner import ANY_EXIT
from orchestr.git.worktrees import clear_stale_locks
from orchestr.landing.candidates import commit_message, list_merge_trailers, newest_commit_date
from orchestr.landing.ladder import LadderMerge
from orchestr.landing.repair import list_phases_from, perform_open_phases
from orchestr.spec.phases import Action, Phase
from orchestr.state import attempts
from orchestr.state.events import EventKind
from orchestr.state.results import HeadRecord, ImplementRecord, PublishRecord
from orchestr.state.states import CellState

Warn = Callable[[str], None]


@runtime_checkable
class MarksMerged(Protocol):
    """A forge that believes us when we say that a pull request was merged (the local one)."""

    def mark_merged(self, repo: RepoRef, number: int) -> PullRequest: ...


def newest_pr(ctx: CellContext) -> PullRequest | None:
    """The newest pull request that is the cell's own. Raises ForgeAway, ForgeError."""
    found = ctx.run.forge.find_pull_requests(ctx.repo_ref, [ctx.cell.branch]).get(
        ctx.cell.branch, ()
    )
    return next((pr for pr in found if not is_foreign(ctx, pr)), None)


def same_repo_dependents(ctx: CellContext) -> list[CellContext]:
    """The cells of the same repository that need this one directly."""
    found = (ctx.run.cell_context(name) for name in ctx.plan.dependents)
    return [dep for dep in found if dep.cell.repo == ctx.cell.repo]


def confirm_merged(ctx: CellContext, warn: Warn) -> PullRequest | None:
    """See that the pull request says merged; say so where the forge lets us. Returns it."""
    pr = newest_pr(ctx)
    if pr is None:
        return None
    forge = forge_for(ctx.run.forge, ctx.cell.repo)
    if pr.state is PRState.OPEN and isinstance(forge, MarksMerged):
        pr = forge.mark_merged(ctx.repo_ref, pr.number)
    if pr.state is not PRState.MERGED:
        warn(f"{pr.url} says {pr.state} although its work has landed; close it by hand")
    if ctx.run.past.cell(ctx.cell.name).pr_state != pr.state or not _knows_pr_state(ctx, pr):
        ctx.emit(
            EventKind.PR_SEEN, url=pr.url, state=str(pr.state), draft=pr.draft, checks=pr.checks,
            review=pr.review,
        )  # fmt: skip
    ctx.run.seen[f"{ctx.cell.repo}:{ctx.cell.branch}"] = (pr,)
    return pr


def _knows_pr_state(ctx: CellContext, pr: PullRequest) -> bool:
    """Whether this run knows this very pull request in this state already."""
    known = ctx.run.seen.get(f"{ctx.cell.repo}:{ctx.cell.branch}", ())
    return bool(known) and (known[0].state, known[0].number) == (pr.state, pr.number)


def retarget_pull_requests(ctx: CellContext, target: str, warn: Warn) -> None:
    """Pull requests that were for this cell's branch are for the target now: text and base."""
    for dep in same_repo_dependents(ctx):
        pr = newest_pr(dep)
        if pr is None or pr.state is not PRState.OPEN or PublishRecord.read(dep.dir) is None:
            continue
        try:
            publish.run(dep)  # it looks at what is merged below, and edits what differs
            pr = newest_pr(dep)
            if pr is not None and pr.state is PRState.OPEN and pr.base == ctx.cell.branch:
                pr = ctx.run.forge.edit_pull_request(dep.repo_ref, pr.number, base=target)
        except (Unavailable, ForgeAway):
            raise
        except OrchestrError as error:
            warn(f"{dep.name}: its pull request could not be put onto {target}: {error.message}")


def merge_target_into_branch(
    ctx: CellContext, target: str, tip: CommitId, landed: CommitId, warn: Warn
) -> str | None:
    """Merge the new target into a dependent's branch. Returns its new head, None when nothing was
    done. ``landed`` is the upstream's head that landed: work the two have in common.
    """
    repo, old = ctx.repo, find_head_to_update(ctx)
    if old is None or repo.resolve_commit(old) is None or repo.is_ancestor(tip, old):
        return None
    common = None if repo.is_ancestor(landed, tip) else repo.merge_base(old, landed)
    merged = repo.merge_trees(old, tip, common)
    if merged.tree is None:
        files = ", ".join(merged.conflicts[:5])
        warn(f"{ctx.name}: {target} conflicts with its branch in {files}; its next landing asks"
             " its agent")  # fmt: skip
        return None
    return commit_target_merge(ctx, target, (old, tip), LadderMerge(merged.tree), warn)


def find_head_to_update(ctx: CellContext) -> CommitId | None:
    """The head of a cell whose branch may take something in by itself; None where it may not."""
    done, newest = ImplementRecord.read(ctx.dir), attempts.newest_attempt(ctx.dir)
    if done is None or ctx.cell.action is Action.PUSH:
        return None
    if newest is not None and newest.is_open:
        return None  # its agent works there; the next attempt merges what moved
    if ctx.run.past.cell(ctx.cell.name).state is CellState.IGNORED:
        return None  # it stays as it is until a person says otherwise
    return CommitId(done.head)


def list_phases_after_update(ctx: CellContext) -> tuple[str, ...]:
    """What the same work on a newer base goes through again."""
    return list_phases_from(ctx, Phase.IMPLEMENT)[1:]


def commit_target_merge(
    ctx: CellContext,
    target: str,
    parents: tuple[CommitId, CommitId],
    merged: LadderMerge,
    warn: Warn,
) -> str | None:
    """Bring a cell's branch to the merge of its head with the target (``parents``), and do its
    phases on that. Returns the new head, None when the branch must not be touched. Raises what the
    phases raise.
    """
    new = move_to_target_merge(ctx, target, parents, merged, warn)
    if new is not None:
        perform_open_phases(ctx, list_phases_after_update(ctx))
    return new


def move_to_target_merge(
    ctx: CellContext,
    target: str,
    parents: tuple[CommitId, CommitId],
    merged: LadderMerge,
    warn: Warn,
) -> CommitId | None:
    """`commit_target_merge` without the phases: a run does them."""
    repo, (old, tip) = ctx.repo, parents
    done = ImplementRecord.read(ctx.dir)
    if done is None or done.head != old or merged.tree is None:
        return None
    text = commit_message(f"Merge {target} into {ctx.cell.branch}", list_merge_trailers(merged))
    date = newest_commit_date(repo, (old, tip))
    new = make_lasting_commit(
        repo.with_config(ctx.sign_config), LastingCommit(merged.tree, (old, tip), text, date)
    )
    if not move_branch(ctx, old, new, warn):
        return None
    published = HeadRecord.read(ctx.dir)
    lands = published.head if published is not None else None
    replace(done, head=new, tree=merged.tree, lands=lands).write(ctx.dir)
    return new


def update_dependent(
    ctx: CellContext, target: str, tip: CommitId, landed: CommitId, warn: Warn
) -> str | None:
    """`merge_target_into_branch` for a dependent of what has landed. Its own phases do not hold up
    what has landed: one that waits for a person or is red is the next run's. Raises Interrupted,
    Unavailable."""
    try:
        return merge_target_into_branch(ctx, target, tip, landed, warn)
    except (Interrupted, Unavailable):
        raise
    except NeedsApproval:
        return None  # its phase has asked
    except OrchestrError as error:
        warn(
            f"{ctx.name} has {target} merged in now: {error.reason}; next: orchestr run {ctx.name}"
        )
        return None


def move_branch(ctx: CellContext, old: CommitId, new: CommitId, warn: Warn) -> bool:
    """Bring the cell's branch, and its worktree if it is there, from ``old`` to ``new``.

    False when it must not be touched: it moved, or a person works there.
    """
    repo, ref = ctx.repo, f"refs/heads/{ctx.cell.branch}"
    begun = any(
        e.kind is EventKind.LAND_UPDATE and e.cell == ctx.cell.name and e.data.get("new") == new
        for e in ctx.run.journal.read()
    )
    if not ctx.worktree.exists():
        now_at = repo.resolve_commit(ref)
        if now_at == new:
            return True
        if now_at != old:
            warn(f"{ctx.name}: {ctx.cell.branch} has moved; it was left alone")
            return False
        ctx.emit(EventKind.LAND_UPDATE, old=old, new=new)
        repo.update_ref(ref, new, old)
        return True
    tree = ctx.worktree_repo
    if not belongs_to_clone(ctx) or tree.head_branch() != ctx.cell.branch:
        warn(f"{ctx.name}: {ctx.worktree} is not on {ctx.cell.branch}; it was left alone")
        return False
    if tree.head() not in (old, new):
        warn(f"{ctx.name}: its worktree has commits of its own; it was left alone")
        return False
    if begun:
        clear_stale_locks(ctx.worktree)
    half_way = bool(tree.dirty_paths()) or unfinished_operation(tree) is not None
    if half_way and not begun:
        warn(f"{ctx.name}: work is under way in {ctx.worktree}; it was left alone")
        return False
    if half_way:  # ours, of a process that was killed: kept, then done again
        newest_one = attempts.newest_attempt(ctx.dir)
        put_worktree(ctx, newest_one.number if newest_one else 0, new)
        return True
    if tree.head() == old:
        if not begun:
            ctx.emit(EventKind.LAND_UPDATE, old=old, new=new)
        args = ("merge", "--quiet", "--ff-only", "--no-autostash", "--no-stat", new)
        tree.as_committer().without_lfs().run_git(*args)
    return True


def tidy_landed_cell(ctx: CellContext, head: str, warn: Warn) -> None:
    """Remove a clean worktree of a landed cell; its branch where the settings say so."""
    landing = ctx.run.settings.landing
    if ctx.cell.action is Action.PUSH:
        return
    if not landing.keep_worktrees:
        remove_checkouts(ctx)
    if not landing.keep_worktrees and ctx.worktree.exists():
        _remove_landed_worktree(ctx, head, warn)
    if landing.delete_branches and not ctx.worktree.exists():
        _delete_branch(ctx, Branch(ctx.cell.branch), CommitId(head), warn)


def _remove_landed_worktree(ctx: CellContext, head: str, warn: Warn) -> None:
    newest_one = attempts.newest_attempt(ctx.dir)
    if newest_one is not None and newest_one.is_open and has_running_agent(ctx.dir, newest_one):
        return None
    if not belongs_to_clone(ctx):
        return warn(f"{ctx.name}: {ctx.worktree} is not its worktree any more; it was kept")
    tree = ctx.worktree_repo
    if tree.dirty_paths() or unfinished_operation(tree) is not None or tree.head() != head:
        return warn(f"{ctx.name}: {ctx.worktree} holds work that has not landed; it was kept")
    for failure in run_teardown(ctx):  # a warning, and no reason to keep the worktree
        warn(failure)
    if tree.dirty_paths() or tree.head() != head:
        return warn(f"{ctx.name}: its teardown left work in {ctx.worktree}; it was kept")
    try:
        kept = remove_cell_worktree(ctx, newest_one.number if newest_one else 0)
    except OrchestrError as error:
        return warn(f"{ctx.name}: {ctx.worktree} was kept: {error.message}")
    if kept.undeleted is not None:
        warn(f"{ctx.name}: {kept.undeleted.message}")
    ctx.run.registry.release(ctx.key)
    ctx.emit(EventKind.WORKTREE_REMOVED, path=str(ctx.worktree), head=head)
    return None


def _delete_branch(ctx: CellContext, branch: Branch, head: CommitId, warn: Warn) -> None:
    ref, remote = f"refs/heads/{branch}", ctx.repo.remotes.push
    for dep in same_repo_dependents(ctx):
        pr = newest_pr(dep)
        if pr is not None and pr.state is PRState.OPEN and pr.base == branch:
            return warn(f"{ctx.name}: {pr.url} is still for {branch}; the branch was kept")
    there = ctx.repo.ls_remote(remote, ref).get(ref)
    if there == head:
        ctx.repo.run_git("push", "--quiet", remote, "--delete", ref, answers=ANY_EXIT)
    elif there is not None:
        return warn(f"{ctx.name}: {branch} at the origin has moved; it was kept")
    with suppress(OrchestrError):
        ctx.repo.delete_ref(ref, head)
    return None
