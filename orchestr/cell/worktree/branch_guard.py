"""The branches of the clone before and after an agent: what it moved that was not its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.cell.worktree import clone_guard
from orchestr.cell.worktree.clone_refs import keep_commit
from orchestr.cell.worktree.clone_snapshot import git_commands
from orchestr.cell.worktree.harm_record import GUARD_HARM, HARM, CloneReport, note_harm
from orchestr.cell.worktree.picture_loss import (
    GUARD_MARK,
    MARK,
    mark_compared,
    mark_taken,
    recover_pictures,
)
from orchestr.cell.worktree.picture_memory import read_picture, read_picture_file, write_picture
from orchestr.git.repo import CommitId
from orchestr.git.trace import GitCommand, moved_ref
from orchestr.git.worktree_state import WorktreeFinding
from orchestr.spec.phases import Action
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind
from orchestr.state.results import ImplementOutcome, ImplementRecord, WorktreeMarker

BRANCHES = "branches.json"  # where the cells' branches were when the agent began
GUARD_BRANCHES = "checking-branches.json"  # the same in a cell's folder, for checks and reviewers
MOVED = "branches of other cells were moved: {}; they were put back"


def snapshot_branches(ctx: CellContext, attempt: Attempt, marker: WorktreeMarker) -> None:
    """Before an agent starts, also for a repair: the picture of what is not its own."""
    folder = attempts.attempt_folder(ctx.dir, attempt.number)
    refs = clone_guard.snapshot_clone(ctx, marker.base_ref, folder / HARM)
    write_picture(folder / BRANCHES, _pick_cell_heads(ctx, refs), starts=ctx.key)
    mark_taken(ctx, folder / MARK)


def snapshot_clone_again(ctx: CellContext, attempt: Attempt, marker: WorktreeMarker) -> None:
    """Before its agent goes on in the same attempt: where branches were at its start stays."""
    clone_guard.snapshot_clone(ctx, marker.base_ref)
    folder = attempts.attempt_folder(ctx.dir, attempt.number)
    before = read_picture(folder / BRANCHES)
    if isinstance(before, dict):
        write_picture(folder / BRANCHES, before, starts=ctx.key)
    mark_taken(ctx, folder / MARK)


def snapshot_for_guard(ctx: CellContext) -> None:
    """Before checks or reviewers start: the same."""
    refs = clone_guard.snapshot_clone(ctx, "", ctx.dir / GUARD_HARM)
    write_picture(ctx.dir / GUARD_BRANCHES, _pick_cell_heads(ctx, refs), starts=ctx.key)
    mark_taken(ctx, ctx.dir / GUARD_MARK)


def restore_surroundings(
    ctx: CellContext, attempt: Attempt | None, base_ref: str, during: str = "its agent worked"
) -> list[str]:
    """After an agent ended, well or badly: put back what is its doing in the clone, branches of
    other cells included. Returns what makes it a failure. Safe to repeat."""
    if attempt is None:
        return clone_guard.restore_clone(ctx, attempt, base_ref, during)
    folder = attempts.attempt_folder(ctx.dir, attempt.number)
    places = (folder / BRANCHES, folder / HARM)
    is_started = attempt.pictured and (folder / "notes.txt").exists()
    _recover_pictures(ctx, attempt.number, folder / MARK, *places, must_be_marked=is_started)
    harm = clone_guard.restore_clone(ctx, attempt, base_ref, during)
    moved = _restore_moved_branches(ctx, attempt.number, *places)
    return [*harm, moved] if moved and moved not in harm else harm


def restore_after_guard(
    ctx: CellContext, during: str = "it was checked or reviewed", *, is_setup: bool = False
) -> CloneReport:
    """After checks or reviewers: the same; a person decides nothing by it, so all is returned."""
    newest = attempts.newest_attempt(ctx.dir)
    number = newest.number if newest else 0
    places = (ctx.dir / GUARD_BRANCHES, ctx.dir / GUARD_HARM)
    _recover_pictures(ctx, number, ctx.dir / GUARD_MARK, *places, must_be_marked=False)
    report = clone_guard.restore_after_guard(ctx, during, is_setup=is_setup)
    moved = _restore_moved_branches(ctx, number, *places)
    report.harm += [moved] if moved and moved not in report.harm else []
    return report


def _recover_pictures(
    ctx: CellContext, number: int, mark: Path, branches: Path, harm_file: Path,
    *, must_be_marked: bool,
) -> None:  # fmt: skip
    """What is to be compared is there, or it is harm that it is not."""
    lost = recover_pictures(ctx, mark, branches, must_be_marked=must_be_marked)
    if lost.harm:
        note_harm(harm_file, lost.harm)
    for text in lost.warnings:
        ctx.emit(EventKind.CELL_WARNED, attempt=number, reason=text)
    mark_compared(ctx, mark, branches)


def _pick_cell_heads(ctx: CellContext, refs: Mapping[str, str]) -> dict[str, str]:
    """The branches of the feature's cells in this clone, with their commits."""
    return {
        cell.branch: refs.get(f"refs/heads/{cell.branch}", "")
        for cell in ctx.run.feature.cells
        if cell.repo == ctx.cell.repo
    }


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


def _restore_moved_branches(ctx: CellContext, number: int, picture: Path, harm_file: Path) -> str:
    """The harm in words, empty without any: branches of finished cells of the same repository
    that were rewritten by the cell's own agents.

    Compared with the ``picture`` of when they began, so that what a person did before is theirs; so
    is what the agent's own git did not do: that stays, with a warning, and the head is kept under a
    ref. The others are put back by compare-and-set, after that is written into ``harm_file``; where
    they had been moved to is in the message.
    """
    commands: list[GitCommand] | None = None
    before = read_picture_file(picture) or {}
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
                attempt=number,
                reason=f"{text}; that stays as it is, and {was[:12]} is kept as {kept}",
            )
            continue
        found.append(f"{other.branch} ({(now_at or 'deleted')[:12]})")
        note_harm(harm_file, [MOVED.format(", ".join(found))])
        ctx.repo.update_ref(ref, was, now_at)
    return MOVED.format(", ".join(found)) if found else ""
