"""Merge what is no code: white space, comments, and the text of docstrings."""

from __future__ import annotations

from dataclasses import dataclass

from orchestr.landing.resolve.sequence import SequenceRules, count_shared_ends, merge_sequences
from orchestr.landing.resolve.tree import Refused


@dataclass(frozen=True)
class Line:
    """A line of prose; white space at its end does not count."""

    source: str

    @property
    def key(self) -> str:
        return self.source.rstrip()


def merge_white_space(base: str, ours: str, theirs: str) -> str:
    """White space and comments before or behind a token. Raises Refused where both sides changed
    the same comment."""
    if theirs in (ours, base):
        return ours
    if ours == base:
        return theirs
    old, mine, other = ("".join(text.split()) for text in (base, ours, theirs))
    if mine == old:
        return theirs if other != old else ours
    if other in (old, mine):
        return ours
    return merge_prose(base, ours, theirs)


def merge_prose(base: str, ours: str, theirs: str) -> str:
    """Both sides' lines of a text without code. Raises Refused where both changed a line."""
    rules = SequenceRules[Line](
        identify=lambda _: None,
        merge=lambda old, mine, other: mine if mine != old else other,
        same=lambda old, new: old.key == new.key,
        join=_join_lines,
    )
    old, mine, other = ([Line(line) for line in text.split("\n")] for text in (base, ours, theirs))
    return "\n".join(line.source for line in merge_sequences(old, mine, other, rules))


def _join_lines(ours: list[Line], theirs: list[Line]) -> list[Line]:
    """What both added at one place: what both begin and end with only once."""
    mine, other = [line.key for line in ours], [line.key for line in theirs]
    if mine == other:
        return ours
    begin, end = count_shared_ends(mine, other)
    own, foreign = ours[begin : len(ours) - end], theirs[begin : len(theirs) - end]
    if not own or not foreign:
        raise Refused("one side added what the other added, and more")
    between = ours[:begin] if begin and not any(mine[:begin]) else []
    if not between and end and not any(mine[len(mine) - end :]):
        between = ours[len(ours) - end :]
        if end == 1 and own[-1].key and _is_last_line(ours):
            between = []
    return [*ours[:begin], *own, *between, *foreign, *ours[len(ours) - end :]]


def _is_last_line(lines: list[Line]) -> bool:
    """Whether the last line is the indentation before closing quotes."""
    return bool(lines[-1].source) and not lines[-1].key
