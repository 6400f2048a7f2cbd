"""What a worktree was before its first agent: what set-up left in it is no work of a cell.

Owns `baseline.json`, written when the set-up has ended, and `UnseenPaths`, by which git in that
worktree passes over it. Tracked files are put back after the set-up; what is left is new files, and
tracked ones that git finds changed however often they are checked out (line ends that a
`.gitattributes` wants otherwise, a filter). A file counts as set-up's as long as its content is the
same; changed, it is work like any other.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from orchestr.cell.kit import KitPaths, escape_pattern
from orchestr.codec import Record, read_json_record, write_json_record
from orchestr.state.ports import FILE as PORTS

FILE = "baseline.json"  # in a cell's folder


class BaselineFile(Record, frozen=True):
    """``raw``: SHA-256 of the bytes in the worktree. ``blob``: git's name when it is added."""

    raw: str
    blob: str


class SetupBaseline(Record, frozen=True):
    """``files`` by path; ``folders`` are new ones with more files than anybody writes.
    ``kit`` are blobs of what was linked or copied (`KitPaths.blobs`), as it was then."""

    files: Mapping[str, BaselineFile] = msgspec.field(default_factory=dict)
    folders: tuple[str, ...] = ()
    kit: tuple[str, ...] = ()


NO_BASELINE = SetupBaseline()


def read_baseline(folder: Path) -> SetupBaseline:
    """What is recorded in the cell's folder; an earlier version of ours recorded nothing."""
    path = folder / FILE
    if not path.exists():
        return NO_BASELINE
    return read_json_record(path, SetupBaseline) or NO_BASELINE


def write_baseline(folder: Path, baseline: SetupBaseline) -> None:
    """Record it, or that there is nothing to record."""
    if baseline == NO_BASELINE:
        (folder / FILE).unlink(missing_ok=True)
    else:
        write_json_record(folder / FILE, baseline)


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, of a link's target; empty for anything else."""
    try:
        if path.is_symlink():
            return hashlib.sha256(b"link:" + os.fsencode(path.readlink())).hexdigest()
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


@dataclass(frozen=True)
class UnseenPaths:
    """What git in the worktree at ``place`` passes over, see `orchestr.git.runner.Unseen`."""

    place: Path
    kit: KitPaths
    baseline: SetupBaseline = NO_BASELINE
    ports: bool = False  # the cell has ports, so we write a file into the worktree

    @property
    def is_empty(self) -> bool:
        return not self.kit.specs and self.baseline == NO_BASELINE and not self.ports

    @property
    def specs(self) -> tuple[str, ...]:
        """Pathspecs of what is in no commit, whatever its content."""
        return (*self.kit.specs, *(f":(top,literal){path}" for path in self.baseline.folders))

    @property
    def patterns(self) -> tuple[str, ...]:
        """Lines of an excludes file. A file of the baseline is not in it: it may become work."""
        folders = (f"/{escape_pattern(path)}" for path in self.baseline.folders)
        return (*self.kit.patterns, *folders)

    @property
    def all_patterns(self) -> tuple[str, ...]:
        """As `patterns`, with the files that are as set-up left them."""
        files = (path for path in self.baseline.files if self.hides_change(path))
        return (*self.patterns, *(f"/{escape_pattern(path)}" for path in files))

    def hides_new(self, path: str) -> bool:
        """Whether a new path is the kit's or set-up's."""
        if (self.ports and path == PORTS) or self.kit.covers_path(path) or self.hides_change(path):
            return True
        return any(path == one or path.startswith(f"{one}/") for one in self.baseline.folders)

    def hides_change(self, path: str) -> bool:
        """Whether a path is as set-up left it."""
        known = self.baseline.files.get(path)
        return known is not None and known.raw == hash_file(self.place / path)
