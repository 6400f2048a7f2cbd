"""When the last cell ends, if each takes so long: list scheduling by priority. Pure.

A cell starts when its upstreams are through and a slot is free, the longest way to the end first,
as `orchestr.tasks` does it. Used for the time that a run has left and for its forecast.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

CellKey = tuple[str, str]  # feature, cell


class WaitingCell(NamedTuple):
    """A cell that has not started. ``late``: the upstreams that are not through; ``seconds``: how
    long it holds its slot; of those that may start the highest ``priority`` is first."""

    late: Collection[CellKey]
    seconds: float
    priority: float


def simulate_end(
    waiting: Mapping[CellKey, WaitingCell],
    slots: int,
    busy: Iterable[tuple[float, CellKey]] = (),
) -> float | None:
    """Seconds until everything has ended; ``busy`` are the ends of cells that run already.

    None when something waits for what is neither waiting nor busy.
    """
    running = list(busy)
    heapq.heapify(running)
    free = max(max(slots, 1) - len(running), 0)
    missing = {key: len(set(cell.late)) for key, cell in waiting.items()}
    below: dict[CellKey, list[CellKey]] = {}
    for key, cell in waiting.items():
        for upstream in set(cell.late):
            below.setdefault(upstream, []).append(key)
    ready = [(-waiting[key].priority, key) for key, count in missing.items() if not count]
    heapq.heapify(ready)
    started, at = 0, 0.0
    while running or ready:
        while ready and free:
            _, key = heapq.heappop(ready)
            heapq.heappush(running, (at + waiting[key].seconds, key))
            free -= 1
            started += 1
        at, ended = heapq.heappop(running)
        free += 1
        for key in below.get(ended, ()):
            missing[key] -= 1
            if not missing[key]:
                heapq.heappush(ready, (-waiting[key].priority, key))
    return at if started == len(waiting) else None
