"""The branches of the clone before and after an agent: what it moved that was not its own."""

from __future__ import annotations

from orchestr.cell.context import CellContext
from orchestr.cell.worktree import clone_guard
from orchestr.cell.worktree.clone_refs import keep_commit
from orchestr.cell.worktree.clone_snapshot import git_commands
from orchestr.files import read_json, write_json
from orchestr.git.repo import CommitId
from orchestr.git.trace import GitCommand, moved_ref
from orchestr.git.worktree_state import WorktreeFinding
from orchestr.spec.phases import Action
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind
from orchestr.state.results import ImplementOutcome, ImplementRecord, WorktreeMarker


def snapshot_branches(ctx: CellContext, attempt: Attempt, marker: WorktreeMarker) -> None:
    """Before an agent starts, also for a repair: the picture of what is not its own."""
    folder = attempts.attempt_folder(ctx.dir, attempt.number)
    refs = clone_guard.snapshot_clone(ctx, marker.base_ref, folder / clone_guard.HARM)
    heads = {
        cell.branch: refs.get(f"refs/heads/{cell.branch}", "")
        for cell in ctx.run.feature.cells
        if cell.repo == ctx.cell.repo
    }
    write_json(folder / BRANCHES, heads)


BRANCHES = "branches.json"  # where the cells' branches were when the attempt began


AFTER = {
    WorktreeFinding.MISSING: "its worktree was gone",
    WorktreeFinding.FOREIGN: "its worktree had become another repository",
    WorktreeFinding.WRONG_BRANCH: "its worktree was on {}, another branch",
    WorktreeFinding.DETACHED: "its worktree was on a detached head",
    WorktreeFinding.DAMAGED: "its worktree had no usable .git any more",
    WorktreeFinding.LOCKED: "its worktree was locked",
    WorktreeFinding.UNREGISTERED: "git no longer listed its worktree",
    WorktreeFinding.INCOMPLETE: "its worktree was not checked out",
}


def restore_moved_branches(ctx: CellContext, attempt: Attempt) -> str:
    """Branches of finished cells of the same repository that this attempt's agent rewrote.

    Compared with where they were when the attempt began, so that what a person did before is
    theirs; so is what the agent's own git did not do: that stays, with a warning, and the head is
    kept under a ref. The others are put back by compare-and-set; where they had been moved to is
    in the message.
    """
    commands: list[GitCommand] | None = None
    before = read_json(attempts.attempt_folder(ctx.dir, attempt.number) / BRANCHES) or {}
    others = [
        cell
        for cell in ctx.run.feature.cells
        if cell.name != ctx.cell.name
        and cell.repo == ctx.cell.repo
        and cell.action is not Action.PUSH
        and before.get(cell.branch)
    ]
    refs = clone_guard.read_refs(ctx.repo) if others else {}
    found = []
    for other in others:
        theirs = ctx.run.cell_context(other.name)
        ref = f"refs/heads/{other.branch}"
        was = CommitId(before[other.branch])
        now_at = CommitId(refs[ref]) if ref in refs else None
        if now_at == was:
            continue
        newest = attempts.newest_attempt(theirs.dir)
        done = ImplementRecord.read(theirs.dir)
        if (
            done is None
            or newest is None
            or newest.is_open
            or done.outcome not in (ImplementOutcome.CHANGED, ImplementOutcome.PUSHED_BY_HAND)
        ):
            continue
        if now_at is not None and ctx.repo.is_ancestor(was, now_at):
            continue  # it only moved forward: its own cell, or a person
        commands = git_commands(ctx, ctx.key) if commands is None else commands
        if not moved_ref(ref, commands, [theirs.worktree]):
            kept = keep_commit(ctx.repo, was, other.branch)
            what = f"rewritten to {now_at[:12]}" if now_at else "deleted"
            text = f"branch {other.branch} of cell {other.name} was {what}, and not by its agent"
            ctx.emit(
                EventKind.CELL_WARNED,
                attempt=attempt.number,
                reason=f"{text}; that stays as it is, and {was[:12]} is kept as {kept}",
            )
            continue
        ctx.repo.update_ref(ref, was, now_at)
        found.append(f"{other.branch} ({(now_at or 'deleted')[:12]})")
    return ", ".join(found)
