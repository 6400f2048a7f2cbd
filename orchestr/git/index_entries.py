"""What an index says without a process: whether flags hide files, and where submodules are.

It is asked before every look at a worktree. An index in a form that is seldom (split in two, or of
a later version) is not read here: `scan_index` is None for it, and `git ls-files` has to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from orchestr.git.runner import GitPath

GITLINK = "160000"  # the mode of a submodule's entry

_HEADER = 12  # bytes of the file's head
_HASHES = (20, 32)  # bytes of a name of an object, SHA-1 and SHA-256
_BEFORE_HASH, _MODE = 40, 24  # bytes of an entry before that name, and before its mode
_GITLINK_MODE = int(GITLINK, 8).to_bytes(4, "big")
_ASSUME_UNCHANGED, _EXTENDED, _NAME_LENGTH = 0x8000, 0x4000, 0x0FFF  # of an entry's flags
_SKIP_WORKTREE = 0x4000  # of its further flags


@dataclass(frozen=True, slots=True)
class IndexScan:
    """``has_flags``: an entry is hidden. ``gitlinks``: each submodule's path and commit."""

    has_flags: bool = False
    gitlinks: Mapping[bytes, str] = field(default_factory=dict)


def index_path(tree: GitPath, env: Mapping[str, str] | None = None) -> Path:
    """The index that git uses in ``tree`` with the variables ``env``."""
    named = {**tree.env, **(env or {})}.get("GIT_INDEX_FILE")
    return Path(named) if named else tree.git_dir() / "index"


def scan_index(index: Path) -> IndexScan | None:
    """What is in an index; None when only git can read it."""
    try:
        stat = index.stat()
    except OSError:
        return IndexScan()  # no index, so no entry
    return _scan_file(index, stat.st_ctime_ns, stat.st_size, stat.st_ino)


@lru_cache(maxsize=256)
def _scan_file(index: Path, ctime_ns: int, size: int, inode: int) -> IndexScan | None:
    """git replaces the file, and no program of the user can set back its ctime."""
    try:
        data = index.read_bytes()
    except OSError:
        return None
    for width in _HASHES:
        with suppress(ValueError, IndexError):
            return _scan_entries(data, width)
    return None


def _scan_entries(data: bytes, width: int) -> IndexScan:
    """The bytes of an index (gitformat-index). Raises ValueError, IndexError for those of another
    form: each entry says how long its name is."""
    version = int.from_bytes(data[4:8], "big")
    if data[:4] != b"DIRC" or version not in (2, 3, 4):
        raise ValueError(version)
    at, former, has_flags = _HEADER, b"", False
    links: dict[bytes, str] = {}
    for _ in range(int.from_bytes(data[8:12], "big")):
        after_hash = at + _BEFORE_HASH + width
        flags, name = data[after_hash] << 8 | data[after_hash + 1], after_hash + 2
        if flags & (_ASSUME_UNCHANGED | _EXTENDED):
            has_flags = has_flags or bool(flags & _ASSUME_UNCHANGED)
            if flags & _EXTENDED:
                has_flags = has_flags or bool(data[name] & (_SKIP_WORKTREE >> 8))
                name += 2
        if version == 4:
            cut, name = _read_number(data, name)
            end = data.index(b"\0", name)
            former, after = former[: len(former) - cut] + data[name:end], end + 1
        else:
            end = data.index(b"\0", name)
            former, after = data[name:end], at + ((end - at + 8) & ~7)
        length = len(former)
        if flags & _NAME_LENGTH != (length if length < _NAME_LENGTH else _NAME_LENGTH):
            raise ValueError(at)
        if data[at + _MODE : at + _MODE + 4] == _GITLINK_MODE:
            links[former] = data[at + _BEFORE_HASH : after_hash].hex()
        at = after
    if data[at : at + 4] == b"link":
        raise ValueError(at)  # entries are in a second file, too
    return IndexScan(has_flags, links)


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    """A number of one byte or more, and where it ends."""
    value = data[at] & 0x7F
    while data[at] & 0x80:
        at += 1
        value = ((value + 1) << 7) | (data[at] & 0x7F)
    return value, at + 1
