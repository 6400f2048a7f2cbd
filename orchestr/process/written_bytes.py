"""How much a process and all that it started have written so far: evidence of who wrote a file.

Linux counts the bytes of every write in `/proc/PID/io` and adds those of a child to its parent when
the child is collected. A supervisor collects all that its agent leaves (it is a subreaper), so the
sum over its tree only grows. What the supervisor itself writes does not count: its one thread has a
count of its own. Elsewhere, and where a process cannot be read, there is no answer.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestr.process.tree import LINUX

TRIES, PAUSE = 4, 0.002  # s


@dataclass(frozen=True, slots=True)
class WrittenBytes:
    """``written``: of all writes, also into pipes. ``dirtied``: of the pages of files that became
    dirty; nothing where the file system does not count them (tmpfs). ``own_dirtied`` is that of
    the root process itself."""

    written: int
    dirtied: int
    own_dirtied: int


class WriteCounter:
    """Counts what all that the process ``root`` started has written, not its main thread itself.

    ``met`` are the processes below ``root`` that the last walk found. The files of this process
    itself are opened once: one that hides itself (`orchestr.process.hiding`) cannot open them
    later.
    """

    def __init__(self, root: int) -> None:
        self.met: list[int] = []
        self._root = root
        self._open: dict[str, int] = {}
        if LINUX and root == os.getpid():
            with suppress(OSError):
                for process in (f"{root}", f"{root}/task/{root}"):
                    self._open[process] = os.open(f"/proc/{process}/io", os.O_RDONLY)

    def read(self) -> WrittenBytes | None:
        """Count what was written by now; None when it is not known.

        Without privileges a process cannot be read in the moment of its end (Linux 6.18); shortly
        after, its parent's count has what it wrote.
        """
        for _ in range(TRIES if LINUX else 0):
            with suppress(PermissionError):
                return self._walk_tree()
            time.sleep(PAUSE)
        return None

    def _walk_tree(self) -> WrittenBytes | None:
        """Walk down the tree once. Raises PermissionError after it, where a process hides its
        count; ``met`` has that process all the same."""
        root, met, hidden = self._root, list[int](), False
        written, dirtied, own, todo = 0, 0, 0, [root]
        self.met = met
        while todo:
            pid = todo.pop()
            if pid != root:
                met.append(pid)
            try:
                try:
                    counts = self._read_counts(f"{pid}")
                except PermissionError:
                    counts, hidden = (0, 0), True
                written, dirtied = written + counts[0], dirtied + counts[1]
                if pid == root:
                    mine = self._read_counts(f"{pid}/task/{pid}")
                    written, dirtied, own = written - mine[0], dirtied - mine[1], mine[1]
                for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
                    children = Path(f"/proc/{pid}/task/{thread}/children").read_bytes()
                    todo += map(int, children.split())
            except (FileNotFoundError, ProcessLookupError):
                if pid == root:
                    return None  # what ended meanwhile was added to its parent
            except (OSError, ValueError):
                return None
        if hidden:
            raise PermissionError
        return WrittenBytes(written, dirtied, own)

    def close(self) -> None:
        """Close what is open."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _read_counts(self, process: str) -> tuple[int, int]:
        """`wchar` and `write_bytes` of a process or a thread."""
        fd = self._open.get(process)
        raw = Path(f"/proc/{process}/io").read_bytes() if fd is None else os.pread(fd, 4096, 0)
        found = {}
        for line in raw.splitlines():
            name, _, value = line.partition(b": ")
            found[name] = int(value)
        try:
            return found[b"wchar"], found[b"write_bytes"]
        except KeyError:
            raise ValueError(process) from None
