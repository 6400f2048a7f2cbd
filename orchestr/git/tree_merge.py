"""What `git merge-tree` answers: a merge that no worktree saw, and the sides of its conflicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestr.git.config import TreeId

BASE, OURS, THEIRS = 1, 2, 3  # stages
ConflictSides = Mapping[int, tuple[str, str]]  # stage -> mode, blob


@dataclass(frozen=True, slots=True)
class MergeTreeResult:
    """A merge without a checkout: its tree, or the paths in conflict. Then ``marked`` is the tree
    with conflict markers, and ``sides`` are the versions of each path in conflict.
    """

    tree: TreeId | None
    conflicts: tuple[str, ...] = ()
    marked: TreeId | None = None
    sides: Mapping[str, ConflictSides] = field(default_factory=dict)


def read_merge_answer(records: Sequence[str], *, clean: bool) -> MergeTreeResult:
    """The records of ``merge-tree -z --no-messages``: a tree, then `MODE BLOB STAGE<tab>PATH`."""
    tree, *entries = records
    if clean:
        return MergeTreeResult(TreeId(tree))
    sides = read_conflict_sides(entries)
    return MergeTreeResult(None, tuple(sides), TreeId(tree), sides)


def read_conflict_sides(records: Iterable[str]) -> Mapping[str, ConflictSides]:
    """By path, from records `MODE BLOB STAGE<tab>PATH`, as ``ls-files -z`` has them, too."""
    sides: dict[str, dict[int, tuple[str, str]]] = {}
    for record in records:
        words, _, path = record.partition("\t")
        mode, blob, stage = words.split()
        sides.setdefault(path, {})[int(stage)] = (mode, blob)
    return sides
