"""The worktrees of a repository, from the files that `git worktree list` reads.

As in `orchestr.git.ref_files`: only the plain case, a clone with its `.git` folder and worktrees
that are where they were made; everything else raises AskGit.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from orchestr.git.config import CommitId
from orchestr.git.ref_files import AskGit, RefFiles, read_head_file
from orchestr.git.worktree_list import WorktreeEntry, branch_from_ref

# What a config may hold that gives the main worktree another place, or none.
_ELSEWHERE = re.compile(
    rb"^\s*(bare(?!\s*=\s*false\s*$)|worktree\b|worktreeconfig\b|\[\s*include)", re.I | re.M
)


def list_worktree_files(refs: RefFiles) -> list[WorktreeEntry]:
    """What `git worktree list` answers in the repository of these refs. Raises AskGit."""
    common = refs.common_dir
    try:
        if common.name != ".git" or _ELSEWHERE.search((common / "config").read_bytes()):
            raise AskGit
        entries = [_read_entry(refs, common, common.parent, is_main=True)]
        linked = common / "worktrees"
        folders = list(linked.iterdir()) if linked.is_dir() else []
        found = [_read_linked(refs, folder) for folder in folders]
    except OSError as error:  # one that is being made or removed, too
        raise AskGit from error
    return entries + sorted(found, key=lambda entry: os.fsencode(entry.path))


def _read_linked(refs: RefFiles, folder: Path) -> WorktreeEntry:
    link = os.fsdecode((folder / "gitdir").read_bytes().rstrip(b"\n"))
    place = Path(link)
    if not link.endswith("/.git") or not place.is_absolute() or not place.exists():
        raise AskGit  # relative, or prunable: git says why
    return _read_entry(refs, folder, place.parent, is_main=False)


def _read_entry(refs: RefFiles, git_dir: Path, place: Path, *, is_main: bool) -> WorktreeEntry:
    name, value = read_head_file(git_dir)
    lock = git_dir / "locked"
    locked = os.fsdecode(lock.read_bytes()) if not is_main and lock.exists() else None
    if locked is not None and "\n" in locked.strip("\n"):
        raise AskGit  # git quotes it
    head = refs.read_ref(name) if name is not None else value
    return WorktreeEntry(
        path=place,
        head=CommitId(head.decode("ascii")),
        branch=branch_from_ref(name) if name is not None else None,
        detached=name is None,
        locked=None if locked is None else locked.strip(),
        is_main=is_main,
    )
