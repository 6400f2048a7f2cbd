"""A lock file held by flock: it ends with its holder, and the file is never unlinked."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from orchestr.errors import Busy, UsageError

TAKEN = (errno.EWOULDBLOCK, errno.EACCES)
# Errors of a file system without flock: NFS without its lock daemon, some of FUSE, of containers
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class NoFileLocks(UsageError):
    """The file system cannot lock files, so two runs could not exclude each other there."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"{path.parent} is on a file system that cannot lock files (flock says: "
            f"{os.strerror(error.errno or 0)}): two runs at once could not know of each other",
            hint="put the state on a local disk: ORCHESTR_HOME=/a/local/folder, or [workspace] "
            'state = "/a/local/folder" in orchestr.toml (the clones may stay where they are); '
            "or mount this one with locks (NFS: without nolock, with rpc.statd running)",
        )


def lock_descriptor(fd: int, how: int, path: Path) -> None:
    """`fcntl.flock` on an open file. Raises NoFileLocks where the file system has none."""
    try:
        fcntl.flock(fd, how)
    except OSError as error:
        if error.errno in NO_LOCKS:
            raise NoFileLocks(path, error) from error
        raise


class FlockLock:
    """An exclusive flock on ``path``; made with its folder, never unlinked, not inherited.

    One object is one holder: threads make an object each. ``timeout`` (seconds, None: for ever)
    is what ``with`` waits; then it raises Busy.
    """

    def __init__(self, path: Path, *, timeout: float | None = None) -> None:
        self.path = path
        self.timeout = timeout
        self._fd: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lock."""
        return self._fd is not None

    def acquire(self, timeout: float | None = None) -> None:
        """Wait for the lock. Raises Busy after ``timeout`` seconds."""
        if timeout is None:
            self._flock_file(fcntl.LOCK_EX)
            return
        if not _poll_until(self.try_acquire, timeout):
            raise Busy(
                f"{self.path} is locked by another process (waited {timeout:g} s)",
                hint="wait for it, or see who it is: orchestr status",
            )

    def try_acquire(self) -> bool:
        """Take the lock if it is free."""
        try:
            self._flock_file(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in TAKEN:
                return False
            raise
        return True

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> FlockLock:
        self.acquire(self.timeout)
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()

    def fileno(self) -> int:
        """The descriptor. A child that inherits it holds the lock too. Only while held."""
        assert self._fd is not None
        return self._fd

    def read_content(self) -> bytes:
        """The file's content. Only while held."""
        assert self._fd is not None
        return os.pread(self._fd, os.fstat(self._fd).st_size, 0)

    def write_content(self, data: bytes) -> None:
        """Replace the file's content in place. Only while held."""
        assert self._fd is not None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, data, 0)

    def _flock_file(self, how: int) -> None:
        if self._fd is not None:
            raise RuntimeError(f"{self.path} is held by this object already")
        while True:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                lock_descriptor(fd, how, self.path)
                # A person may have deleted the file while we waited: a lock on an unlinked file
                # protects nothing, because no other process can open it.
                if _is_same_file(fd, self.path):
                    self._fd = fd
                    return
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)


def _is_same_file(fd: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(fd), path.stat())
    return False


def _poll_until(try_it: Callable[[], bool], timeout: float) -> bool:
    """Try until it works or ``timeout`` seconds have passed; at least once."""
    end, pause = time.monotonic() + timeout, 0.002
    while not try_it():
        if time.monotonic() >= end:
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
    return True
