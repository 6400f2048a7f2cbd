"""The agent's terminals (`terminal/*`): commands that it asks us to run, in the worktree.

Each is judged like any command of the agent's, runs in a session of its own with the agent's
environment, and is ended at the latest with the turn. The last part of its output is kept.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestr.agents.acp.files import FileRefused
from orchestr.agents.acp.permission_rules import Decision, judge_command, judge_path, resolve_in
from orchestr.agents.acp.request import ClientRequest
from orchestr.process.piped import end_piped, signal_group, start_piped, wait_for_code

KEPT = 1 << 20  # bytes of output, where the agent names no limit
GRACE = 2.0  # seconds between SIGTERM and SIGKILL
CHUNK = 1 << 16


@dataclass(slots=True)
class _Terminal:
    process: asyncio.subprocess.Process
    most: int
    reader: asyncio.Task[None] | None = None
    output: bytearray = field(default_factory=bytearray)
    truncated: bool = False


class UnknownTerminal(Exception):
    """The agent names a terminal that it never had, or has released."""


class Terminals:
    """The terminals of one session, by id."""

    def __init__(self, asked: ClientRequest) -> None:
        self._asked = asked
        self._open: dict[str, _Terminal] = {}
        self._count = 0

    def describe(self, params: Mapping[str, Any]) -> str:
        """The line of shell that a `terminal/create` asks for."""
        command, args = str(params.get("command") or ""), _texts(params.get("args"))
        return shlex.join([command, *args]) if args else command

    async def create(self, params: Mapping[str, Any]) -> str:
        """Start a command; the terminal's id. Raises FileRefused, OSError, ValueError."""
        line, args = self.describe(params), _texts(params.get("args"))
        decision = judge_command(line, self._asked)
        if not line.strip():
            decision = Decision(False, "a terminal", "it names no command")
        cwd = str(params.get("cwd") or self._asked.worktree)
        if decision.allowed and not (place := judge_path(cwd, self._asked, write=False)).allowed:
            decision = Decision(False, decision.what, f"in {cwd}: {place.why}")
        if not decision.allowed:
            raise FileRefused(decision)
        # Some agents give a whole line as the command.
        argv = [str(params["command"]), *args] if args else ["sh", "-c", line]
        more = {str(one.get("name")): str(one.get("value")) for one in params.get("env") or ()
                if isinstance(one, Mapping)}  # fmt: skip
        process = await start_piped(
            argv,
            cwd=resolve_in(self._asked.worktree, cwd),
            env={**os.environ, **more},
            stdin=False,
            join_stderr=True,
        )
        self._count += 1
        key = f"terminal-{self._count}"
        limit = params.get("outputByteLimit")
        most = limit if isinstance(limit, int) and 0 < limit < KEPT else KEPT
        terminal = _Terminal(process, most)
        terminal.reader = asyncio.create_task(_read_output(terminal))
        self._open[key] = terminal
        return key

    def output(self, key: str) -> dict[str, Any]:
        """The answer to `terminal/output`. Raises UnknownTerminal."""
        terminal = self._find(key)
        found: dict[str, Any] = {
            "output": terminal.output.decode("utf-8", "replace"),
            "truncated": terminal.truncated,
        }
        code = terminal.process.returncode
        if code is not None and (terminal.reader is None or terminal.reader.done()):
            found["exitStatus"] = exit_status(code)
        return found

    async def wait(self, key: str) -> dict[str, Any]:
        """The answer to `terminal/wait_for_exit`. Raises UnknownTerminal."""
        terminal = self._find(key)
        code = await wait_for_code(terminal.process)
        if terminal.reader is not None:
            await asyncio.wait((terminal.reader,), timeout=GRACE)
        return exit_status(code)

    def kill(self, key: str) -> None:
        """End the command; its output stays. Raises UnknownTerminal."""
        signal_group(self._find(key).process, signal.SIGKILL)

    async def release(self, key: str) -> None:
        """End the command and forget it. Raises UnknownTerminal."""
        terminal = self._find(key)
        del self._open[key]
        await _end(terminal)

    async def end_all(self) -> None:
        """End all that still run."""
        left, self._open = list(self._open.values()), {}
        await asyncio.gather(*map(_end, left))

    def _find(self, key: str) -> _Terminal:
        if key not in self._open:
            raise UnknownTerminal(f"there is no terminal {key!r}")
        return self._open[key]


def exit_status(code: int) -> dict[str, Any]:
    """How a command ended, as ACP says it."""
    if code < 0:
        return {"exitCode": None, "signal": signal.Signals(-code).name}
    return {"exitCode": code, "signal": None}


async def _read_output(terminal: _Terminal) -> None:
    stream = terminal.process.stdout
    while stream is not None and (chunk := await stream.read(CHUNK)):
        terminal.output += chunk
        over = len(terminal.output) - terminal.most
        if over > 0:
            while over < len(terminal.output) and terminal.output[over] & 0xC0 == 0x80:
                over += 1  # not in the middle of a character
            del terminal.output[:over]
            terminal.truncated = True


async def _end(terminal: _Terminal) -> None:
    patience = 0.0 if terminal.process.returncode is None else GRACE
    await end_piped(terminal.process, patience=patience, grace=GRACE)
    if terminal.reader is not None:
        terminal.reader.cancel()


def _texts(value: Any) -> Sequence[str]:
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []
