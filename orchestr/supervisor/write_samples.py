"""When an agent wrote how much, sample by sample: evidence of who changed a file (`writes`).

Nothing notes which process wrote a file. But while an agent's processes wrote nothing at all, or
less than a file holds, they did not write that file. So the supervisor samples how much its tree
has written (`orchestr.process.written_bytes`) and appends what it sees to the attempt's folder:
lines ``b TIME`` (an agent begins), ``w FROM TO BYTES FILES PAGES`` (so much was written in between;
so much without what it said to its supervisor; so much of it as pages of files, -1 where that is
not counted), ``e TIME`` (all its processes are gone), ``u TIME`` (not known from here on), in
seconds since the epoch. The file has the time of the last sample. It outlives the
orchestrator, so a kill takes nothing of it, and a second run sees the agents of the first.

What it does not see: copies that share blocks (reflinks).
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestr.process.written_bytes import WriteCounter
from orchestr.supervisor.leftovers import ProcessNotes

WRITES = "writes"
EVERY = 0.05  # s between two samples of an agent that writes nothing
SOONEST = 0.02  # s between two samples of one that does: the shorter, the more exact
NEVER = 60.0  # s
SHARE = 0.05  # of the time at most is spent on looking: a tree may be large
SLACK = (
    0.012  # s by which the time of a file may be older than the write: the kernel's coarse clock
)


class WriteSampler:
    """Appends the samples of one supervisor; a full disk makes what follows unknown.

    ``drain`` reads all that the agent has said by now, and returns how many bytes that were so far.
    """

    def __init__(self, folder: Path, root: int, drain: Callable[[], int]) -> None:
        self._counter = WriteCounter(root)
        self._processes = ProcessNotes(folder)
        self._drain = drain
        self._fd: int | None = None
        self._last = _Look(0.0, 0, 0, 0, exact=True)
        self._counts_pages = False  # whether the file system of the attempt does
        self._due = 0.0
        with suppress(OSError):
            self._fd = os.open(folder / WRITES, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def note_start(self) -> None:
        """The agent is about to start."""
        found = self._counter.read()
        total, dirtied = (found.written, found.dirtied) if found else (0, 0)
        self._counts_pages = found is not None and found.own_dirtied > 0
        self._last = _Look(time.time(), total, dirtied, 0, exact=True)
        self._append("b", self._last.time)
        if found is None:
            self._append("u", self._last.time)

    @property
    def written(self) -> int:
        """All bytes that the agent's processes had written by the last look."""
        return self._last.total

    @property
    def time_to_next(self) -> float:
        """Seconds until it wants to look again."""
        return max(0.0, self._due - time.monotonic()) if self._fd is not None else NEVER

    def take_sample(self) -> None:
        """Look again, unless that was just done."""
        if self._fd is not None and not self.time_to_next:
            self._look()

    def note_end(self) -> None:
        """All that the agent had started is gone."""
        self._look()
        self._append("e", time.time())
        self._processes.close()
        self._counter.close()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _look(self) -> None:
        start, total = time.monotonic(), self._last.total
        self._note()
        soon = SOONEST if self._last.total != total else EVERY
        self._due = time.monotonic() + max(soon, (time.monotonic() - start) / SHARE)

    def _note(self) -> None:
        """Take a look. What is written while it is taken may be in this one or in the next, so the
        time of each includes all of both looks."""
        last, before, now = self._last, self._drain(), time.time()
        counts = self._counter.read()
        self._processes.note_living(self._counter.met)
        after, said = time.time(), self._drain()
        if counts is None:
            self._append("u", now)
            self._last = _Look(now, last.total, last.dirtied, said, exact=False)
            return
        total, dirtied = max(counts.written, last.total), max(counts.dirtied, last.dirtied)
        found = _Look(now, total, dirtied, said, exact=before == said)
        written, pages = total - last.total, dirtied - last.dirtied
        if written or pages:
            spoken = found.said - last.said if found.exact and last.exact else 0
            counted = pages if self._counts_pages else -1
            self._append("w", last.time, after, written, max(0, written - spoken), counted)
        elif self._fd is not None:
            with suppress(OSError):
                os.utime(self._fd, (now, now))
        self._last = found

    def _append(self, kind: str, *values: float) -> None:
        if self._fd is None:
            return
        words = [kind, *(f"{value:.3f}" if isinstance(value, float) else str(value)
                         for value in values)]  # fmt: skip
        try:
            os.write(self._fd, f"{' '.join(words)}\n".encode())
        except OSError:
            os.close(self._fd)
            self._fd = None


