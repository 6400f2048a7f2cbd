"""The journal: what happened, in order. Git and the forge are the truth where they differ.

Owns the append-only file. Where it lies is `orchestr.state.layout`'s; what an event changes is
`orchestr.state.replay`'s. Invariant across a crash: a line of the journal is whole or it is the
torn last one, which the next writer ends before it adds its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestr.files import read_file
from orchestr.process.file_lock import lock_descriptor
from orchestr.state.events import Event, EventKind

TORN_MARK = b"\n"
DECISIONS = "approvals/"  # files of a cell's folder that a person's verb writes beside a run
# Events that only the holder of a feature's lease writes.
HOLDERS_KINDS = frozenset(
    {
        EventKind.RESULT_WRITTEN, EventKind.PHASE_DONE, EventKind.CHECK_DONE,
        EventKind.REVIEW_DONE, EventKind.PUSH_DONE, EventKind.PR_OPENED,
    }
)  # fmt: skip
_BEGIN = b'{"v":1,"ts":"'  # as `append` writes them, like the next
_MOVES = (b'"kind":"cell.moved"', b'"kind":"cell.retired"')  # as `append` writes them


def utc_timestamp() -> str:
    """The time as the journal writes it: ISO-8601, UTC, milliseconds, with offset."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Journal:
    """One feature's append-only record of events, JSON lines.

    Appending takes a lock on the file itself, so that two processes never mix their lines.
    A writer first ends an unfinished last line: appending to it would destroy the next record.
    """

    def __init__(
        self, path: Path, *, run: str = "", names: Mapping[str, str] | None = None
    ) -> None:
        """``names``: former names of cells and those of now, of renames that are to be made yet."""
        self.path = path
        self.names = dict(names or {})
        self.run = run
        self._mutex = threading.Lock()
        self.watch: JournalWatch | None = None

    def begin_watch(self) -> None:
        """From now on notice what others do to it; see `JournalWatch`."""
        with self._mutex, self._open_locked() as fd:
            self.watch = JournalWatch(fd)

    def explain_changes(self) -> list[str]:
        """What others did to it since `begin_watch` that only who holds the feature may do."""
        if self.watch is None:
            return []
        with self._mutex, self._open_locked() as fd:
            return self.watch.explain_changes(fd)

    def append(self, event: Event) -> None:
        """Write one event durably. Raises OSError (disk full); then no part of it counts."""
        line = json.dumps(_as_dict(event), separators=(",", ":"), ensure_ascii=False)
        data = line.encode() + b"\n"
        with self._mutex, self._open_locked() as fd:
            size = os.fstat(fd).st_size
            if self.watch is not None:
                self.watch.take_foreign(fd)
            if size and os.pread(fd, 1, size - 1) != b"\n":
                data = TORN_MARK + data
            try:
                written = os.write(fd, data)
                if written != len(data):
                    raise OSError(28, "no space left for a whole line", str(self.path))
            except OSError:
                os.ftruncate(fd, size)
                raise
            if self.watch is not None:
                self.watch.take_own(data)

    def read(self) -> Iterator[Event]:
        """Every whole event, oldest first; torn or foreign lines are passed over.

        Events of a cell under a former name get its name of now.
        """
        return self._read_marked(b"")

    def read_kind(self, kind: EventKind) -> Iterator[Event]:
        """The events of one kind, oldest first; much quicker than all of them."""
        found = self._read_marked(f'"kind":"{kind}"'.encode())
        return (event for event in found if event.kind is kind)

    def _read_marked(self, mark: bytes) -> Iterator[Event]:
        """The events whose lines hold ``mark``, as `read` gives them."""
        try:
            data = read_file(self.path)
        except FileNotFoundError:
            return
        if mark not in data:
            return
        lines = data.split(b"\n")
        follow = _NameFollower(lines, self.names) if self.names or _has_moves(data) else None
        for number, line in enumerate(lines):
            event = parse_event(line) if line and mark in line else None
            if event is not None:
                yield event if follow is None else follow.rename(number, event)

    def unreadable_lines(self) -> list[int]:
        """The numbers, from 1, of lines that are no event of any version, nor the beginning of one,
        which a kill may leave. Raises OSError."""
        try:
            *lines, _ = read_file(self.path).split(b"\n")
        except FileNotFoundError:
            return []
        return [number for number, line in enumerate(lines, 1) if line and not _is_event(line)]

    def size(self) -> int:
        """Bytes written so far: whoever read that much knows it all."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    @contextmanager
    def _open_locked(self) -> Iterator[int]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            lock_descriptor(fd, fcntl.LOCK_EX, self.path)
            yield fd
        finally:
            os.close(fd)


class JournalWatch:
    """What a journal holds, as this process knows it: a digest of all that was there at the start,
    that we have added, and that others have added since. It is kept in memory only, so who can
    write to the file cannot repair it.

    Other verbs of ours add lines during a run (an approval, say). Results, pushes and phases are
    written by who holds the feature's lease, which is this process: such a line of another is
    foreign.
    """

    def __init__(self, fd: int) -> None:
        self._digest = hashlib.sha256()
        self._size = 0
        self._foreign: list[str] = []
        self._shrunk = False
        self._take_lines(fd)

    def take_own(self, data: bytes) -> None:
        """We have added this."""
        self._digest.update(data)
        self._size += len(data)

    def take_foreign(self, fd: int) -> None:
        """Take in what others have added."""
        for line in self._take_lines(fd).split(b"\n"):
            event = parse_event(line) if line else None
            if event is not None and event.kind in HOLDERS_KINDS and not _is_decision(event):
                self._foreign.append(f"{event.kind} {event.cell}".rstrip())

    def explain_changes(self, fd: int) -> list[str]:
        """In words, what was done to it; nothing where all is as we know it."""
        self.take_foreign(fd)
        found = []
        known = hashlib.sha256(os.pread(fd, self._size, 0)).digest()
        if self._shrunk or known != self._digest.digest():
            found.append("lines of it were changed or removed")
        if self._foreign:
            names = ", ".join(dict.fromkeys(self._foreign))
            found.append(f"it has lines that this run has not written: {names}")
        return found

    def _take_lines(self, fd: int) -> bytes:
        size = os.fstat(fd).st_size
        if size < self._size:
            self._shrunk = True
            return b""
        data = os.pread(fd, size - self._size, self._size)
        self.take_own(data)
        return data


def _is_decision(event: Event) -> bool:
    """Whether it seals only what a person has said, by a verb beside the run."""
    files = event.data.get("files")
    return (
        event.kind is EventKind.RESULT_WRITTEN
        and isinstance(files, dict)
        and all(str(name).startswith(DECISIONS) for name in files)
    )


class _NameFollower:
    """The name of now of every event's cell, by the renames and retirements that came after it."""

    def __init__(self, lines: Sequence[bytes], names: Mapping[str, str]) -> None:
        self._moves: list[tuple[int, str, str]] = []
        for number, line in enumerate(lines):
            event = parse_event(line) if _has_moves(line) else None
            if event is None or event.data.get("done") is not True:
                continue
            if event.kind is EventKind.CELL_RETIRED:
                self._moves.append((number, event.cell, f"{event.cell} (retired)"))
            elif event.kind is EventKind.CELL_MOVED and event.data.get("what") == "cell":
                old, new = (str(event.data.get(name)) for name in ("old", "new"))
                self._moves.append((number, old, new))
        self._moves += ((len(lines), old, new) for old, new in names.items())

    def rename(self, number: int, event: Event) -> Event:
        name = event.cell
        for at, old, new in self._moves:
            if number < at and name == old:
                name = new
        return event if name == event.cell else replace(event, cell=name)


