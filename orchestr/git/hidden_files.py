"""Files that index flags hide from git (`update-index --assume-unchanged`, `--skip-worktree`).

`git status` passes over them, `git add` leaves them out, a reset writes over them: so what a
command says of a worktree holds only when no flag is set, or without the flags. Owns finding them,
a copy of the index without them, and taking them off.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from orchestr.git.index_entries import index_path, scan_index
from orchestr.git.runner import YES_OR_FATAL, GitPath, join_records, split_records


def find_hidden(tree: GitPath, env: Mapping[str, str] | None = None) -> dict[str, list[str]]:
    """Files that git does not look at, by the option that makes it look again."""
    scan = scan_index(index_path(tree, env))
    if scan is not None and not scan.has_flags:
        return {}
    marks: dict[str, list[str]] = {"--no-assume-unchanged": [], "--no-skip-worktree": []}
    listed = tree.run_readonly("ls-files", "-v", "-z", answers=YES_OR_FATAL, env=env)
    for record in split_records(listed.out):
        tag, path = record[0], record[2:]
        if tag.islower():
            marks["--no-assume-unchanged"].append(path)
        if tag in "sS" and os.path.lexists(tree.path / path):  # outside a cone it is not there
            marks["--no-skip-worktree"].append(path)
    return {option: paths for option, paths in marks.items() if paths}


def reveal_hidden(
    tree: GitPath,
    hidden: Mapping[str, list[str]] | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Take the index flags off that make git pass over files."""
    for option, paths in (find_hidden(tree, env) if hidden is None else hidden).items():
        words = ("update-index", option, "-z", "--stdin")
        tree.run_git(*words, input=join_records(paths), env=env)


@contextmanager
def look_behind_flags(
    tree: GitPath, env: Mapping[str, str] | None = None
) -> Iterator[Mapping[str, str] | None]:
    """The variables for a command that shall see every file. Without flags these are ``env``,
    else they name a copy of the index that has none; the index itself stays as it is."""
    hidden = find_hidden(tree, env)
    if not hidden:
        yield env
        return
    with tempfile.TemporaryDirectory(prefix="orchestr-index-") as folder:
        copy = Path(folder, "index")
        shutil.copy2(index_path(tree, env), copy)
        seen = {**(env or {}), "GIT_INDEX_FILE": str(copy)}
        scratch = tree.with_config({"core.splitIndex": "false"})
        reveal_hidden(scratch, hidden, seen)
        yield seen
