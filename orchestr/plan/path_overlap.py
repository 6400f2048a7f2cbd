"""Whether two path patterns can match one path: the arithmetic behind `dag.find_overlaps`.

Pure. Patterns are gitignore-like: ``*``, ``?`` and classes stay inside a segment, ``**`` crosses
segments, a pattern without an inner slash holds at every depth, and a pattern that names a
folder holds for all below it. The answer errs to one side: a false "yes" costs a warning, a
false "no" would cost a merge conflict, so classes count as any character and ``!`` excludes
nothing. One exception keeps the warnings worth reading: a last name with an extension (``*.go``)
counts as a file, not as a folder, as long as the other pattern does not name such a folder.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple


class GlobPattern(NamedTuple):
    """A pattern cut into segments; ``literal`` is how many of the first are plain names.

    ``leaf`` is the last segment when it looks like a file (then nothing below it is meant).
    """

    segments: tuple[str, ...]
    literal: int
    leaf: str = ""

    @property
    def literal_prefix(self) -> tuple[str, ...]:
        """The folders and names every matching path starts with."""
        return self.segments[: self.literal]


@lru_cache(maxsize=65536)
def parse_glob(pattern: str) -> GlobPattern | None:
    """The segments of a pattern, or None for one that matches nothing (empty, ``!x``)."""
    if pattern.startswith("!"):
        return None
    body = pattern[:-1] if pattern.endswith("/") else pattern
    anchored = "/" in body
    segments = [s for s in body.split("/") if s not in ("", ".")]
    if not segments:
        # "/" and "." mean the whole repository.
        return GlobPattern(("**",), 0) if pattern.strip() else None
    if not anchored and segments[0] != "**":
        segments.insert(0, "**")
    leaf = segments[-1] if body == pattern and "." in segments[-1][1:] else ""
    if not leaf and segments[-1] != "**":
        segments.append("**")
    literal = next((i for i, s in enumerate(segments) if _is_wild(s)), len(segments))
    return GlobPattern(tuple(_unescape(s) for s in segments), literal, leaf)


def can_overlap(a: GlobPattern, b: GlobPattern) -> bool:
    """True when some path matches both patterns (see the module for the side it errs to)."""
    ours, theirs = _expand_segments(a, b), _expand_segments(b, a)
    # The usual two-string table, row by row: reach[j] says that what we have walked of ours and
    # theirs[:j] can cover one path.
    width = len(theirs)
    reach = [True] + [False] * width
    for j in range(width):
        reach[j + 1] = reach[j] and theirs[j] == "**"
    for left in ours:
        row = [reach[0] and left == "**"] + [False] * width
        for j, right in enumerate(theirs):
            if left == "**" or right == "**":
                # "**" stands for nothing, or eats one more segment of the other side.
                row[j + 1] = row[j] or reach[j + 1]
            else:
                row[j + 1] = reach[j] and _can_segments_overlap(left, right)
        reach = row
    return reach[width]


def _expand_segments(glob: GlobPattern, other: GlobPattern) -> tuple[str, ...]:
    """The segments, with what lies below a file-like name if the other names it as a folder."""
    if not glob.leaf:
        return glob.segments
    folders = other.segments[:-1] if other.leaf else other.segments
    named = any(not _is_wild(s) and _can_segments_overlap(glob.leaf, s) for s in folders)
    return (*glob.segments, "**") if named else glob.segments


def _is_wild(segment: str) -> bool:
    return any(mark in segment for mark in "*?[")


def _unescape(segment: str) -> str:
    return segment if _is_wild(segment) else segment.replace("\\", "")


@lru_cache(maxsize=65536)
def _can_segments_overlap(a: str, b: str) -> bool:
    if not _is_wild(a) and not _is_wild(b):
        return a == b
    left, right = _split_tokens(a), _split_tokens(b)
    reach = [True]
    for token in right:
        reach.append(reach[-1] and token == "*")
    for first in left:
        row = [reach[0] and first == "*"]
        for j, second in enumerate(right):
            if first == "*" or second == "*":
                row.append(row[j] or reach[j + 1])
            else:
                row.append(reach[j] and (first == second or "?" in (first, second)))
        reach = row
    return reach[-1]


def _split_tokens(segment: str) -> list[str]:
    """Characters, with ``*`` for any run, ``?`` for one character or a class."""
    found: list[str] = []
    index = 0
    while index < len(segment):
        mark = segment[index]
        if mark == "\\" and index + 1 < len(segment):
            # An escaped mark is that character; a private-use twin keeps it from being read so.
            index += 1
            found.append(segment[index] if segment[index] not in "*?" else "\\" + segment[index])
        elif mark == "[":
            end = segment.find("]", index + 2)
            found.append("?" if end > 0 else "[")
            index = end if end > 0 else index
        elif mark == "*" and found and found[-1] == "*":
            pass
        else:
            found.append(mark)
        index += 1
    return found
