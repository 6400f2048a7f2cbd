"""Python programs for the tests, without the half second that each needs for its imports.

Owns `Process`, a `subprocess.Popen` that takes `[sys.executable, "-m", "orchestr", ...]` (or
`-m MODULE`, or `SCRIPT.py`) and has it forked from a warm, single-threaded *fork server* that has
imported all of orchestr; and `run_process`, which is `subprocess.run` with it. Leaves alone what it
cannot copy exactly: such a process, and all of them with ORCHESTR_TEST_FRESH=1, is a fresh
interpreter, started by `subprocess` itself. The server itself is `tests/forked_program.py`.

A server serves only environments that agree on every variable that an interpreter reads at its
start or that a module read while the server imported it; another environment gets another server.
It ends when its test process does.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from tests import forked_program
from tests.forked_program import (
    FRESH,
    Fork,
    can_clone,
    fork_child,
    receive_message,
    select_startup_variables,
    send_message,
)

__all__ = ["FRESH", "ForkServer", "Process", "can_clone", "find_server", "run_process"]

# Place for the command line of what is forked, see `forked_program.write_command_line`.
PADDING = " " * 4000


class Process(subprocess.Popen[Any]):
    """`subprocess.Popen`; a Python program that a fork server can run is forked by one."""

    def _execute_child(self, *args: Any) -> None:
        fork_child(self, super()._execute_child, args, find_fork)  # type: ignore[misc]


def find_fork(request: dict[str, Any]) -> Fork | None:
    """What forks the program of this request; None: it is a fresh interpreter."""
    server = find_server(request["env"])
    return None if server is None or server.shadowed_in(request["cwd"]) else server.fork


def run_process(
    argv: Sequence[str], *, input: str | None = None, timeout: float | None = None, **how: Any
) -> subprocess.CompletedProcess[Any]:
    """`subprocess.run(argv, capture_output=True, check=False, ...)` of a `Process`."""
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
    if input is not None:
        how["stdin"] = subprocess.PIPE
    with Process(argv, **how) as process:
        try:
            out, err = process.communicate(input, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(argv, process.returncode, out, err)


_servers: dict[tuple[tuple[str, str], ...], ForkServer] = {}
_starting = threading.Lock()


def find_server(env: Mapping[str, str]) -> ForkServer | None:
    """The server for this environment, started if there is none; None: use a fresh interpreter."""
    if os.environ.get(FRESH) == "1" or not can_clone():
        return None
    if not all(map(os.path.isabs, filter(None, env.get("PYTHONPATH", "").split(os.pathsep)))):
        return None
    key = tuple(sorted(select_startup_variables(env).items()))
    with _starting:
        if key not in _servers:
            _servers[key] = ForkServer(env)
    server = _servers[key]
    return server if server.agrees_with(env) else None


class ForkServer:
    """The client's end of one server."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._channel, theirs = socket.socketpair()
        self._lock = threading.Lock()
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, forked_program.__file__, str(theirs.fileno()), PADDING],
                cwd="/", env=env, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
            )  # fmt: skip
        atexit.register(self.close)
        ready = receive_message(self._channel)
        assert ready is not None, "the fork server has ended; stderr says why"
        hello = ready[0]
        self._modules = frozenset(hello["modules"])
        self._read = {name: env.get(name) for name in hello["read"]}

    def agrees_with(self, env: Mapping[str, str]) -> bool:
        """Whether the modules of the server would have read the same from ``env``."""
        return all(env.get(name) == value for name, value in self._read.items())

    def shadowed_in(self, cwd: str) -> bool:
        """Whether a program in ``cwd`` would import a file of it instead of one of our modules."""
        names = (name.removesuffix(".py") for name in os.listdir(cwd))  # noqa: PTH208
        return any(name.partition(".")[0] in self._modules for name in names
                   if "." not in name or name.endswith((".so", ".pyc")))  # fmt: skip

    def fork(self, request: dict[str, Any], descriptors: Sequence[int]) -> int:
        """Have a process made; its pid."""
        with self._lock:
            send_message(self._channel, request, descriptors)
            answer = receive_message(self._channel)
        assert answer is not None, "the fork server has ended; stderr says why"
        return int(answer[0]["pid"])

    def close(self) -> None:
        """End the server, not what it forked."""
        self._channel.close()
        self._server.wait()
