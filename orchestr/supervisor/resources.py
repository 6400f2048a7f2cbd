"""What an agent and all that it started use of memory and disk, against its limits.

Where systemd makes control groups the kernel keeps the limit of memory, too; this look is what says
so in words, and what holds everywhere else. Nothing is read without a limit.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

EVERY = 0.5  # seconds between two looks
PAGE = os.sysconf("SC_PAGE_SIZE")


class ResourceWatch:
    """``memory`` and ``disk`` are bytes; 0 is no limit."""

    def __init__(self, memory: int, disk: int) -> None:
        self._memory = memory
        self._disk = disk
        self._due = 0.0

    @property
    def time_to_next(self) -> float | None:
        """Seconds until it wants to look again; None: never."""
        return max(0.0, self._due - time.monotonic()) if self._memory or self._disk else None

    def explain_excess(self, pids: Iterable[int], written: int) -> str | None:
        """Which limit is exceeded, in words; ``written`` is all that they have written."""
        self._due = time.monotonic() + EVERY
        if self._disk and written > self._disk:
            return f"wrote {_format_size(written)}, more than limits.disk allows"
        if self._memory:
            used = sum(_read_private_bytes(pid) for pid in pids)
            if used > self._memory:
                return f"used {_format_size(used)} of memory, more than limits.memory allows"
        return None


def _read_private_bytes(pid: int) -> int:
    """What a process has in memory and shares with no file."""
    with suppress(OSError, ValueError, IndexError):
        words = Path(f"/proc/{pid}/statm").read_bytes().split()
        return (int(words[1]) - int(words[2])) * PAGE
    return 0


def _format_size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 1 << 30 else f"{size >> 20} MiB"
