"""What `git merge-tree` answers: a merge that no worktree saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestr.git.config import TreeId

ConflictSides = Mapping[int, tuple[str, str]]  # stage (1 base, 2 ours, 3 theirs) -> mode, blob


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
    sides: dict[str, dict[int, tuple[str, str]]] = {}
    for entry in entries:
        words, _, path = entry.partition("\t")
        mode, blob, stage = words.split()
        sides.setdefault(path, {})[int(stage)] = (mode, blob)
    return MergeTreeResult(None, tuple(sides), TreeId(tree), sides)
