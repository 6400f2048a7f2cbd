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
    """A member: ``key`` says what it is."""

    @property
    def key(self) -> str: ...


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


@dataclass(frozen=True, slots=True)
class _Side(Generic[M]):
    """One side: ``pairs`` says which of its members is which of the base, ``gaps`` are its changes
    by where they start in the base."""

    members: Sequence[M]
    pairs: dict[int, int]
    gaps: dict[int, Gap]

    def list_new(self, gap: Gap) -> list[M]:
        return list(self.members[gap.first : gap.last])


def allow_beside(*_: object) -> None:
    """Nothing speaks against an addition beside a changed member."""


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
    check_beside: Callable[[list[M], list[M], list[M], bool], None] = allow_beside


def merge_sequences(
    base: Sequence[M], ours: Sequence[M], theirs: Sequence[M], rules: SequenceRules[M]
) -> list[M]:
    """Both sides' edits of ``base``. Raises Refused where they meet in the same members, or where
    the rules do not allow it."""
    if max(len(base), len(ours), len(theirs)) > MOST:
        raise Refused("too many parts")
    own, foreign = (_compare_side(base, side, rules.identify) for side in (ours, theirs))
    if max(len(own.gaps), len(foreign.gaps)) > MOST_GAPS:
        raise Refused("too many changes")
    _check_overlaps(base, own, foreign)
    _check_neighbours(base, own, foreign, rules)
    _check_neighbours(base, foreign, own, rules)
    merged: list[M] = []
    for at in range(len(base) + 1):
        merged += _insert_at(at, own, foreign, rules)
        if at == len(base):
            break
        mine, other = own.pairs.get(at), foreign.pairs.get(at)
        if mine is not None and other is not None:
            merged.append(rules.merge(base[at], ours[mine], theirs[other]))
        elif mine is not None or other is not None:
            kept = ours[mine] if mine is not None else theirs[other or 0]
            if not rules.same(base[at], kept):
                shown = shorten_key(base[at])
                raise Refused(f"one side changed what the other took away: {shown}")
    return merged


def shorten_key(member: Keyed) -> str:
    """What a member is, as a reason shows it."""
    return member.key.partition("\n")[0][:80]


def count_shared_ends(one: Sequence[str], other: Sequence[str]) -> tuple[int, int]:
    """How many members both begin with, and how many of the others both end with."""
    least, begin, end = min(len(one), len(other)), 0, 0
    while begin < least and one[begin] == other[begin]:
        begin += 1
    while end < least - begin and one[-1 - end] == other[-1 - end]:
        end += 1
    return begin, end


def match_members(base: Sequence[M], side: Sequence[M], identify: Identify[M]) -> dict[int, int]:
    """Which member of a side is which of the base: the longest runs of equal ones first, and
    between them those of the same identity."""
    old, new = [item.key for item in base], [item.key for item in side]
    begin, end = count_shared_ends(old, new)
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


def _compare_side(base: Sequence[M], members: Sequence[M], identify: Identify[M]) -> _Side[M]:
    pairs = match_members(base, members, identify)
    gaps: dict[int, Gap] = {}
    start = first = 0
    for at, other in [*sorted(pairs.items()), (len(base), len(members))]:
        if at > start or other > first:
            gaps[start] = Gap(start, at, first, other)
        start, first = at + 1, other + 1
    return _Side(members, pairs, gaps)


def _check_overlaps(base: Sequence[M], ours: _Side[M], theirs: _Side[M]) -> None:
    """Refuse what both replaced, unless both did the same, or only took away."""
    for mine in ours.gaps.values():
        for other in theirs.gaps.values():
            inside = other.is_insertion and mine.start < other.start < mine.stop
            around = mine.is_insertion and other.start < mine.start < other.stop
            if inside or around:
                raise Refused("one side added inside of what the other replaced")
            if max(mine.start, other.start) >= min(mine.stop, other.stop):
                continue
            new = [item.key for item in ours.list_new(mine)]
            same = new == [item.key for item in theirs.list_new(other)]
            if same and (not new or (mine.start, mine.stop) == (other.start, other.stop)):
                continue
            shown = shorten_key(base[max(mine.start, other.start)])
            raise Refused(f"both sides replaced the same part: {shown}")


def _check_neighbours(
    base: Sequence[M], side: _Side[M], other: _Side[M], rules: SequenceRules[M]
) -> None:
    """Look at each of a side's insertions that touches what the other replaced."""
    for gap in side.gaps.values():
        if not gap.is_insertion:
            continue
        for near in other.gaps.values():
            if not near.is_insertion and gap.start in (near.start, near.stop):
                rules.check_beside(
                    side.list_new(gap),
                    list(base[near.start : near.stop]),
                    other.list_new(near),
                    gap.start == near.stop,
                )


def _insert_at(at: int, ours: _Side[M], theirs: _Side[M], rules: SequenceRules[M]) -> list[M]:
    mine, other = ours.gaps.get(at), theirs.gaps.get(at)
    own = ours.list_new(mine) if mine else []
    foreign = theirs.list_new(other) if other else []
    if not mine or not other or not own or not foreign:
        return own + foreign
    if mine.is_insertion and other.is_insertion:
        return rules.join(own, foreign)
    if mine.is_insertion:
        return own + foreign  # it stands before what the other replaced
    if other.is_insertion:
        return foreign + own
    return own  # both replaced the same by the same
