"""What a check that names the paths it reads depends on: their content, and what sets the place up.

So its result holds for every tree in which those are the same, whoever merged what beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from orchestr.cell.worktree.check_inputs import is_lock_file
from orchestr.git.index_entries import GITLINK
from orchestr.git.repo import Repo
from orchestr.git.runner import split_records
from orchestr.spec.path_patterns import match_paths
from orchestr.state.results import digest

ATTRIBUTES = ".gitattributes"  # they decide what a checkout writes into a file


def make_input_reader(repo: Repo, head: str, others: str) -> Callable[[tuple[str, ...]], str]:
    """The function that digests, for patterns, what of ``head`` a check reads. Raises GitError.

    Lock files, submodules and git attributes count always, and so do ``others``: what else can be
    read beside the head. Patterns that match nothing are a mistake: there the whole tree counts.
    """

    @cache
    def list_entries() -> list[tuple[str, str]]:
        listed = repo.run_readonly("ls-tree", "-r", "-z", "--full-tree", head, "--").out
        pairs = (record.partition("\t") for record in split_records(listed))
        return [(path, entry) for entry, _, path in pairs]

    @cache
    def read_inputs(patterns: tuple[str, ...]) -> str:
        is_read = match_paths(patterns)
        entries = list_entries()
        if not any(is_read(path) for path, _ in entries):
            return digest([[ascii(path), entry] for path, entry in entries], others)
        found = [
            [ascii(path), entry] for path, entry in entries if is_read(path) or sets_up(path, entry)
        ]
        return digest("reads", found, others)

    return read_inputs


def sets_up(path: str, entry: str) -> bool:
    """Whether an entry of a tree decides what a checkout of it holds beside its files."""
    return entry.startswith(GITLINK) or is_lock_file(path) or path.rpartition("/")[2] == ATTRIBUTES
