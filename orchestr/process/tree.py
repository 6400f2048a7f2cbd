"""The process tree: find processes and end them, never an unrelated one.

Owns the identity of a process (pid and create time, so a reused pid is never taken for the old
process), descendants, the marker ``ORCHESTR_ATTEMPT_ID`` and killing until none is left. Leaves
starting processes to `orchestr.process.run` and `orchestr.supervisor.watchdog`. Linux is read from
/proc, which keeps the supervisor small; elsewhere psutil is imported and does the same, a little
slower.

Survives a crash: nothing is kept here; everything is asked of the kernel again.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

MARKER = "ORCHESTR_ATTEMPT_ID"
WORKTREE = "ORCHESTR_WORKTREE"  # where it works, for the process that may have to end it there
LINUX = sys.platform.startswith("linux")
# A start counted from the epoch moves when the clock is set; elsewhere than on Linux there is no
# other, and earlier versions noted that one.
CLOCK_SLACK = 2.0
TICK = 0.05  # s; a start counted from the boot is exact but for the rounding of a large number
# Errors of a machine that has nothing left: they do not say that a process is gone.
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
SURE_DEATH = 10.0  # seconds we go on killing; what outlives SIGKILL that long sits in the kernel


@dataclass(frozen=True, slots=True)
class Proc:
    """One living process; for ``created`` see `read_create_time`."""

    pid: int
    parent: int
    group: int
    created: float
    session: int = 0


Table = dict[int, Proc]


def read_create_time(pid: int) -> float | None:
    """A number that differs for a later process with the same pid: its start. None if it is gone
    or a zombie.

    On Linux in seconds from a point that is the boot's own, and negative: it is the same number
    whatever the clock is set to, and another one after a reboot. Elsewhere seconds since the epoch.
    """
    return _read_created(pid)


def is_process_alive(pid: int, create_time: float) -> bool:
    """Whether that very process still runs: the pid counts only with its create time."""
    if pid <= 0:
        return False
    now = _read_created(pid)
    return now is not None and is_same_start(now, create_time)


def is_same_start(now: float, noted: float) -> bool:
    """Whether a start that is read now is the one that was noted, perhaps by an earlier version."""
    if now >= 0:
        return abs(now - noted) <= CLOCK_SLACK
    if noted > 0:  # since the epoch
        return abs(now - _boot_number() + _boot_time() - noted) <= CLOCK_SLACK
    return abs(now - noted) <= TICK


def read_process_table() -> Table:
    """Every living process; zombies are left out (their children were given away already)."""
    if not LINUX:
        return _psutil_table()
    found = (read_process(int(name)) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208
    return {proc.pid: proc for proc in found if proc}


def find_descendants(roots: Iterable[int], among: Table) -> list[Proc]:
    """All that descend from ``roots``, the roots left out."""
    children: dict[int, list[Proc]] = {}
    for proc in among.values():
        children.setdefault(proc.parent, []).append(proc)
    found: dict[int, Proc] = {}
    todo = list(roots)
    while todo:
        for child in children.get(todo.pop(), ()):
            if child.pid not in found:
                found[child.pid] = child
                todo.append(child.pid)
    return list(found.values())


def filter_marked(marker: str, among: Table, *, variable: str = MARKER) -> list[Proc]:
    """Processes of this user that carry the marker in the environment they started with."""
    if not marker:
        return []
    own, pair = os.getpid(), f"{variable}={marker}"
    return [p for p in among.values() if p.pid != own and _has_pair(p.pid, pair)]


def find_marked(marker: str) -> list[psutil.Process]:
    """The same as psutil's objects, for those who want to name them (doctor, status)."""
    import psutil

    found = []
    for proc in filter_marked(marker, read_process_table()):
        with suppress(psutil.Error):
            found.append(psutil.Process(proc.pid))
    return found


