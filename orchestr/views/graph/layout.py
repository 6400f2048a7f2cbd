"""Where the nodes of a DAG stand: layers, an order with few crossings, and places on a line.

Pure, for graphs of up to a few thousand nodes. It knows one axis only, the one *along* a layer
(x in a drawing from top to bottom, y from left to right); how far layers are apart is the
drawing's business. An edge over several layers passes through bends, points of no breadth that
keep their own place between the nodes.

The usual way (Sugiyama): longest path for the layers, median sweeps for the order, and for the
places the least squares that keep order and gaps, solved exactly by pooling adjacent violators.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

SWEEPS = 8
STRAIGHT = 4.0  # how much more a bend wants its place than a node: long edges stay straight


@dataclass(frozen=True, slots=True)
class Spot:
    """A node, or a bend of an edge (``name`` is empty), with its centre along the layer."""

    name: str
    layer: int
    place: float
    breadth: float


@dataclass(frozen=True, slots=True)
class Arrangement:
    """``layers`` in their order; ``routes`` maps an edge to its spots from source to target."""

    layers: tuple[tuple[Spot, ...], ...]
    routes: Mapping[tuple[str, str], tuple[Spot, ...]]
    breadth: float

    def spots_by_name(self) -> dict[str, Spot]:
        """The nodes by name."""
        return {spot.name: spot for layer in self.layers for spot in layer if spot.name}


def reduce_edges(upstreams: Mapping[str, Collection[str]]) -> dict[str, tuple[str, ...]]:
    """The same order with the fewest edges: what another upstream implies is left out."""
    order = _topological_order(upstreams)
    above: dict[str, frozenset[str]] = {}
    found = {}
    for name in order:
        direct = upstreams[name]
        implied = frozenset().union(*(above[u] for u in direct)) if direct else frozenset()
        above[name] = implied | frozenset(direct)
        found[name] = tuple(u for u in direct if u not in implied)
    return {name: found[name] for name in upstreams}


def arrange_nodes(
    upstreams: Mapping[str, Collection[str]],
    breadth: Callable[[str], float] = lambda _name: 1.0,
    *,
    gap: float = 1.0,
    bend: float = 0.0,
) -> Arrangement:
    """Place every node of ``upstreams`` (node -> its direct upstreams, all of them nodes).

    The nodes' own order decides where nothing else does, so equal input gives equal output.
    ``gap`` is what neighbours keep between them, ``bend`` the breadth of a bend.
    """
    layer_of: dict[str, int] = {}
    for name in _topological_order(upstreams):
        layer_of[name] = 1 + max((layer_of[u] for u in upstreams[name]), default=-1)
    grid = _Grid(upstreams, layer_of, breadth, bend)
    grid.order_rows()
    places = grid.place_nodes(gap)
    spots = [
        Spot(grid.names[i], grid.layer[i], places[i], grid.breadth[i])
        for i in range(len(grid.names))
    ]
    layers = tuple(tuple(spots[i] for i in row) for row in grid.rows)
    routes = {edge: tuple(spots[i] for i in chain) for edge, chain in grid.chains.items()}
    return Arrangement(layers, routes, max((s.place + s.breadth / 2 for s in spots), default=0.0))


def _topological_order(upstreams: Mapping[str, Collection[str]]) -> list[str]:
    """Upstreams first. Raises ValueError on a cycle; the spec reader refuses one long before."""
    missing = {name: len(set(ups)) for name, ups in upstreams.items()}
    below: dict[str, list[str]] = {name: [] for name in upstreams}
    for name, ups in upstreams.items():
        for upstream in set(ups):
            below[upstream].append(name)
    ready = [name for name, count in missing.items() if not count]
    for name in ready:
        for dependent in below[name]:
            missing[dependent] -= 1
            if not missing[dependent]:
                ready.append(dependent)
    if len(ready) != len(upstreams):
        raise ValueError("the graph has a cycle")
    return ready


class _Grid:
    """Nodes and bends by number, and the rows they stand in."""

    def __init__(
        self,
        upstreams: Mapping[str, Collection[str]],
        layer_of: Mapping[str, int],
        breadth: Callable[[str], float],
        bend: float,
    ) -> None:
        self.names = list(upstreams)
        self.layer = [layer_of[name] for name in self.names]
        self.breadth = [float(breadth(name)) for name in self.names]
        number = {name: i for i, name in enumerate(self.names)}
        self.chains: dict[tuple[str, str], list[int]] = {}
        links: list[tuple[int, int]] = []
        bends: dict[tuple[int, int], int] = {}  # edges of one source share their bends
        for name, ups in upstreams.items():
            for upstream in dict.fromkeys(ups):
                first, last = number[upstream], number[name]
                chain = [first]
                for layer in range(self.layer[first] + 1, self.layer[last]):
                    if (first, layer) not in bends:
                        bends[first, layer] = len(self.names)
                        self.names.append("")
                        self.layer.append(layer)
                        self.breadth.append(bend)
                        links.append((chain[-1], bends[first, layer]))
                    chain.append(bends[first, layer])
                links.append((chain[-1], last))
                self.chains[upstream, name] = [*chain, last]
        self.above: list[list[int]] = [[] for _ in self.names]
        self.below: list[list[int]] = [[] for _ in self.names]
        for one, two in links:
            self.above[two].append(one)
            self.below[one].append(two)
        self.rows: list[list[int]] = [[] for _ in range(max(self.layer, default=-1) + 1)]
        for i, layer in enumerate(self.layer):
            self.rows[layer].append(i)

    def order_rows(self) -> None:
        """Sort the rows by the median of their neighbours, down and up; the best one stays."""
        best, fewest = [list(row) for row in self.rows], self._count_crossings()
        for sweep in range(SWEEPS):
            if not fewest:
                break
            down = sweep % 2 == 0
            rows = self.rows if down else self.rows[::-1]
            near = self.above if down else self.below
            for before, row in itertools.pairwise(rows):
                at = {i: n for n, i in enumerate(before)}
                keys = {i: median(at[j] for j in near[i]) for i in row if near[i]}
                _sort_where_known(row, keys)
            crossings = self._count_crossings()
            if crossings < fewest:
                best, fewest = [list(row) for row in self.rows], crossings
        self.rows = best

    def _count_crossings(self) -> int:
        total = 0
        for row, after in zip(self.rows, self.rows[1:], strict=False):
            at = {i: n for n, i in enumerate(after)}
            seen: list[int] = []
            for i in row:
                ends = sorted(at[j] for j in self.below[i])
                total += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
                for end in ends:
                    insort(seen, end)
        return total

    def place_nodes(self, gap: float) -> list[float]:
        """Centres along the layer: near their neighbours, in order, never closer than the gap."""
        found = [0.0] * len(self.names)
        for row in self.rows:
            edge = 0.0
            for i in row:
                found[i] = edge + self.breadth[i] / 2
                edge += self.breadth[i] + gap
        weight = [1.0 if name else STRAIGHT for name in self.names]
        for sweep in range(SWEEPS):
            near = self.above if sweep % 2 == 0 else self.below
            for row in self.rows if sweep % 2 == 0 else self.rows[::-1]:
                wanted = [
                    sum(found[j] for j in near[i]) / len(near[i]) if near[i] else found[i]
                    for i in row
                ]
                apart = [
                    (self.breadth[a] + self.breadth[b]) / 2 + gap
                    for a, b in itertools.pairwise(row)
                ]
                for i, place in zip(
                    row, spread_apart(wanted, apart, [weight[i] for i in row]), strict=True
                ):
                    found[i] = place
        left = min((p - b / 2 for p, b in zip(found, self.breadth, strict=True)), default=0.0)
        return [place - left for place in found]


def _sort_where_known(row: list[int], keys: Mapping[int, float]) -> None:
    """Sort those that have a key among the places they hold; the others stay where they are."""
    known = [i for i in row if i in keys]
    ordered = iter(sorted(known, key=lambda i: keys[i]))
    row[:] = [next(ordered) if i in keys else i for i in row]


def spread_apart(
    wanted: Sequence[float], apart: Sequence[float], weights: Iterable[float]
) -> list[float]:
    """The places nearest to ``wanted`` (least squares) that keep the order, ``apart`` at least.

    With the distances taken off it is isotonic regression: neighbours that would overlap are
    pooled into a block at their mean.
    """
    offset, offsets = 0.0, [0.0]
    for distance in apart:
        offset += distance
        offsets.append(offset)
    blocks: list[list[float]] = []  # mean, weight, how many
    for want, start, weight in zip(wanted, offsets, weights, strict=False):
        blocks.append([want - start, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            mean, more, count = blocks.pop()
            last = blocks[-1]
            last[0] = (last[0] * last[1] + mean * more) / (last[1] + more)
            last[1] += more
            last[2] += count
    found = [mean for mean, _weight, count in blocks for _ in range(int(count))]
    return [place + start for place, start in zip(found, offsets, strict=False)]
