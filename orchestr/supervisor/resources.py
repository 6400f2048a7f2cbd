"""What an agent and all that it started use of memory, disk and processes, against its limits.

Where systemd makes control groups the kernel keeps the limits of memory and processes, too; this
watch explains it to the user, and is the only limit elsewhere. Nothing is read without a limit.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

EVERY = 0.5  # seconds between two measurements


class ResourceWatch:
    """``memory`` and ``disk`` are bytes, ``most`` is a number of processes; 0 is no limit."""

    def __init__(self, memory: int, disk: int, most: int = 0) -> None:
        self._memory = memory
        self._disk = disk
        self._most = most
        self._due = 0.0

    @property
    def time_to_next(self) -> float | None:
        """Seconds until the next measurement; None: there is no limit."""
        limited = self._memory or self._disk or self._most
        return max(0.0, self._due - time.monotonic()) if limited else None

    def explain_excess(self, pids: Iterable[int], written: int) -> str | None:
        """Which limit is exceeded, in words; ``written`` is all that they have written."""
        self._due = time.monotonic() + EVERY
        if self._disk and written > self._disk:
            return f"wrote {_format_size(written)}, more than limits.disk allows"
        found = list(pids) if self._memory or self._most else []
        if self._most and len(found) > self._most:
            return f"had {len(found)} processes, more than limits.pids allows"
        if self._memory:
            used = _measure_memory(found, self._memory)
            if used > self._memory:
                return f"used {_format_size(used)} of memory, more than limits.memory allows"
        return None


def _measure_memory(pids: Sequence[int], enough: int) -> int:
    """What the processes have in memory and share with no file, together.

    What several of them share (a fork's pages, shared memory) counts once. That takes the kernel
    a walk through all pages of a process, so it is asked only where the simple sum, in which such
    pages count for each, is more than ``enough``.
    """
    sums = [_read_sizes(Path(f"/proc/{pid}/status"), ("RssAnon:", "RssShmem:")) for pid in pids]
    if sum(sums) <= enough:
        return sum(sums)
    parts = ("Pss_Anon:", "Pss_Shmem:")
    rollups = [_read_sizes(Path(f"/proc/{pid}/smaps_rollup"), parts) for pid in pids]
    return sum(rollups) or sum(sums)


def _read_sizes(path: Path, names: tuple[str, ...]) -> int:
    """The sum of these lines of a file below `/proc`, which are in kB; 0 when it is gone."""
    with suppress(OSError, ValueError):
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(names))
    return 0


def _format_size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 1 << 30 else f"{size >> 20} MiB"
