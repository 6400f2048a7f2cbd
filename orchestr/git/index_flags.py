"""Files that git does not look at: `update-index --assume-unchanged` and `--skip-worktree`.

A program or a person can hide a change of a tracked file in that way. The flags are in the index of
one worktree and in no commit. Files that a sparse checkout leaves out have a flag as well; they are
no finding as long as they are not on the disk.
"""

from __future__ import annotations

import os
from collections.abc import Collection

from orchestr.git.runner import GitPath, join_records, split_records

SHOW_UNCHANGED, SHOW_SKIPPED = "--no-assume-unchanged", "--no-skip-worktree"


def find_hidden_paths(tree: GitPath) -> dict[str, list[str]]:
    """The hidden files, by the option of `update-index` that makes git look at them again."""
    marks: dict[str, list[str]] = {SHOW_UNCHANGED: [], SHOW_SKIPPED: []}
    for record in split_records(tree.run_readonly("ls-files", "-v", "-z", check=False).out):
        tag, path = record[0], record[2:]
        if tag.islower():
            marks[SHOW_UNCHANGED].append(path)
        if tag in "sS" and os.path.lexists(tree.path / path):  # outside a cone it is not there
            marks[SHOW_SKIPPED].append(path)
    return {option: paths for option, paths in marks.items() if paths}


def reveal_hidden_paths(tree: GitPath, without: Collection[str] = ()) -> None:
    """Take the flags off, but those of some files."""
    for option, found in find_hidden_paths(tree).items():
        paths = [path for path in found if path not in without]
        if paths:
            tree.run_git("update-index", option, "-z", "--stdin", input=join_records(paths))
