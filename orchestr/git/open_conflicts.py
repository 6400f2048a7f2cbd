"""Which conflicts of a merge are still open, by what the files hold and not by the index.

An agent may resolve a conflict and be unable to say so: its sandbox does not let it write the
index. A file in which git had marked the conflict, and which has no markers any more, is resolved.
Where git leaves no markers (binary files, one side deleted it), only an act is a resolution: a file
that is none of the sides, or that is gone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping

from orchestr.git.index_entries import GITLINK
from orchestr.git.repo import Repo
from orchestr.git.runner import YES_OR_FATAL, join_records, split_records
from orchestr.git.tree_merge import OURS, THEIRS, ConflictSides, read_conflict_sides

_MARKER = re.compile(rb"^(?:<{7,}|>{7,}|\|{7,})(?: |\r?$)", re.MULTILINE)
_PROBE = 8000  # bytes in which git looks for a NUL


def list_open_conflicts(repo: Repo) -> list[str]:
    """The unmerged paths of the worktree that are not resolved."""
    unmerged = read_unmerged(repo)
    if not unmerged:
        return []
    unmarked = _list_unmarked(repo, unmerged)
    return [path for path, sides in unmerged.items() if _is_open(repo, path, sides, unmarked)]


def read_unmerged(repo: Repo) -> Mapping[str, ConflictSides]:
    """The paths that a merge left in conflict, with the versions that the index has."""
    listed = repo.run_readonly("ls-files", "--unmerged", "-z")
    return read_conflict_sides(split_records(listed.out))


def resolve_paths(repo: Repo, paths: Mapping[str, tuple[str, str]]) -> None:
    """End the conflict of these paths: each has a mode and a blob, in the index and on disk."""
    if not paths:
        return
    entries = [f"{mode} {blob} 0\t{path}" for path, (mode, blob) in paths.items()]
    repo.run_git("update-index", "-z", "--index-info", input=join_records(entries))
    repo.run_git("checkout-index", "--force", "-z", "--stdin", input=join_records(paths))


def _is_open(repo: Repo, path: str, sides: ConflictSides, unmarked: Collection[str]) -> bool:
    place = repo.path / path
    if any(mode == GITLINK for mode, _ in sides.values()):
        return True
    if not os.path.lexists(place):
        return False  # git leaves one of the sides there: it was removed since
    if place.is_symlink() or not place.is_file():
        return True
    if path in unmarked or OURS not in sides or THEIRS not in sides:
        now = repo.run_readonly("hash-object", "--", path).text.strip()
        if now in {blob for _, blob in sides.values()}:
            return True
    return has_conflict_markers(place.read_bytes())


def has_conflict_markers(data: bytes) -> bool:
    """Whether a text holds a line with which git marks a conflict."""
    return _MARKER.search(data) is not None


def _list_unmarked(repo: Repo, unmerged: Mapping[str, ConflictSides]) -> set[str]:
    """The paths in which git marks no conflict: not text, by attribute or content."""
    shown = repo.run_readonly("check-attr", "-z", "merge", "--", *unmerged)
    words = split_records(shown.out)
    found = {
        path
        for path, value in zip(words[::3], words[2::3], strict=True)
        if value in ("unset", "binary")
    }
    for path, sides in unmerged.items():
        blobs = [sides[stage][1] for stage in (OURS, THEIRS) if stage in sides]
        if path not in found and any(_is_binary(repo, blob) for blob in blobs):
            found.add(path)
    return found


def _is_binary(repo: Repo, blob: str) -> bool:
    data = repo.run_readonly("cat-file", "blob", blob, answers=YES_OR_FATAL).out
    return b"\0" in data[:_PROBE]
