"""Where the git folders of a worktree are, read from the disk as git reads them.

`git rev-parse --git-dir` starts a process for what two small files say; a phase asks several times.
Nothing is remembered: each call looks anew. What is not the plain case (a bare repository, a folder
below the top, a symlink, another owner, anything that is broken) is left to git, which says what is
wrong in its own words.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_HEAD = re.compile(rb"ref: ?refs/|[0-9a-f]{40}")
OVERRULED = frozenset({"GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY"})


def locate_git_dirs(path: Path, env: frozenset[str] = frozenset()) -> tuple[Path, Path] | None:
    """The git dir and the common dir of the worktree whose top is ``path``, symlinks resolved.

    ``env`` are the names of the variables that the asked git would have been given. None: git
    has to be asked (setup.c: `read_gitfile`, `is_git_directory`, `ensure_valid_ownership`).
    """
    if env & OVERRULED:
        return None
    try:
        link = path / ".git"
        git_dir = link if link.is_dir() else follow_git_file(link)
        if git_dir is None or link.is_symlink():
            return None
        common = _read_common_dir(git_dir)
        whole = _HEAD.match((git_dir / "HEAD").read_bytes()) and all(
            os.access(common / name, os.X_OK) for name in ("objects", "refs")
        )
        if not whole or any(one.stat().st_uid != os.geteuid() for one in (path, link, git_dir)):
            return None
        return git_dir.resolve(), common.resolve()
    except (OSError, ValueError):
        return None


def follow_git_file(link: Path) -> Path | None:
    """The folder that the file `.git` of a worktree or submodule names; None for another file.
    Raises OSError."""
    text = link.read_bytes()
    if not text.startswith(b"gitdir: "):
        return None
    return link.parent / os.fsdecode(text[8:].rstrip(b"\r\n"))


def _read_common_dir(git_dir: Path) -> Path:
    """The `.git` that the worktrees share; a main worktree's is its own."""
    try:
        text = (git_dir / "commondir").read_bytes()
    except FileNotFoundError:
        return git_dir
    return git_dir / os.fsdecode(text.rstrip(b"\r\n"))
