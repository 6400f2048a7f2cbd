"""Seals: what our processes wrote into a cell's result files, by their digests in the journal.

A result file says that checks are green or that a head is proved; whoever can write to the state
folder (an agent without a sandbox) can forge one. So the digest of such a file is journalled before
it is written (`result.written`), and a file with another content counts as unreadable: it is set
aside and its phase runs again. `whole` in such an event: from then on every file of the
cell must have one; it is written before the cell's first agent starts. Files of earlier versions,
without a digest, count as before.

The journal lies in the same folder. A run knows what it held when it began and what it has written
itself since, and goes by that: a line that appears meanwhile seals nothing but a person's decision.

Survives a crash: after a kill between the digest and the file the old content is still known, as
all digests of a file count. What a content is evidence of is in it: the head and the key.
"""

from __future__ import annotations

import hashlib
import json
import threading
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from orchestr.codec import Record, decode, encode_json_record, encode_toml_record
from orchestr.files import read_parsed, read_record, write_if_changed
from orchestr.state.event_details import ResultWritten
from orchestr.state.events import EventKind
from orchestr.state.journal import DECISIONS, Journal

R = TypeVar("R", bound=Record)
Announce = Callable[[Mapping[str, str], bool], None]


class ResultSeals:
    """The digests of one feature's result files, by cell and file name; read once from its journal,
    and again where another process may have written since."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._digests: dict[tuple[str, str], set[str]] = {}
        self._whole: set[str] = set()
        self._size = -1
        self._fixed = False  # what counts of the journal is what was read when we were first alone

    def add(self, cell: str, files: Mapping[str, str], whole: bool) -> None:
        """Take an event of ours in."""
        self._load()
        for name, value in files.items():
            self._digests.setdefault((cell, name), set()).add(value)
        if whole:
            self._whole.add(cell)

    def is_whole(self, cell: str) -> bool:
        """Whether every file of the cell must have a digest."""
        self._load()
        return cell in self._whole

    def holds(self, cell: str, name: str, value: str) -> bool:
        """Whether that content was written by us."""
        self._load()
        return value in self._digests.get((cell, name), ())

    def accepts(
        self, cell: str, name: str, value: str, *, alone: bool, strict: bool = False
    ) -> bool:
        """Whether a file with that content counts. ``alone``: no other process writes
        results, so what the journal has gained meanwhile does not count. ``strict``: without a
        digest of it in the journal no file counts, whether an agent has worked or not."""
        looks = not alone or not self._fixed or name.startswith(DECISIONS)
        self._fixed = self._fixed or alone
        if self.holds(cell, name, value):
            return True
        if looks and self._load(again=True) and self.holds(cell, name, value):
            return True
        return not strict and (cell, name) not in self._digests and cell not in self._whole

    def _load(self, *, again: bool = False) -> bool:
        """Read the journal if that was not done, or if it grew; whether it was read."""
        with self._lock:
            size = self._journal.size()
            if self._size >= 0 and not (again and size != self._size):
                return False
            self._size = size
            for event in self._journal.read_kind(EventKind.RESULT_WRITTEN):
                details = event.details
                if not isinstance(details, ResultWritten):
                    continue
                for name, value in (details.files or {}).items():
                    self._digests.setdefault((event.cell, str(name)), set()).add(str(value))
                if details.whole:
                    self._whole.add(event.cell)
            return True


_features: WeakKeyDictionary[Journal, ResultSeals] = WeakKeyDictionary()


def seals_of(journal: Journal) -> ResultSeals:
    """The seals of the feature of a journal, read once for each `Journal`."""
    return _features.setdefault(journal, ResultSeals(journal))


class CellSeals:
    """The seals of one cell. ``announce`` journals digests, ``alone`` tells whether this process
    has the feature for itself, ``strict`` is that of `ResultSeals.accepts`."""

    def __init__(
        self, seals: ResultSeals, cell: str, announce: Announce, alone: Callable[[], bool], *,
        strict: bool = False,
    ) -> None:  # fmt: skip
        self._seals, self._cell = seals, cell
        self._announce, self._alone, self._strict = announce, alone, strict

    def note(self, name: str, data: bytes) -> None:
        """This is about to be written."""
        value = digest_bytes(data)
        if not self._seals.holds(self._cell, name, value):
            self._announce({name: value}, False)
            self._seals.add(self._cell, {name: value}, False)

    def accepts(self, name: str, data: bytes) -> bool:
        """Whether that content of a file counts."""
        return self._seals.accepts(
            self._cell, name, digest_bytes(data), alone=self._alone(), strict=self._strict
        )

    def close(self, folder: Path, names: tuple[str, ...]) -> None:
        """An agent is about to start: from here on every file must have a digest. What is there of
        an earlier version gets one."""
        if self._seals.is_whole(self._cell):
            return
        files = {}
        for name in names:
            path = folder / name
            if path.is_file():
                data = path.read_bytes()
                if self.accepts(name, data):
                    files[name] = digest_bytes(data)
        self._announce(files, True)
        self._seals.add(self._cell, files, True)


_watched: dict[str, CellSeals] = {}


def watch_folder(folder: Path, seals: CellSeals) -> None:
    """From now on the result files in a cell's folder are written and read under its seals."""
    _watched[str(folder)] = seals


def find_seals(folder: Path) -> CellSeals | None:
    """The seals of a cell's folder; None for one that was put away, or belongs to no cell."""
    return _watched.get(str(folder))


def write_sealed(folder: Path, name: str, record: Record) -> None:
    """Write a result file, its digest first."""
    data = encode_toml_record(record) if name.endswith(".toml") else encode_json_record(record)
    seals = find_seals(folder)
    if seals is not None:
        seals.note(name, data)
    write_if_changed(folder / name, data)


def read_sealed(folder: Path, name: str, kind: type[R]) -> R | None:
    """The record in a result file; None when there is none, or none that our processes wrote."""
    seals, path = find_seals(folder), folder / name

    def make(read: tuple[Any, bytes]) -> R:
        table, data = read
        if seals is not None and not seals.accepts(name, data):
            raise ValueError("its content is none that orchestr wrote there")
        return decode(table, kind)

    return read_record(path, _load_toml if name.endswith(".toml") else _load_json, make)


def digest_bytes(data: bytes) -> str:
    """The digest of a file's content."""
    return hashlib.sha256(data).hexdigest()[:32]


def _load_toml(path: Path) -> tuple[Any, bytes] | None:
    return read_parsed(path, tomllib.loads)


def _load_json(path: Path) -> tuple[Any, bytes] | None:
    return read_parsed(path, json.loads)