@dataclass(frozen=True, slots=True)
class _Look:
    """One look: ``exact`` when the agent said nothing while it was taken."""

    time: float
    total: int
    dirtied: int
    said: int
    exact: bool


@dataclass(slots=True)
class WriteTimeline:
    """What the agents of one folder wrote, one after the other. Times as above."""

    starts: list[tuple[float, float | None]] = field(default_factory=list)  # begin, end
    begins: list[float] = field(default_factory=list)  # of the samples in which it wrote
    ends: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    file_sizes: list[int] = field(default_factory=list)  # without what it said
    pages: list[int] = field(default_factory=list)  # bytes of dirtied pages; -1: not counted
    unknown: list[float] = field(default_factory=list)
    seen: float = 0.0  # the last sample

    def was_at_work(self, moment: float) -> bool:
        """Whether an agent was alive about then."""
        return any(
            begin <= moment + SLACK and (end is None or moment - SLACK <= end)
            for begin, end in self.starts
        )

    def dirtied_about(self, moment: float) -> int | None:
        """The most of files' pages, in bytes, that can have become dirty then; None: not known."""
        if self.written_about(moment) is None:
            return None
        begin, end, total = moment - SLACK, moment + SLACK, 0
        at = bisect_left(self.ends, begin)
        while at < len(self.ends) and self.begins[at] <= end:
            if self.pages[at] < 0:
                return None
            total += self.pages[at]
            at += 1
        return total

    def dirtied_until(self, moment: float) -> int | None:
        """All of files' pages, in bytes, that can have become dirty up to then; None: not known."""
        if self.written_until(moment) is None:
            return None
        pairs = zip(self.begins, self.pages, strict=True)
        sizes = [size for begin, size in pairs if begin <= moment + SLACK]
        return sum(sizes) if all(size >= 0 for size in sizes) else None

    def written_until(self, moment: float) -> int | None:
        """All that can have been written up to then; None: not known."""
        last = moment + SLACK
        known = max((self.seen if over is None else over for _, over in self.starts), default=0.0)
        if any(at <= last for at in self.unknown) or (self.was_at_work(moment) and last > known):
            return None
        pairs = zip(self.begins, self.sizes, strict=True)
        return sum(size for begin, size in pairs if begin <= last)

    def written_about(self, moment: float, *, files: bool = False) -> int | None:
        """The most that can have been written about then (``files``: without what it said); None:
        not known."""
        begin, end = moment - SLACK, moment + SLACK
        for start, over in self.starts:
            if start > end or (over is not None and over < begin):
                continue
            last = self.seen if over is None else over
            if (over is None and end > last) or any(start <= at <= last for at in self.unknown):
                return None
        at, total = bisect_left(self.ends, begin), 0
        while at < len(self.ends) and self.begins[at] <= end:
            total += self.file_sizes[at] if files else self.sizes[at]
            at += 1
        return total


def read_timeline(folder: Path) -> WriteTimeline | None:
    """What the supervisors of a folder noted; None where none did. Torn lines are passed over."""
    path, found = folder / WRITES, WriteTimeline()
    try:
        seen = path.stat().st_mtime  # first: what is appended meanwhile is not older
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found.seen = seen
    for line in text.splitlines():
        with suppress(ValueError, IndexError):
            kind, *values = line.split()
            match kind:
                case "b":
                    found.starts.append((float(values[0]), None))
                case "u":
                    found.unknown.append(float(values[0]))
                case "w":
                    begin, end = float(values[0]), float(values[1])
                    size, in_files, pages = map(int, values[2:5])
                    found.begins.append(begin)
                    found.ends.append(end)
                    found.sizes.append(size)
                    found.file_sizes.append(in_files)
                    found.pages.append(pages)
                case "e" if found.starts:
                    found.starts[-1] = (found.starts[-1][0], float(values[0]))
    return found
