"""Whether two path patterns can match one path: the arithmetic behind `dag.find_overlaps`.

Pure; how a pattern is read is `orchestr.spec.path_patterns`' business. The answer errs to one side:
a false "yes" costs a warning, a false "no" would cost a merge conflict, so classes count as any
character. Two exceptions keep the warnings worth reading. A last name with an extension (``*.go``)
counts as a file, not as a folder, as long as the other pattern does not name such a folder. A plain
name that holds at every depth (``web/``) is looked for at the top, and elsewhere only if the other
pattern has a name like it: ``web/`` and ``server/`` have ``server/web/x`` in common by the letter,
and that is not meant.
"""

from __future__ import annotations

from functools import lru_cache

from orchestr.spec.path_patterns import GlobPattern, is_wild


def can_overlap(a: GlobPattern, b: GlobPattern) -> bool:
    """True when some path matches both patterns (see the module for the side it errs to)."""
    if a.floating and b.floating:
        return a.floating == b.floating
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
    """The segments, as far as they count beside the other pattern (see the module)."""
    segments = glob.segments
    if glob.floating and not _names(other, glob.floating):
        segments = segments[1:]
    if not glob.leaf:
        return segments
    folders = other.segments[:-1] if other.leaf else other.segments
    named = any(not is_wild(s) and _can_segments_overlap(glob.leaf, s) for s in folders)
    return (*segments, "**") if named else segments


def _names(glob: GlobPattern, name: str) -> bool:
    """Whether a segment that says something (``*`` does not) fits the name."""
    return any(s.strip("*?") and _can_segments_overlap(s, name) for s in glob.segments)


@lru_cache(maxsize=65536)
def _can_segments_overlap(a: str, b: str) -> bool:
    if not is_wild(a) and not is_wild(b):
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
