"""The push of a cell's head: only what the origin lacks, never over what is not ours.

Observes the remote first, and may be repeated after a kill at any point: the intent is journalled
before the push, so that a later run knows an older head of ours. A refusal for a reason that is not
in the commits (no room, no answer) leaves everything for the next run to push again.
"""

from __future__ import annotations

from collections.abc import Callable

from orchestr.cell.context import CellContext
from orchestr.cell.pull_request import join_heads
from orchestr.cell.pull_request.foreign_commits import pushed_commits
from orchestr.cell.worktree.ensure import find_checkout
from orchestr.cell.worktree.take_out_kit import find_kit_in_commits, kit_hint
from orchestr.cell.worktree.walled_hooks import wall_hooks
from orchestr.errors import OrchestrError, as_disk_full
from orchestr.git.errors import PushStatus
from orchestr.git.push_place import explain_other_place, find_other_push_place, keep_one_place
from orchestr.git.repo import Branch, CommitId, Repo
from orchestr.git.worktree_state import worktree_admin_dir
from orchestr.spec.phases import Action, Phase
from orchestr.state.events import EventKind
from orchestr.state.results import NO_PR, HeadRecord, read_url


def push_head(
    ctx: CellContext, head: HeadRecord, approved_value: Callable[[HeadRecord], str]
) -> tuple[HeadRecord, bool]:
    """Bring the branch at the origin to the head, and verify that it is there.

    Returns the head, which has the published one joined to it where the origin forbids force
    pushes, and whether this made the branch: then nothing can be open for it. ``approved_value`` is
    what a person approves of a head.
    """
    repo, branch, sha = ctx.repo, Branch(ctx.cell.branch), CommitId(head.head)
    other = find_other_push_place(repo, repo.remotes.push)
    if other is not None:
        raise ctx.fail(explain_other_place(ctx.cell.repo, other), hint=keep_one_place(repo))
    ref = f"refs/heads/{branch}"
    remote = repo.ls_remote(repo.remotes.push, ref).get(ref)
    if remote == sha:
        return head, False
    refuse_kit(ctx, CommitId(head.base), sha)
    there = None if remote is None else CommitId(remote)
    lease = there is not None and not _is_contained(ctx, there, sha)
    if lease and remote not in pushed_commits(ctx.run.journal, ctx.cell.name):
        raise ctx.fail(
            f"commit {remote[:12] if remote else '?'} was pushed to {branch} meanwhile",
            hint=_merge_hint(ctx),
        )
    if there is not None and lease and join_heads.is_joined_head(ctx, there, sha):
        return join_heads.adopt_joined_head(ctx, head, there, approved_value), False
    refused = _push(ctx, sha, there, lease=lease)
    if refused and there is not None and lease and repo.resolve_commit(there) is not None:
        joined = join_heads.make_joined_head(ctx, sha, there)
        if not _push(ctx, joined, there, lease=False):
            _verify_pushed(ctx, joined)
            return join_heads.adopt_joined_head(ctx, head, joined, approved_value), False
    if refused:
        raise ctx.fail(
            f"pushing {branch} was refused: {refused}",
            hint=f"git -C {push_place(ctx).path} push {repo.remotes.push} {sha}:{ref}, to "
            "see it by hand",
        )
    _verify_pushed(ctx, sha)
    return head, remote is None


def refuse_kit(ctx: CellContext, base: CommitId, sha: CommitId) -> None:
    """The last look before anything leaves this machine. Raises PhaseFailed for what the kit
    brought from the main checkout, in any commit that is not at the origin yet."""
    found = find_kit_in_commits(ctx, base, sha)
    if found:
        hint = kit_hint(ctx, push_place(ctx).path, base)
        raise ctx.fail(f"not pushed: {'; '.join(found)}", hint=hint)


def push_place(ctx: CellContext) -> Repo:
    """Where a push starts: pre-push hooks judge the checkout that they run in."""
    if ctx.cell.action is Action.PUSH:
        checkout = find_checkout(ctx)
        return ctx.repo.at_path(checkout) if checkout is not None else ctx.repo
    return ctx.worktree_repo if worktree_admin_dir(ctx.worktree) is not None else ctx.repo


def _push(ctx: CellContext, sha: CommitId, there: CommitId | None, *, lease: bool) -> str:
    """Push a commit to the cell's branch; why it was refused, else nothing.

    Raises PushUnavailable, DiskFull, RemoteAway.
    """
    branch = Branch(ctx.cell.branch)
    ctx.emit(EventKind.PUSH_INTENDED, phase=Phase.PUBLISH, branch=branch, sha=sha, expected=there)
    try:
        outcome = wall_hooks(ctx, push_place(ctx)).push(
            ctx.repo.remotes.push, sha, branch, expected=there, lease=lease
        )
    except OrchestrError as error:
        raise as_disk_full(error) or error from error
    outcome.raise_if_not_stored(branch)
    return outcome.reason or "no reason given" if outcome.status is PushStatus.REJECTED else ""


def _verify_pushed(ctx: CellContext, sha: CommitId) -> None:
    branch = ctx.cell.branch
    ref = f"refs/heads/{branch}"
    now_there = ctx.repo.ls_remote(ctx.repo.remotes.push, ref).get(ref)
    if now_there != sha:
        raise ctx.fail(
            f"after the push {branch} is at {now_there or 'no commit'}, not at {sha}",
            hint=f"git -C {ctx.repo_path} remote -v shows where it was pushed, and what is read",
        )
    ctx.emit(EventKind.PUSH_DONE, phase=Phase.PUBLISH, branch=branch, sha=sha)


def _merge_hint(ctx: CellContext) -> str:
    """What takes in another's push: the next run does where it can see it, at an open pull
    request; a merge that a person commits is the cell's head."""
    url = read_url(ctx.dir)
    if url is not None and url != NO_PR:
        return f"orchestr run {ctx.name}: the next run merges it first"
    where = ctx.worktree if ctx.worktree.exists() else ctx.repo_path
    pull = f"git -C {where} pull --no-rebase {ctx.repo.remotes.push} {ctx.cell.branch}"
    return f"{pull}, then: orchestr run {ctx.name}"


def _is_contained(ctx: CellContext, there: CommitId, sha: CommitId) -> bool:
    """Whether the remote's commit is one that we have and that our head contains."""
    return ctx.repo.resolve_commit(there) is not None and ctx.repo.is_ancestor(there, sha)