def _has_moves(data: bytes) -> bool:
    return any(mark in data for mark in _MOVES)


def parse_event(line: bytes) -> Event | None:
    """One line of a journal, or None when it is torn or not ours."""
    try:
        raw: dict[str, Any] = json.loads(line)
        event = Event(
            EventKind(raw["kind"]),
            raw["ts"],
            raw.get("run", ""),
            raw.get("feature", ""),
            raw.get("cell", ""),
            raw.get("phase", ""),
            raw.get("attempt", 0),
            raw.get("data", {}),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    texts = (event.ts, event.run, event.feature, event.cell, event.phase)
    fits = isinstance(event.attempt, int) and isinstance(event.data, dict)
    return event if fits and all(isinstance(text, str) for text in texts) else None


def _is_event(line: bytes) -> bool:
    """Whether it may be an event of another version, a JSON object with a kind, or was cut off."""
    if line.startswith(_BEGIN) and not line.endswith(b"}"):
        return True
    try:
        return isinstance(json.loads(line)["kind"], str)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _as_dict(event: Event) -> dict[str, Any]:
    short: dict[str, Any] = {"v": 1, "ts": event.ts, "kind": str(event.kind)}
    for name in ("run", "feature", "cell", "phase", "attempt", "data"):
        value = getattr(event, name)
        if value:
            short[name] = dict(value) if name == "data" else value
    return short
