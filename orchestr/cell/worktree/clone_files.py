"""Which files of a clone's common directory belong to its picture: all that git reads there and
does not write in its daily work.

Left out are objects, logs, index, the places where HEADs, merges and rebases stand, and refs
(`clone_refs` compares those). Folders that git does not know are other tools' own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("hooks", "info", "branches", "remotes")  # the last two name remotes as config does
FILES = ("config", "config.worktree", "commondir", "gitdir", "shallow")
ALTERNATES = ("objects/info/alternates", "objects/info/http-alternates")
# Files at the top that git writes in its daily work (gitrepository-layout).
GITS_OWN = re.compile(
    r"[A-Z_]+|index|sharedindex\..*|packed-refs|gc\.(log|pid)|gitk\.cache|fsmonitor--daemon.*"
    r"|tmp_.*|.*\.(lock|new|orchestr|tmp)"
)
_DERIVED = {"info/refs"}  # `git update-server-info` writes it
CONFIGS = ("config", "config.worktree")
DEEP = 6  # submodules in submodules that are looked into


def list_clone_files(common: Path) -> dict[str, Path]:
    """The files of the picture, by their name below the common directory."""
    found = dict(_list_git_dir(common, ""))
    with os.scandir(common) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False) and not GITS_OWN.fullmatch(entry.name):
                found.setdefault(entry.name, Path(entry.path))
    for head in (common / "refs/remotes").glob("*/HEAD"):
        found[head.relative_to(common).as_posix()] = head
    for place in _list_folders(common / "worktrees"):
        name = f"worktrees/{place.name}/"
        found.update(_list_git_dir(place, name))
        found.update(_list_modules(place / "modules", f"{name}modules/"))
    found.update(_list_modules(common / "modules", "modules/"))
    return found


def list_git_dirs(common: Path) -> dict[str, Path]:
    """The git folders that have objects of their own, by their name below the common directory:
    the clone's, and those of submodules."""
    found = {"": common}
    folders = [
        common / "modules",
        *(one / "modules" for one in _list_folders(common / "worktrees")),
    ]
    for folder in folders:
        for place in _list_module_dirs(folder):
            found[place.relative_to(common).as_posix()] = place
    return found


def list_finished_worktrees(common: Path) -> set[str]:
    """The folders of linked worktrees (`worktrees/NAME`) that `git worktree add` has written whole:
    it holds them locked while it writes them, one file after the other."""
    return {f"worktrees/{one.name}" for one in _list_folders(common / "worktrees")
            if _is_finished(one)}  # fmt: skip


def _is_finished(place: Path) -> bool:
    lock = place / "locked"
    try:
        if lock.exists() and lock.read_bytes().startswith(b"initializing"):
            return False
        sizes = [(place / name).stat().st_size for name in ("gitdir", "HEAD", "commondir")]
    except OSError:
        return False
    return all(sizes)


def owner_of(name: str) -> str:
    """The folder of the linked worktree or submodule that a file belongs to; empty: the clone."""
    parts = name.split("/")
    if parts[0] == "worktrees":
        return "/".join(parts[:2])
    for at, part in enumerate(parts):
        if part in (*FOLDERS, *FILES, "objects"):
            return "/".join(parts[:at])
    return ""


def is_known_to_git(name: str) -> bool:
    """Whether git reads a file of that name; others at the top are other tools' own."""
    return "/" in name or name in (*FILES, *FOLDERS)


def _list_git_dir(place: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    for name in (*FILES, *ALTERNATES):
        if os.path.lexists(place / name):
            yield prefix + name, place / name
    for name in FOLDERS:
        folder = place / name
        if folder.is_symlink():
            yield prefix + name, folder
            continue
        for where, folders, files in os.walk(folder):
            links = [one for one in folders if Path(where, one).is_symlink()]
            for file in (*files, *links):
                path = Path(where, file)
                inner = path.relative_to(place).as_posix()
                if inner not in _DERIVED and not inner.endswith((".lock", ".tmp")):
                    yield prefix + inner, path


def _list_modules(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    """The files in the git folders of submodules."""
    for place in _list_module_dirs(folder):
        yield from _list_git_dir(place, f"{prefix}{place.relative_to(folder).as_posix()}/")


def _list_module_dirs(folder: Path, depth: int = 0) -> Iterator[Path]:
    """The git folders of submodules, and of theirs; their names may have slashes."""
    for place in _list_folders(folder):
        if (place / "config").exists() or (place / "HEAD").exists():
            yield place
            yield from _list_module_dirs(place / "modules", depth)
        elif depth < DEEP:
            yield from _list_module_dirs(place, depth + 1)


def _list_folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(one.path) for one in entries if one.is_dir(follow_symlinks=False)]
    except OSError:
        return []
