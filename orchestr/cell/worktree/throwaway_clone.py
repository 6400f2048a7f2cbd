"""A clone for an agent that only reads: at one commit, without a remote, its files read-only.

Reviewers and drafting agents get one. What they do to it reaches no worktree and no branch; its
objects are those of the main clone, read through git's alternates.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestr.git.repo import CommitId, Repo
from orchestr.git.runner import YES_OR_NO_REMOTE


@dataclass(frozen=True, slots=True)
class CheckoutPart:
    """One of several clones that lie side by side: its folder's name, what it shows."""

    name: str
    repo: Repo
    commit: CommitId


def clone_side_by_side(parts: Sequence[CheckoutPart], tree: Path) -> Path:
    """A folder with a clone for each part, none of which can be written to."""
    remove_clone(tree)
    tree.mkdir(parents=True)
    for part in parts:
        clone_at_commit(part.repo, part.commit, tree / part.name)
    _set_writable(tree, write=False)
    return tree


def clone_at_commit(source: Repo, commit: CommitId, tree: Path) -> Path:
    """Make the clone ``tree`` of ``source`` at ``commit``, in the place of what is there."""
    remove_clone(tree)
    clone = ("clone", "--quiet", "--shared", "--no-checkout", "--no-tags", "--template=")
    source.without_lfs().run_git(*clone, str(source.common_dir()), str(tree))
    repo = Repo(tree).without_lfs()
    repo.run_git("remote", "remove", "origin", answers=YES_OR_NO_REMOTE)
    repo.run_git("checkout", "--quiet", "--detach", "--no-recurse-submodules", commit)
    for where, folders, files in os.walk(tree):
        if ".git" in folders and Path(where) == tree:
            folders.remove(".git")
        for name in (*files, "."):
            _set_writable(Path(where, name), write=False)
    return tree


def remove_clone(tree: Path) -> None:
    """Take such a clone, or a folder of them, away again."""
    if tree.is_dir():
        for where, _, _ in os.walk(tree):
            _set_writable(Path(where), write=True)
        shutil.rmtree(tree, ignore_errors=True)


def _set_writable(path: Path, *, write: bool) -> None:
    with suppress(OSError):
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode):
            path.chmod(mode | stat.S_IWUSR if write else mode & ~0o222)
