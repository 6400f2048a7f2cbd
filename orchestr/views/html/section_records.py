"""The records that the templates of a page are given: rows, pulls, notices, pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestr.views.html import gantt
from orchestr.views.html.costs import Cost

NODE = (200, 48)  # width and height of a cell in the picture


GAP = (64, 16)


MARGIN = 8


@dataclass(frozen=True, slots=True)
class State:
    """A state as words, symbol and CSS class."""

    word: str
    symbol: str
    look: str


@dataclass(frozen=True, slots=True)
class Row:
    """One cell in the table."""

    name: str
    repo: str
    state: State
    phase: str
    attempt: int
    tries: str
    time: str
    cost: Cost
    why: str
    waits: str
    pr: Pull | None
    critical: bool
    asks: str = ""  # the digest of what a person is asked to approve


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull request in its stack; ``number`` is the order in which they can be merged."""

    cell: str
    url: str
    href: str | None
    words: str
    state: str
    branch: str
    base: str
    depth: int = 0
    number: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that wants a person: what, why, and the command that helps."""

    cell: str
    state: State
    reason: str
    detail: str
    commands: tuple[str, ...]
    behind: tuple[str, ...] = ()
    asks: str = ""


@dataclass(frozen=True, slots=True)
class Box:
    """A cell in the picture."""

    name: str
    label: str
    sub: str
    title: str
    state: State
    x: float
    y: float
    critical: bool


@dataclass(frozen=True, slots=True)
class Line:
    """An edge in the picture."""

    path: str
    look: str


@dataclass(frozen=True, slots=True)
class Picture:
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    width: float
    height: float
    node: tuple[int, int] = NODE


@dataclass(frozen=True, slots=True)
class Track:
    """One line of the timeline."""

    cell: str
    state: State
    critical: bool
    bars: tuple[gantt.Bar, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    marks: tuple[gantt.Mark, ...]
    tracks: tuple[Track, ...]
    hidden: int
    breaks: tuple[float, ...] = field(default=())
