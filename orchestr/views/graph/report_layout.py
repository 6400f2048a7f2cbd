"""Where the cells of a plan stand in a picture: layered by wave, few crossings, short edges.

Pure: names and edges in, coordinates out, the same for the same plan; no Graphviz. After Sugiyama:

1. an edge that spans several waves is cut into pieces by bends, one in every wave between;
2. each wave is put into the order of its neighbours' mean place, to and fro; the order with the
   fewest crossings is kept;
3. each wave is then placed as near to its neighbours' mean as its order allows. With at least one
   row between two cells this is isotonic regression, which pooling adjacent violators solves
   exactly.

Coordinates are ``wave`` (from 0) and ``row`` (any number from 0; one row is a cell's height).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

SWEEPS = 8
BEND_GAP = 0.4  # rows between two bends; a cell takes a whole row
Node = tuple[str, int]  # a cell is (name, -1), a bend of an edge (its number, wave)


@dataclass(frozen=True, slots=True)
class EdgeRoute:
    """From an upstream to a dependent, through ``points`` (wave, row), both ends among them."""

    upstream: str
    dependent: str
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class PlanLayout:
    """``places``: cell -> (wave, row)."""

    places: Mapping[str, tuple[int, float]]
    edges: tuple[EdgeRoute, ...]
    waves: int
    rows: float


def lay_out_plan(waves: Sequence[Sequence[str]], edges: Iterable[tuple[str, str]]) -> PlanLayout:
    """Place the cells of ``waves``. Every edge must lead from an earlier wave to a later one."""
    layer = {name: index for index, wave in enumerate(waves) for name in wave}
    order: list[list[Node]] = [[(name, -1) for name in wave] for wave in waves]
    wanted = list(dict.fromkeys(edges))
    paths: list[list[Node]] = []
    for number, (a, b) in enumerate(wanted):
        path: list[Node] = [(a, -1)]
        for between in range(layer[a] + 1, layer[b]):
            bend = (str(number), between)
            order[between].append(bend)
            path.append(bend)
        paths.append([*path, (b, -1)])
    above: dict[Node, list[Node]] = {node: [] for wave in order for node in wave}
    below: dict[Node, list[Node]] = {node: [] for wave in order for node in wave}
    for path in paths:
        for a_node, b_node in pairwise(path):
            below[a_node].append(b_node)
            above[b_node].append(a_node)
    order = _reduce_crossings(order, above, below)
    rows = _assign_rows(order, above, below)
    wave_of = {node: index for index, wave in enumerate(order) for node in wave}
    drawn = tuple(
        EdgeRoute(a, b, tuple((wave_of[node], rows[node]) for node in path))
        for (a, b), path in zip(wanted, paths, strict=True)
    )
    places = {name: (layer[name], rows[name, -1]) for name in layer}
    height = max(rows.values(), default=-1.0) + 1.0
    return PlanLayout(places, drawn, len(order), height)


def count_crossings(order: Sequence[Sequence[Node]], below: Mapping[Node, Sequence[Node]]) -> int:
    """How many pairs of edges cross, over all pairs of neighbouring waves."""
    found = 0
    for upper, lower in pairwise(order):
        place = {node: index for index, node in enumerate(lower)}
        seen: list[int] = []
        for node in upper:
            ends = sorted(place[b] for b in below[node])
            found += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
            for end in ends:
                insort(seen, end)
    return found


def _reduce_crossings(
    order: list[list[Node]],
    above: Mapping[Node, Sequence[Node]],
    below: Mapping[Node, Sequence[Node]],
) -> list[list[Node]]:
    best, fewest = order, count_crossings(order, below)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        order = [list(wave) for wave in order]
        down = sweep % 2 == 0
        indexes = range(1, len(order)) if down else range(len(order) - 2, -1, -1)
        for index in indexes:
            beside = order[index - 1] if down else order[index + 1]
            place = {node: float(at) for at, node in enumerate(beside)}
            near = above if down else below
            own = {node: float(at) for at, node in enumerate(order[index])}
            key = {n: _mean_or_default([place[m] for m in near[n]], own[n]) for n in order[index]}
            order[index].sort(key=key.__getitem__)
        found = count_crossings(order, below)
        if found < fewest:
            best, fewest = order, found
    return best


def _assign_rows(
    order: list[list[Node]],
    above: Mapping[Node, Sequence[Node]],
    below: Mapping[Node, Sequence[Node]],
) -> dict[Node, float]:
    """A row for every node: near the mean of its neighbours, in the order of its wave."""
    rows: dict[Node, float] = {}
    gaps = [_least_offsets(wave) for wave in order]
    tallest = max((gap[-1] for gap in gaps if gap), default=0.0)
    for wave, gap in zip(order, gaps, strict=True):
        shift = (tallest - gap[-1]) / 2 if gap else 0.0
        rows |= {node: at + shift for node, at in zip(wave, gap, strict=True)}
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        near = above if down else below
        indexes = range(1, len(order)) if down else range(len(order) - 2, -1, -1)
        for index in indexes:
            wave, gap = order[index], gaps[index]
            wish = [_mean_or_default([rows[m] for m in near[n]], rows[n]) for n in wave]
            level = _fit_isotonic([w - g for w, g in zip(wish, gap, strict=True)])
            rows |= {n: v + g for n, v, g in zip(wave, level, gap, strict=True)}
    least = min(rows.values(), default=0.0)
    return {node: round(row - least, 4) for node, row in rows.items()}


def _least_offsets(wave: Sequence[Node]) -> list[float]:
    """The least distance of each node from the first one."""
    found: list[float] = []
    for index, node in enumerate(wave):
        if index == 0:
            found.append(0.0)
        else:
            small = node[1] >= 0 and wave[index - 1][1] >= 0
            found.append(found[-1] + (BEND_GAP if small else 1.0))
    return found


def _fit_isotonic(values: Sequence[float]) -> list[float]:
    """The rising sequence with the least squared distance from ``values``."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        blocks.append((value, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, m), (b, n) = blocks[-2], blocks[-1]
            blocks[-2:] = [((a * m + b * n) / (m + n), m + n)]
    return [value for value, count in blocks for _ in range(count)]


def _mean_or_default(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default
