"""Commits without some paths: where the paths are, and the same history made again without them.

Owns `find_path_commits`, `find_blob_paths` and `filter_history`. Paths are pathspecs. Nothing here
moves a ref: the caller does, and keeps the old commits.

What survives a crash: a commit is made again with the same date, author and message, so it is the
same commit (`orchestr.git.lasting_commit` for signed ones).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestr.git.lasting_commit import LastingCommit, make_lasting_commit
from orchestr.git.repo import CommitId, Repo, TreeId
from orchestr.git.runner import join_records, split_records

_EMPTY = b"tree 0\0"


@dataclass(frozen=True, slots=True)
class TreeFilter:
    """What is taken out of a tree: the paths of ``specs``, and each path of ``undone`` where it has
    that blob: it gets the entry that ``base`` has, or none."""

    base: str
    specs: Sequence[str] = ()
    undone: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PathCommit:
    """A commit and those of the wanted paths that it brings or changes."""

    commit: CommitId
    paths: tuple[str, ...]


def list_tree_paths(repo: Repo, commit: str, specs: Sequence[str]) -> list[str]:
    """The files of a commit that the pathspecs match."""
    if not specs:
        return []
    algorithm = hashlib.sha256 if len(commit) == 64 else hashlib.sha1
    return _list_differences(repo, algorithm(_EMPTY).hexdigest(), commit, specs)


def list_changed_paths(repo: Repo, base: str, head: str, specs: Sequence[str]) -> list[str]:
    """The paths of ``head`` that the pathspecs match and that are not so in ``base``."""
    return _list_differences(repo, base, head, specs) if specs else []


def _list_differences(repo: Repo, old: str, new: str, specs: Sequence[str]) -> list[str]:
    words = ("-r", "-z", "--name-only", "--no-renames", "--diff-filter=d")
    return split_records(repo.run_readonly("diff-tree", *words, old, new, "--", *specs).out)


def find_path_commits(
    repo: Repo, base: CommitId, head: CommitId, specs: Sequence[str], known: Collection[str] = ()
) -> list[PathCommit]:
    """The commits of ``base..head`` that bring or change such a path, oldest first; also where a
    later one takes it away again. What is in the commits ``known`` does not count.
    """
    if not specs:
        return []
    span = (head, "--not", base, *known, "--", *specs)
    words = ("--full-history", "--topo-order", "--reverse")
    listed = repo.run_readonly("rev-list", *words, *span).text.split()
    found = [PathCommit(CommitId(one), tuple(list_changed_paths(repo, base, one, specs)))
             for one in listed]  # fmt: skip
    return [one for one in found if one.paths]


def find_blob_paths(
    repo: Repo, base: CommitId, head: CommitId, blobs: Collection[str], known: Collection[str] = ()
) -> dict[str, str]:
    """Which of ``blobs`` the commits of ``base..head`` bring: blob to the path it has there."""
    if not blobs:
        return {}
    words = ("rev-list", "--objects", head, "--not", base, *known, "--")
    found = {}
    for line in repo.run_readonly(*words).out.split(b"\n"):
        blob, _, path = os.fsdecode(line).partition(" ")
        if path and blob in blobs:
            found[blob] = path
    return found


def filter_history(
    repo: Repo, base: CommitId, head: CommitId, what: TreeFilter, known: Collection[str] = ()
) -> CommitId:
    """``head`` again, with every tree of ``base..head`` filtered, but of the commits in ``known``.

    Authors, dates and messages stay; a commit that had nothing else is left out. The tree of the
    result is filtered always: a last commit takes away what stays in ``known``.
    """
    words = ("rev-list", "--topo-order", "--reverse", "--parents", head, "--not", base, *known)
    moved: dict[str, CommitId] = {}
    with tempfile.TemporaryDirectory(prefix="orchestr-index-") as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
        for line in repo.run_readonly(*words, "--").text.splitlines():
            old, *parents = line.split()
            moved[old] = _filter_commit(repo, old, parents, what, moved, env)
        made = moved.get(head, head)
        tree = _filter_tree(repo, made, what, env)
    if tree == repo.resolve_tree(made):
        return made
    text = "chore: take out files that belong to no commit\n"
    date = f"@{repo.run_readonly('log', '-1', '--format=%ct', made, '--').text.strip()} +0000"
    return make_lasting_commit(repo, LastingCommit(tree, (made,), text, date))


def _filter_commit(
    repo: Repo,
    old: str,
    parents: Sequence[str],
    what: TreeFilter,
    moved: Mapping[str, CommitId],
    env: Mapping[str, str],
) -> CommitId:
    tree = _filter_tree(repo, old, what, env)
    above = tuple(moved.get(one, CommitId(one)) for one in parents)
    was = repo.resolve_tree(old)
    if tree == was and list(above) == list(parents):
        return CommitId(old)
    if (
        len(above) == 1
        and was != repo.resolve_tree(parents[0])
        and tree == repo.resolve_tree(above[0])
    ):
        return above[0]  # it did nothing else
    shown = repo.run_readonly("log", "-1", "--format=%an%n%ae%n%at %ai%n%ct %ci%n%B", old, "--")
    name, email, written, committed, text = shown.text.split("\n", 4)
    author = {
        "GIT_AUTHOR_NAME": name or "unknown",
        "GIT_AUTHOR_EMAIL": email,
        "GIT_AUTHOR_DATE": _date(written),
    }
    body = text.rstrip("\n") + "\n"
    return make_lasting_commit(
        repo, LastingCommit(tree, above, body, _date(committed), author=author)
    )


def _date(shown: str) -> str:
    """A date of `%ct %ci` in git's own form, ``@seconds zone``."""
    words = shown.split()
    return f"@{words[0]} {words[-1]}"


def _filter_tree(repo: Repo, commit: str, what: TreeFilter, env: Mapping[str, str]) -> TreeId:
    """The tree of a commit, filtered."""
    gone = [f"0 {'0' * len(commit)}\t{path}" for path in list_tree_paths(repo, commit, what.specs)]
    if what.undone:
        before = read_entries(repo, what.base, list(what.undone))
        for path, entry in read_entries(repo, commit, list(what.undone)).items():
            if entry.split()[1] == what.undone[path] and before.get(path) != entry:
                gone.append(f"{before.get(path, f'0 {entry.split()[1]}')}\t{path}")
    if not gone:
        return repo.resolve_tree(commit)
    repo.run_git("read-tree", commit, env=env)
    repo.run_git("update-index", "-z", "--index-info", input=join_records(gone), env=env)
    return TreeId(repo.run_git("write-tree", env=env).text.strip())


def read_entries(repo: Repo, commit: str, paths: Sequence[str]) -> dict[str, str]:
    """``mode blob`` of the paths that a commit has."""
    found = {}
    for at in range(0, len(paths), 500):  # a command line has an end
        done = repo.run_readonly("ls-tree", "-r", "-z", commit, "--", *paths[at : at + 500])
        for record in split_records(done.out):
            head, _, path = record.partition("\t")
            mode, _, blob = head.split()
            found[path] = f"{mode} {blob}"
    return found
