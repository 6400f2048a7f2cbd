"""Files of a conflict that are resolved already when the agent is asked for the others.

Owns `landing-resolved.toml` in the cell's folder, written by the merge queue: what the rungs of its
ladder made of single files. A file is taken only where the merge in the worktree has the very
versions that were resolved; the agent may change it like any other, and all of it is checked.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestr.cell.context import CellContext
from orchestr.codec import Record, read_toml_record, write_toml_record
from orchestr.git.missing_objects import find_missing_objects
from orchestr.git.open_conflicts import read_unmerged, resolve_paths
from orchestr.git.tree_merge import OURS, THEIRS, ConflictSides

FILE = "landing-resolved.toml"


class ResolvedFile(Record, frozen=True):
    """``sides``: the blobs of both sides, the branch's first. ``mode`` and ``blob``: the result."""

    path: str
    sides: tuple[str, str]
    mode: str
    blob: str


class ResolvedFiles(Record, frozen=True):
    """The whole file."""

    files: tuple[ResolvedFile, ...] = ()


def write_resolved_files(ctx: CellContext, files: Sequence[ResolvedFile]) -> None:
    """Keep them for the next attempt; none removes those of an earlier repair."""
    if files:
        write_toml_record(ctx.dir / FILE, ResolvedFiles(tuple(files)))
    else:
        (ctx.dir / FILE).unlink(missing_ok=True)


def take_resolved_files(ctx: CellContext) -> list[str]:
    """Put what is resolved into the conflicted worktree and its index; the paths."""
    kept = read_toml_record(ctx.dir / FILE, ResolvedFiles)
    if kept is None:
        return []
    repo = ctx.worktree_repo
    unmerged = read_unmerged(repo)
    same = [one for one in kept.files if _has_sides(unmerged.get(one.path), one.sides)]
    missing = find_missing_objects(repo, {one.blob for one in same})
    found = {one.path: (one.mode, one.blob) for one in same if one.blob not in missing}
    resolve_paths(repo, found)
    return sorted(found)


def _has_sides(known: ConflictSides | None, wanted: tuple[str, str]) -> bool:
    if known is None or OURS not in known or THEIRS not in known:
        return False
    return (known[OURS][1], known[THEIRS][1]) == wanted
