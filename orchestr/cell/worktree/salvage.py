"""What a failed attempt leaves behind: kept under `refs/orchestr/attempts/`, then put right.

Nothing dirty is ever thrown away before a ref holds it. A worktree whose `.git` is gone, that
stands on another branch, or whose history was rewritten is brought back to where the attempt
started, so that the next one can begin.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.errors import OrchestrError
from orchestr.git.repo import CommitId, Repo
from orchestr.git.worktrees import clear_stale_locks, repair_worktree
from orchestr.state.attempts import Attempt, attempt_folder

IDENTITY = {
    "GIT_AUTHOR_NAME": "orchestr",
    "GIT_AUTHOR_EMAIL": "orchestr@localhost",
    "GIT_COMMITTER_NAME": "orchestr",
    "GIT_COMMITTER_EMAIL": "orchestr@localhost",
}


def attempt_ref(ctx: CellContext, number: int) -> str:
    """The ref that keeps what an attempt left."""
    name = f"plan-{-number}" if number < 0 else str(number)
    return f"refs/orchestr/attempts/{ctx.run.feature.name}/{ctx.cell.name}/{name}"


def salvage_worktree(ctx: CellContext, number: int) -> CommitId | None:
    """Store HEAD and everything uncommitted under the attempt's ref. Returns that commit.

    Uses an index of its own, so the worktree and its index stay as they are. A file that
    cannot be read or stored does not stop the rest. On an unborn branch the commit has no
    parent. None only when there is nothing at all.
    """
    commit = make_snapshot_commit(ctx, number)
    if commit is not None:
        ctx.repo.run_git("update-ref", find_free_ref(ctx, attempt_ref(ctx, number), commit), commit)
    return commit


def make_snapshot_commit(ctx: CellContext, number: int) -> CommitId | None:
    """HEAD and everything uncommitted as one commit; no ref holds it yet. See
    `salvage_worktree`."""
    repo = ctx.worktree_repo
    head = repo.resolve_commit("HEAD")
    commit = head
    if repo.dirty_paths() or head is None:
        with tempfile.TemporaryDirectory(prefix="orchestr-index-") as scratch:
            env = {**IDENTITY, "GIT_INDEX_FILE": str(Path(scratch) / "index")}
            if head is not None:
                repo.run_git("read-tree", "HEAD", env=env)
            repo.run_git("add", "--all", "--ignore-errors", env=env, check=False)
            tree = repo.run_git("write-tree", env=env).text.strip()
            what = f"plan {-number}" if number < 0 else f"attempt {number}"
            message = f"left by {what} of {ctx.name}"
            parents = ["-p", head] if head is not None else []
            made = repo.run_git("commit-tree", tree, *parents, "-m", message, env=env)
            commit = CommitId(made.text.strip())
    return commit


def find_free_ref(ctx: CellContext, first: str, commit: CommitId) -> str:
    """The ref, or `<ref>.2`, `<ref>.3`, ... : what is kept is never moved off a commit
    that the new one does not contain (these refs have no reflog)."""
    ref, copy = first, 1
    while True:
        there = ctx.repo.resolve_commit(ref)
        if there is None or ctx.repo.is_ancestor(there, commit):
            return ref
        copy += 1
        ref = f"{first}.{copy}"


def restore_worktree(ctx: CellContext, attempt: Attempt) -> list[str]:
    """Bring the worktree back to its branch at a commit that contains the start.

    Returns what had to be put right, for the report. Raises nothing: a worktree that cannot
    be mended is left for `orchestr doctor`.
    """
    done: list[str] = []
    try:
        done += _restore_or_raise(ctx, attempt)
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
    if salvage_worktree(ctx, attempt.number) is None:
        return [*done, "nothing could be kept, so the worktree is left as it is"]
    repo = ctx.worktree_repo
    branch = ctx.repo.resolve_commit(f"refs/heads/{ctx.cell.branch}")
    start = CommitId(attempt.start)
    intact = branch is not None and repo.is_ancestor(start, branch)
    if not intact:
        ctx.repo.run_git("update-ref", f"refs/heads/{ctx.cell.branch}", start)
        done.append(f"branch {ctx.cell.branch} was put back to {start[:12]}")
    if repo.head_branch() != ctx.cell.branch:
        abort_operations(repo)
        repo.run_git("checkout", "--force", "--no-recurse-submodules", ctx.cell.branch)
        done.append(f"the worktree was put back on {ctx.cell.branch}")
    elif not intact:
        abort_operations(repo)
        repo.run_git("reset", "--hard")
    if done:
        kept = attempt_ref(ctx, attempt.number)
        done.append(f"what the attempt left is kept below {kept}")
    return done


def _move_aside(ctx: CellContext, attempt: Attempt, path: Path) -> Path:
    """Move something that an agent put in our way to its attempt's folder."""
    kept = attempt_folder(ctx.dir, attempt.number) / "left" / path.name.lstrip(".")
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, kept)
    return kept


def is_same_repository(ctx: CellContext) -> bool:
    """Whether the worktree's `.git` still leads to the cell's repository."""
    with suppress(OrchestrError):
        return ctx.worktree_repo.common_dir().resolve() == ctx.repo.common_dir().resolve()
    return False


UNDER_WAY = {
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "sequencer": "series of commits",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "MERGE_HEAD": "merge",
    "BISECT_LOG": "bisect",
}


def unfinished_operation(repo: Repo) -> str | None:
    """What git is in the middle of in this worktree, if it is."""
    at = repo.git_dir()
    return next((what for name, what in UNDER_WAY.items() if (at / name).exists()), None)


def abort_operations(repo: Repo) -> None:
    """End a half-done merge, rebase or cherry-pick; there may be none."""
    for operation in ("merge", "rebase", "cherry-pick", "revert", "am"):
        repo.run_git(operation, "--abort", check=False)
