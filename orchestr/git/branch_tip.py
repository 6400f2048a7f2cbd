"""Where a branch stands, read from git's files: a thousand cells are looked at without a process.

Only the plain layout is read here: a clone with a `.git` folder and refs as files. Anything else
(a linked worktree, a bare repository, reftable, a symbolic ref) raises `GitMustSay`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from orchestr.git.repo import CommitId

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class GitMustSay(Exception):
    """The files cannot answer; `Repo.resolve_commit` can."""


def read_branch_tip(clone: Path, branch: str) -> CommitId | None:
    """The commit of a local branch of the clone, None when there is no such branch.

    A loose file outranks `packed-refs`, as in git. Raises GitMustSay.
    """
    folder = clone / ".git"
    if not (folder / "HEAD").is_file() or (folder / "reftable").exists():
        raise GitMustSay
    try:
        text = (folder / "refs" / "heads" / branch).read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return _read_packed_tip(folder / "packed-refs", branch)
    except (OSError, UnicodeDecodeError):
        raise GitMustSay from None
    if not _COMMIT.fullmatch(text):
        raise GitMustSay
    return CommitId(text)


def _read_packed_tip(path: Path, branch: str) -> CommitId | None:
    try:
        stat = path.stat()
        packed = _read_packed_heads(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise GitMustSay from None
    found = packed.get(branch)
    return CommitId(found) if found is not None else None


@lru_cache(maxsize=64)
def _read_packed_heads(path: Path, mtime_ns: int, size: int, inode: int) -> dict[str, str]:
    """The branches in `packed-refs`; git replaces the file, so the three numbers identify it."""
    heads: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        commit, _, ref = line.partition(" ")
        if ref.startswith("refs/heads/") and _COMMIT.fullmatch(commit):
            heads[ref.removeprefix("refs/heads/")] = commit
    return heads
