"""When the agents and checks of this process wrote something: evidence of who changed a file.

Nothing notes which process wrote a file. But while an attempt's processes wrote nothing at all they
did not write this one. So whoever waits for an agent samples how much its tree has written
(`orchestr.process.written_bytes`), and a guard asks afterwards whether that agent may have written
a file of that size when the file was changed. Where nobody looked (another run, after a kill, not
on Linux) the answer is "perhaps". In memory: the evidence of a killed run is gone.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import deque
from functools import cache
from pathlib import Path
from stat import S_ISREG

from orchestr.process.written_bytes import read_written_bytes

SLACK = 0.1  # s by which the time of a file may differ from when a sample saw the write
EVERY = 0.2  # s between two samples of one tree
BEFORE = 1.0  # s that an agent may have worked before its first sample


class WriteTimeline:
    """What one agent wrote, sample by sample. Times are seconds since the epoch."""

    def __init__(self) -> None:
        self._begins: list[float] = []  # of the samples in which something was written
        self._ends: list[float] = []
        self._sizes: list[int] = []
        self._gaps: list[tuple[float, float]] = []  # it worked, and nobody looked
        self._first: float | None = None
        self._last: tuple[float, int] | None = None
        self._root: int | None = None  # not seen yet
        self._over: float | None = None  # all its processes are gone since then

    def begin(self, now: float) -> None:
        """Its process is about to start: what is counted from here on is all that it writes."""
        if self._last is None or self._over is not None:
            self._first = now if self._first is None else self._first
            self._last, self._root, self._over = (now, 0), None, None

    def sample(self, root: int | None, now: float, total: int) -> None:
        """Note the bytes that the tree of process ``root`` has written up to ``now``."""
        if self._last is None or self._first is None:
            self._first = now
        elif self._root not in (None, root):
            self._gaps.append((self._last[0], now))
        elif total > self._last[1]:
            self._begins.append(self._last[0])
            self._ends.append(now)
            self._sizes.append(total - self._last[1])
        self._last, self._root, self._over = (now, total), root, None

    def finish(self, now: float, total: int | None) -> None:
        """All its processes have ended, with ``total`` bytes written; None: not known."""
        if self._last is None or self._over is not None:
            return
        if total is None:
            self._gaps.append((self._last[0], now))
        else:
            self.sample(self._root, now, total)
        self._over = now

    def written_about(self, moment: float) -> int | None:
        """The most that it can have written about then; None: not known."""
        begin, end = moment - SLACK, moment + SLACK
        if self._first is None or self._last is None or begin < self._first:
            return None
        if self._over is None and end > self._last[0]:
            return None
        if any(gap_begin < end and gap_end > begin for gap_begin, gap_end in self._gaps):
            return None
        at, total = bisect_left(self._ends, begin), 0
        while at < len(self._ends) and self._begins[at] <= end:
            total += self._sizes[at]
            at += 1
        return total

    def was_alive(self, moment: float) -> bool:
        """Whether it can have been at work then, as far as this process saw it."""
        if self._first is None or moment + SLACK < self._first - BEFORE:
            return False
        return self._over is None or moment - SLACK <= self._over


class WriteLog:
    """The timelines of all agents that this process waits for, by the key of their cell.

    A reviewer's key is that of its cell, `/` and its own name.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[str, WriteTimeline] = {}
        self._past: deque[tuple[str, WriteTimeline]] = deque(maxlen=256)
        self._due: dict[str, float] = {}

    def begin(self, key: str) -> None:
        """An agent that works for ``key`` is about to start."""
        with self._lock:
            self._lines.setdefault(key, WriteTimeline()).begin(time.time())

    def sample(self, key: str, root: int) -> None:
        """Look at the tree of ``root``, which works for ``key``; not too often."""
        now = time.time()
        if now < self._due.get(key, 0.0):
            return
        self._due[key] = now + EVERY
        total = read_written_bytes(root)
        if total is not None:
            with self._lock:
                self._lines.setdefault(key, WriteTimeline()).sample(root, now, total)

    def finish(self, key: str, total: int | None) -> None:
        """The agent that works for ``key`` has ended; it and its supervisor wrote ``total``."""
        with self._lock:
            if key in self._lines:
                self._lines[key].finish(time.time(), total)

    def restart(self, cell: str) -> None:
        """Other agents or checks of the cell begin: for them nothing is known yet."""
        with self._lock:
            for key in [key for key in self._lines if _is_of(key, cell)]:
                self._past.append((key, self._lines.pop(key)))

    def may_have_written(self, cell: str, path: Path) -> bool:
        """Whether agents of the cell can have made the file ``path`` what it is now.

        A file that was written and then moved to its place has an older time of its content: one
        of both moments must have seen the write. Of a file that is gone nothing is known.
        """
        try:
            stat = path.lstat()
        except OSError:
            return True
        with self._lock:
            moments = {stat.st_ctime, min(stat.st_mtime, stat.st_ctime)}
            lines = [line for key, line in self._lines.items() if _is_of(key, cell)]
            written = [line.written_about(at) for line in lines for at in moments]
        if not written:
            return True
        return any(size is None or size >= max(1, stat.st_size) for size in written)

    def foreign_writers(self, cell: str, path: Path) -> list[str]:
        """The other cells of which one must have written the file ``path``: its own agent wrote
        nothing at all at that moment, and they may have. Empty when that cannot be shown."""
        try:
            stat = path.lstat()
        except OSError:
            return []
        moment, size = stat.st_ctime, stat.st_size
        if not S_ISREG(stat.st_mode) or not size or abs(stat.st_mtime - moment) > SLACK:
            return []  # made or moved without a write
        with self._lock:
            own = [line for key, line in self._lines.items() if _is_of(key, cell)]
            if not own or any(line.written_about(moment) != 0 for line in own):
                return []
            found = [
                key for key, line in (*self._lines.items(), *self._past)
                if not _is_of(key, cell) and line.was_alive(moment)
                and ((written := line.written_about(moment)) is None or written >= size)
            ]  # fmt: skip
        return list(dict.fromkeys("/".join(key.split("/")[:2]) for key in found))


def _is_of(key: str, cell: str) -> bool:
    return key == cell or key.startswith(f"{cell}/")


@cache
def write_log(state: Path) -> WriteLog:
    """The log of this process for the workspace with that state folder."""
    del state
    return WriteLog()
