"""What an agent has taken by its own record of a session, which it writes while it works.

Some streams tell their tokens at the end only, or not at all when they are stopped: codex, gemini,
claude's answers. Each of these programs keeps a file of the session in its settings folder and
appends to it after every answer of the model. Owns finding these files and adding them up; where
they lie and what a line counts is the adapter's: `SessionRecords`.

Reads on from where it was, in bounded memory, and never raises for what is in a file. An agent may
write anything in its place: a pipe, a link, terabytes of holes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from orchestr.agents.events import Record, TokenUsage, parse_record
from orchestr.agents.usage import MeasureFiles, add_usages, read_whole_lines
from orchestr.files import open_regular

if TYPE_CHECKING:
    from orchestr.agents.base import Agent

COPY = "config-0"  # in an attempt's folder: the copy of the settings folder behind the wall
MOST = 1 << 28  # bytes between two looks; what has grown by more is not read: the stream counts
SAFE = frozenset("0123456789abcdefABCDEF-_")


@dataclass(frozen=True, slots=True)
class SessionRecords:
    """Where a kind keeps its sessions, and what they count.

    ``pattern`` is the glob of a session's files below the settings folder. ``count`` gives a key
    and tokens of a line: of two with the same key the later one counts; an empty key is the sum of
    the whole file up to there.
    """

    pattern: Callable[[str], str]
    count: Callable[[Record], tuple[str, TokenUsage] | None]


@dataclass(slots=True)
class SessionMeter:
    """The tokens of an attempt's sessions. ``homes`` are the places of the settings folder, the
    first one with a file of the session counts."""

    records: SessionRecords
    homes: tuple[Path, ...]
    _found: dict[str, list[Path]] = field(default_factory=dict)
    _offsets: dict[Path, int] = field(default_factory=dict)
    _counted: dict[str, TokenUsage] = field(default_factory=dict)

    def measure(self, sessions: Collection[str]) -> TokenUsage | None:
        """What these sessions have taken up to now; None where no file of them is there."""
        for session in sessions:
            if session and SAFE.issuperset(session):
                for path in self._find_files(session):
                    self._read_on(path)
        total = TokenUsage()
        for usage in self._counted.values():
            total = add_usages(total, usage)
        return total if self._counted else None

    def _find_files(self, session: str) -> list[Path]:
        """Looked for until they are there: a user may have thousands of sessions."""
        for home in self.homes:
            if session in self._found:
                break
            found = home.glob(self.records.pattern(session))
            files = sorted(path for path in found if path.is_file() and not path.is_symlink())
            if files:
                self._found[session] = files
        return self._found.get(session, [])

    def _read_on(self, path: Path) -> None:
        for offset, line in _read_lines(path, self._offsets.get(path, 0)):
            self._offsets[path] = offset
            record = parse_record(line)
            try:
                counted = None if record is None else self.records.count(record)
            except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
                continue  # a line in the form of a later version
            if counted is not None:
                self._counted[counted[0] or str(path)] = counted[1]


def measure_sessions(agent: Agent, folder: Path) -> MeasureFiles | None:
    """How the sessions of an agent that was started in ``folder`` are measured, None where it
    keeps no record of them; an adapter of another package need not know of this."""
    measure = getattr(agent, "measure_sessions", None)
    found: MeasureFiles | None = None if measure is None else measure(folder)
    return found


def _read_lines(path: Path, start: int) -> Iterator[tuple[int, bytes]]:
    """Whole lines from a byte on, each with the byte at which it ends."""
    try:
        with open_regular(path, os.O_NOFOLLOW) as stream:
            if os.fstat(stream.fileno()).st_size - start > MOST:
                return
            stream.seek(start)
            for _, line in read_whole_lines(stream):
                yield stream.tell(), line
    except OSError:
        return
