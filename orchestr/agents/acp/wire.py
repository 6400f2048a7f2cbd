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
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) and "jsonrpc" in message else None