def kill_marked(marker: str, *, grace: float = 0, variable: str = MARKER) -> int:
    """End every process that carries the marker and all that descends from those.

    Returns how many there were. ``grace`` seconds lie between SIGTERM and SIGKILL; 0 kills.
    ``variable`` is the name of the marker in their environment.
    """

    def find_marked_now(now: Table) -> list[Proc]:
        return filter_marked(marker, now, variable=variable)

    return end_processes(track_descendants(find_marked_now), grace=grace)


def kill_tree(pid: int, create_time: float, *, grace: float) -> int:
    """End a process and all its descendants; a reused pid is left alone. Returns the count."""

    def find_root(now: Table) -> list[Proc]:
        root = now.get(pid)
        return [root] if root and is_same_start(root.created, create_time) else []

    return end_processes(track_descendants(find_root), grace=grace)


def track_descendants(roots: Callable[[Table], list[Proc]]) -> Callable[[], list[Proc]]:
    """A function that names what lives of ``roots(table)`` and of all that descends from them.

    When a parent dies its children get another parent, and they need not carry the marker:
    so each process that was seen once is remembered. This process itself is never named.
    """
    known: dict[int, Proc] = {}

    def find_remaining() -> list[Proc]:
        now = read_process_table()
        known.update((p.pid, p) for p in roots(now))
        living = {p.pid: p for p in known.values() if _is_still_listed(p, now)}
        living.update((p.pid, p) for p in find_descendants(living, now))
        living.pop(os.getpid(), None)
        known.clear()
        known.update(living)
        return list(living.values())

    return find_remaining


def end_processes(
    left: Callable[[], list[Proc]], *, grace: float, idle: Callable[[], None] = lambda: None
) -> int:
    """SIGTERM what ``left()`` names, wait ``grace`` seconds, SIGKILL until it names nothing.

    ``left`` is asked again each round, so what was forked meanwhile dies too. ``idle`` runs
    between rounds (reap zombies, drain pipes). Returns how many different processes there were.
    """
    seen: set[tuple[int, float]] = set()
    begin = time.monotonic()
    if grace > 0:
        warned: set[int] = set()
        while time.monotonic() < begin + grace:
            procs = left()
            seen.update((p.pid, p.created) for p in procs)
            for proc in procs:
                if proc.pid not in warned:
                    warned.add(proc.pid)
                    send_signal(proc, signal.SIGTERM)
            idle()
            if not procs:
                return len(seen)
            time.sleep(0.02)
    end, pause = time.monotonic() + SURE_DEATH, 0.002
    calm, deaf = 0, set[tuple[int, float]]()
    while True:
        procs = left()
        now = {(p.pid, p.created) for p in procs}
        seen |= now
        reached = [send_signal(proc, signal.SIGKILL) for proc in procs]
        idle()
        # A look at /proc is not one instant: what forks and ends meanwhile can be missed once.
        calm = 0 if procs else calm + 1
        if calm > (1 if seen else 0) or time.monotonic() > end:
            return len(seen)
        if procs and not any(reached):
            if now == deaf:  # still there and not ours to signal: another user's, by sudo
                return len(seen)
            deaf = now
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def send_signal(proc: Proc, number: int) -> bool:
    """Signal exactly that process. False if it is gone or belongs to another user.

    A pidfd is opened first and the create time compared after, so that a pid reused in
    between cannot be hit.
    """
    try:
        if not hasattr(os, "pidfd_open"):
            if is_process_alive(proc.pid, proc.created):
                os.kill(proc.pid, number)
                return True
            return False
        handle = os.pidfd_open(proc.pid)
        try:
            if not is_process_alive(proc.pid, proc.created):
                return False
            signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)
    except OSError:
        return False
    return True


def _read_created(pid: int) -> float | None:
    if LINUX:
        found = read_process(pid)
        return found.created if found else None
    return _psutil_create_time(pid)


def _is_still_listed(proc: Proc, now: Table) -> bool:
    found = now.get(proc.pid)
    return found is not None and is_same_start(found.created, proc.created)


