"""Where the `.git` file of a worktree leads, without git: whatever it names would rule our git."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from orchestr.git.locate import follow_git_file


def find_foreign_link(worktree: Path, common: Path) -> str:
    """What the `.git` file of a worktree names, when that is no worktree of the clone; else empty.

    A file that is gone or broken, and a folder, are damage: git does not work there.
    """
    link = worktree / ".git"
    if link.is_symlink():
        return str(link.readlink()) if link.exists() else ""
    named = _read_link(link)
    if named is None or not named.is_dir():
        return ""
    return "" if named.resolve().parent == (common / "worktrees").resolve() else str(named)


def leads_to_clone(worktree: Path, common: Path) -> bool:
    """Whether our git may work in ``worktree``: it is one of the clone, by its own word."""
    named = _read_link(worktree / ".git") if not (worktree / ".git").is_symlink() else None
    return named is not None and named.resolve().parent == (common / "worktrees").resolve()


def put_link_back(worktree: Path, common: Path) -> None:
    """Let the `.git` file lead to the clone's record of the worktree; without one it goes away."""
    link = worktree / ".git"
    link.unlink(missing_ok=True)
    for record in sorted((common / "worktrees").glob("*/gitdir")):
        try:
            back = (record.parent / os.fsdecode(record.read_bytes().rstrip(b"\r\n"))).absolute()
        except OSError:
            continue
        if back.parent.resolve() == worktree.resolve():
            link.write_bytes(b"gitdir: " + os.fsencode(record.parent) + b"\n")
            return


def _read_link(link: Path) -> Path | None:
    with suppress(OSError):
        return follow_git_file(link)
    return None
