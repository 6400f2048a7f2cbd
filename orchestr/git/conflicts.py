"""The files of a conflicted merge that text can resolve: their versions, and their attributes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestr.git.attributes import use_attributes_of
from orchestr.git.mixed_tree import put_files
from orchestr.git.repo import MergeTreeResult, Repo, TreeId
from orchestr.git.runner import single_line, split_records
from orchestr.git.tree_merge import ConflictSides

BASE, OURS, THEIRS = 1, 2, 3
_FILES = ("100644", "100755")
_PLAIN = {"merge": ("unspecified", "set", "text"), "filter": ("unspecified", "unset")}
LARGEST = 4 << 20  # bytes of a version; larger files are left to their authors


@dataclass(frozen=True, slots=True)
class ConflictedFile:
    """A path that both sides have as a regular file. ``base``: None when both added it. ``marked``:
    its text with git's conflict markers. ``is_plain``: no attribute asks for a merge driver of the
    repository's own, forbids merges of text, or keeps the content elsewhere.
    """

    path: str
    mode: str
    base: bytes | None
    ours: bytes
    theirs: bytes
    ours_blob: str
    marked: bytes
    is_plain: bool


def read_conflicted_files(
    repo: Repo, ours: str, merged: MergeTreeResult
) -> tuple[ConflictedFile, ...] | None:
    """Every path in conflict, with the attributes of the commit ``ours``; None when one of them is
    no conflict of two contents (deleted, renamed twice, a link, another mode, too large).
    """
    if merged.marked is None or not merged.sides:
        return None
    modes = {path: _find_mode(sides) for path, sides in merged.sides.items()}
    if None in modes.values():
        return None
    plain = _list_plain(repo, ours, modes)
    found = []
    for path, sides in merged.sides.items():
        blobs = [_read_blob(repo, sides[stage][1]) if stage in sides else None
                 for stage in (BASE, OURS, THEIRS)]  # fmt: skip
        marked = repo.run_readonly("cat-file", "blob", f"{merged.marked}:{path}").out
        base, mine, other = blobs
        mode = modes[path]
        if mine is None or other is None or mode is None or len(marked) > LARGEST:
            return None
        found.append(
            ConflictedFile(path, mode, base, mine, other, sides[OURS][1], marked, path in plain)
        )
    return tuple(found)


def write_resolved_tree(
    repo: Repo, marked: TreeId, files: Iterable[tuple[ConflictedFile, bytes | None]]
) -> TreeId:
    """The merged tree with these contents of the conflicted files; None: as ours has it."""
    entries = {}
    for file, data in files:
        blob = file.ours_blob if data is None else write_blob(repo, data)
        entries[file.path] = (file.mode, blob)
    return put_files(repo, marked, entries)


def write_blob(repo: Repo, data: bytes) -> str:
    """Store a file's content, exactly as it is; its object name."""
    return single_line(repo.run_git("hash-object", "-w", "--stdin", "--no-filters", input=data))


def _read_blob(repo: Repo, blob: str) -> bytes:
    return repo.run_readonly("cat-file", "blob", blob).out


def _find_mode(sides: ConflictSides) -> str | None:
    """The mode of the result; None when the sides are not two versions of one file."""
    if OURS not in sides or THEIRS not in sides:
        return None
    ours, theirs = sides[OURS][0], sides[THEIRS][0]
    if ours not in _FILES or theirs not in _FILES:
        return None
    if BASE not in sides or ours == theirs:
        return ours if ours == theirs else None
    return theirs if sides[BASE][0] == ours else ours


def _list_plain(repo: Repo, commit: str, paths: Iterable[str]) -> set[str]:
    with use_attributes_of(repo, commit) as quiet:
        shown = quiet.run_readonly("check-attr", "-z", *_PLAIN, "--", *paths)
    words = split_records(shown.out)
    odd = {
        path
        for path, name, value in zip(words[::3], words[1::3], words[2::3], strict=True)
        if value not in _PLAIN[name]
    }
    return set(words[::3]) - odd
