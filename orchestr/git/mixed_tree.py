"""A tree made of two: a commit's, with some paths as another has them. Writes no worktree."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from orchestr.git.repo import CommitId, Repo, TreeId
from orchestr.git.runner import join_records, single_line, split_records

_GONE = "000000"


def list_differences(repo: Repo, base: CommitId, head: CommitId) -> dict[str, tuple[str, str]]:
    """Every path that differs, with mode and object in ``head``; mode 000000 where it is gone.

    A rename is both of its names.
    """
    words = ("-r", "-z", "--raw", "--no-renames", "--no-abbrev", base, head, "--")
    records = split_records(repo.run_readonly("diff-tree", *words).out)
    found = {}
    for raw, path in zip(records[::2], records[1::2], strict=True):
        _, mode, _, blob, _ = raw.split()
        found[path] = (mode, blob)
    return found


def take_paths(repo: Repo, base: CommitId, head: CommitId, paths: Iterable[str]) -> TreeId:
    """The tree of ``base`` with ``paths`` as ``head`` has them; what is gone there is gone."""
    changed = list_differences(repo, base, head)
    return put_files(
        repo,
        base,
        {
            path: (mode if mode != _GONE else "0", blob)
            for path in paths
            for mode, blob in (changed[path],)
        },
    )


def put_files(repo: Repo, tree: str, files: Mapping[str, tuple[str, str]]) -> TreeId:
    """The tree of ``tree`` with these paths at (mode, blob); mode "0" takes a path out."""
    lines = [f"{mode} {blob}\t{path}" for path, (mode, blob) in files.items()]
    with tempfile.TemporaryDirectory(prefix="orchestr-index-") as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
        repo.run_git("read-tree", tree, env=env)
        words = ("update-index", "--replace", "-z", "--index-info")
        repo.run_git(*words, input=join_records(lines), env=env)
        return TreeId(single_line(repo.run_git("write-tree", env=env)))
