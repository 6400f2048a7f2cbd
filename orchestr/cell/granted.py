"""What a run has handed to the owner of a contract by itself (`amend: auto`), and what for.

Owns `granted.toml` in the owner's folder and `bound.toml` in the folder of the attempt that makes
the change. The grants are part of what the owner's attempt is for (`orchestr.cell.inputs`), so a
new one makes the owner work again; they stay, and so does its key. An attempt that is there only
for grants may change nothing but the contracts. Who decides: `orchestr.cell.auto_amendment`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestr.codec import ExtensibleRecord, Record, encode, read_toml_record, write_toml_record
from orchestr.spec.path_patterns import match_paths
from orchestr.state.attempts import attempt_folder
from orchestr.state.results import ImplementRecord, digest

FILE = "granted.toml"
BOUND = "bound.toml"


class Grant(Record, frozen=True):
    """A change that ``cell`` needs: asked for by its ``attempt``, in the ``paths`` (gitignore
    patterns) of a contract."""

    cell: str
    attempt: int
    paths: tuple[str, ...]
    reason: str


class Grants(ExtensibleRecord, frozen=True):
    """`granted.toml`, oldest first. ``base_key`` is the work that was done when the newest one
    came; empty where it was not done."""

    items: tuple[Grant, ...]
    base_key: str = ""

    def write(self, folder: Path) -> None:
        write_toml_record(folder / FILE, self)


class AttemptBounds(Record, frozen=True):
    """`bound.toml`: the only paths in which the attempt's head may differ from ``since``, the head
    that stands, and the cells that wait for it."""

    paths: tuple[str, ...]
    cells: tuple[str, ...]
    since: str


def read_grants(folder: Path) -> Grants | None:
    """What was handed to a cell; None when nothing was."""
    return read_toml_record(folder / FILE, Grants)


def extend_key(plain: str, items: Sequence[Grant]) -> str:
    """What an attempt is for, with grants: the key without them where there are none."""
    return digest(plain, [encode(item) for item in items]) if items else plain


def count_done_grants(grants: Grants, plain: str, done_key: str) -> int | None:
    """How many grants are in a result; None when it is for other work than ``plain``."""
    for count in range(len(grants.items), -1, -1):
        if extend_key(plain, grants.items[:count]) == done_key:
            return count
    return None


def find_bounds(grants: Grants, plain: str, done: ImplementRecord | None) -> AttemptBounds | None:
    """What binds an attempt that begins now; None for one that has other work, too."""
    if done is None or grants.base_key != plain:
        return None
    count = count_done_grants(grants, plain, done.key)
    new = grants.items[count:] if count is not None else ()
    if not new:
        return None
    paths = dict.fromkeys(path for item in new for path in item.paths)
    return AttemptBounds(tuple(paths), tuple(dict.fromkeys(item.cell for item in new)), done.head)


def read_bounds(folder: Path, number: int) -> AttemptBounds | None:
    """What binds an attempt of the cell in ``folder``; None for most."""
    return read_toml_record(attempt_folder(folder, number) / BOUND, AttemptBounds)


def write_bounds(folder: Path, number: int, bounds: AttemptBounds | None) -> None:
    """Bind an attempt, before its agent starts. Safe to repeat."""
    if bounds is not None:
        write_toml_record(attempt_folder(folder, number) / BOUND, bounds)


def find_outside(bounds: AttemptBounds, changed: Sequence[str]) -> tuple[str, ...]:
    """The changed paths that a bound attempt may not change."""
    may = match_paths(bounds.paths)
    return tuple(path for path in changed if not may(path))
