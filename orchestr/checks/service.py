"""A service for the length of a check: started, waited for, always ended with all it started.

Nobody else's service may answer in its place: the port must be free before the start, and the
service must still run when it has answered.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from types import TracebackType
from typing import Protocol

from orchestr.checks import http
from orchestr.checks.base import CheckFailed, CheckUnavailable, describe_exit, quote_command
from orchestr.checks.room import CheckContext
from orchestr.errors import OrchestrError, Unavailable
from orchestr.process.run import CannotStart, CompletedCommand
from orchestr.state.ports import is_free

POLL = 0.05  # s


class Readiness(Protocol):
    """How to know that a service answers: see `ServiceReadiness` of the kind `api_probe`."""

    @property
    def path(self) -> str | None: ...
    @property
    def timeout(self) -> float: ...


class Service:
    """A program in the background. Use it in ``with``; leaving ends its whole tree."""

    def __init__(self, room: CheckContext, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self._room = room
        self._argv = tuple(argv)
        self._env = env
        self._stop = threading.Event()
        self._done: CompletedCommand | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run_program, name="service", daemon=True)

    def __enter__(self) -> Service:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        where: TracebackType | None,
    ) -> None:  # fmt: skip
        self._stop.set()
        self._thread.join()

    def check_alive(self) -> None:
        """Raises CheckFailed when it has ended already, CannotStart when it never began."""
        if self._thread.is_alive():
            return
        if isinstance(self._error, (CheckUnavailable, Unavailable)):
            raise self._error
        if isinstance(self._error, CannotStart):
            error = self._error
            words = f"the service cannot be started: {error.message}"
            raise CannotStart(words, program=error.program, errno=error.errno)
        if isinstance(self._error, OrchestrError):
            raise CheckFailed(f"the service cannot be started: {self._error.message}")
        ending = describe_exit(self._done) if self._done is not None else str(self._error)
        raise CheckFailed(f"the service ended by itself ({ending}): {quote_command(self._argv)}")

    def wait_until_ready(self, base: str, port: int | None, ready: Readiness) -> None:
        """Wait until it answers. Raises Failed: it ended, or did not answer in time."""
        end = min(time.monotonic() + ready.timeout, self._room.deadline)
        last = "nothing listens"
        while True:
            self.check_alive()
            if self._room.request.stop.is_set():
                raise CheckFailed("stopped before it ended")
            try:
                if ready.path is not None:
                    status = http.fetch(base + ready.path, end).status
                    if status < 400:
                        return
                    last = f"{ready.path} answers {status}"
                elif port is None or _is_listening(port):
                    return
            except http.NoAnswer as error:
                last = str(error)
            except TimeoutError:
                pass
            if time.monotonic() >= end:
                raise CheckFailed(f"the service was not ready after {ready.timeout:g} s: {last}")
            time.sleep(POLL)

    def _run_program(self) -> None:
        try:
            self._done = self._room.run_program(self._argv, env=self._env, stop=self._stop, more=60)
        except Exception as error:
            self._error = error


@contextmanager
def running_service(
    room: CheckContext, argv: Sequence[str], env: Mapping[str, str], base: str, port: int | None,
    ready: Readiness,
) -> Iterator[Service]:  # fmt: skip
    """A service that answers. Raises CheckFailed when it does not, CheckUnavailable when its
    port is taken."""
    if port is not None and not is_free(port):
        raise CheckUnavailable(f"port {port} is in use already: another program would answer")
    with Service(room, argv, env) as service:
        service.wait_until_ready(base, port, ready)
        yield service
        service.check_alive()


def find_free_port() -> int:
    """A port that was free a moment ago."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_listening(port: int) -> bool:
    try:
        with closing(socket.create_connection(("127.0.0.1", port), 1.0)):
            return True
    except OSError:
        return False
