"""Where a branch stands, read from git's files: a thousand cells are looked at without a process.

Also the base branches as we know them (`orchestr.git.bases`), for views that look often.

Only the plain layout is read here: a clone with a `.git` folder and refs as files. Anything else
(a linked worktree, a bare repository, reftable, a symbolic ref) raises `GitMustSay`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from orchestr.git.bases import base_ref_names, find_base
from orchestr.git.repo import CommitId, Repo

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_READ = ("refs/heads/", "refs/remotes/", "refs/orchestr/base/")  # of packed refs


class GitMustSay(Exception):
    """The files cannot answer; `Repo.resolve_commit` can."""


def read_branch_tip(clone: Path, branch: str) -> CommitId | None:
    """The commit of a local branch of the clone, None when there is no such branch.

    Raises GitMustSay.
    """
    return _read_ref(clone, f"refs/heads/{branch}")


def read_base_tip(repo: Repo, branch: str) -> CommitId | None:
    """Where a base branch is, as far as it is known here: as `orchestr.git.bases.find_base`, which
    is asked where the files cannot answer. Raises GitError."""
    try:
        names = base_ref_names(branch, repo.remotes.base)
        return next(filter(None, (_read_ref(repo.path, ref) for ref in names)), None)
    except GitMustSay:
        return find_base(repo, branch)


def _read_ref(clone: Path, ref: str) -> CommitId | None:
    """The commit of a ref; a loose file outranks `packed-refs`, as in git. Raises GitMustSay."""
    folder = clone / ".git"
    if not (folder / "HEAD").is_file() or (folder / "reftable").exists():
        raise GitMustSay
    try:
        text = (folder / ref).read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return _read_packed_tip(folder / "packed-refs", ref)
    except (OSError, UnicodeDecodeError):
        raise GitMustSay from None
    if not _COMMIT.fullmatch(text):
        raise GitMustSay
    return CommitId(text)


def _read_packed_tip(path: Path, ref: str) -> CommitId | None:
    try:
        stat = path.stat()
        packed = _read_packed_refs(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise GitMustSay from None
    found = packed.get(ref)
    return CommitId(found) if found is not None else None


@lru_cache(maxsize=64)
def _read_packed_refs(path: Path, mtime_ns: int, size: int, inode: int) -> dict[str, str]:
    """The refs in `packed-refs` that are asked for here; git replaces the file, so the three
    numbers identify it."""
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        commit, _, ref = line.partition(" ")
        if ref.startswith(_READ) and _COMMIT.fullmatch(commit):
            found[ref] = commit
    return found
