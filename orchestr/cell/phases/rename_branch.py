"""A cell whose `branch:` (or the feature's `jira:`) changed in the spec: its branch is renamed.

The branch, its worktree and the cell's results move to the new name; no agent starts, because
nothing that was built has changed. The pull request follows in `publish`, dependents in their own
`worktree` and `publish`.

Refused where the new name belongs to another cell, or holds commits that this cell's branch lacks.

What survives a crash: the intent is journalled before the branch moves, and each step looks at what
is there. The marker is written last, so a cell that is half moved comes here again.
"""

from __future__ import annotations

from orchestr.cell.context import CellContext
from orchestr.cell.inputs import attempt_key, plan_key
from orchestr.cell.pull_request.claim import (
    find_other_owner,
    other_branch_hint,
    read_remote_tip,
    refuse_foreign_pr,
)
from orchestr.codec import replace
from orchestr.forges.base import PRState
from orchestr.git.branches import rename_branch
from orchestr.git.repo import Branch, CommitId
from orchestr.spec.phases import Action, Phase
from orchestr.state import attempts
from orchestr.state.events import EventKind
from orchestr.state.registry import ClaimConflict
from orchestr.state.results import (
    NO_PR,
    HeadRecord,
    ImplementRecord,
    PlanRecord,
    PublishRecord,
    WorktreeMarker,
)


def is_renamed(ctx: CellContext, old: WorktreeMarker) -> bool:
    """Whether the cell's work is on a branch that the spec gives another name now."""
    if old.branch == ctx.cell.branch or ctx.cell.action is Action.PUSH:
        return False
    claim = ctx.run.registry.lookup(ctx.key)
    return claim is None or claim.common_dir == str(ctx.repo.common_dir())  # `repo:` is the same


def follow_renamed_branch(ctx: CellContext, old: WorktreeMarker, phase: str) -> WorktreeMarker:
    """Rename the branch and move the cell's results; the marker that describes it now.

    ``phase`` is the digest of the worktree phase for it. Raises PhaseFailed where that name is
    taken.
    """
    was, new = Branch(old.branch), Branch(ctx.cell.branch)
    tip = ctx.repo.resolve_commit(f"refs/heads/{was}")
    _refuse_taken_name(ctx, old, tip)
    ctx.emit(EventKind.CELL_MOVED, phase=Phase.WORKTREE, what="branch", old=was, new=new, head=tip)
    try:
        ctx.run.registry.rename_branch(ctx.key, new)
    except ClaimConflict as error:
        raise ctx.fail(error.message, hint=other_branch_hint(ctx)) from error
    rename_branch(ctx.repo, was, new, locks=ctx.run.layout.locks_dir)
    ctx.emit(
        EventKind.CELL_MOVED, phase=Phase.WORKTREE, what="branch", old=was, new=new, head=tip,
        done=True,
    )  # fmt: skip
    if ctx.repo.resolve_commit(f"refs/heads/{new}") is None and (last := _last_head(ctx)):
        ctx.repo.update_ref(f"refs/heads/{new}", last)  # it was deleted, as after a landing
    _move_publication(ctx, was)
    return move_results(ctx, old, replace(old, branch=new, phase=phase))


def move_results(ctx: CellContext, old: WorktreeMarker, new: WorktreeMarker) -> WorktreeMarker:
    """What was made for the old marker counts for the new one: branch or names differ, no content.

    Results whose key is another one are out of date for another reason, and stay so. The marker is
    written last: what a kill leaves out is done when this is called again.
    """
    before, after = attempt_key(ctx, old), attempt_key(ctx, new)
    done = ImplementRecord.read(ctx.dir)
    if done is not None and done.key == before:
        replace(done, key=after).write(ctx.dir)
    newest = attempts.newest_attempt(ctx.dir)
    if newest is not None and newest.key == before:
        attempts.write_attempt(ctx.dir, replace(newest, key=after))
    planned = PlanRecord.read(ctx.dir)
    if planned is not None and planned.key == plan_key(ctx, old):
        replace(planned, key=plan_key(ctx, new)).write(ctx.dir)
    new.write(ctx.dir)
    return new


