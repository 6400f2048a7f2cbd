"""Small file operations that survive a kill: temporary file, fsync, ``os.replace``.

Owns how a result file is written; leaves what is in it to its writer.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from orchestr.errors import CorruptState

T = TypeVar("T")
ROOM = 1 << 16  # bytes; a disk with less left is full: a program cannot even write its message


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
    """Write ``data`` so that a reader sees the old file or the new one, never a part.

    Not ``durable``: quicker, and a power failure may leave the file empty.
    Creates the folder. Raises OSError (disk full, permissions); the old file then stays.
    """
    folder = path.parent
    temporary = folder / f".{path.name}.{os.getpid()}.{time.monotonic_ns()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        try:
            fd = os.open(temporary, flags, mode)
        except FileNotFoundError:
            folder.mkdir(parents=True, exist_ok=True)
            fd = os.open(temporary, flags, mode)
        with os.fdopen(fd, "wb") as stream:
            stream.write(data)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        temporary.replace(path)
        _loaded.pop(str(path), None)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    if durable:
        sync_folder(folder)


def is_disk_full(place: Path) -> bool:
    """Whether this user can write nothing more where ``place`` is: no block or no inode is left."""
    try:
        room = os.statvfs(place)
    except OSError:
        return False
    return room.f_bavail * room.f_frsize < ROOM or (room.f_files > 0 and room.f_favail == 0)


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` durable; file systems that refuse this are left alone."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def read_file(path: Path) -> bytes:
    """The content of a regular file. Raises OSError, also for what is in a file's place and could
    be waited for without end: a pipe, a device.
    """
    with open_regular(path) as stream:
        return stream.read()


def open_regular(path: Path, flags: int = 0) -> BinaryIO:
    """A regular file to read from, with more ``flags`` of `os.open`. Raises as `read_file`."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "it is a folder", os.fspath(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.ENXIO, "it is a pipe or a device", os.fspath(path))
        return os.fdopen(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


def display_path(path: Path, root: Path) -> str:
    """A path as people write it: below the workspace without its root."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def write_if_changed(path: Path, data: bytes) -> bool:
    """Write only when the content differs, so that an equal result keeps its time stamp."""
    with suppress(FileNotFoundError):
        if read_file(path) == data:
            return False
    write_atomic(path, data)
    return True


def write_toml(path: Path, table: Mapping[str, Any]) -> bool:
    """Write a TOML file if its content changes; ``None`` values are left out."""
    return write_if_changed(path, encode_toml(table))


def encode_toml(table: Mapping[str, Any]) -> bytes:
    """What `write_toml` writes."""
    import tomli_w

    return tomli_w.dumps(_without_none(table)).encode()


def write_json(path: Path, value: Any) -> bool:
    """Write indented JSON if its content changes."""
    return write_if_changed(path, encode_json(value))


def encode_json(value: Any) -> bytes:
    """What `write_json` writes."""
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def read_toml(path: Path) -> dict[str, Any] | None:
    """The table, or None when the file is not there.

    Raises CorruptState after setting a broken file aside.
    """
    import tomllib  # a supervisor, which reads none, starts without it

    found = read_parsed(path, tomllib.loads)
    return None if found is None else found[0]


def read_json(path: Path) -> Any:
    """The value, or None when the file is not there. Raises CorruptState like `read_toml`."""
    found = read_parsed(path, json.loads)
    return None if found is None else found[0]


def read_parsed(path: Path, parse: Callable[[str], T]) -> tuple[T, bytes] | None:
    """What ``parse`` makes of a file's text, and its bytes; None when the file is not there.

    Raises CorruptState after setting a broken file aside: ``parse`` raised ValueError.
    """
    try:
        data = read_file(path)
    except FileNotFoundError:
        return None
    try:
        return parse(data.decode("utf-8")), data
    except (ValueError, RecursionError) as error:  # a TOMLDecodeError is one
        raise set_aside(path, str(error)) from error


def set_aside(path: Path, why: str) -> CorruptState:
    """Move a broken file to ``<name>.corrupt-<time>`` and return the error to raise."""
    name = f"{path.name}.corrupt-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    kept, copy = path.with_name(name), 1
    while kept.exists():
        kept, copy = path.with_name(f"{name}.{copy}"), copy + 1
    with suppress(OSError):
        path.replace(kept)
    return CorruptState(
        f"{path} cannot be read ({why}); it was kept as {kept.name}",
        hint="run the same command again: what is missing is rebuilt from git and the journal",
    )


_looked: ContextVar[dict[object, Any] | None] = ContextVar("looked", default=None)


@contextmanager
def cache_record_reads() -> Iterator[None]:
    """For verbs that only read: inside, this thread reads the file of a record once.

    What a status shows needs most files several times; half of its time went into reading them
    again.
    """
    if _looked.get() is not None:
        yield
        return
    token = _looked.set({})
    try:
        yield
    finally:
        _looked.reset(token)


def share_in_cached_reads(key: object, make: Callable[[], T]) -> T:
    """The value for ``key``; inside `cache_record_reads` it is made once."""
    looked = _looked.get()
    if looked is None:
        return make()
    if key not in looked:
        looked[key] = make()
    found: T = looked[key]
    return found


_Stamp = tuple[int, int, int, int]
_loaded: dict[str, tuple[_Stamp, Callable[[Path], Any], Any]] = {}


def _load_cached(path: Path, load: Callable[[Path], Any]) -> Any:
    looked = _looked.get()
    if looked is None:
        return _load_changed(path, load)
    if path not in looked:
        looked[path] = _load_changed(path, load)
    return looked[path]


def _load_changed(path: Path, load: Callable[[Path], Any]) -> Any:
    """The file's value; the same file as before is not read again: a run looks at most of its
    records two or three times.

    A record is never written in place. `write_atomic` renames a new file, which has another inode
    or another time, and what this process writes is forgotten.
    """
    name = str(path)
    try:
        seen = os.stat(name)  # noqa: PTH116 - thousands of them in a run with nothing to do
    except OSError:
        return load(path)
    stamp = (seen.st_ino, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size)
    known = _loaded.get(name)
    if known is not None and known[:2] == (stamp, load):
        return known[2]
    value = load(path)
    _loaded[name] = (stamp, load, value)
    return value


def read_record(path: Path, load: Callable[[Path], Any], make: Callable[[Any], T]) -> T | None:
    """The record in a file, or None when there is none.

    An unreadable record counts as none, because its phase writes it again; it is set aside and
    a warning says so.
    """
    try:
        raw = _load_cached(path, load)
        return None if raw is None else make(raw)
    except CorruptState as error:
        broken = error
    except (TypeError, ValueError) as error:
        broken = set_aside(path, str(error))
    with suppress(OSError, ValueError):
        sys.stderr.write(f"warning: {broken.message}\n")
        sys.stderr.flush()
    return None


def _without_none(table: Mapping[str, Any]) -> dict[str, Any]:
    return {
        k: _without_none(v) if isinstance(v, Mapping) else v
        for k, v in table.items()
        if v is not None
    }
