"""Cycles between cells: one for each knot, as a path that a person can follow.

Pure. A knot is a strongly connected component (Tarjan 1972, here without recursion, because
10,000 cells may stand in one row). All of it is linear in cells and edges, except that the
shortest cycle is looked for only through the knot's first name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cycle:
    """``path`` goes from each cell to an upstream of it and ends where it starts;
    ``others`` are the cells of the same knot that it does not pass, sorted."""

    path: tuple[str, ...]
    others: tuple[str, ...]


def find(graph: Mapping[str, Sequence[str]]) -> list[Cycle]:
    """One cycle for each knot of ``graph`` (cell to upstreams), sorted by path.

    Self-dependencies and unknown upstreams are left out: other checks report them.
    """
    clean = {
        name: sorted({up for up in upstreams if up in graph and up != name})
        for name, upstreams in graph.items()
    }
    knots = [knot for knot in _find_knots(clean) if len(knot) > 1]
    return sorted((_shortest_cycle(clean, knot) for knot in knots), key=lambda cycle: cycle.path)


def _shortest_cycle(graph: Mapping[str, Sequence[str]], knot: Sequence[str]) -> Cycle:
    inside = set(knot)
    start = min(inside)
    came_from: dict[str, str] = {}
    queue = [start]
    for name in queue:  # grows while it is walked: breadth first
        for upstream in graph[name]:
            if upstream == start:
                path = [name]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                path.reverse()
                return Cycle((*path, start), tuple(sorted(inside - set(path))))
            if upstream in inside and upstream not in came_from:
                came_from[upstream] = name
                queue.append(upstream)
    raise AssertionError("a knot has a cycle through each of its cells")


def _find_knots(graph: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    open_: dict[str, None] = {}  # Tarjan's stack; keeps the order of entry
    for root in graph:
        if root in order:
            continue
        calls = [(root, iter(graph[root]))]
        order[root] = low[root] = len(order)
        open_[root] = None
        while calls:
            name, rest = calls[-1]
            for upstream in rest:
                if upstream not in order:
                    order[upstream] = low[upstream] = len(order)
                    open_[upstream] = None
                    calls.append((upstream, iter(graph[upstream])))
                    break
                if upstream in open_:
                    low[name] = min(low[name], order[upstream])
            else:
                calls.pop()
                if calls:
                    parent = calls[-1][0]
                    low[parent] = min(low[parent], low[name])
                if low[name] == order[name]:
                    knot: list[str] = []
                    while not knot or knot[-1] != name:
                        knot.append(open_.popitem()[0])
                    yield knot
