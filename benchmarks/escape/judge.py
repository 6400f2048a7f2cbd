"""From what was reported and what is there now to one word for each attempt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.escape.adapters.base import Adapter
from benchmarks.escape.attempt import Attempt, Room
from benchmarks.escape.scene import set_scene


class Verdict(StrEnum):
    """What became of an attempt; the last two must not be."""

    STOPPED = "stopped"  # it had no effect, and nothing needed to be reported
    UNDONE = "undone"  # it was reported, and there is no effect any more
    NOTICED = "noticed"  # it was reported; the effect stays
    NOT = "not"  # it had its effect, and nothing was reported
    IDLE = "idle"  # its program was never run: nothing is known


@dataclass(frozen=True, slots=True)
class Result:
    """An attempt, its verdict and what the tool reported of it."""

    attempt: Attempt
    verdict: Verdict
    reports: tuple[str, ...]


def run_attempts(adapter: Adapter, wall: str, attempts: Sequence[Attempt]) -> list[Result]:
    """Run the attempts that mean something for the tool, as many in one run as can be."""
    taken = [attempt for attempt in attempts if adapter.can_try(attempt)]
    results = {}
    for batch in split_rooms(taken):
        with set_scene(batch) as scene:
            reports = adapter.run(scene, wall)
            begun = {a.name for a in batch if scene.read_output(a)}
            found = {a.name for a in batch if a.proof.look(scene, a)}
            scene.use_clones()
            found |= {a.name for a in batch if a.name not in found and a.proof.look(scene, a)}
            for a in batch:
                own = reports.get(a.name, ())
                verdict = choose_verdict(a.name in begun, a.name in found, bool(own))
                results[a.name] = Result(a, verdict, own)
    return [results[attempt.name] for attempt in taken]


def split_rooms(attempts: Sequence[Attempt]) -> Iterator[list[Attempt]]:
    """The attempts of each run."""
    alone = (Room.ALONE, Room.BESIDE)
    together = [attempt for attempt in attempts if attempt.room not in alone]
    if together:
        yield together
    for cell in dict.fromkeys(a.cell for a in attempts if a.room in alone):
        yield [attempt for attempt in attempts if attempt.cell == cell]


def choose_verdict(begun: bool, effect: bool, reported: bool) -> Verdict:
    """One word for one attempt."""
    if effect:
        return Verdict.NOTICED if reported else Verdict.NOT
    if reported:
        return Verdict.UNDONE
    return Verdict.STOPPED if begun else Verdict.IDLE
