"""Supervisors seen from outside: start, find, wait for and stop them.

``python -m orchestr.supervisor ATTEMPT_DIR`` is one; what it does there is in
`orchestr.supervisor.main` and `orchestr.supervisor.watchdog`. Owns the questions an engine asks of
an attempt's folder, also of one that another engine made (adoption). Leaves the files to
`orchestr.supervisor.protocol`.

Survives a crash: the answers come from the flock on ``lock``, which dies with its holder, and
from ``exit.json``. While the lock is held that file is not the end, even if an agent wrote one:
a supervisor writes it as its last act, and over what is there. A supervisor that vanished without
it leaves an agent without a watcher: the first caller that notices ends every process of the
attempt before anything else starts there.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from orchestr.process.inside import mark_command_line
from orchestr.process.redaction import filter_env
from orchestr.process.tree import LINUX, Proc, is_process_alive, kill_tree, send_signal
from orchestr.supervisor.leftovers import end_leftovers, has_notes
from orchestr.supervisor.main import TAKEN
from orchestr.supervisor.protocol import (
    LOCK,
    LOG,
    ExitReason,
    ExitRecord,
    LaunchRecord,
    SupervisorRecord,
    read_exit,
    read_launch,
    read_supervisor_record,
)

__all__ = [
    "LOCK",
    "TAKEN",
    "AttemptState",
    "ExitReason",
    "ExitRecord",
    "LaunchRecord",
    "SupervisorRecord",
    "end_leftovers",
    "read_attempt_state",
    "read_exit",
    "read_launch",
    "read_supervisor_record",
    "start_supervisor",
    "stop_attempt",
    "wait_for_exit",
]

# What an interpreter and its C library read at their start.
NEEDED = ("PATH", "HOME", "TMPDIR", "TZ", "LANG", "LANGUAGE", "LC_*", "PYTHON*", "LD_*", "DYLD_*",
          "MALLOC_*", "GLIBC_*")  # fmt: skip
SHORTEST, LONGEST = 0.05, 0.25  # seconds between two looks at an attempt
# Nothing of site-packages is needed: psutil elsewhere than on Linux only (`orchestr.process.tree`).
BARE = ("-S",) if LINUX else ()
ENDING = 10.0  # seconds a supervisor may take for its last steps, beyond the agent's graces


class AttemptState(StrEnum):
    """What an attempt's folder and the kernel say together."""

    NEVER_STARTED = "never_started"  # no agent ran here
    RUNNING = "running"  # a supervisor holds the lock
    EXITED = "exited"  # no supervisor does, and exit.json is there
    LOST = "lost"  # an agent was started, its supervisor is gone without an `exit.json`


def start_supervisor(attempt_dir: Path, *, hold: int | None = None) -> subprocess.Popen[bytes]:
    """Start a supervisor for ``attempt_dir/launch.json``, in a session of its own, by exec.

    ``hold`` is a lock's descriptor that it keeps open, and with it the lock, while it lives; the
    agent does not get it. It ends with 73 when another one has the attempt. Raises OSError.
    """
    words = ["-m", "orchestr.supervisor", str(attempt_dir.absolute())]
    with suppress(OSError, ValueError):
        words += mark_command_line(read_launch(attempt_dir).env)
    with (attempt_dir / LOG).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, *BARE, *words],
            cwd="/",
            env=supervisor_env(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=() if hold is None else (hold,),
        )


