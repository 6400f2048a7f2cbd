"""The regions of a three-way merge of one file's texts, as git sees them.

git decides what belongs together (`git merge-file --diff3`); this module only reads its answer, so
that what resolves a region agrees with the merge that conflicted. It needs no repository.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestr.git.runner import GitPath

_NAMES = ("ours", "base", "theirs")
_MOST = 127  # the exit code is the number of conflicts up to here; above, git could not merge


@dataclass(frozen=True, slots=True)
class StableRegion:
    """Lines that git merged by itself."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConflictRegion:
    """Lines that both sides changed, each side's own; ``base`` is what they were."""

    base: tuple[str, ...]
    ours: tuple[str, ...]
    theirs: tuple[str, ...]


Region = StableRegion | ConflictRegion


def read_merge_regions(base: str, ours: str, theirs: str) -> tuple[Region, ...]:
    """What git merges of three texts and what it cannot, in the order of the file.

    The texts end with a newline or are empty; lines are without it. Raises GitError when git does
    not merge them (it takes a NUL for binary).
    """
    texts = (ours, base, theirs)
    marker = _choose_marker_size(texts)
    with tempfile.TemporaryDirectory(prefix="orchestr-merge-file-") as folder:
        for name, text in zip(_NAMES, texts, strict=True):
            Path(folder, name).write_bytes(text.encode())
        words = ("merge-file", "-p", "--diff3", f"--marker-size={marker}", *_NAMES)
        done = GitPath(Path(folder)).run_readonly(*words, answers=range(_MOST + 1))
    return tuple(_parse_regions(done.out.decode().split("\n")[:-1], marker))


def _choose_marker_size(texts: tuple[str, ...]) -> int:
    """A length of conflict markers of which no text has a line."""
    size = 32
    while any(mark * size in text for text in texts for mark in "<|=>"):
        size *= 2
    return size


def _parse_regions(lines: list[str], marker: int) -> Iterator[Region]:
    marks = {mark * marker: mark for mark in "<|=>"}
    sides: dict[str, list[str]] = {"": []}
    side = ""
    for line in lines:
        mark = marks.get(line[:marker])
        if mark is None:
            sides[side].append(line)
        elif mark == "<":
            if sides[""]:
                yield StableRegion(tuple(sides[""]))
            sides = {"": [], "<": [], "|": [], "=": []}
            side = "<"
        elif mark == ">":
            yield ConflictRegion(tuple(sides["|"]), tuple(sides["<"]), tuple(sides["="]))
            side = ""
        else:
            side = mark
    if sides[""]:
        yield StableRegion(tuple(sides[""]))
