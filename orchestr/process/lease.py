"""Locks that speak and die with their holder.

Owns the kernel's flock on files that are never unlinked (`FlockLock`) and the lease on a feature
(`Lease`): a flock plus a record that says who holds it. Leaves to its callers which paths those
are and when to take them (a run: after confirmation, before the first worktree).

Survives a crash: the kernel drops a flock with its holder, so the record never decides alone
that something is held on this host; a stale, torn or empty one is simply overwritten.
It does decide for another host, whose flock may not reach us over a shared file system.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import secrets
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from orchestr.codec import SCHEMA, Record, decode, encode
from orchestr.errors import Busy
from orchestr.files import read_file
from orchestr.process.file_lock import TAKEN, FlockLock, _poll_until, lock_descriptor
from orchestr.process.run import is_process_alive, read_create_time

PATIENCE = 1.0  # seconds to wait for a holder that has the flock but has not yet said who it is


class LeaseRecord(Record, frozen=True):
    """Who runs a feature. ``create_time``: see `read_create_time`; ``started_at`` is ISO-8601."""

    pid: int
    create_time: float
    host: str
    user: str
    command: str
    started_at: str
    features: tuple[str, ...]
    jobs: int
    nonce: str

    @classmethod
    def for_this_process(cls, *, command: str, features: tuple[str, ...], jobs: int) -> LeaseRecord:
        """The record of this process, now."""
        return cls(
            pid=os.getpid(),
            create_time=read_create_time(os.getpid()) or 0.0,
            host=socket.gethostname(),
            user=_user_name(),
            command=command,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            features=features,
            jobs=jobs,
            nonce=secrets.token_hex(8),
        )

    @property
    def is_from_other_host(self) -> bool:
        """Whether another host wrote it, so that its pid means nothing here."""
        return self.host != socket.gethostname()

    @property
    def is_in_force(self) -> bool:
        """Whether it bars others: from another host always, from here while its process, by pid
        and create time, is alive."""
        return self.is_from_other_host or is_process_alive(self.pid, self.create_time)


class Lease:
    """The right to run a feature. `acquire` it, and `release` it whatever happens (or ``with``)."""

    def __init__(self, lock: FlockLock, record: LeaseRecord) -> None:
        self._lock = lock
        self.record = record

    @classmethod
    def acquire(cls, path: Path, record: LeaseRecord) -> Lease:
        """Take the lease. Raises Busy with who holds it, since when and what to do.

        Of any number of processes that try at once exactly one wins.
        """
        lock = FlockLock(path)
        end = time.monotonic() + PATIENCE
        while not lock.try_acquire():
            # Held, but by whom? The winner may not have written its record yet, and a reader
            # (`read_lease`) holds the flock for an instant: neither is a reason to give up.
            holder = _parse_record(_read_or_empty(path))
            if holder is not None and holder.is_in_force:
                raise _busy_error(path, holder, record.features)
            if time.monotonic() > end:
                raise _busy_error(path, None, record.features)
            time.sleep(0.01)
        try:
            holder = _parse_record(lock.read_content())
            if holder is not None and holder.is_in_force:
                raise _busy_error(path, holder, record.features)
            lock.write_content(_encode_record(record))
        except BaseException:
            lock.release()
            raise
        return cls(lock, record)

    def release(self) -> None:
        """Clear the record, then give the flock back. The file stays."""
        if self._lock.is_held:
            with suppress(OSError):
                self._lock.write_content(b"")
            self._lock.release()

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


def read_lease(path: Path) -> LeaseRecord | None:
    """Who holds the lease, None when it is free. Never raises for a torn or missing record.

    A holder that does not say who it is yields a record with pid 0 and empty names.
    """
    end = time.monotonic() + PATIENCE
    while True:
        record = _parse_record(_read_or_empty(path))
        if record is not None and record.is_in_force:
            return record
        if not _is_flocked(path):
            return None
        # Held by a process whose record is not there yet, or whose create time moved with the
        # clock: the flock is right in any case.
        if time.monotonic() > end:
            return record or _unknown_holder()
        time.sleep(0.02)


def break_lease(path: Path) -> LeaseRecord | None:
    """Clear another host's record, and return it; nothing happens when there is none.

    Raises Busy when a live process holds the lease: that is what `orchestr abort` is for.
    """
    lock = FlockLock(path)
    if not _poll_until(lock.try_acquire, PATIENCE):
        raise _busy_error(path, _parse_record(_read_or_empty(path)), (), breaking=True)
    try:
        record = _parse_record(lock.read_content())
        if record is None:
            return None
        if record.is_in_force and not record.is_from_other_host:
            raise _busy_error(path, record, (), breaking=True)
        lock.write_content(b"")
        return record
    finally:
        lock.release()


def _busy_error(
    path: Path, holder: LeaseRecord | None, wanted: tuple[str, ...], *, breaking: bool = False
) -> Busy:
    """Who, since when, and what to do next."""
    names = (holder.features if holder else ()) or wanted or (path.stem,)
    feature, all_names = names[0], ", ".join(names)
    verb = "is" if len(names) == 1 else "are"
    if holder is None or not holder.pid:
        return Busy(
            f"{all_names} {verb} busy: a process that does not say who it is holds {path}",
            hint=f"wait, then try again; see orchestr status {feature}, orchestr doctor",
        )
    who = (
        f"{all_names} {verb} busy: pid {holder.pid} ({holder.user} on {holder.host}) "
        f"runs `{holder.command}` since {holder.started_at}"
    )
    if breaking:
        who += "; a live holder's lock is not broken"
    hint = f"orchestr status {feature}, wait for it, or orchestr abort {feature}"
    if holder.is_from_other_host:
        hint = (
            f"orchestr status {feature}, wait for it, or orchestr abort {feature} on {holder.host}"
        )
        if not breaking:
            hint += f"; if that run is gone: orchestr run {feature} --break-lock"
    return Busy(who, hint=hint)


def _encode_record(record: LeaseRecord) -> bytes:
    return (json.dumps({"schema": SCHEMA, **encode(record)}) + "\n").encode()


def _parse_record(data: bytes) -> LeaseRecord | None:
    """The record, None when there is none that can be read: a lock file may hold anything."""
    try:
        return decode(json.loads(data), LeaseRecord)
    except (ValueError, RecursionError):
        return None


def _unknown_holder() -> LeaseRecord:
    return LeaseRecord(0, 0.0, socket.gethostname(), "", "", "", (), 0, "")


def _read_or_empty(path: Path) -> bytes:
    with suppress(OSError):
        return read_file(path)
    return b""


def _is_flocked(path: Path) -> bool:
    """Whether a process holds the flock. A shared one is tried, so that readers do not collide."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        lock_descriptor(fd, fcntl.LOCK_SH | fcntl.LOCK_NB, path)
    except OSError as error:
        return error.errno in TAKEN
    finally:
        os.close(fd)
    return False


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a uid without a name, in a container
        return str(os.getuid())
