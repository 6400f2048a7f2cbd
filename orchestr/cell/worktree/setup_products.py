"""What a set-up has put into a check worktree, file by file, and putting that back as it was.

A set-up (commands, links, copies) is not run again for every commit, so what it made stays from one
check to the next. A program that runs there must not change what the next one finds: whatever is
new in it is deleted, and whatever is missing or was written to makes the set-up run again. A file
was written to when its change time is another one; no program of the user can set that.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from orchestr.codec import Record
from orchestr.git.worktrees import delete_tree


class SetupProducts(Record, frozen=True):
    """``tops``: files and folders with nothing tracked in them. ``stamps``: by path."""

    tops: tuple[str, ...] = ()
    stamps: Mapping[str, str] = msgspec.field(default_factory=dict)


def record_products(place: Path, tops: Iterable[str], caches: Collection[str]) -> SetupProducts:
    """What lies at ``tops`` in the worktree at ``place``, the ``caches`` in it left out."""
    names = tuple(sorted(top.rstrip("/") for top in tops))
    return SetupProducts(names, dict(pair for top in names for pair in _walk(place, top, caches)))


def restore_products(place: Path, products: SetupProducts, caches: Collection[str]) -> bool:
    """Delete what was added to them; whether the rest is as the set-up left it."""
    seen = 0
    for top in products.tops:
        for path, stamp in list(_walk(place, top, caches)):
            known = products.stamps.get(path)
            if known is None:
                remove_inside(place, path)
            elif known != stamp:
                return False
            else:
                seen += 1
    return seen == len(products.stamps)


def remove_except(place: Path, path: str, kept: Collection[str]) -> None:
    """Delete ``path`` in the worktree; what is ``kept`` and the folders on the way to it stay."""
    path = path.rstrip("/")
    if is_inside(path, kept):
        return
    inside = [one for one in kept if one.startswith(f"{path}/")]
    if not inside:
        remove_inside(place, path)
        return
    for entry in sorted((place / path).iterdir()):
        remove_except(place, f"{path}/{entry.name}", inside)


def is_inside(path: str, places: Collection[str]) -> bool:
    """Whether a path is one of the places or in one."""
    path = path.rstrip("/")
    return any(path == one or path.startswith(f"{one}/") for one in places)


def remove_inside(place: Path, path: str) -> None:
    """Delete a path of the worktree, never what a link leads to. Raises NotDeleted."""
    target = place / path
    for parent in target.relative_to(place).parents:
        if (place / parent).is_symlink():
            return
    if target.is_symlink() or target.is_file():
        target.unlink(missing_ok=True)
    else:
        delete_tree(target)


def _walk(place: Path, path: str, caches: Collection[str]) -> Iterator[tuple[str, str]]:
    if path in caches:
        return
    try:
        info = (place / path).lstat()
    except OSError:
        return
    yield path, _describe(info)
    if stat.S_ISDIR(info.st_mode):
        with os.scandir(place / path) as entries:
            names = sorted(entry.name for entry in entries)
        for name in names:
            yield from _walk(place, f"{path}/{name}", caches)


def _describe(info: os.stat_result) -> str:
    """What changes when a file is written to. A package manager links files of its store into many
    projects, and each link is a change: of those the change time does not count."""
    if stat.S_ISDIR(info.st_mode):
        return f"{info.st_mode:o}"
    changed = info.st_ctime_ns if info.st_nlink == 1 else 0
    return f"{info.st_mode:o} {info.st_ino} {info.st_size} {info.st_mtime_ns} {changed}"
