"""The three-way merge of sequences whose members can be merged themselves. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Generic, Protocol, TypeVar

from orchestr.landing.resolve.tree import Refused

MOST = 20_000  # members of one sequence
MOST_PAIRS = 200_000  # equal members of two sequences; finding runs takes as many steps
MOST_WORDS = 5_000  # of one member, to compare it word by word
MOST_GAPS = 1_000  # changes of one side to one sequence
EDITED = 0.8  # of the words of a member without a name, to be the same one after a change
EDITED_WORDS = 12  # the least, signs included, to tell
_WORDS = re.compile(r"\w+|[^\w\s]")


class Keyed(Protocol):
    """A member: ``key`` says what it is, ``source`` is its text."""

    @property
    def key(self) -> str: ...

    @property
    def source(self) -> str: ...


M = TypeVar("M", bound=Keyed)
Identify = Callable[[M], str | None]


@dataclass(frozen=True, slots=True)
class Gap:
    """A change: base members ``start`` to ``stop`` became the side's ``first`` to ``last``."""

    start: int
    stop: int
    first: int
    last: int

    @property
    def is_insertion(self) -> bool:
        return self.start == self.stop


@dataclass(frozen=True)
class SequenceRules(Generic[M]):
    """How members are merged. Each function may raise Refused.

    ``identify``: what makes a changed member the same one (a name); None: nothing does.
    ``merge``: one member that both have, from base, ours, theirs. ``same``: whether a side left a
    member alone. ``join``: what both inserted at one place. ``check_beside``: whether one side's
    insertion may stand directly beside what the other replaced (the old members, the new ones, and
    whether it stands behind them).
    """

    identify: Identify[M]
    merge: Callable[[M, M, M], M]
    same: Callable[[M, M], bool]
    join: Callable[[list[M], list[M]], list[M]]
    check_beside: Callable[[list[M], list[M], list[M], bool], None]


def merge_sequences(
    base: Sequence[M], ours: Sequence[M], theirs: Sequence[M], rules: SequenceRules[M]
) -> list[M]:
    """Both sides' edits of ``base``. Raises Refused where they meet in the same members, or where
    the rules do not allow it."""
    if max(len(base), len(ours), len(theirs)) > MOST:
        raise Refused("too many parts")
    our_pairs = match_members(base, ours, rules.identify)
    their_pairs = match_members(base, theirs, rules.identify)
    our_gaps = {gap.start: gap for gap in _find_gaps(our_pairs, len(base), len(ours))}
    their_gaps = {gap.start: gap for gap in _find_gaps(their_pairs, len(base), len(theirs))}
    if max(len(our_gaps), len(their_gaps)) > MOST_GAPS:
        raise Refused("too many changes")
    _check_overlaps(base, ours, theirs, our_gaps, their_gaps)
    _check_neighbours(base, ours, theirs, our_gaps, their_gaps, rules)
    _check_neighbours(base, theirs, ours, their_gaps, our_gaps, rules)
    merged: list[M] = []
    for at in range(len(base) + 1):
        merged += _insert_at(at, ours, theirs, our_gaps, their_gaps, rules)
        if at == len(base):
            break
        mine, other = our_pairs.get(at), their_pairs.get(at)
        if mine is not None and other is not None:
            merged.append(rules.merge(base[at], ours[mine], theirs[other]))
        elif mine is not None or other is not None:
            kept = ours[mine] if mine is not None else theirs[other or 0]
            if not rules.same(base[at], kept):
                shown = base[at].key.partition("\n")[0][:80]
                raise Refused(f"one side changed what the other took away: {shown}")
    return merged


def match_members(base: Sequence[M], side: Sequence[M], identify: Identify[M]) -> dict[int, int]:
    """Which member of a side is which of the base: the longest runs of equal ones first, and
    between them those of the same identity."""
    old, new = [item.key for item in base], [item.key for item in side]
    least, begin, end = min(len(old), len(new)), 0, 0
    while begin < least and old[begin] == new[begin]:
        begin += 1
    while end < least - begin and old[-1 - end] == new[-1 - end]:
        end += 1
    pairs = {at: at for at in range(begin)}
    pairs.update((len(old) - at, len(new) - at) for at in range(1, end + 1))
    old, new = old[begin : len(old) - end], new[begin : len(new) - end]
    counts = Counter(old)
    if sum(counts[key] for key in new) > MOST_PAIRS:
        raise Refused("too many parts that are the same")
    for tag, b0, b1, s0, s1 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        first, other = b0 + begin, s0 + begin
        if tag == "equal":
            pairs.update((first + step, other + step) for step in range(b1 - b0))
        elif tag == "replace":
            names = [identify(base[at]) or f"\0{at}" for at in range(first, b1 + begin)]
            others = [identify(side[at]) or f"\1{at}" for at in range(other, s1 + begin)]
            _hide_ambiguous(names, others)
            inner = SequenceMatcher(None, names, others, autojunk=False)
            for block in inner.get_matching_blocks():
                for step in range(block.size):
                    pairs[first + block.a + step] = other + block.b + step
            if len(names) == len(others) == 1 and _is_edited(base[first].key, side[other].key):
                pairs[first] = other
    return pairs


