"""The supervisor process: its lock, its signals, adoption of orphans, `exit.json`.

Owns what a supervisor's process is; leaves the agent in it to `orchestr.supervisor.watchdog`, and
how others find it to `orchestr.supervisor.client`.

Must survive SIGHUP, a closed stderr, a deleted attempt folder, a full disk. Whoever takes the
flock on ``lock`` is the only supervisor of an attempt; ``supervisor.json`` is written before the
agent starts, ``exit.json`` after everything the agent started is gone.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from orchestr.process.hiding import hide_this_process
from orchestr.process.tree import LINUX, read_create_time
from orchestr.supervisor.leftovers import end_leftovers, remove_notes
from orchestr.supervisor.protocol import (
    LOCK,
    ExitReason,
    ExitRecord,
    SupervisorRecord,
    read_exit,
    read_launch,
    read_supervisor_record,
    utc_timestamp,
)
from orchestr.supervisor.watchdog import Watchdog, write_log

TAKEN = 73  # EX_CANTCREAT: another supervisor has this attempt
PROBES = 0.2  # seconds in which a taken lock may turn out to be only looked at
PERSISTENCE = 60.0  # seconds in which exit.json is tried again while the disk is full
SPARE = ".exit.spare"  # a little of the disk, held for exit.json
SPARE_SIZE = 16 << 10
PR_SET_CHILD_SUBREAPER = 36


def main(attempt_dir: Path) -> int:
    """Run the attempt described in ``attempt_dir``. Returns the exit code of the supervisor."""
    attempt_dir = attempt_dir.absolute()
    lock = _take_lock(attempt_dir / LOCK)
    if lock is None:
        return TAKEN
    if read_exit(attempt_dir) is not None:
        return 0  # this attempt has ended: it is not run again
    begun = utc_timestamp()
    me = SupervisorRecord(os.getpid(), read_create_time(os.getpid()) or 0.0, begun)
    signals = SupervisorSignals()
    become_subreaper()
    try:
        launch = read_launch(attempt_dir)
        if read_supervisor_record(attempt_dir) is not None:
            # An earlier supervisor of this attempt was killed; its agent must not work beside ours.
            end_leftovers(attempt_dir, launch.marker)
        me.write(attempt_dir)
        (attempt_dir / SPARE).write_bytes(bytes(SPARE_SIZE))
    except (OSError, ValueError) as error:
        _write_exit_record(
            attempt_dir,
            ExitRecord(None, None, ExitReason.SPAWN_FAILED, str(error), "", begun, utc_timestamp()),
        )
        return 1
    watchdog = Watchdog(attempt_dir, launch, me, signals)
    hide_this_process()  # after the watchdog has opened what it reads of itself
    _write_exit_record(attempt_dir, watchdog.watch())
    remove_notes(attempt_dir)
    return 0


class SupervisorSignals:
    """SIGTERM and SIGINT are counted; each signal, SIGCHLD too, wakes the loop.

    Handlers, not SIG_IGN, so that the agent starts with the defaults again.
    """

    def __init__(self) -> None:
        self.stops = 0
        self.wake, self._tell = os.pipe()
        for fd in (self.wake, self._tell):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(self._tell, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._count_stop)
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1):
            signal.signal(number, lambda _number, _frame: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # what our parent blocked, it blocked

    def _count_stop(self, _number: int, _frame: object) -> None:
        self.stops += 1


def become_subreaper() -> None:
    """Make us the parent of all that our descendants abandon (Linux; elsewhere the marker and
    psutil's tree have to do)."""
    if not LINUX:
        return
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            write_log(f"no subreaper: {os.strerror(ctypes.get_errno())}")
    except (OSError, AttributeError) as error:
        write_log(f"no subreaper: {error}")


def _take_lock(path: Path) -> int | None:
    """The flock's descriptor, open until we end; None when another supervisor has it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    end = time.monotonic() + PROBES
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError:
            # `read_attempt_state` tries a shared lock for an instant; that is no supervisor.
            if time.monotonic() > end:
                os.close(fd)
                return None
            time.sleep(0.01)


def _write_exit_record(folder: Path, ended: ExitRecord) -> None:
    """Write exit.json; with a full disk try for a while, with a deleted folder do not."""
    end = time.monotonic() + PERSISTENCE
    while True:
        with suppress(OSError):
            (folder / SPARE).unlink()
        if not folder.is_dir():
            write_log(f"{folder} is gone; the agent ended: {ended}")
            return
        try:
            ended.write(folder)
            return
        except OSError as error:
            write_log(f"exit.json: {error}")
            if time.monotonic() > end:
                return
            time.sleep(0.25)
