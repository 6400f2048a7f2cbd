"""Repositories inside a worktree: submodules that are filled. Their config is not trusted.

Whoever works in a worktree writes the config of what lies in it, and git runs programs that a
config names: filters, hooks, a file-system monitor. `git status` and `git add` start a git in every
submodule, to which no setting of ours reaches. So ours do not look into submodules
(`orchestr.git.stated`); what is changed in one is asked here, of a git that runs no program but
those that the repository around it names, and reaches no server.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping
from typing import TypeVar

from orchestr.git.index_entries import GITLINK, index_path, scan_index
from orchestr.git.runner import YES, YES_OR_NO, GitPath, join_records, single_line, split_records

R = TypeVar("R", bound=GitPath)

_FILTERS = r"^filter\..*\.(clean|smudge|process|required)$"
_ALONE = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}


def open_inner(tree: R, path: str) -> R:
    """The repository at ``path`` in a worktree; no hook of it runs, its work tree is that place."""
    place = tree.path / path
    env = {**_ALONE, "GIT_WORK_TREE": str(place)}
    inner = tree.at_path(place, env=env, config={"core.hooksPath": os.devnull})
    found = _read_filters(inner)
    trusted = _read_filters(tree) if found else {}
    if found == trusted:
        return inner
    off = {key: "false" if key.endswith(".required") else "" for key in found}
    return inner.with_config({**off, **trusted})


def list_filled(tree: GitPath, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The submodules that have a repository in the worktree, with the commit of the index."""
    scan = scan_index(index_path(tree, env))
    if scan is not None:
        links = {os.fsdecode(path): commit for path, commit in scan.gitlinks.items()}
    else:
        links = dict(_list_gitlinks(tree, env))
    return {path: commit for path, commit in links.items() if _is_filled(tree, path)}


def read_inner_head(tree: GitPath, path: str) -> str | None:
    """The commit that a submodule stands on."""
    done = open_inner(tree, path).run_readonly(
        "rev-parse", "--verify", "--quiet", "HEAD^{commit}", answers=YES_OR_NO
    )
    return single_line(done) if done.code == 0 else None


def stage_all(tree: GitPath, *options: str, env: Mapping[str, str] | None = None,
              without: tuple[str, ...] = (), answers: Container[int] = YES) -> None:  # fmt: skip
    """``git add --all`` that starts nothing in a submodule; ``without`` are paths to leave out."""
    filled = list_filled(tree, env)
    spec = [f":(top,exclude,literal){path}" for path in (*without, *filled)]
    tree.run_git("add", "--all", *options, "--", ":(top)", *spec, env=env, answers=answers)
    moved = {path: read_inner_head(tree, path) for path in filled if path not in without}
    lines = [f"{GITLINK} {head}\t{path}" for path, head in moved.items()
             if head is not None and head != filled[path]]  # fmt: skip
    if lines:
        words = ("update-index", "-z", "--index-info")
        tree.run_git(*words, input=join_records(lines), env=env)


def _read_filters(repo: GitPath) -> dict[str, str]:
    done = repo.run_readonly("config", "-z", "--get-regexp", _FILTERS, answers=YES_OR_NO)
    pairs = (record.partition("\n") for record in split_records(done.out))
    return {key: value for key, _, value in pairs}


def _list_gitlinks(tree: GitPath, env: Mapping[str, str] | None) -> Iterator[tuple[str, str]]:
    for record in split_records(tree.run_readonly("ls-files", "-s", "-z", env=env).out):
        head, _, path = record.partition("\t")
        mode, commit, _ = head.split()
        if mode == GITLINK:
            yield path, commit


def _is_filled(tree: GitPath, path: str) -> bool:
    place = tree.path / path
    return not place.is_symlink() and os.path.lexists(place / ".git")
