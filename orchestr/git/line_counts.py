"""How many lines differ between two commits, by path."""

from __future__ import annotations

from collections.abc import Iterable

from orchestr.git.repo import Repo


def count_changed_lines(repo: Repo, old: str, new: str) -> dict[str, int]:
    """Path -> lines added and removed; a binary file counts as one line. Raises GitError."""
    words = ("diff-tree", "-r", "-z", "--numstat", "--no-renames", old, new, "--")
    return dict(_split_counts(repo.run_readonly(*words).text.split("\0")))


def _split_counts(records: Iterable[str]) -> Iterable[tuple[str, int]]:
    for record in records:
        added, _, rest = record.partition("\t")
        removed, _, path = rest.partition("\t")
        if path:
            yield path, int(added) + int(removed) if added.isdecimal() else 1
