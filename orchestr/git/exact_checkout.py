"""A worktree of our own that shows exactly one commit: switch it, and compare it with the commit.

What git knows of a worktree is its index, and whoever runs a program there can write it: flags that
make git pass over a file, staged content, forged times. So the index is copied to a place outside
right after each switch, and only that copy counts: the next switch starts from it, a comparison
reads it. A file that was written since has another change time than the copy says, which no program
of the user can set.

Also owned here: which files in the worktree's own git folder shape a checkout. Leaves to its
callers which worktree that is, and what may lie in it beside the commit.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from orchestr.git.errors import GitError
from orchestr.git.hidden_files import find_hidden
from orchestr.git.repo import CommitId, Repo
from orchestr.git.runner import split_records
from orchestr.git.status import read_changes
from orchestr.git.worktree_state import worktree_admin_dir

# No hook of the user's runs for our switches, and the index holds everything itself: a shared part
# or a cache of what is untracked would be read from the folder that a program may have written.
CHECKOUT_CONFIG: Mapping[str, str] = {
    "checkout.workers": "0",
    "core.hooksPath": os.devnull,
    "core.splitIndex": "false",
    "core.trustctime": "true",
    "core.untrackedCache": "false",
}
_SHAPING = ("commondir", "config.worktree", "gitdir")  # and all in `info`: sparse patterns


def switch_worktree(tree: Repo, commit: CommitId, index: Path) -> None:
    """Show exactly ``commit`` in tracked files, from the ``index`` that we copied at the last
    switch; what is there is written over. Raises GitError."""
    git_dir = tree.git_dir()
    if index.exists():
        _copy_index(index, git_dir / "index")
    tree.without_lfs().run_git("checkout", "--quiet", "--force", "--detach", commit, "--")
    if not index.exists():  # a new one: made with settings of the user
        tree.run_git("update-index", "--no-split-index", "--no-untracked-cache")
    keep_index(tree, index)


def keep_index(tree: Repo, index: Path) -> None:
    """Copy the index of the worktree, which only we have written, to ``index``."""
    _copy_index(tree.git_dir() / "index", index)


def _copy_index(source: Path, target: Path) -> None:
    """With its time: git compares that with the files' to know which it has to read."""
    half = target.with_name(f"{target.name}.new")
    half.unlink(missing_ok=True)
    try:
        shutil.copy2(source, half)
        half.replace(target)
    except OSError as error:
        raise GitError(f"the index {source} cannot be copied: {error.strerror or error}") from error


def describe_git_dir(path: Path) -> str:
    """A digest of what in the worktree's own git folder shapes a checkout; empty without one."""
    admin = worktree_admin_dir(path)
    if admin is None:
        return ""
    found = hashlib.sha256()
    inside = sorted((admin / "info").glob("*")) if (admin / "info").is_dir() else []
    for file in (path / ".git", *(admin / name for name in _SHAPING), *inside):
        if file.is_file():
            found.update(os.fsencode(file) + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()


def list_untracked(tree: Repo) -> list[str]:
    """Everything in the worktree that is in no commit, ignored or not; a folder with nothing
    tracked in it counts once, with a last `/`."""
    return split_records(tree.run_readonly("ls-files", "--others", "--directory", "-z").out)


def list_tracked_changes(tree: Repo, index: Path) -> list[str]:
    """The tracked files that are not as in the commit, whatever the worktree's index says."""
    env = {"GIT_INDEX_FILE": str(index)}
    return [change.path for change in read_changes(tree, untracked="no", env=env)]


def list_flagged(tree: Repo) -> list[str]:
    """The files that index flags hide from git, without those that a sparse checkout leaves out."""
    return [path for paths in find_hidden(tree).values() for path in paths]