def read_process(pid: int) -> Proc | None:
    """A living process, as `/proc` shows it; None when it is gone or a zombie. Linux only."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError as error:
        if error.errno in _EXHAUSTED:
            raise
        return None
    try:
        raw = os.read(fd, 4096)
    except OSError:  # ESRCH: it ended between open and read
        return None
    finally:
        os.close(fd)
    # The name may hold spaces and brackets: what counts stands after the last one.
    fields = raw[raw.rfind(b")") + 2 :].split()
    if len(fields) < 20 or fields[0] in (b"Z", b"X", b"x"):
        return None
    created = int(fields[19]) / os.sysconf("SC_CLK_TCK") + _boot_number()
    return Proc(pid, int(fields[1]), int(fields[2]), created, int(fields[3]))


@cache
def _boot_number() -> float:
    """Where the starts of this boot are counted from: below zero, and far from other boots'."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
        return -float((1 + int(boot[:4], 16)) << 31)
    except (OSError, ValueError):
        return _boot_time()


@cache
def _boot_time() -> float:
    """When the machine was booted (seconds since the epoch), by the clock as it is set now."""
    for line in Path("/proc/stat").read_bytes().splitlines():
        if line.startswith(b"btime"):
            return float(line.split()[1])
    return 0.0


def _has_pair(pid: int, pair: str) -> bool:
    if not LINUX:
        return _psutil_has_pair(pid, pair)
    try:
        if os.stat(f"/proc/{pid}").st_uid != os.geteuid():  # noqa: PTH116
            return False
        with open(f"/proc/{pid}/environ", "rb") as stream:  # noqa: PTH123
            environ = stream.read()
    except OSError:
        return False
    return os.fsencode(pair) in environ.split(b"\0")


def _psutil_create_time(pid: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(pid)
        gone = process.status() == psutil.STATUS_ZOMBIE
        return None if gone else float(process.create_time())
    except psutil.Error:
        return None


def _psutil_table() -> Table:
    import psutil

    found: Table = {}
    for process in psutil.process_iter(["ppid", "status", "create_time"]):
        info = process.info
        if info["status"] != psutil.STATUS_ZOMBIE and info["create_time"] is not None:
            with suppress(OSError):
                pid, created = process.pid, float(info["create_time"])
                found[pid] = Proc(pid, info["ppid"] or 0, os.getpgid(pid), created, os.getsid(pid))
    return found


def _psutil_has_pair(pid: int, pair: str) -> bool:
    import psutil

    name, _, value = pair.partition("=")
    try:
        process = psutil.Process(pid)
        own = process.uids().effective == os.geteuid()
        return own and process.environ().get(name) == value
    except (psutil.Error, OSError):
        return False


def list_attempt_processes() -> list[tuple[int, str, str]]:
    """Every process of this user that carries some attempt's marker: (pid, marker, worktree).

    The worktree distinguishes the workspaces of one machine: features may have equal names.
    """
    found = []
    for proc in read_process_table().values():
        environ = read_environ(proc.pid)
        if environ.get(MARKER):
            found.append((proc.pid, environ[MARKER], environ.get(WORKTREE, "")))
    return found


def read_environ(pid: int) -> dict[str, str]:
    """The environment that a process of this user was started with; empty where it is unknown."""
    if LINUX:
        try:
            raw = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return {}
        pairs = (part.partition(b"=") for part in raw.split(b"\0") if b"=" in part)
        return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
    import psutil

    try:
        process = psutil.Process(pid)
        return process.environ() if process.uids().effective == os.geteuid() else {}
    except (psutil.Error, OSError):
        return {}


def read_command_line(pid: int) -> list[str]:
    """The words that a process was started with, also one that hides its environment."""
    if LINUX:
        try:
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return []
        return [os.fsdecode(word) for word in raw.split(b"\0")]
    import psutil

    try:
        return list(psutil.Process(pid).cmdline())
    except (psutil.Error, OSError):
        return []


def read_parent(pid: int) -> int:
    """The parent of a process; 0 when it is gone."""
    if LINUX:
        proc = read_process(pid)
        return proc.parent if proc is not None else 0
    import psutil

    try:
        return int(psutil.Process(pid).ppid())
    except psutil.Error:
        return 0
