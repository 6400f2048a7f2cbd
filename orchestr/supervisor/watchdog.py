"""The loop around one agent, inside its supervisor.

Owns the agent's process, its pipes, its limits and its tree: from its start to the death of all
that it started. Leaves lock, signals and files of the supervisor to `orchestr.supervisor.main`, the
lines of the transcript to `orchestr.supervisor.transcript`. One thread; small enough to keep one
per agent around.

Whatever happens here, a fault of our own too, `Watchdog.watch` drains the agent's pipes, ends
its whole tree and returns how it ended.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import subprocess
import sys
import time
import traceback
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import IO, Protocol

from orchestr.process.tree import (
    MARKER,
    Proc,
    Table,
    create_time,
    descendants,
    end_all,
    hunt,
    marked,
    send,
)
from orchestr.supervisor.protocol import TRANSCRIPT, Exit, Launch, Presence, Reason, now
from orchestr.supervisor.transcript import LineReader, TranscriptFile

CHUNK = 1 << 17
PIPE_SIZE = 1 << 18
QUIET = 1.0  # seconds a pipe may be open and silent after the agent has ended
DRAIN = 5.0  # seconds of output after the agent has ended, silent or not


class Wakes(Protocol):
    """What the loop needs of a supervisor's signals: a descriptor to sleep on, and a count."""

    wake: int
    stops: int


class Watchdog:
    """The loop around one agent. `watch` runs it once."""

    def __init__(self, folder: Path, launch: Launch, me: Presence, signals: Wakes) -> None:
        self._folder = folder
        self._launch = launch
        self._me = me
        self._signals = signals
        self._notes: list[str] = []
        self._out = _open_transcript(folder / TRANSCRIPT, self._notes)
        as_json = launch.format == "json"
        self._stdout = LineReader("stdout", self._out, as_json=as_json)
        self._readers: dict[int, LineReader] = {}
        self._stderr = LineReader("stderr", self._out, as_json=False)
        self._selector = selectors.DefaultSelector()
        self._agent: subprocess.Popen[bytes] | None = None
        self._status: int | None = None  # of the agent, once reaped
        self._left = hunt(self._all)
        self._childless = False
        self._bytes = 0
        self._begin = self._heard = time.monotonic()
        self._finishing: float | None = None  # since when it has only to end: result, closed pipes
        self._reason = Reason.EXITED
        self._stage = 0  # of stopping: 0 no, 1 interrupted, 2 terminated, 3 killed
        self._stage_since = 0.0

    def watch(self) -> Exit:
        """Start the agent, see it through to its end, leave nothing of it behind."""
        killed = 0
        try:
            if self._signals.stops:
                self._reason = Reason.STOPPED
            elif self._start():
                self._loop()
        except Exception as error:  # a fault of ours must not leave an agent without a watcher
            log(traceback.format_exc())
            self._reason = Reason.STOPPED
            self._notes.append(f"the supervisor failed: {type(error).__name__}: {error}")
        finally:
            killed = self._end_all()
        return self._result(killed)

    # -- start ---------------------------------------------------------------------------------

    def _start(self) -> bool:
        launch = self._launch
        try:
            with _stdin(launch.stdin) as stdin:
                self._agent = subprocess.Popen(
                    launch.argv,
                    cwd=launch.cwd,
                    env={**launch.env, MARKER: launch.marker},
                    stdin=stdin,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                )
        except (OSError, ValueError) as error:
            self._reason = Reason.SPAWN_FAILED
            self._notes.append(str(error))
            return False
        self._begin = self._heard = time.monotonic()
        self._selector.register(self._signals.wake, selectors.EVENT_READ)
        for pipe, reader in (
            (self._agent.stdout, self._stdout),
            (self._agent.stderr, self._stderr),
        ):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            _widen(pipe.fileno())
            self._selector.register(pipe.fileno(), selectors.EVENT_READ)
            self._readers[pipe.fileno()] = reader
        pid = self._agent.pid
        try:
            Presence(
                self._me.pid, self._me.create_time, self._me.started_at, pid, create_time(pid)
            ).write(self._folder)
        except OSError as error:  # disk full: the lock and the marker still tell
            self._notes.append(f"supervisor.json: {error}")
        return True

    # -- the loop ------------------------------------------------------------------------------

    def _loop(self) -> None:
        while self._status is None:
            self._read(self._pause())
            self._reap()
            if self._status is None:
                self._check(time.monotonic())
        # The agent has ended. What it wrote last is in the pipes; a grandchild may hold them
        # open for ever.
        end = time.monotonic() + DRAIN
        self._heard = time.monotonic()
        while self._readers and time.monotonic() < min(end, self._heard + QUIET):
            self._read(0.1)
            self._reap()

    def _end_all(self) -> int:
        """End what the agent left behind; returns how many that were."""
        killed = end_all(self._left, grace=0, idle=self._between)
        # All that lost its parent is our child now, so having none is the proof.
        end = time.monotonic() + DRAIN
        while not self._childless and time.monotonic() < end:
            killed += end_all(self._left, grace=0, idle=self._between)
        if not self._childless:
            self._notes.append("some processes of the agent could not be ended")
        return killed

    def _between(self) -> None:
        """Between two rounds of killing: no zombies, no full pipes."""
        self._reap()
        with suppress(Exception):  # killing goes on, whatever is wrong with the output
            self._read(0)

    def _read(self, wait: float) -> None:
        for key, _ in self._selector.select(wait):
            if key.fd == self._signals.wake:
                with suppress(BlockingIOError):
                    os.read(key.fd, 4096)
                continue
            reader = self._readers[key.fd]
            try:
                chunk = os.read(key.fd, CHUNK)
            except BlockingIOError:
                continue
            except OSError:
                chunk = b""
            if not chunk:
                self._selector.unregister(key.fd)
                del self._readers[key.fd]
                reader.finish()
                if not self._readers:
                    self._finishing = time.monotonic()
                continue
            self._bytes += len(chunk)
            self._heard = time.monotonic()
            results = reader.results
            reader.feed(chunk)
            if reader.results > results:
                self._finishing = self._heard

    def _reap(self) -> None:
        """Collect the dead: the agent, and as subreaper all that lost its parent."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._childless = True
                return
            if pid == 0:
                return
            if self._agent is not None and pid == self._agent.pid:
                self._status = status
                self._agent.returncode = os.waitstatus_to_exitcode(status)

    def _pause(self) -> float:
        """Until the next limit or step (seconds); output, deaths and signals wake us anyway."""
        match self._stage:
            case 0:
                dues = [due for due, _ in self._limits()]
            case 1 | 2:
                dues = [self._stage_since + self._launch.grace]
            case _:
                return 0.1
        return max(0.0, min(dues, default=time.monotonic() + 60.0) - time.monotonic())

    def _limits(self) -> list[tuple[float, Reason]]:
        launch, found = self._launch, []
        if launch.timeout > 0:
            found.append((self._begin + launch.timeout, Reason.TIMEOUT))
        if launch.idle_timeout > 0:
            found.append((self._heard + launch.idle_timeout, Reason.IDLE))
        if launch.after_result > 0 and self._finishing is not None:
            found.append((self._finishing + launch.after_result, Reason.AFTER_RESULT))
        return found

    def _check(self, at: float) -> None:
        """Begin to stop, or take the next step of it."""
        if self._stage == 0:
            if self._signals.stops:
                self._reason = Reason.STOPPED
            else:
                due = [reason for limit, reason in sorted(self._limits()) if at >= limit]
                if not due:
                    return
                self._reason = due[0]
            self._step(at)
        elif self._stage < 3 and at >= self._stage_since + self._launch.grace:
            self._step(at)
        if self._signals.stops > 1 and self._stage < 3:
            self._stage = 2
            self._step(at)
        elif self._stage == 3:
            self._signal(signal.SIGKILL)  # again: what was forked meanwhile

    def _step(self, at: float) -> None:
        self._stage += 1
        self._stage_since = at
        self._signal((signal.SIGINT, signal.SIGTERM, signal.SIGKILL)[self._stage - 1])

    def _signal(self, number: signal.Signals) -> None:
        for proc in self._left():
            send(proc, number)

    def _all(self, table: Table) -> list[Proc]:
        """Everything of this attempt: by descent where we are subreaper, and by the marker."""
        return [*descendants([os.getpid()], table), *marked(self._launch.marker, table)]

    # -- the end -------------------------------------------------------------------------------

    def _result(self, killed: int) -> Exit:
        with suppress(OSError, ValueError):
            self._read(0)
        for reader in self._readers.values():
            reader.finish()
        self._out.close()
        if self._out.lost:
            self._notes.append(
                f"{self._out.lost} bytes of the transcript are lost: {self._out.error}"
            )
        code = None if self._status is None else os.waitstatus_to_exitcode(self._status)
        return Exit(
            code=code if code is not None and code >= 0 else None,
            signal=-code if code is not None and code < 0 else None,
            reason=self._reason,
            detail="; ".join(self._notes),
            last_line=self._stdout.last_line,
            started_at=self._me.started_at,
            finished_at=now(),
            seconds=round(time.monotonic() - self._begin, 3),
            bytes=self._bytes,
            killed=killed,
        )


def _open_transcript(path: Path, notes: list[str]) -> TranscriptFile:
    try:
        return TranscriptFile(path)
    except OSError as error:
        notes.append(f"no transcript: {error}")
        return TranscriptFile(Path(os.devnull))


def _stdin(path: str | None) -> AbstractContextManager[IO[bytes] | int]:
    return nullcontext(subprocess.DEVNULL) if path is None else Path(path).open("rb")


def _widen(fd: int) -> None:
    """A larger pipe, so that a busy agent seldom waits for us; refused beyond a user's quota."""
    with suppress(OSError, AttributeError):
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_SIZE)


def log(text: str) -> None:
    """A line for `supervisor.log`."""
    with suppress(Exception):  # stderr may be closed, or its disk full
        print(now(), text, file=sys.stderr, flush=True)
