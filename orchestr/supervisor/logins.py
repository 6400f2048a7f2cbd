"""Logins of an agent in a sandbox: a copy of the user's file, and what becomes of a renewed one.

A program renews its login by writing the file again or by renaming another one over it, which a
mounted file would refuse. So it has a plain copy, and its supervisor keeps the two equal while it
works: what is newer goes to the other side, so that several agents and the user share one login.
The copies end with the agent; no key is left behind in the state folder.

The copy lies in a folder that the agent writes. Nothing in it is followed or waited for (a link, a
pipe), only a file of some size counts, and of JSON only an object. Deleting is not passed on.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestr.files import write_atomic

EVERY = 1.0  # s between two looks
SETTLED = 0.5  # s since its last change: a file that is written in place is whole by then
MOST = 1 << 20  # bytes of a login


@dataclass(frozen=True, slots=True)
class _Login:
    data: bytes
    changed: float
    mode: int


class LoginKeeper:
    """The logins of one start: (copy, the user's own file)."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = [(Path(copy), Path(own)) for copy, own in pairs]
        self._due = 0.0

    def copy_to_agent(self) -> None:
        """Give the agent the user's logins. Raises OSError."""
        for copy, own in self._pairs:
            login = _read_login(own)
            if login is not None:
                _write_login(copy, login.data, 0o600, login.changed)

    def pass_on_renewed(self) -> None:
        """Pass on what was renewed on either side, unless that was just done."""
        if self._pairs and time.monotonic() >= self._due:
            self._due = time.monotonic() + EVERY
            for copy, own in self._pairs:
                with suppress(OSError):
                    _make_equal(copy, own, settled=SETTLED)

    def take_away(self) -> None:
        """Pass on what was renewed last, and remove the copies."""
        for copy, own in self._pairs:
            with suppress(OSError):
                _make_equal(copy, own, settled=0.0)
            with suppress(OSError):
                copy.unlink()


def _make_equal(copy: Path, own: Path, *, settled: float) -> None:
    theirs, ours = _read_login(copy), _read_login(own)
    if theirs is None or ours is None or theirs.data == ours.data:
        return  # who logs out does so for itself
    now = time.time()
    changed = min(theirs.changed, now)  # a time in the future says nothing
    if max(changed, ours.changed) > now - settled:
        return
    if changed <= ours.changed:
        _write_login(copy, ours.data, 0o600, ours.changed)
    elif not _is_object(ours.data) or _is_object(theirs.data):
        _write_login(own, theirs.data, ours.mode, changed)


def _write_login(path: Path, data: bytes, mode: int, changed: float) -> None:
    write_atomic(path, data, mode=mode)
    os.utime(path, (changed, changed), follow_symlinks=False)


def _read_login(path: Path) -> _Login | None:
    """A regular file with something in it; None for all else."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as stream:
        known = os.fstat(fd)
        if not stat.S_ISREG(known.st_mode) or not 0 < known.st_size <= MOST:
            return None
        return _Login(stream.read(MOST), known.st_mtime, stat.S_IMODE(known.st_mode))


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False
