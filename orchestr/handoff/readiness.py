"""Whether a feature can be handed over: what is not green, and the way back. Pure.

Green is what the records prove and the forge shows: every phase up to date, all evidence green, the
pull request open (or merged) at exactly the head that was proved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from orchestr.forges.base import PRState, PullRequest


@dataclass(frozen=True, slots=True)
class CellReadiness:
    """What is known of one cell. ``stale`` are the reasons of phases that would run, ``head`` its
    proved commit, ``url`` its pull request (None: it opens none), ``pr`` what the forge shows."""

    name: str  # FEATURE:CELL
    stale: tuple[str, ...] = ()
    head: str | None = None
    published: str | None = None
    url: str | None = None
    is_green: bool = True
    is_ignored: bool = False
    needs_person: str | None = None  # why, by the journal: a landing or `follow` gave up
    pr: PullRequest | None = None
    away: str | None = None  # why the forge could not be asked


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What is in the way, and the command that leads back; ``cell`` is empty for the feature."""

    cell: str
    why: str
    command: str


def find_obstacles(
    feature: str, cells: Sequence[CellReadiness], cross_checks: Sequence[str] = ()
) -> list[Obstacle]:
    """Everything that is in the way, in the order of ``cells``; nothing means it may begin."""
    found = [obstacle for cell in cells for obstacle in _first_of(_cell_obstacles(feature, cell))]
    found += [Obstacle("", line, f"orchestr run {feature}") for line in cross_checks]
    if not found and all(cell.url is None for cell in cells):
        found.append(
            Obstacle("", "none of its cells has a pull request", f"orchestr run {feature}")
        )
    return found


def _first_of(obstacles: Iterator[Obstacle]) -> Iterable[Obstacle]:
    """The first one: those after it follow from it."""
    return [one for one in [next(obstacles, None)] if one is not None]


def _cell_obstacles(feature: str, cell: CellReadiness) -> Iterator[Obstacle]:
    def make_obstacle(why: str, command: str) -> Obstacle:
        return Obstacle(cell.name, why, command)

    again = f"orchestr run {cell.name}"
    if cell.is_ignored:
        yield make_obstacle("it is ignored", f"orchestr ignore --undo {cell.name}")
    if cell.head is None:
        yield make_obstacle("it has no result yet", again)
    if cell.stale:
        yield make_obstacle(f"it is not up to date: {cell.stale[0]}", again)
    if cell.needs_person is not None:
        yield make_obstacle(
            f"it needs a person: {cell.needs_person}", f"orchestr explain {cell.name}"
        )
    if not cell.is_green:
        yield make_obstacle(
            "something in its checks or reviews stayed red", f"orchestr explain {cell.name}"
        )
    if cell.url is None:
        return
    if cell.published != cell.head:
        yield make_obstacle("its pull request is of an older head", again)
    if cell.away is not None:
        yield make_obstacle(
            f"the forge could not be asked: {cell.away}", f"orchestr status {feature} --fetch"
        )
    if cell.pr is None:
        yield make_obstacle(f"{cell.url} is gone", again)
    elif cell.pr.state is PRState.CLOSED:
        yield make_obstacle(f"{cell.url} was closed without a merge", again)
    elif cell.pr.head_sha != cell.head and cell.pr.state is PRState.OPEN:
        shown, proved = cell.pr.head_sha[:12], str(cell.head)[:12]
        yield make_obstacle(
            f"{cell.url} shows {shown}, proved is {proved}", f"orchestr run {feature}"
        )
    elif cell.pr.checks == "failure" and cell.pr.state is PRState.OPEN:
        yield make_obstacle(f"CI of {cell.url} is red", f"orchestr follow {feature} --once")
