"""The files of a conflicted merge that text can resolve: their versions, and their attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestr.git.attributes import mentions_attribute, use_attributes_of
from orchestr.git.mixed_tree import list_differences, put_files
from orchestr.git.repo import CommitId, MergeTreeResult, Repo, TreeId
from orchestr.git.runner import ANY_EXIT, join_records, single_line, split_records
from orchestr.git.tree_merge import BASE, OURS, THEIRS, ConflictSides

_FILES = ("100644", "100755")
_PLAIN = {"merge": ("unspecified", "set", "text"), "filter": ("unspecified", "unset")}
LARGEST = 4 << 20  # bytes of a version; larger files are left to their authors


@dataclass(frozen=True, slots=True)
class ConflictedFile:
    """A path that both sides have as a regular file. ``base``: None when both added it. ``blobs``:
    the objects of ours and theirs. ``marked``: its text with git's conflict markers.
    ``is_plain``: no attribute asks for a merge driver of the repository's own, forbids merges of
    text, or keeps the content elsewhere.
    """

    path: str
    mode: str
    base: bytes | None
    ours: bytes
    theirs: bytes
    blobs: tuple[str, str]
    marked: bytes
    is_plain: bool


def read_conflicted_files(
    repo: Repo, ours: str, merged: MergeTreeResult
) -> tuple[ConflictedFile, ...]:
    """The paths in conflict, with the attributes of the commit ``ours``, but for those that are no
    conflict of two contents (deleted, renamed twice, a link, another mode, too large).
    """
    known = {path: _find_mode(sides) for path, sides in merged.sides.items()}
    modes = {path: mode for path, mode in known.items() if mode is not None}
    plain = _list_with(repo, ours, modes, _PLAIN)
    found = []
    for path, mode in modes.items():
        marked = _read_blob(repo, f"{merged.marked}:{path}")
        if len(marked) > LARGEST:
            continue
        blobs = {stage: blob for stage, (_, blob) in merged.sides[path].items()}
        base = _read_blob(repo, blobs[BASE]) if BASE in blobs else None
        mine, other = (_read_blob(repo, blobs[stage]) for stage in (OURS, THEIRS))
        found.append(
            ConflictedFile(
                path, mode, base, mine, other, (blobs[OURS], blobs[THEIRS]), marked, path in plain
            )
        )
    return tuple(found)


def read_union_files(
    repo: Repo, ours: str, theirs: str, base: str | None
) -> tuple[ConflictedFile, ...]:
    """The files that both sides changed and of which git kept both sides' lines, because the
    repository's attributes say `merge=union`. ``base`` None: git's merge base.
    """
    if not mentions_attribute(repo, ours, "union"):
        return ()
    start = base or repo.merge_base(ours, theirs)
    if start is None:
        return ()
    mine, other = (
        list_differences(repo, CommitId(start), CommitId(side)) for side in (ours, theirs)
    )
    paths = [path for path in mine if path in other and mine[path] != other[path]
             and {mine[path][0], other[path][0]} <= set(_FILES)]  # fmt: skip
    found = []
    for path in _list_with(repo, ours, paths, {"merge": ("union",)}):
        known = repo.run_readonly("cat-file", "blob", f"{start}:{path}", answers=ANY_EXIT)
        found.append(
            ConflictedFile(
                path,
                mine[path][0],
                known.out if known.code == 0 else None,
                _read_blob(repo, mine[path][1]),
                _read_blob(repo, other[path][1]),
                (mine[path][1], other[path][1]),
                b"",
                True,
            )
        )
    return tuple(found)


def write_resolved_tree(
    repo: Repo, marked: TreeId, files: Iterable[tuple[ConflictedFile, bytes | None]]
) -> TreeId:
    """The merged tree with these contents of the conflicted files; None: as ours has it."""
    entries = {}
    for file, data in files:
        blob = file.blobs[0] if data is None else write_blob(repo, data)
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


def _list_with(
    repo: Repo, commit: str, paths: Iterable[str], wanted: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """The paths whose attributes, as ``commit`` has them, all have one of the wanted values."""
    names = list(paths)
    if not names:
        return []
    with use_attributes_of(repo, commit) as quiet:
        words = ("check-attr", "-z", "--stdin", *wanted)
        answer = split_records(quiet.run_git(*words, input=join_records(names)).out)
    odd = {
        path
        for path, name, value in zip(answer[::3], answer[1::3], answer[2::3], strict=True)
        if value not in wanted[name]
    }
    return [path for path in names if path not in odd]
