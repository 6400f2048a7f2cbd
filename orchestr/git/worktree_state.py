"""What is really at the place of a worktree: `validate_worktree` looks, and changes nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from orchestr.git.checkout import is_index_missing
from orchestr.git.repo import Repo
from orchestr.git.worktree_list import WorktreeEntry

OPERATION_FILES = ("rebase-merge", "rebase-apply", "BISECT_LOG", "MERGE_HEAD", "CHERRY_PICK_HEAD")


class WorktreeFinding(StrEnum):
    """The state that `validate_worktree` finds a worktree in."""

    OK = "ok"
    MISSING = "missing"  # no directory (or an empty one); git may still list it
    FOREIGN = "foreign"  # something is there that is no worktree of this repository
    WRONG_BRANCH = "wrong branch"
    DETACHED = "detached"
    DAMAGED = "damaged"  # .git is gone or points elsewhere, or it was moved; `repair_worktree`
    LOCKED = "locked"  # git lists it as locked and its directory is gone
    UNREGISTERED = "unregistered"  # fine on disk and for git, but no entry of ours names it
    INCOMPLETE = "incomplete"  # its checkout never ended


@dataclass(frozen=True, slots=True)
class WorktreeVerdict:
    """``detail`` says what was found instead (the other branch, the reason of a lock)."""

    finding: WorktreeFinding
    detail: str = ""
    entry: WorktreeEntry | None = None


def validate_worktree(
    repo: Repo,
    path: Path,
    branch: str | None,
    *,
    registered: bool = True,
    listed: Sequence[WorktreeEntry] | None = None,
) -> WorktreeVerdict:
    """Compare the three records of a worktree: our entry, the disk, git.

    ``branch`` None means that it should be detached; ``listed`` is what git lists, where the
    caller has just asked. Changes nothing. Raises GitError when
    ``repo`` itself cannot be read.
    """
    path = path.absolute()
    entry = find_worktree_entry(repo, path, listed)
    if not is_occupied(path):
        if entry is not None and entry.locked is not None:
            return WorktreeVerdict(WorktreeFinding.LOCKED, entry.locked or "no reason given", entry)
        return WorktreeVerdict(
            WorktreeFinding.MISSING, "git still lists it" if entry else "", entry
        )
    if entry is None and (moved := find_moved_entry(repo, path)) is not None:
        return WorktreeVerdict(WorktreeFinding.DAMAGED, f"it was moved from {moved.path}", moved)
    if entry is None:
        return WorktreeVerdict(WorktreeFinding.FOREIGN, "git does not list it here")
    git_dir = worktree_admin_dir(path)
    if git_dir is not None and git_dir.parent != repo.common_dir() / "worktrees":
        git_dir = None  # a record that somebody made elsewhere
    if git_dir is None and entry.is_main:
        git_dir = repo.common_dir()
    if git_dir is None:
        return WorktreeVerdict(
            WorktreeFinding.DAMAGED, f"{path / '.git'} is gone or points elsewhere", entry
        )
    if is_index_missing(git_dir):
        return WorktreeVerdict(WorktreeFinding.INCOMPLETE, entry.branch or "detached", entry)
    if branch is None and entry.branch is not None:
        return WorktreeVerdict(WorktreeFinding.WRONG_BRANCH, entry.branch, entry)
    if branch is not None and entry.branch is None:
        return WorktreeVerdict(WorktreeFinding.DETACHED, (entry.head or "")[:12], entry)
    if branch is not None and entry.branch != branch:
        return WorktreeVerdict(WorktreeFinding.WRONG_BRANCH, str(entry.branch), entry)
    if not registered:
        return WorktreeVerdict(WorktreeFinding.UNREGISTERED, "", entry)
    return WorktreeVerdict(WorktreeFinding.OK, entry.branch or (entry.head or "")[:12], entry)


def find_worktree_entry(
    repo: Repo, path: Path, listed: Sequence[WorktreeEntry] | None = None
) -> WorktreeEntry | None:
    entries = repo.list_worktrees() if listed is None else listed
    return next((e for e in entries if is_same_path(e.path, path)), None)


def find_moved_entry(repo: Repo, path: Path) -> WorktreeEntry | None:
    """git's entry of a worktree whose folder was moved to ``path`` (a workspace was renamed).

    None when the place that git knows still leads here: ``path`` is then a copy.
    """
    text = _read_line(path / ".git")
    if text is None or not text.startswith("gitdir: "):
        return None
    admin = repo.common_dir() / "worktrees" / Path(text[8:]).name
    back = _read_line(admin / "gitdir")
    if back is None:
        return None
    old = (admin / back).absolute().parent
    if is_same_path(old, path) or worktree_admin_dir(old) == admin.resolve():
        return None
    return find_worktree_entry(repo, old)


def _read_line(path: Path) -> str | None:
    try:
        return os.fsdecode(path.read_bytes().removesuffix(b"\n"))
    except OSError:
        return None


def is_same_path(one: Path, other: Path) -> bool:
    return one == other or one.resolve() == other.resolve()


def is_occupied(path: Path) -> bool:
    """Whether something is at ``path`` that must not be written over; an empty folder is not."""
    if path.is_dir() and not path.is_symlink():
        with os.scandir(path) as entries:
            return next(entries, None) is not None
    return os.path.lexists(path)


def has_only_git_file(path: Path) -> bool:
    return [p.name for p in path.iterdir()] == [".git"] and (path / ".git").is_file()


def worktree_admin_dir(path: Path) -> Path | None:
    """The git dir of a worktree if its ``.git`` and the record there name each other."""
    link = path / ".git"
    try:
        text = link.read_bytes().removesuffix(b"\n")
        if not text.startswith(b"gitdir: "):
            return None
        git_dir = (path / os.fsdecode(text[8:])).resolve()
        back = Path(os.fsdecode((git_dir / "gitdir").read_bytes().removesuffix(b"\n")))
    except OSError:
        return None
    return git_dir if is_same_path((git_dir / back).absolute(), link) else None
