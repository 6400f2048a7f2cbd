"""Files that index flags hide from git (`update-index --assume-unchanged`, `--skip-worktree`).

`git status` passes over them, `git add` leaves them out, a reset writes over them: so what a
command says of a worktree holds only when no flag is set, or without the flags. Owns finding them,
a copy of the index without them, and taking them off. An index is read here without a process, as
it is looked at often; one in a form that is seldom is left to `git ls-files`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from orchestr.git.runner import GitPath, join_records, split_records

_HEADER = 12  # bytes of the file's head
_WIDTHS = (62, 74)  # bytes of an entry before its name, with SHA-1 and SHA-256
_ASSUME_UNCHANGED, _EXTENDED, _NAME_LENGTH = 0x8000, 0x4000, 0x0FFF  # of an entry's flags
_SKIP_WORKTREE = 0x4000  # of its further flags


def find_hidden(tree: GitPath, env: Mapping[str, str] | None = None) -> dict[str, list[str]]:
    """Files that git does not look at, by the option that makes it look again."""
    if not has_flags(_index_of(tree, env)):
        return {}
    marks: dict[str, list[str]] = {"--no-assume-unchanged": [], "--no-skip-worktree": []}
    listed = tree.run_readonly("ls-files", "-v", "-z", check=False, env=env)
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
        shutil.copy2(_index_of(tree, env), copy)
        seen = {**(env or {}), "GIT_INDEX_FILE": str(copy)}
        scratch = tree.with_config({"core.splitIndex": "false"})
        reveal_hidden(scratch, hidden, seen)
        yield seen


def has_flags(index: Path) -> bool:
    """Whether an entry of an index has such a flag; also when that is not to be told here."""
    try:
        stat = index.stat()
    except OSError:
        return False  # no index, so no entry
    return _has_flags(index, stat.st_ctime_ns, stat.st_size, stat.st_ino)


@lru_cache(maxsize=256)
def _has_flags(index: Path, ctime_ns: int, size: int, inode: int) -> bool:
    """git replaces the file, and nobody can set back its ctime."""
    try:
        data = index.read_bytes()
    except OSError:
        return True
    for width in _WIDTHS:
        with suppress(ValueError, IndexError):
            return _scan_entries(data, width)
    return True


def _scan_entries(data: bytes, width: int) -> bool:
    """The same by the bytes of an index (gitformat-index). Raises ValueError, IndexError for those
    of another form: each entry says how long its name is."""
    version = int.from_bytes(data[4:8], "big")
    if data[:4] != b"DIRC" or version not in (2, 3, 4):
        raise ValueError(version)
    at, former = _HEADER, 0
    for _ in range(int.from_bytes(data[8:12], "big")):
        flags = int.from_bytes(data[at + width - 2 : at + width], "big")
        hidden, name = bool(flags & _ASSUME_UNCHANGED), at + width
        if flags & _EXTENDED:
            hidden = hidden or bool(data[name] & (_SKIP_WORKTREE >> 8))
            name += 2
        if version == 4:
            cut, name = _read_number(data, name)
            end = data.index(b"\0", name)
            former += end - name - cut
            after = end + 1
        else:
            end = data.index(b"\0", name)
            former, after = end - name, at + ((end - at + 8) & ~7)
        if flags & _NAME_LENGTH != min(former, _NAME_LENGTH):
            raise ValueError(at)
        if hidden:
            return True
        at = after
    return data[at : at + 4] == b"link"  # entries are in a second file, too


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    """A number of one byte or more, and where it ends."""
    value = data[at] & 0x7F
    while data[at] & 0x80:
        at += 1
        value = ((value + 1) << 7) | (data[at] & 0x7F)
    return value, at + 1


def _index_of(tree: GitPath, env: Mapping[str, str] | None) -> Path:
    named = {**tree.env, **(env or {})}.get("GIT_INDEX_FILE")
    return Path(named) if named else tree.git_dir() / "index"
