"""The log of connections that a sandbox's proxy refused: one JSON line each.

Owns the record, the writer (in the proxy's process) and the reader (in the engine). The log is
bounded: a repeated refusal is written again only when its number is a power of two, and a full log
says so in its last line. Whatever a line holds came from inside the sandbox: it is data, to be
shown escaped.

Survives a crash: a line is one `write` to a file opened for appending; the reader leaves out a
torn last line.
"""

from __future__ import annotations

import os
from time import time

LARGEST_LOG = 1 << 20
LONGEST_HOST = 253
LAST_LINE = 200  # bytes kept free for the line that says:
FULL = "the log is full: later refusals are not in it"


class Refusal:
    """A host that was refused, ``count`` times until now; ``time`` is of the latest line."""

    __slots__ = ("count", "host", "port", "reason", "time")

    def __init__(self, time: float, host: str, port: int, reason: str, count: int) -> None:
        self.time = time
        self.host = host
        self.port = port
        self.reason = reason
        self.count = count


class RefusalLog:
    """Writes refusals; the caller sees to it that one thread writes at a time."""

    def __init__(self, path: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(path, flags, 0o600)
        self._room = LARGEST_LOG - os.fstat(self._file).st_size
        self._counts: dict[tuple[str, int, str], int] = {}

    def add_refusal(self, host: str, port: int, reason: str) -> None:
        """Count a refusal, and write it when its number is a power of two."""
        if self._room < LAST_LINE:
            return
        key = (host[:LONGEST_HOST], port, reason)
        count = self._counts[key] = self._counts.get(key, 0) + 1
        if count & (count - 1) == 0:
            self._write_line(*key, count)

    def _write_line(self, host: str, port: int, reason: str, count: int) -> None:
        import json  # 10 ms at the start of every sandbox, most of which refuse nothing

        fields = {"host": host, "port": port, "reason": reason, "count": count}
        line = json.dumps({"time": round(time(), 3), **fields}) + "\n"
        if len(line) + LAST_LINE > self._room:
            last = {"host": "", "port": 0, "reason": FULL, "count": 1}
            line = json.dumps({"time": round(time(), 3), **last}) + "\n"
            self._room = 0
        else:
            self._room -= len(line)
        os.write(self._file, line.encode("ascii"))


def read_refusals(path: str | os.PathLike[str]) -> list[Refusal]:
    """The refusals of a log, each host, port and reason once, in the order of their first line."""
    import json

    try:
        with open(path, "rb") as file:  # noqa: PTH123
            lines = file.read(2 * LARGEST_LOG).splitlines()
    except FileNotFoundError:
        return []
    found: dict[tuple[str, int, str], Refusal] = {}
    for line in lines:
        try:
            item = json.loads(line)
            refusal = Refusal(
                float(item["time"]), str(item["host"]), int(item["port"]), str(item["reason"]),
                int(item["count"]),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError):
            continue
        found[(refusal.host, refusal.port, refusal.reason)] = refusal
    return list(found.values())
