"""A running command: its pipes are read within a time limit, its whole tree can be ended.

Owns the mechanics under `orchestr.process.run`, which is the only module to use it. Each child is
the first of a session of its own: no terminal to ask questions on, no Ctrl+C meant for us, and
a group whose number finds what the child started and abandoned.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from orchestr.process.tree import Proc, Table, end_processes, send_signal, track_descendants

GRACE = 2.0  # seconds between interrupt, terminate and kill
QUIET = 0.5  # seconds a pipe may stay open, silent, after the program itself has ended
CHUNK = 1 << 18


class OutputTail:
    """The last ``limit`` bytes of a stream; ``dropped`` counts those before."""

    def __init__(self, limit: int) -> None:
        self._chunks: deque[bytes] = deque()
        self._limit = limit
        self._size = 0
        self.dropped = 0

    def add(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._size += len(chunk)
        while self._size - len(self._chunks[0]) >= self._limit:
            gone = len(self._chunks.popleft())
            self._size -= gone
            self.dropped += gone
            if not self._chunks:
                return

    def kept_bytes(self) -> bytes:
        """What was kept."""
        data = b"".join(self._chunks)
        excess = max(0, len(data) - self._limit)
        self.dropped += excess
        return data[excess:]


class ChildProcess:
    """One command, from its start to its reaping. Use it in ``with``.

    Raises OSError when it cannot be started.
    """

    def __init__(
        self,
        argv: tuple[str, ...],
        cwd: Path,
        env: Mapping[str, str],
        *,
        timeout: float | None,
        fed: bool,
        stdout: IO[bytes] | None,
        stop: threading.Event | None = None,
    ) -> None:
        self.argv = argv
        self.timed_out = False
        self.stopped = False
        self._stop = stop
        self.seconds = 0.0
        self._begin = time.monotonic()
        self._deadline = None if timeout is None else self._begin + timeout
        self._popen = subprocess.Popen(
            argv,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._left = track_descendants(self._group_members)
        self._closed = False
        self.out_fd = self._popen.stdout.fileno() if self._popen.stdout else -1
        self.err_fd = self._popen.stderr.fileno() if self._popen.stderr else -1

    @property
    def exit_code(self) -> int:
        """The exit code, negative for a signal. Only after the end."""
        return int(self._popen.returncode)

    def __enter__(self) -> ChildProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if self._closed:
            return
        self._closed = True
        if self._popen.poll() is None:  # left early: Ctrl+C, or the reader has seen enough
            self.end_tree(politely=True)
        for pipe in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._popen.wait()
        self.seconds = time.monotonic() - self._begin

    def read_chunks(self, data: bytes = b"") -> Iterator[tuple[int, bytes]]:
        """(fd, output) as it comes, while ``data`` is fed; returns when the program has ended.

        A grandchild may keep the pipes open (git's daemons, ssh's ControlPersist): once the
        program is gone they get QUIET seconds of silence and no more.
        """
        view = memoryview(data)
        with selectors.DefaultSelector() as selector:
            for fd in (self.out_fd, self.err_fd):
                if fd >= 0:
                    os.set_blocking(fd, False)
                    selector.register(fd, selectors.EVENT_READ)
            stdin = self._popen.stdin
            if stdin is not None:
                os.set_blocking(stdin.fileno(), False)
                selector.register(stdin, selectors.EVENT_WRITE)
            heard = time.monotonic()
            while selector.get_map():
                ready = selector.select(self._select_timeout())
                ended = self._popen.poll() is not None
                for key, _ in ready:
                    if stdin is not None and key.fileobj is stdin:
                        view = _feed_input(stdin, view)
                        if not view:
                            selector.unregister(stdin)
                            with suppress(OSError):
                                stdin.close()
                        continue
                    chunk = _read_chunk(key.fd)
                    if chunk:
                        heard = time.monotonic()
                        yield key.fd, chunk
                    elif chunk == b"":
                        selector.unregister(key.fd)
                if ended and not ready and time.monotonic() - heard > QUIET:
                    break
                self._enforce_limits()
        self._wait_for_end()

    def end_tree(self, *, politely: bool = False) -> None:
        """Interrupt, terminate, kill: the group, and what left it for a session of its own."""
        if politely:
            for number in (signal.SIGINT, signal.SIGTERM):
                for proc in self._left():
                    send_signal(proc, number)
                with suppress(subprocess.TimeoutExpired):
                    self._popen.wait(GRACE)
                    break
        end_processes(self._left, grace=0, idle=self._reap)

    def _group_members(self, now: Table) -> list[Proc]:
        # The child's pid is the group's number. The kernel gives no new process a number that
        # still names a group, so this finds members that were handed to init, and no strangers.
        return [proc for proc in now.values() if proc.group == self._popen.pid]

    def _reap(self) -> None:
        self._popen.poll()

    def _select_timeout(self) -> float:
        if self._popen.returncode is not None:
            return 0.05
        longest = 0.5 if self._stop is None else 0.1
        if self._deadline is None:
            return longest
        return min(longest, max(0.0, self._deadline - time.monotonic()))

    def _enforce_limits(self) -> None:
        if self._stop is not None and self._stop.is_set() and self._popen.poll() is None:
            self.stopped = True
            self.end_tree(politely=True)
        if self._deadline is None or time.monotonic() < self._deadline:
            return
        if self._popen.poll() is None:
            self.timed_out = True
            self.end_tree(politely=True)

    def _wait_for_end(self) -> None:
        """The pipes are closed, but the program may go on without them."""
        while self._popen.poll() is None:
            left = None
            if self._deadline is not None:
                left = max(0.0, self._deadline - time.monotonic())
            if self._stop is not None:
                left = 0.1 if left is None else min(left, 0.1)
            with suppress(subprocess.TimeoutExpired):
                self._popen.wait(left)
            self._enforce_limits()


def _read_chunk(fd: int) -> bytes | None:
    """A chunk; b"" at the end, None when there is nothing yet."""
    try:
        return os.read(fd, CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _feed_input(pipe: IO[bytes], view: memoryview) -> memoryview:
    """Write what the pipe takes; returns the rest, nothing when it wants no more."""
    try:
        return view[os.write(pipe.fileno(), view[:CHUNK]) :]
    except BlockingIOError:
        return view
    except OSError:  # EPIPE: the program does not read its input
        return view[:0]
