"""Supervisors seen from outside: start, find, wait for and stop them.

``python -m orchestr.supervisor ATTEMPT_DIR`` is one; what it does there is in `orchestr.guard`
and `orchestr.watchdog`.
Owns the questions an engine asks of an attempt's folder, also of one that another engine made
(adoption). Leaves the files to `orchestr.launch`.

Survives a crash: the answers come from the flock on ``lock``, which dies with its holder, and
from ``exit.json``. A supervisor that vanished without it leaves an agent without a watcher:
whoever notices ends all that carries the attempt's marker before anything else starts there.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from orchestr.guard import TAKEN, main
from orchestr.launch import (
    LOCK,
    LOG,
    Exit,
    Launch,
    Presence,
    Reason,
    read_exit,
    read_launch,
    read_presence,
)
from orchestr.proctree import LINUX, Proc, alive, kill_marked, kill_tree, send

__all__ = [
    "LOCK",
    "TAKEN",
    "Exit",
    "Launch",
    "Presence",
    "Reason",
    "State",
    "read_exit",
    "read_launch",
    "read_presence",
    "start",
    "state",
    "stop_attempt",
    "wait",
]

SHORTEST, LONGEST = 0.05, 0.25  # seconds between two looks at an attempt
# Nothing of site-packages is needed: psutil elsewhere than on Linux only (`orchestr.proctree`).
BARE = ("-S",) if LINUX else ()
ENDING = 10.0  # seconds a supervisor may take for its last steps, beyond the agent's graces


class State(StrEnum):
    """What an attempt's folder and the kernel say together."""

    NEVER_STARTED = "never_started"  # no agent ran here
    RUNNING = "running"  # a supervisor holds the lock
    EXITED = "exited"  # exit.json is there
    LOST = "lost"  # an agent was started, its supervisor is gone, nobody saw the end


def start(attempt_dir: Path, *, hold: int | None = None) -> subprocess.Popen[bytes]:
    """Start a supervisor for ``attempt_dir/launch.json``, in a session of its own, by exec.

    ``hold`` is a lock's descriptor that it keeps open, and with it the lock, while it lives; the
    agent does not get it. It ends with 73 when another one has the attempt. Raises OSError.
    """
    package = str(Path(__file__).resolve().parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    env = {
        **os.environ,
        "PYTHONPATH": f"{package}{os.pathsep}{inherited}" if inherited else package,
    }
    with (attempt_dir / LOG).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, *BARE, "-m", "orchestr.supervisor", str(attempt_dir.absolute())],
            cwd="/",
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=() if hold is None else (hold,),
        )


def state(attempt_dir: Path) -> State:
    """Where the attempt stands. Never raises for missing or torn files."""
    if read_exit(attempt_dir) is not None:
        return State.EXITED
    if _supervised(attempt_dir):
        return State.RUNNING
    if read_exit(attempt_dir) is not None:  # it ended between the two looks
        return State.EXITED
    presence = read_presence(attempt_dir)
    started = presence is not None and presence.agent_pid is not None
    return State.LOST if started else State.NEVER_STARTED


def wait(
    attempt_dir: Path,
    *,
    child: subprocess.Popen[bytes] | None,
    stop: threading.Event,
    poll: float = SHORTEST,
) -> Exit | None:
    """Wait until the attempt has ended, also one that another process started.

    ``child`` is what `start` returned, if this process did; it is reaped. ``poll`` is the first
    pause between two looks (seconds); they grow to a quarter of a second.

    Returns the Exit; None when ``stop`` was set (then `stop_attempt`) or when the supervisor is
    gone without one: then all that carried the attempt's marker has been ended.
    """
    pause = poll
    while True:
        ended = read_exit(attempt_dir)
        if ended is not None:
            _reap(child)
            return ended
        if child is not None and child.poll() is not None:
            child = None  # it is gone; perhaps another one has the attempt (73)
        elif child is None and not _supervised(attempt_dir):
            ended = read_exit(attempt_dir)
            if ended is None:
                _sweep(attempt_dir)
            return ended
        elif stop.is_set() and _supervised(attempt_dir):
            return None  # not before it has the lock: until then `stop_attempt` could not find it
        elif stop.is_set():
            time.sleep(SHORTEST)
        else:
            stop.wait(pause)
            pause = min(pause * 1.2, LONGEST)


def stop_attempt(
    attempt_dir: Path,
    *,
    marker: str,
    grace: float,
    now: bool = False,
    child: subprocess.Popen[bytes] | None = None,
) -> Exit | None:
    """Stop the attempt's agent and all that it started; returns when they are gone (B4, B99).

    The supervisor does it: interrupt, ``grace`` seconds, terminate, ``grace`` seconds, kill;
    ``now`` kills at once. ``child`` is what `start` returned: it is stopped even before it has
    the lock, and reaped. Returns the Exit (of an attempt that had ended, that one), or None when
    no supervisor could tell: what carries ``marker`` is ended then.
    """
    begin = time.monotonic()
    patience = 0.0 if now else 2 * grace + 1.0
    told = False
    while read_exit(attempt_dir) is None and (_supervised(attempt_dir) or _runs(child)):
        since = time.monotonic() - begin
        if since > patience + ENDING:
            _kill_supervisor(attempt_dir)
            if child is not None:
                child.kill()
            break
        # The second SIGTERM means: kill at once. Signals that wait are merged into one, so it
        # is sent again at each look.
        if not told or since >= patience:
            told = _tell(attempt_dir, signal.SIGTERM, child)
        time.sleep(SHORTEST)
    ended = read_exit(attempt_dir)
    if ended is None:
        _sweep(attempt_dir, marker)
    _reap(child)
    return ended


def _supervised(attempt_dir: Path) -> bool:
    """Whether a supervisor holds the lock; asked of the record first, as that disturbs nobody."""
    presence = read_presence(attempt_dir)
    if presence is not None and alive(presence.pid, presence.create_time):
        return True
    try:
        fd = os.open(attempt_dir / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _tell(attempt_dir: Path, number: signal.Signals, child: subprocess.Popen[bytes] | None) -> bool:
    """Signal the supervisor: the one that wrote who it is, or ours that has not come so far."""
    presence = read_presence(attempt_dir)
    if presence is not None and send(Proc(presence.pid, 0, 0, presence.create_time), number):
        return True
    if child is not None and _runs(child):
        child.send_signal(number)
        return True
    return False


def _runs(child: subprocess.Popen[bytes] | None) -> bool:
    return child is not None and child.poll() is None


def _kill_supervisor(attempt_dir: Path) -> None:
    presence = read_presence(attempt_dir)
    if presence is not None:
        kill_tree(presence.pid, presence.create_time, grace=0)


def _sweep(attempt_dir: Path, marker: str | None = None) -> None:
    """End what a vanished supervisor left: the agent's tree, then whoever carries the marker."""
    presence = read_presence(attempt_dir)
    if presence is not None and presence.agent_pid and presence.agent_create_time:
        kill_tree(presence.agent_pid, presence.agent_create_time, grace=0)
    if marker is None:
        with suppress(OSError, ValueError):
            marker = read_launch(attempt_dir).marker
    if marker:
        kill_marked(marker)


def _reap(child: subprocess.Popen[bytes] | None) -> None:
    """exit.json is a supervisor's last act: it ends within the moment."""
    if child is not None:
        with suppress(subprocess.TimeoutExpired):
            child.wait(ENDING)


if __name__ == "__main__":
    with suppress(OSError):
        os.setsid()  # by hand, in a terminal; `start` has done it
    sys.exit(main(Path(sys.argv[1])))
