"""While others run in an author's worktree or read it: what they change there is put back.

Checks run in the worktree, reviewers may find out where it is; both must leave its commit, its
branch and its files alone, and the clone around it (`surroundings`). What was changed is first
kept under the attempt's ref, then undone. Files that a check leaves behind and nobody ignores are
moved out of the way; that is no harm.

A killed run leaves its check at work: `marker_of` finds it, and it is ended before anything else
is done in that worktree.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.cell.ownership import some
from orchestr.cell.worktree import clone_guard
from orchestr.cell.worktree.salvage import abort_operations, attempt_ref, free_ref, keep, operation
from orchestr.files import read_json, write_json
from orchestr.git.repo import CommitId
from orchestr.git.runner import records_of
from orchestr.process.tree import kill_marked
from orchestr.spec.phases import Action
from orchestr.state import attempts
from orchestr.state.events import Kind
from orchestr.state.results import digest


@dataclass(slots=True)
class Guard:
    """What was found changed: sentences for people, empty when all was well."""

    harm: list[str] = field(default_factory=list)


def marker_of(ctx: CellContext) -> str:
    """ORCHESTR_ATTEMPT_ID of the cell's checks, which run one after the other.

    It is the same in every run: what a killed one left can be found.
    """
    return f"{ctx.key}/checks/{digest(str(ctx.dir))}"


def end_left(ctx: CellContext) -> int:
    """End the checks that a killed run left at work; how many processes there were."""
    return kill_marked(marker_of(ctx))


@contextmanager
def guarded(ctx: CellContext, head: CommitId, record: Path, left: Path) -> Iterator[Guard]:
    """Watch the cell's worktree, which stands clean on ``head``; put it back afterwards.

    New files that nobody ignores are moved to the folder ``left``.
    """
    guard = Guard()
    write_json(record, {"schema": 1, "head": head, "left": str(left)})
    clone_guard.enter(ctx, "")
    try:
        yield guard
    finally:
        _look_around(ctx)  # first: a hook that was planted would run in our name
        guard.harm += put_back(ctx, head)
        _sweep(ctx, left)
        record.unlink(missing_ok=True)


def recover(ctx: CellContext, record: Path) -> None:
    """After a kill in between: the same, by the record.

    Nobody can tell who moved the branch meanwhile, a reviewer that went on or a person: it is put
    back, and PhaseFailed says where the commits are. The next run starts from what it finds.
    """
    if not record.exists():
        return
    end_left(ctx)
    raw = read_json(record)
    moved, found = None, []
    if isinstance(raw, dict) and isinstance(raw.get("head"), str):
        _look_around(ctx)
        head = ctx.repo.resolve(raw["head"])
        if ctx.worktree.is_dir() and head is not None:
            tip = ctx.repo.resolve(f"refs/heads/{ctx.cell.branch}")
            moved = tip if on_branch(ctx) and tip != head else None
            found = put_back(ctx, head)
            # Told, unlike what a check that ended leaves: they may be a person's.
            found += _sweep(ctx, Path(str(raw.get("left") or ctx.dir / "left")))
    record.unlink(missing_ok=True)
    if moved is not None:
        raise ctx.fail(
            f"after a run that was killed, {'; '.join(found)}",
            hint=f"if these commits are yours: git -C {ctx.worktree} merge {moved[:12]}, "
            f"then (or if they are not): orchestr run {ctx.name}",
        )
    if found:
        ctx.emit(Kind.CELL_WARNED, reason=f"after a run that was killed, {'; '.join(found)}")


def _look_around(ctx: CellContext) -> None:
    """Put back the clone's config, hooks and other refs. Told, but no failure: a person works
    there at the same time, and honest tools set hooks."""
    during = "it was checked or reviewed"
    for text in clone_guard.leave(ctx, attempts.newest(ctx.dir), "", during):
        ctx.emit(Kind.CELL_WARNED, reason=f"while {during}, {text}")


def put_back(ctx: CellContext, head: CommitId) -> list[str]:
    """Bring branch and tracked files back to ``head``; what had to be undone."""
    harm = _moved(ctx, head)
    changed = _changed(ctx)
    if changed:
        harm.append(f"tracked files of the worktree were changed: {some(changed)}; put back")
    if harm:
        _undo(ctx, head)
    return harm


def clear(ctx: CellContext, number: int, left: Path) -> list[str]:
    """Keep what is uncommitted under the attempt's ref, then take it away; what had to be done."""
    repo = ctx.tree_repo
    if operation(repo) is None and not repo.dirty():
        return []
    kept = keep(ctx, number)
    abort_operations(repo)
    repo.run("reset", "--hard")
    _sweep(ctx, left)
    where = f"as {kept[:12]}" if kept else f"in {left}"
    return [f"what it left uncommitted is kept {where} below {attempt_ref(ctx, number)}"]


def on_branch(ctx: CellContext) -> bool:
    """Whether the worktree belongs on the cell's branch; a person's head is only looked at."""
    return ctx.cell.action is Action.AGENT


def _moved(ctx: CellContext, head: CommitId) -> list[str]:
    repo, name = ctx.tree_repo, ctx.cell.branch
    if on_branch(ctx) and (at := ctx.repo.resolve(f"refs/heads/{name}")) != head:
        what = f"moved to {at[:12]}" if at else "deleted"
        return [f"branch {name} was {what}; it was put back to {head[:12]}"]
    wanted = name if on_branch(ctx) else None
    if repo.resolve("HEAD") != head or repo.head_branch() != wanted:
        return ["something else was checked out in the worktree; it was put back"]
    return []


def _undo(ctx: CellContext, head: CommitId) -> None:
    """Keep what is there under the attempt's ref, then stand on ``head`` again."""
    repo, name = ctx.tree_repo, ctx.cell.branch
    newest = attempts.newest(ctx.dir)
    number = newest.number if newest else 0
    keep(ctx, number)
    abort_operations(repo)
    repo.run("checkout", "--force", "--detach", "--no-recurse-submodules", head)
    if not on_branch(ctx):
        return
    at = ctx.repo.resolve(f"refs/heads/{name}")
    if at is not None and at != head:
        ctx.repo.run("update-ref", free_ref(ctx, f"{attempt_ref(ctx, number)}-moved", at), at)
    ctx.repo.run("update-ref", f"refs/heads/{name}", head)
    repo.run("checkout", "--force", "--no-recurse-submodules", name)


def _changed(ctx: CellContext) -> list[str]:
    """Tracked files that differ from HEAD, in index or worktree."""
    args = ("status", "--porcelain=v1", "-z", "--untracked-files=no", "--no-renames")
    return [record[3:] for record in records_of(ctx.tree_repo.ask(*args).out)]


def _sweep(ctx: CellContext, left: Path) -> list[str]:
    """Move away what is new and not ignored: it would end in the next commit. Says what, if any.

    What an earlier round left there stays: where one name is in the way all goes beside it.
    """
    names = [name.rstrip("/") for name in ctx.tree_repo.dirty()]
    place, copy = left, 1
    while any(os.path.lexists(place / name) for name in names):
        copy += 1
        place = left.with_name(f"{left.name}.{copy}")
    for name in names:
        target = place / name
        with suppress(OSError):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(ctx.worktree / name, target)
    return [f"new files of the worktree were moved to {place}: {some(names)}"] if names else []
