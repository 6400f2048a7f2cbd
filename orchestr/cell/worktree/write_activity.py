"""Which agents can have made a file what it is: what their supervisors saw of their writes.

Owns the question "who wrote this", asked of the timelines that supervisors keep beside each attempt
and reviewer (`orchestr.supervisor.write_samples`). So it is answered after a kill, too, and of the
agents of another run. The answer is "unknown" where no supervisor looked: not on Linux, for checks,
after the end of a supervisor that was killed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

from orchestr.cell.worktree.clone_snapshot import UNSAMPLED, key_folder
from orchestr.state import attempts
from orchestr.state.layout import WorkspaceLayout
from orchestr.state.results import TRANSCRIPT
from orchestr.supervisor.write_samples import SLACK, WriteTimeline, read_timeline

FRESH = 1.0  # s that are waited for the next sample of an agent that is at work


class Wrote(Enum):
    """Whether the agents of a cell can have written a file."""

    YES = auto()  # they wrote as much as it holds at that moment, as far as that can be known
    NO = auto()
    UNKNOWN = auto()


class WriteEvidence:
    """What is known of a cell's agents, read once; ``key`` is FEATURE/CELL."""

    def __init__(self, layout: WorkspaceLayout, key: str) -> None:
        self.key = key
        self._folder = key_folder(layout, key)
        newest = attempts.current_attempt(self._folder)
        self._number = newest.number if newest is not None else 0
        self._folders = attempts.agent_folders(self._folder, self._number)
        self._lines: list[WriteTimeline] = []
        self._read()

    def _read(self) -> None:
        found = (read_timeline(folder) for folder in self._folders)
        self._lines = [line for line in found if line is not None]

    def judge_file(self, path: Path, old: bytes | None = None) -> Wrote:
        """Whether they can have made the file ``path`` what it is now; ``old`` is what it was.

        A file that was written and then moved to its place has an older time of its content: one
        of both moments must have seen the write. Of a file that is gone nothing is known.
        """
        try:
            stat = path.lstat()
        except OSError:
            return Wrote.UNKNOWN
        moments = {stat.st_ctime, min(stat.st_mtime, stat.st_ctime)}
        if self.is_checked and not self.was_at_work(stat.st_ctime):
            return Wrote.UNKNOWN  # its checks are at work, and what they write is not counted
        written = [self.written_about(moment, files=True) for moment in moments]
        least = least_written(path, old, stat.st_size)
        if any(size is not None and size >= least for size in written):
            return Wrote.YES
        if None in written or not self._lines or (old is None and any(written)):
            return Wrote.UNKNOWN  # not looked at; or a new file was made piece by piece
        return Wrote.NO

    @property
    def number(self) -> int:
        """The attempt that is looked at; 0 without one."""
        return self._number

    @property
    def is_checked(self) -> bool:
        """Whether its checks, reviewers or set-up are at work."""
        return any((self._folder / name).exists() for name in UNSAMPLED)

    @property
    def began(self) -> float:
        """When the first of them started; 0 where no supervisor looked."""
        return min((start for line in self._lines for start, _ in line.starts), default=0.0)

    def was_at_work(self, moment: float) -> bool:
        """Whether one of them was alive about then."""
        return any(line.was_at_work(moment) for line in self._lines)

    def written_about(self, moment: float, *, files: bool = False) -> int | None:
        """The most that they can have written about then (``files``: without what they said);
        None: not known."""
        if not self._lines:
            return None
        end = time.monotonic() + FRESH
        while True:
            total = _add_up(line.written_about(moment, files=files) for line in self._lines)
            if total is not None:
                return total
            if time.monotonic() > end or time.time() > moment + FRESH + SLACK:
                return None
            time.sleep(SLACK)
            self._read()

    def dirtied_about(self, moment: float, device: int) -> int | None:
        """The most that they can have made dirty of files' pages then; None: not known, also for
        files on another device than the attempts."""
        with suppress(OSError):
            if self._lines and self._folder.stat().st_dev == device:
                return _add_up(line.dirtied_about(moment) for line in self._lines)
        return None

    def dirtied_until(self, moment: float, device: int) -> int | None:
        """All that they can have made dirty of files' pages up to then; None as above."""
        with suppress(OSError):
            if self._lines and self._folder.stat().st_dev == device:
                return _add_up(line.dirtied_until(moment) for line in self._lines)
        return None

    def written_until(self, moment: float) -> int | None:
        """All that they can have written up to then; None: not known."""
        return _add_up(line.written_until(moment) for line in self._lines) if self._lines else None

    def mentions_any(self, words: Iterable[str]) -> bool:
        """Whether a transcript of theirs holds one of the words: a tool's call, a command."""
        wanted = [os.fsencode(word) for word in words]
        for folder in self._folders:
            with suppress(OSError):
                text = (folder / TRANSCRIPT).read_bytes()
                if any(word in text for word in wanted):
                    return True
        return False


def _add_up(sizes: Iterable[int | None]) -> int | None:
    """The sum; None when one of them is not known."""
    total = 0
    for size in sizes:
        if size is None:
            return None
        total += size
    return total


def least_written(path: Path, old: bytes | None, size: int) -> int:
    """How many bytes at least are written when a file that was ``old`` becomes what it is: all of
    them, unless something was added to its end."""
    try:
        added = old and size > len(old) and path.read_bytes().startswith(old)
    except OSError:
        added = False
    return 1 if added else max(1, size)