def _move_publication(ctx: CellContext, was: str) -> None:
    """The pull request is still that of the old name: `publish` finds it there."""
    published = PublishRecord.read(ctx.dir)
    if published is not None and published.branch is None:
        replace(published, branch=was).write(ctx.dir)
    head = HeadRecord.read(ctx.dir)
    if head is not None and head.branch != ctx.cell.branch:
        replace(head, branch=ctx.cell.branch).write(ctx.dir)


def _refuse_taken_name(ctx: CellContext, old: WorktreeMarker, tip: CommitId | None) -> None:
    """Raises PhaseFailed when the new name is another's, or holds what this branch lacks."""
    for pr in ctx.run.foreign_prs.get(f"{ctx.cell.repo}:{ctx.cell.branch}", ()):
        if pr.state is PRState.OPEN:
            raise refuse_foreign_pr(ctx, pr)
    short, long = sorted((old.branch, ctx.cell.branch), key=len)
    published = PublishRecord.read(ctx.dir)
    if long.startswith(f"{short}/") and published is not None and published.url != NO_PR:
        raise ctx.fail(
            f"branch {old.branch} is published, and git cannot hold {short} and {long} at once",
            hint=other_branch_hint(ctx),
        )
    own = tip or _last_head(ctx)
    places = {
        f"in {ctx.repo_path}": ctx.repo.resolve_commit(f"refs/heads/{ctx.cell.branch}"),
        "at the origin": read_remote_tip(ctx),
    }
    for where, there in places.items():
        if there is None or _is_ours(ctx, there, own, renamed=tip is None):
            continue
        text = f"branch {old.branch} cannot be renamed: {ctx.cell.branch} exists {where}"
        owner = find_other_owner(ctx)
        if owner is not None:
            raise ctx.fail(f"{text} and belongs to {owner}", hint=other_branch_hint(ctx))
        aside = f"git -C {ctx.repo_path} branch -m {ctx.cell.branch} {ctx.cell.branch}-old"
        raise ctx.fail(
            f"{text} ({there[:12]}) with commits that {old.branch} lacks",
            hint=aside if where.startswith("in") else other_branch_hint(ctx),
        )
    there = places[f"in {ctx.repo_path}"]
    if tip is not None and there is not None:
        _drop_contained_branch(ctx, there)


def _is_ours(ctx: CellContext, there: CommitId, own: CommitId | None, *, renamed: bool) -> bool:
    """Whether a branch of the new name holds nothing but this cell's commits.

    ``renamed``: the old name is gone, so this is the branch itself, which may have grown.
    """
    if ctx.repo.resolve_commit(there) is None or own is None:
        return False
    contained = ctx.repo.is_ancestor(there, own)
    return contained or (renamed and ctx.repo.is_ancestor(own, there))


def _last_head(ctx: CellContext) -> CommitId | None:
    """The newest commit of the cell that is recorded."""
    head, done = HeadRecord.read(ctx.dir), ImplementRecord.read(ctx.dir)
    sha = head.head if head is not None else done.head if done is not None else None
    return CommitId(sha) if sha and ctx.repo.resolve_commit(sha) is not None else None


def _drop_contained_branch(ctx: CellContext, there: CommitId) -> None:
    """Remove an older state of the cell's own commits that has the new name. Raises PhaseFailed
    where it is checked out, or another cell's."""
    owner = find_other_owner(ctx)
    if owner is not None:
        raise ctx.fail(f"branch {ctx.cell.branch} belongs to {owner}", hint=other_branch_hint(ctx))
    for entry in ctx.repo.list_worktrees():
        if entry.branch == ctx.cell.branch:
            raise ctx.fail(
                f"branch {ctx.cell.branch} is checked out at {entry.path}",
                hint=f"git -C {entry.path} switch --detach, or finish the work there",
            )
    ctx.repo.delete_ref(f"refs/heads/{ctx.cell.branch}", there)
