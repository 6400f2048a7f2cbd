"""What is not committed in a worktree: what `git status` finds, without what is no change.

Owns `read_changes`. Two kinds of paths that it lists are no changes: what is `unseen` (the kit,
what a set-up left), and tracked files that hold what a checkout writes
(`orchestr.git.conversion`). Where a `.gitattributes` is changed, too, other line ends are part of
that change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestr.git.conversion import find_as_checked_out, is_attributes_file
from orchestr.git.hidden_files import look_behind_flags
from orchestr.git.index_entries import GITLINK
from orchestr.git.inner_repositories import list_filled, open_inner
from orchestr.git.runner import GitPath, split_records


@dataclass(frozen=True, slots=True)
class ChangedPath:
    """One path of `git status`: ``index`` and ``worktree`` are its letters, "." for unchanged,
    "?" for a new file. ``submodule`` is empty for a file, else git's letters for what changed in
    it: C for another commit, M for tracked files, U for new ones. ``mode`` and ``blob`` are the
    index's, ``committed`` is HEAD's ``mode blob`` where only the content of the file differs.
    """

    path: str
    index: str
    worktree: str
    submodule: str = ""
    mode: str = ""
    blob: str = ""
    committed: str = ""

    @property
    def is_new(self) -> bool:
        return self.worktree == "?"


def read_changes(
    tree: GitPath, *, untracked: str = "normal", env: Mapping[str, str] | None = None
) -> list[ChangedPath]:
    """What `git status` finds. With ``untracked`` "all" a new path that ends in a slash is a
    repository of its own."""
    found = _read_status(tree, untracked, env)
    idle = set(_find_idle(tree, found))
    return [change for change in found if change.path not in idle]


def list_idle_paths(tree: GitPath) -> list[str]:
    """The tracked files that git lists as changed and that hold what a checkout writes, or are
    `unseen`."""
    return _find_idle(tree, _read_status(tree, "no", None))


def _find_idle(tree: GitPath, found: list[ChangedPath]) -> list[str]:
    """See `list_idle_paths`; a staged change is never idle."""
    mine = [c for c in found if c.index == "." and c.worktree in "MT" and not c.submodule]
    idle = {c.path for c in mine if tree.unseen is not None and tree.unseen.hides_change(c.path)}
    rest = {c.path: c.committed for c in mine if c.committed and c.path not in idle}
    if rest and not any(is_attributes_file(c.path) for c in found):
        idle |= find_as_checked_out(tree, rest)
    return [c.path for c in mine if c.path in idle]


def _read_status(tree: GitPath, untracked: str, env: Mapping[str, str] | None) -> list[ChangedPath]:
    if tree.unseen is not None and untracked == "normal":
        untracked = "all"  # else a new folder would hide what is unseen
    words = ("status", "--porcelain=v2", "-z", f"--untracked-files={untracked}")
    found = []
    with look_behind_flags(tree, env) as seen:
        shown = tree.run_readonly(*words, env=seen).out
    for record in split_records(shown):
        kind, _, rest = record.partition(" ")
        if kind == "?" and tree.unseen is not None and tree.unseen.hides_new(rest):
            continue
        if kind == "?":
            found.append(ChangedPath(rest, "?", "?"))
        elif kind == "1":
            letters, sub, was, mode, now, blob, staged, path = rest.split(" ", 7)
            inside = sub[1:].replace(".", "") if sub[0] == "S" else ""
            committed = f"{was} {blob}" if was == mode == now and letters == ".M" else ""
            found.append(ChangedPath(path, letters[0], letters[1], inside, mode, staged, committed))
        elif kind == "u":
            found.append(ChangedPath(rest.split(" ", 9)[9], "U", "U"))
    return _add_inner_changes(tree, found, untracked, env)


def _add_inner_changes(
    tree: GitPath, found: list[ChangedPath], untracked: str, env: Mapping[str, str] | None
) -> list[ChangedPath]:
    """``found`` with what is changed inside of submodules, as git's own letters say it."""
    by_path = {change.path: change for change in found}
    for path in list_filled(tree, env):
        inner = read_changes(open_inner(tree, path), untracked=untracked)
        letters = "M" if any(not one.is_new for one in inner) else ""
        letters += "U" if any(one.is_new for one in inner) else ""
        known = by_path.get(path)
        if not letters or (tree.unseen is not None and tree.unseen.hides_change(path)):
            continue
        if known is None:
            by_path[path] = ChangedPath(path, ".", "M", letters, GITLINK)
        elif not known.is_new:
            worktree = "M" if known.worktree == "." else known.worktree
            by_path[path] = replace(known, worktree=worktree, submodule=known.submodule + letters)
    return list(by_path.values())
