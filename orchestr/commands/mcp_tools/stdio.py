"""The wire of `orchestr mcp`: stdin and stdout, taken for the protocol alone.

From `take_wire` on, file descriptor 0 is /dev/null and 1 is stderr, so that a stray print, a
warning, or a child never stands between two messages. A line that is too long is read away and
answered as what it is, not JSON: no client can make the server hold more than `MOST_LINE`.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import BinaryIO

MOST_LINE = 2 << 20  # bytes of a message; the largest argument is a spec
CHUNK = 1 << 16


class MessageLines:
    """The lines of a binary stream as text, none longer than ``most`` bytes."""

    def __init__(self, stream: BinaryIO, most: int = MOST_LINE) -> None:
        self._stream, self._most = stream, most

    def readline(self) -> str:
        """The next line; empty at the end of the stream."""
        line = self._stream.readline(self._most + 1)
        if len(line) > self._most and not line.endswith(b"\n"):
            while (rest := self._stream.readline(CHUNK)) and not rest.endswith(b"\n"):
                pass
            return f"a message of more than {self._most} bytes\n"
        return line.decode("utf-8", "replace")

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()


class MessageWriter:
    """Whole messages to a binary stream, written through."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write and flush."""
        self._stream.write(text.encode("utf-8", "replace"))
        self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Close the stream."""
        with suppress(OSError):  # its reader is gone
            self._stream.close()


def take_wire() -> tuple[MessageLines, MessageWriter]:
    """Take stdin and stdout of this process for the protocol; there is no way back."""
    sys.stdout.flush()
    lines = os.fdopen(os.dup(0), "rb")
    messages = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return MessageLines(lines), MessageWriter(messages)
