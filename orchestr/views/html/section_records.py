"""The records that the templates of a page are given: rows, pulls, notices, pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestr.views.html import gantt
from orchestr.views.html.costs import CostSum

NODE = (200, 48)  # width and height of a cell in the picture


GAP = (64, 16)


MARGIN = 8


@dataclass(frozen=True, slots=True)
class StateBadge:
    """A state as words, symbol and CSS class."""

    word: str
    symbol: str
    look: str


@dataclass(frozen=True, slots=True)
class CellRow:
    """One cell in the table."""

    name: str
    repo: str
    state: StateBadge
    phase: str
    attempt: int
    tries: str
    time: str
    cost: CostSum
    why: str
    waits: str
    pr: PullRequestRow | None
    critical: bool
    asks: str = ""  # the digest of what a person is asked to approve


@dataclass(frozen=True, slots=True)
class PullRequestRow:
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
    state: StateBadge
    reason: str
    detail: str
    commands: tuple[str, ...]
    behind: tuple[str, ...] = ()
    asks: str = ""


@dataclass(frozen=True, slots=True)
class PictureBox:
    """A cell in the picture."""

    name: str
    label: str
    sub: str
    title: str
    state: StateBadge
    x: float
    y: float
    critical: bool


@dataclass(frozen=True, slots=True)
class PictureEdge:
    """An edge in the picture."""

    path: str
    look: str


@dataclass(frozen=True, slots=True)
class PlanPicture:
    boxes: tuple[PictureBox, ...]
    lines: tuple[PictureEdge, ...]
    width: float
    height: float
    node: tuple[int, int] = NODE


@dataclass(frozen=True, slots=True)
class TimelineTrack:
    """One line of the timeline."""

    cell: str
    state: StateBadge
    critical: bool
    bars: tuple[gantt.SpanBar, ...]


@dataclass(frozen=True, slots=True)
class TimelineChart:
    marks: tuple[gantt.AxisMark, ...]
    tracks: tuple[TimelineTrack, ...]
    hidden: int
    breaks: tuple[float, ...] = field(default=())
