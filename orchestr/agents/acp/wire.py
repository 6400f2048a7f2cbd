"""Messages between us and an agent, a JSON object a line; what is no message is shown, not raised.

Agents print other things on their stdout: banners, warnings, a package manager's progress. Each
such line becomes a line of output in the stream and is remembered for the reason of a failure.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from orchestr.agents.acp.event_lines import EventWriter

SHOWN = 500  # characters of a line that is no message
MOST = 200  # such lines that are shown
INTERNAL = -32603  # the code of an error that names none


class MessageWire:
    """The transport that the library's connection reads from and writes to.

    ``noise`` counts the lines that were no messages, ``last_noise`` is the newest of them.
    """

    def __init__(self, process: asyncio.subprocess.Process, out: EventWriter) -> None:
        self._process = process
        self._out = out
        self._lock = asyncio.Lock()
        self.noise = 0
        self.last_noise = ""

    async def send(self, message: dict[str, Any]) -> None:
        """Write one message. Raises ConnectionError when the agent is gone."""
        pipe = self._process.stdin
        if pipe is None or pipe.is_closing():
            raise ConnectionError("the agent's input is closed")
        async with self._lock:
            pipe.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
            await pipe.drain()

    async def receive(self) -> dict[str, Any] | None:
        """The next message, None at the end of the agent's output."""
        pipe = self._process.stdout
        while pipe is not None:
            try:
                line = await pipe.readline()
            except ValueError:  # longer than any message may be; the rest of it is noise, too
                self._note_noise(b"[a line that is too long]")
                continue
            if not line:
                break
            message = _parse(line)
            if message is not None:
                return message
            self._note_noise(line)
        return None

    async def close(self) -> None:
        """Say that no more messages come."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _note_noise(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").strip()[:SHOWN]
        if not text:
            return
        self.noise, self.last_noise = self.noise + 1, text
        if self.noise <= MOST:
            self._out.write("acp_output", text=text)


def _parse(line: bytes) -> dict[str, Any] | None:
    """The message in a line, None for what is none. The library relies on the types of its parts: a
    wrong one would end the reading, and with it the turn."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or "jsonrpc" not in message:
        return None
    key = message.get("id")
    if isinstance(key, bool) or not isinstance(key, int | str | None):
        return None
    if not isinstance(message.get("method"), str | None):
        return None
    error = message.get("error")
    if error is not None and "method" not in message:
        message["error"] = _make_error(error)
    return message


def _make_error(error: Any) -> dict[str, Any]:
    """An error of the protocol's form, whatever was sent as one."""
    given = error if isinstance(error, dict) else {"message": str(error)}
    code, text = given.get("code"), given.get("message")
    return {
        "code": code if isinstance(code, int) and not isinstance(code, bool) else INTERNAL,
        "message": text if isinstance(text, str) and text else "an error without a message",
        "data": given.get("data"),
    }
