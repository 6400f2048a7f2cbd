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
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import IO, Protocol

from orchestr.process.redact_stream import StreamRedactor, hide_values
from orchestr.process.tree import (
    MARKER,
    Proc,
    Table,
    end_processes,
    filter_marked,
    find_descendants,
    read_create_time,
    send_signal,
    track_descendants,
)
from orchestr.supervisor.logins import LoginKeeper
from orchestr.supervisor.protocol import (
    TRANSCRIPT,
    ExitReason,
    ExitRecord,
    LaunchRecord,
    SupervisorRecord,
    utc_timestamp,
)
from orchestr.supervisor.resources import ResourceWatch
from orchestr.supervisor.transcript import LineReader, Stream, TranscriptFile
from orchestr.supervisor.write_samples import WriteSampler

CHUNK = 1 << 17
PIPE_SIZE = 1 << 18
QUIET = 1.0  # seconds a pipe may be open and silent after the agent has ended
DRAINS = 8  # reads in a row of an agent that talks all the time
DRAIN = 5.0  # seconds of output after the agent has ended, silent or not


class SignalSource(Protocol):
    """What the loop needs of a supervisor's signals: a descriptor to sleep on, and a count."""

    wake: int
    stops: int


class Watchdog:
    """The loop around one agent. `watch` runs it once."""

    def __init__(
        self, folder: Path, launch: LaunchRecord, me: SupervisorRecord, signals: SignalSource
    ) -> None:
        self._folder = folder
        self._launch = launch
        self._me = me
        self._signals = signals
        self._notes: list[str] = []
        self._logins = LoginKeeper(launch.logins)
        self._writes = WriteSampler(folder, os.getpid(), self._drain_pipes)
        self._out = _open_transcript(folder / TRANSCRIPT, self._notes)
        self._stdout = self._make_reader("stdout", as_json=launch.format == "json")
        self._readers: dict[int, LineReader] = {}
        self._stderr = self._make_reader("stderr", as_json=False)
        self._selector = selectors.DefaultSelector()
        self._agent: subprocess.Popen[bytes] | None = None
        self._status: int | None = None  # of the agent, once reaped
        self._resources = ResourceWatch(launch.memory, launch.disk, launch.pids)
        self._left = track_descendants(self._attempt_processes)
        self._childless = False
        self._bytes = 0
        self._begin = self._heard = time.monotonic()
        self._finishing: float | None = None  # since when it has only to end: result, closed pipes
        self._reason = ExitReason.EXITED
        self._stage = 0  # of stopping: 0 no, 1 interrupted, 2 terminated, 3 killed
        self._stage_since = 0.0

    def watch(self) -> ExitRecord:
        """Start the agent, see it through to its end, leave nothing of it behind."""
        killed = 0
        try:
            if self._signals.stops:
                self._reason = ExitReason.STOPPED
            elif self._start_agent():
                self._run_loop()
        except Exception as error:  # a fault of ours must not leave an agent without a watcher
            write_log(self._hide(traceback.format_exc()))
            self._reason = ExitReason.STOPPED
            self._notes.append(f"the supervisor failed: {type(error).__name__}: {error}")
        finally:
            killed = self._end_all()
            self._writes.note_end()
            self._logins.take_away()
        return self._make_exit_record(killed)

    # -- start ---------------------------------------------------------------------------------

    def _start_agent(self) -> bool:
        launch = self._launch
        self._writes.note_start()
        try:
            self._logins.copy_to_agent()
            with _open_stdin(launch.stdin) as stdin:
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
            self._reason = ExitReason.SPAWN_FAILED
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
            _enlarge_pipe(pipe.fileno())
            self._selector.register(pipe.fileno(), selectors.EVENT_READ)
            self._readers[pipe.fileno()] = reader
        pid = self._agent.pid
        try:
            SupervisorRecord(
                self._me.pid, self._me.create_time, self._me.started_at, pid, read_create_time(pid)
            ).write(self._folder)
        except OSError as error:  # disk full: the lock and the marker still identify it
            self._notes.append(f"supervisor.json: {error}")
        return True

    # -- the loop ------------------------------------------------------------------------------

    def _run_loop(self) -> None:
        while self._status is None:
            self._read_pipes(self._select_timeout())
            self._reap_children()
            self._writes.take_sample()
            self._logins.pass_on_renewed()
            if self._status is None:
                self._check_resources()
                self._check_limits(time.monotonic())
        # The agent has ended. What it wrote last is in the pipes; a grandchild may hold them
        # open for ever.
        end = time.monotonic() + DRAIN
        self._heard = time.monotonic()
        while self._readers and time.monotonic() < min(end, self._heard + QUIET):
            self._read_pipes(0.1)
            self._reap_children()
            self._writes.take_sample()

    def _end_all(self) -> int:
        """End what the agent left behind; returns how many that were."""
        killed = end_processes(self._left, grace=0, idle=self._reap_and_drain)
        # All that lost its parent is our child now, so having none is the proof.
        end = time.monotonic() + DRAIN
        while not self._childless and time.monotonic() < end:
            killed += end_processes(self._left, grace=0, idle=self._reap_and_drain)
        if not self._childless:
            self._notes.append("some processes of the agent could not be ended")
        return killed

    def _reap_and_drain(self) -> None:
        """Between two rounds of killing: no zombies, no full pipes."""
        self._reap_children()
        with suppress(Exception):  # killing goes on, whatever is wrong with the output
            self._read_pipes(0)

    def _read_pipes(self, wait: float) -> None:
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
            if reader is self._stdout and not reader.has_ended and self._readers:
                self._finishing = None  # it works again after what looked like its end

    def _drain_pipes(self) -> int:
        """Read all that the agent has said by now; the bytes that it said so far."""
        for _ in range(DRAINS):
            before = self._bytes
            self._read_pipes(0)
            if self._bytes == before:
                break
        return self._bytes

    def _reap_children(self) -> None:
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

    def _select_timeout(self) -> float:
        """Until the next look at its writes, limit or step (seconds); output, deaths and signals
        wake us anyway."""
        match self._stage:
            case 0:
                dues = [due for due, _ in self._time_limits()]
            case 1 | 2:
                dues = [self._stage_since + self._launch.grace]
            case _:
                return 0.1
        if (look := self._resources.time_to_next) is not None:
            dues.append(time.monotonic() + look)
        soon = time.monotonic() + self._writes.time_to_next
        return max(0.0, min([soon, *dues]) - time.monotonic())

    def _time_limits(self) -> list[tuple[float, ExitReason]]:
        launch, found = self._launch, []
        if launch.timeout > 0:
            found.append((self._begin + launch.timeout, ExitReason.TIMEOUT))
        if launch.idle_timeout > 0:
            found.append((self._heard + launch.idle_timeout, ExitReason.IDLE))
        if launch.after_result > 0 and self._finishing is not None:
            found.append((self._finishing + launch.after_result, ExitReason.AFTER_RESULT))
        return found

    def _check_limits(self, at: float) -> None:
        """Begin to stop, or take the next step of it."""
        if self._stage == 0:
            if self._signals.stops:
                self._reason = ExitReason.STOPPED
            else:
                due = [reason for limit, reason in sorted(self._time_limits()) if at >= limit]
                if not due:
                    return
                self._reason = due[0]
            self._escalate_stop(at)
        elif self._stage < 3 and at >= self._stage_since + self._launch.grace:
            self._escalate_stop(at)
        if self._signals.stops > 1 and self._stage < 3:
            self._stage = 2
            self._escalate_stop(at)
        elif self._stage == 3:
            self._signal_all(signal.SIGKILL)  # again: what was forked meanwhile

    def _check_resources(self) -> None:
        """Begin to stop an agent that uses more than it may."""
        if self._stage or self._resources.time_to_next != 0:
            return
        excess = self._resources.explain_excess(self._iterate_pids(), self._writes.written)
        if excess is not None:
            self._reason = ExitReason.RESOURCES
            self._notes.append(excess)
            self._escalate_stop(time.monotonic())

    def _iterate_pids(self) -> Iterator[int]:
        """The pids of the attempt. The process table is read only when the first is wanted."""
        for proc in self._left():
            yield proc.pid

    def _escalate_stop(self, at: float) -> None:
        self._stage += 1
        self._stage_since = at
        self._signal_all((signal.SIGINT, signal.SIGTERM, signal.SIGKILL)[self._stage - 1])

    def _signal_all(self, number: signal.Signals) -> None:
        """Signal all of it. A sandbox's own process ends the agent at its first signal, so it is
        left out until everything is killed; the processes in the sandbox get the signal."""
        wall = self._agent.pid if self._agent is not None and self._launch.walled else None
        for proc in self._left():
            if proc.pid != wall or number is signal.SIGKILL:
                send_signal(proc, number)

    def _attempt_processes(self, table: Table) -> list[Proc]:
        """Everything of this attempt: by descent where we are subreaper, and by the marker."""
        return [*find_descendants([os.getpid()], table), *filter_marked(self._launch.marker, table)]

    # -- the end -------------------------------------------------------------------------------

    def _make_exit_record(self, killed: int) -> ExitRecord:
        with suppress(OSError, ValueError):
            self._read_pipes(0)
        for reader in self._readers.values():
            reader.finish()
        for pipe in (self._agent.stdout, self._agent.stderr) if self._agent else ():
            if pipe is not None:
                pipe.close()
        self._out.close()
        if self._out.lost:
            self._notes.append(
                f"{self._out.lost} bytes of the transcript are lost: {self._out.error}"
            )
        code = None if self._status is None else os.waitstatus_to_exitcode(self._status)
        return ExitRecord(
            code=code if code is not None and code >= 0 else None,
            signal=-code if code is not None and code < 0 else None,
            reason=self._reason,
            detail=self._hide("; ".join(self._notes)),
            last_line=self._stdout.last_line,
            started_at=self._me.started_at,
            finished_at=utc_timestamp(),
            seconds=round(time.monotonic() - self._begin, 3),
            bytes=self._bytes,
            killed=killed,
        )

    def _make_reader(self, stream: Stream, *, as_json: bool) -> LineReader:
        launch = self._launch
        redactor = None if launch.raw_logs else StreamRedactor(launch.secrets)
        return LineReader(
            stream, self._out, as_json=as_json, redactor=redactor,
            ends=launch.ends, goes_on=launch.goes_on,
        )  # fmt: skip

    def _hide(self, text: str) -> str:
        return text if self._launch.raw_logs else hide_values(text, self._launch.secrets)


def _open_transcript(path: Path, notes: list[str]) -> TranscriptFile:
    try:
        return TranscriptFile(path)
    except OSError as error:
        notes.append(f"no transcript: {error}")
        return TranscriptFile(Path(os.devnull))


def _open_stdin(path: str | None) -> AbstractContextManager[IO[bytes] | int]:
    return nullcontext(subprocess.DEVNULL) if path is None else Path(path).open("rb")


def _enlarge_pipe(fd: int) -> None:
    """A larger pipe, so that a busy agent seldom waits for us; refused beyond a user's quota."""
    with suppress(OSError, AttributeError):
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_SIZE)


def write_log(text: str) -> None:
    """A line for `supervisor.log`."""
    with suppress(Exception):  # stderr may be closed, or its disk full
        print(utc_timestamp(), text, file=sys.stderr, flush=True)