def supervisor_env(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a supervisor: what its interpreter needs, and none of the user's secrets.

    The agent is the supervisor's child and could read them there.
    """
    package = str(Path(__file__).resolve().parents[2])
    inherited = environ.get("PYTHONPATH")
    paths = f"{package}{os.pathsep}{inherited}" if inherited else package
    return {**filter_env(environ, NEEDED), "PYTHONPATH": paths}


def read_attempt_state(attempt_dir: Path) -> AttemptState:
    """Where the attempt stands. Never raises for missing or torn files."""
    if _is_supervised(attempt_dir):
        return AttemptState.RUNNING
    if read_exit(attempt_dir) is not None:
        return AttemptState.EXITED
    presence = read_supervisor_record(attempt_dir)
    started = presence is not None and presence.agent_pid is not None
    return AttemptState.LOST if started else AttemptState.NEVER_STARTED


def wait_for_exit(
    attempt_dir: Path,
    *,
    child: subprocess.Popen[bytes] | None,
    stop: threading.Event,
    poll: float = SHORTEST,
) -> ExitRecord | None:
    """Wait until the attempt has ended, also one that another process started.

    ``child`` is what `start_supervisor` returned, if this process did; it is reaped. ``poll`` is
    the first pause between two looks (seconds); they grow to a quarter of a second.

    Returns the Exit; None when ``stop`` was set (then `stop_attempt`) or when the supervisor is
    gone without one: then all that carried the attempt's marker has been ended.
    """
    pause = poll
    while True:
        if child is not None and child.poll() is not None:
            child = None  # it is gone; perhaps another one has the attempt (73)
        elif child is None and not _is_supervised(attempt_dir):
            ended = read_exit(attempt_dir)
            if ended is None or has_notes(attempt_dir):  # it was ended before its last act
                _kill_leftovers(attempt_dir)
            return ended
        elif stop.is_set() and _is_supervised(attempt_dir):
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
) -> ExitRecord | None:
    """Stop the attempt's agent and all that it started; returns when they are gone.

    The supervisor does it: interrupt, ``grace`` seconds, terminate, ``grace`` seconds, kill;
    ``now`` kills at once. ``child`` is what `start_supervisor` returned: it is stopped even before
    it has the lock, and reaped. Returns the Exit (of an attempt that had ended, that one), or None
    when no supervisor recorded one: then every process with ``marker`` is ended.
    """
    begin = time.monotonic()
    patience = 0.0 if now else 2 * grace + 1.0
    signalled = False
    while _is_supervised(attempt_dir) or _is_running(child):
        since = time.monotonic() - begin
        if since > patience + ENDING:
            _kill_supervisor(attempt_dir)
            if child is not None:
                child.kill()
            break
        # The second SIGTERM means: kill at once. Signals that wait are merged into one, so it
        # is sent again at each look.
        if not signalled or since >= patience:
            signalled = _signal_supervisor(attempt_dir, signal.SIGTERM, child)
        time.sleep(SHORTEST)
    ended = read_exit(attempt_dir)
    if ended is None or has_notes(attempt_dir):
        _kill_leftovers(attempt_dir, marker)
    _reap_supervisor(child)
    return ended


def _is_supervised(attempt_dir: Path) -> bool:
    """Whether a supervisor holds the lock; reads the record first, which takes no lock."""
    presence = read_supervisor_record(attempt_dir)
    if presence is not None and is_process_alive(presence.pid, presence.create_time):
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


def _signal_supervisor(
    attempt_dir: Path, number: signal.Signals, child: subprocess.Popen[bytes] | None
) -> bool:
    """Signal the supervisor: the one that wrote who it is, or ours that has not come so far."""
    presence = read_supervisor_record(attempt_dir)
    if presence is not None and send_signal(Proc(presence.pid, 0, 0, presence.create_time), number):
        return True
    if child is not None and _is_running(child):
        child.send_signal(number)
        return True
    return False


def _is_running(child: subprocess.Popen[bytes] | None) -> bool:
    return child is not None and child.poll() is None


def _kill_supervisor(attempt_dir: Path) -> None:
    presence = read_supervisor_record(attempt_dir)
    if presence is not None:
        kill_tree(presence.pid, presence.create_time, grace=0)


def _kill_leftovers(attempt_dir: Path, marker: str | None = None) -> None:
    """End what a vanished supervisor left: the agent's tree, then all else of the attempt."""
    presence = read_supervisor_record(attempt_dir)
    if presence is not None and presence.agent_pid and presence.agent_create_time:
        kill_tree(presence.agent_pid, presence.agent_create_time, grace=0)
    if marker is None:
        with suppress(OSError, ValueError):
            marker = read_launch(attempt_dir).marker
    end_leftovers(attempt_dir, marker or "")


def _reap_supervisor(child: subprocess.Popen[bytes] | None) -> None:
    """exit.json is a supervisor's last act: it ends within the moment."""
    if child is not None:
        with suppress(subprocess.TimeoutExpired):
            child.wait(ENDING)