def _hide_ambiguous(names: list[str], others: list[str]) -> None:
    """Take away names that stand more often on one side: which is the same one is a guess."""
    old, new = Counter(names), Counter(others)
    for found, mark in ((names, "\0"), (others, "\1")):
        for at, name in enumerate(found):
            if old[name] and new[name] and old[name] != new[name]:
                found[at] = f"{mark}{at}"


def _is_edited(old: str, new: str) -> bool:
    """Whether the one member in the place of another is that one with an edit: long, and most of
    its words in the same order."""
    words, others = _WORDS.findall(old), _WORDS.findall(new)
    if not EDITED_WORDS <= len(words) <= MOST_WORDS or len(others) > MOST_WORDS:
        return False
    return SequenceMatcher(None, words, others, autojunk=False).ratio() >= EDITED


def _find_gaps(pairs: dict[int, int], base: int, side: int) -> list[Gap]:
    gaps: list[Gap] = []
    start = first = 0
    for at, other in [*sorted(pairs.items()), (base, side)]:
        if at > start or other > first:
            gaps.append(Gap(start, at, first, other))
        start, first = at + 1, other + 1
    return gaps


def _check_overlaps(
    base: Sequence[M],
    ours: Sequence[M],
    theirs: Sequence[M],
    our_gaps: dict[int, Gap],
    their_gaps: dict[int, Gap],
) -> None:
    """Refuse what both replaced, unless both did the same, or only took away."""
    for mine in our_gaps.values():
        for other in their_gaps.values():
            inside = other.is_insertion and mine.start < other.start < mine.stop
            around = mine.is_insertion and other.start < mine.start < other.stop
            if inside or around:
                raise Refused("one side added inside of what the other replaced")
            if max(mine.start, other.start) >= min(mine.stop, other.stop):
                continue
            new = _keys(ours, mine), _keys(theirs, other)
            if new == ([], []) or ((mine.start, mine.stop) == (other.start, other.stop)
                                   and new[0] == new[1]):  # fmt: skip
                continue
            shown = base[max(mine.start, other.start)].key.partition("\n")[0][:80]
            raise Refused(f"both sides replaced the same part: {shown}")


def _keys(side: Sequence[M], gap: Gap) -> list[str]:
    return [item.key for item in side[gap.first : gap.last]]


def _check_neighbours(
    base: Sequence[M],
    side: Sequence[M],
    other: Sequence[M],
    gaps: dict[int, Gap],
    other_gaps: dict[int, Gap],
    rules: SequenceRules[M],
) -> None:
    """Look at each of a side's insertions that touches what the other replaced."""
    for gap in gaps.values():
        if not gap.is_insertion:
            continue
        for near in other_gaps.values():
            if not near.is_insertion and gap.start in (near.start, near.stop):
                rules.check_beside(
                    list(side[gap.first : gap.last]),
                    list(base[near.start : near.stop]),
                    list(other[near.first : near.last]),
                    gap.start == near.stop,
                )


def _insert_at(
    at: int,
    ours: Sequence[M],
    theirs: Sequence[M],
    our_gaps: dict[int, Gap],
    their_gaps: dict[int, Gap],
    rules: SequenceRules[M],
) -> list[M]:
    mine, other = our_gaps.get(at), their_gaps.get(at)
    own = list(ours[mine.first : mine.last]) if mine else []
    foreign = list(theirs[other.first : other.last]) if other else []
    if not mine or not other or not own or not foreign:
        return own + foreign
    if mine.is_insertion and other.is_insertion:
        return rules.join(own, foreign)
    if mine.is_insertion:
        return own + foreign  # it stands before what the other replaced
    if other.is_insertion:
        return foreign + own
    return own  # both replaced the same by the same
