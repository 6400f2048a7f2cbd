"""Whose change made a candidate red: from the files that a check's output names to changes. Pure.

Only what the tool's own output names is a cause; what it does not name is not guessed. Whoever
reads the output is `orchestr.landing.find_causes`; what comes of a cause is decided in
`orchestr.landing.blame`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestr.cell.ownership import format_paths


@dataclass(frozen=True, slots=True)
class Cause:
    """A change that the output of a red check names by ``paths`` of it, at the ``head`` that the
    check saw."""

    key: str
    head: str
    paths: tuple[str, ...]

    @property
    def shown_paths(self) -> str:
        """The first paths for a sentence, and how many more there are."""
        return format_paths(self.paths, most=3)


@dataclass(frozen=True, slots=True)
class Blamed:
    """``key`` is red on its target because of ``cause``, which is repaired first: ``key`` is tried
    again when the cause has landed with another head. ``detail`` is the evidence.
    """

    key: str
    cause: Cause
    detail: str = ""


def choose_causes(
    own: str, owners: Mapping[str, Sequence[str]], heads: Mapping[str, str]
) -> tuple[Cause, ...]:
    """The causes among the changes that ``owners`` has for each named path, nearest first.

    One that is alone is named by every path: the tested change (``own``) where any path names it,
    because it came last and is what differs; else another one. Several: none of them has all of
    the paths, each stands with those that only it has to answer for. () when no path has an owner.
    """
    named = {path: keys for path, keys in owners.items() if keys}
    if not named:
        return ()
    paths = tuple(named)
    every = list(dict.fromkeys(key for keys in named.values() for key in keys))
    if own in every:
        mine = tuple(path for path in paths if own in named[path])
        return (Cause(own, heads.get(own, ""), mine),)
    whole = [key for key in every if all(key in keys for keys in named.values())]
    if whole:
        return (Cause(whole[0], heads.get(whole[0], ""), paths),)
    first = {path: keys[0] for path, keys in named.items()}
    return tuple(
        Cause(key, heads.get(key, ""), tuple(path for path in paths if first[path] == key))
        for key in dict.fromkeys(first.values())
    )


def describe_causes(own: str, causes: Sequence[Cause]) -> str:
    """What the output says of whose change it is, for the first line of the evidence; "" where it
    is the tested change's own."""
    if not causes:
        return "its output names no file of a cell"
    if causes[0].key == own:
        return ""
    return "its output names " + " and ".join(
        f"{one.shown_paths}, which {name_cell(one.key)} changed" for one in causes
    )


def name_cell(key: str) -> str:
    """A change as people write its cell."""
    return key.replace("/", ":", 1)


def describe_wait(cause: Cause, name: str) -> str:
    """What a change that waits for a cause waits for; ``name``: the cause, as it is to be shown."""
    return f"{name}, whose change in {cause.shown_paths} made it red"
