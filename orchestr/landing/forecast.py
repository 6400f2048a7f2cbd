"""The forecast of conflicts: which heads will conflict with each other, or with their target.

Pure. Two heads are compared only where they are for the same target and change the same paths; what
comes of merging them says `orchestr.landing.forecast_merges`. It is a forecast: the queue merges in
its own order, on the target as it is then, and checks what comes out. A clash that the changed
paths do not show (a file where the other has a folder, a new file in a folder that the other
renames) is left to the queue.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestr.landing.lane import Lane
from orchestr.landing.rung import UNSEEN, Rung

Paths = frozenset[str] | None  # None: too many to name, so they meet all others


class HeadKind(StrEnum):
    """What a head is of."""

    CELL = "cell"
    TARGET = "target"  # the branch that is landed on, as it is known here
    PULL_REQUEST = "pull_request"  # of another person, at the forge


@dataclass(frozen=True, slots=True)
class PublishedHead:
    """A commit that may land on ``lane``.

    ``name``: `feature:cell`, the target's branch, or a pull request's address. ``base``: its own
    changes are ``base..commit``. ``below``: names of the heads that it is built on; they land
    first, and what it has from them is theirs. ``asked``: what is asked about, else it is only
    compared with those that are.
    """

    name: str
    lane: Lane
    commit: str
    base: str
    kind: HeadKind = HeadKind.CELL
    below: frozenset[str] = frozenset()
    asked: bool = True


@dataclass(frozen=True, slots=True)
class HeadPair:
    """Two heads of a lane; ``first`` is the target, or what lands first by the plan's order."""

    first: PublishedHead
    second: PublishedHead

    @property
    def commits(self) -> tuple[str, str]:
        return self.first.commit, self.second.commit


@dataclass(frozen=True, slots=True)
class PairMerge:
    """What the merge ladder makes of two heads: ``resolved`` by rungs up to ``rung``, ``left`` to
    an agent or a person. Both are paths."""

    rung: Rung = Rung.GIT
    resolved: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether git merges them by itself."""
        return not self.resolved and not self.left


@dataclass(frozen=True, slots=True)
class ExpectedConflict:
    """Two heads that will conflict in ``paths``. Where no rung of the ladder resolves some file,
    they are those files, and ``left`` names them; else ``rung`` is the highest that is needed.
    ``hint``: what a person can do, "" where the landing needs nothing.
    """

    pair: HeadPair
    paths: tuple[str, ...]
    left: tuple[str, ...] = ()
    rung: Rung = Rung.GIT
    outcome: str = ""
    hint: str = ""

    @property
    def names(self) -> tuple[str, str]:
        return self.pair.first.name, self.pair.second.name

    def concerns_feature(self, feature: str) -> bool:
        """Whether one of the two is a cell of the feature."""
        heads = (self.pair.first, self.pair.second)
        cells = (head.name for head in heads if head.kind is HeadKind.CELL)
        return any(name.partition(":")[0] == feature for name in cells)


@dataclass(frozen=True, slots=True)
class ConflictForecast:
    """All that is expected. ``notes`` say in a sentence each what could not be compared."""

    conflicts: tuple[ExpectedConflict, ...] = ()
    notes: tuple[str, ...] = ()

    def select_feature(self, feature: str) -> ConflictForecast:
        """What concerns one feature; the notes are about all."""
        found = tuple(one for one in self.conflicts if one.concerns_feature(feature))
        return ConflictForecast(found, self.notes)


def choose_pairs(
    heads: Sequence[PublishedHead], paths: Mapping[tuple[str, str], Paths]
) -> list[HeadPair]:
    """The pairs that have to be merged to know: in the same lane, neither built on the other,
    changing a path in common; targets first. ``heads`` are in the order in which they may land;
    ``paths`` are by (base, commit), a head without an entry is left out.
    """
    lanes: dict[Lane, list[PublishedHead]] = {}
    for head in heads:
        if (head.base, head.commit) in paths and head.commit != head.base:
            lanes.setdefault(head.lane, []).append(head)
    found = [pair for mine in lanes.values() for pair in _pairs_of_lane(mine, paths)]
    return sorted(found, key=lambda pair: pair.first.kind is not HeadKind.TARGET)


def _pairs_of_lane(
    heads: Sequence[PublishedHead], paths: Mapping[tuple[str, str], Paths]
) -> Iterator[HeadPair]:
    touching: dict[str, list[int]] = {}
    large = []
    for number, head in enumerate(heads):
        mine = paths[head.base, head.commit]
        if mine is None:
            large.append(number)
        for path in mine or ():
            touching.setdefault(path, []).append(number)
    met = {
        (min(a, b), max(a, b))
        for a in large
        for b in range(len(heads))
        if a != b and paths[heads[b].base, heads[b].commit] != frozenset()
    }
    for numbers in touching.values():
        met |= {(a, b) for at, a in enumerate(numbers) for b in numbers[at + 1 :]}
    for a, b in sorted(met):
        if (pair := _make_pair(heads[a], heads[b])) is not None:
            yield pair


def _make_pair(one: PublishedHead, other: PublishedHead) -> HeadPair | None:
    """The pair, where it is asked about and says something."""
    if other.kind is HeadKind.TARGET:
        one, other = other, one
    if one.kind is HeadKind.TARGET:
        # A target stands once for each base: only what was made on that base meets it.
        fits = other.kind is HeadKind.CELL and other.base == one.base and other.asked
        return HeadPair(one, other) if fits else None
    if one.name in other.below or other.name in one.below or one.commit == other.commit:
        return None
    return HeadPair(one, other) if one.asked or other.asked else None


def interpret_merges(merges: Sequence[tuple[HeadPair, PairMerge]]) -> list[ExpectedConflict]:
    """The conflicts among these merges. One that a head only inherits from what it is built on
    stands there, not again at the head."""
    merged = {(pair.first.name, pair.second.name): merge for pair, merge in merges}
    found = []
    for pair, merge in merges:
        above = [
            known
            for first in (pair.first.name, *pair.first.below)
            for second in (pair.second.name, *pair.second.below)
            if (first, second) != (pair.first.name, pair.second.name)
            for known in (merged.get((first, second)), merged.get((second, first)))
            if known is not None
        ]
        theirs = {path for known in above for path in (*known.resolved, *known.left)}
        left = tuple(path for path in merge.left if path not in theirs)
        resolved = [path for path in merge.resolved if path not in theirs]
        if left or resolved:
            paths = tuple(sorted({*left, *resolved}))
            found.append(ExpectedConflict(pair, paths, left, merge.rung))
    return found


RUNG_WORDS: Mapping[Rung, str] = {
    Rung.GIT: "lands as git merges it",
    Rung.RECORDED: "lands as the same conflict was resolved before",
    Rung.REGENERATE: "lands once its generator has written it again",
    Rung.STRUCTURE: "lands by structure, with the entries of both",
    Rung.UNION: "lands by union, with the lines of both",
}


def describe_outcome(conflict: ExpectedConflict, *, has_agent: bool, has_checks: bool) -> str:
    """What the landing will do about it; ``has_agent``: the second one's agent may repair;
    ``has_checks``: something is checked of what lands."""
    words = "its agent will be asked" if has_agent else "a person has to resolve it"
    if not conflict.left and (has_checks or not conflict.rung.needs_check):
        return RUNG_WORDS[conflict.rung]
    if not conflict.left:
        words = f"{words} ({UNSEEN})"
    foreign = conflict.pair.first.kind is HeadKind.PULL_REQUEST
    return f"{words} if that lands first" if foreign else words
