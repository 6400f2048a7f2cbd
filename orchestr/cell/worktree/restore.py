"""After a failed attempt: bring its worktree back to where the next one can begin.

A worktree whose `.git` is gone, that stands on another branch, or whose history was rewritten is
put back to where the attempt started; all that it held is kept before.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.cell.worktree.discard import left_folder, put_worktree
from orchestr.cell.worktree.salvage import attempt_ref, is_same_repository, salvage_worktree
from orchestr.errors import MachineFault, OrchestrError
from orchestr.git.repo import CommitId
from orchestr.git.worktrees import clear_stale_locks, repair_worktree
from orchestr.state.attempts import Attempt


def restore_worktree(ctx: CellContext, attempt: Attempt) -> list[str]:
    """Bring the worktree back to its branch at a commit that contains the start.

    Returns what had to be put right, for the report. Raises nothing: a worktree that cannot
    be repaired is left for `orchestr doctor`.
    """
    done: list[str] = []
    try:
        done += _restore_or_raise(ctx, attempt)
    except MachineFault:
        raise
    except OrchestrError as error:
        done.append(f"the worktree could not be put right: {error.reason}")
    return done


def _restore_or_raise(ctx: CellContext, attempt: Attempt) -> list[str]:
    done: list[str] = []
    place = ctx.worktree
    if not os.path.lexists(place) or (place.is_dir() and not any(place.iterdir())):
        return ["the worktree is gone; it will be made again"]
    if place.is_symlink() or not place.is_dir():
        return [f"what is in place of the worktree is kept as {_move_aside(ctx, attempt, place)}"]
    if not is_same_repository(ctx):
        if os.path.lexists(place / ".git"):
            done.append(f"its .git is kept as {_move_aside(ctx, attempt, place / '.git')}")
        repair_worktree(ctx.repo, ctx.worktree)
        done.append("the worktree's .git was damaged; repaired")
    clear_stale_locks(ctx.worktree)
    repo, number = ctx.worktree_repo, attempt.number
    branch = ctx.repo.resolve_commit(f"refs/heads/{ctx.cell.branch}")
    start = CommitId(attempt.start)
    if branch is None or not repo.is_ancestor(start, branch):
        branch = start
        done.append(f"branch {ctx.cell.branch} was put back to {start[:12]}")
    if repo.head_branch() != ctx.cell.branch:
        put_worktree(ctx, number, branch, branch=ctx.cell.branch)
        done.append(f"the worktree was put back on {ctx.cell.branch}")
    elif repo.head() != branch:
        put_worktree(ctx, number, branch)
    else:
        salvage_worktree(ctx, number)
    if done:
        done.append(f"what the attempt left is kept below {attempt_ref(ctx, number)}")
    return done


def _move_aside(ctx: CellContext, attempt: Attempt, path: Path) -> Path:
    """Move something that an agent put in our way to its attempt's folder."""
    name, copy = path.name.lstrip("."), 1
    kept = left_folder(ctx, attempt.number) / name
    while os.path.lexists(kept):
        copy += 1
        kept = kept.with_name(f"{name}.{copy}")
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, kept)
    return kept
