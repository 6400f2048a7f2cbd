"""A DAG in letters: boxes from top to bottom where they fit, else one line a cell with lanes.

Pure. ``plain`` keeps to ASCII, for terminals and files that cannot show box drawing. A line that
passes over another one without touching it interrupts it: `─│─`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from orchestr.state.states import CellState
from orchestr.views.graph.formats import GraphNode
from orchestr.views.graph.layout import Arrangement, Spot, arrange_nodes, reduce_edges
from orchestr.views.terminal.text import clip, display_width, pad, paint

_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_LINES = " │││─┘┐┤─└┌├─┴┬┼"  # by the directions a line leaves in
_PLAIN = " |||-+++-+++-+++"
_TALL = 4  # rows of a box
_BESIDE = 2  # columns between boxes
PLAIN_SYMBOLS = {
    CellState.PENDING: ".",
    CellState.RUNNING: ">",
    CellState.FAILED: "x",
    CellState.BLOCKED: "/",
    CellState.WAITING: "~",
    CellState.APPROVAL: "?",
    CellState.IGNORED: "-",
    CellState.ABORTED: "#",
    CellState.DONE: "*",
    CellState.MERGE_CONFLICT: "=",
    CellState.NEEDS_PERSON: "!",
    CellState.LANDED: "@",
    CellState.ROLLED_BACK: "%",
}


def graph_text(
    nodes: Sequence[GraphNode], columns: int, *, colour: bool = False, plain: bool = False
) -> str:
    """The DAG in at most that many columns, then what the colours and signs count."""
    symbols = {s: PLAIN_SYMBOLS[s] if plain else s.symbol for s in CellState}
    wide = {n.name: max(display_width(n.name) + 2, display_width(n.note)) + 4 for n in nodes}
    found = arrange_nodes(
        reduce_edges({n.name: n.upstreams for n in nodes}), lambda n: wide[n], gap=_BESIDE, bend=1
    )
    canvas = _Canvas(_PLAIN if plain else _LINES, colour)
    if found.breadth <= columns:
        _draw_boxes(canvas, nodes, found, symbols, "v" if plain else "▼")
        lines = canvas.render_lines()
    else:
        lines = _draw_lanes(nodes, columns, symbols, canvas)
    states = [n.state for n in nodes]
    counts = [
        paint(f"{symbols[s]} {states.count(s)} {s.label}", s.style, colour)
        for s in CellState
        if s in states
    ]
    return "\n".join([*lines, "", ", ".join(counts)]) + "\n"


class _Canvas:
    """Letters and lines by row and column. Lines of one net join, those of two pass over."""

    def __init__(self, marks: str, colour: bool) -> None:
        self.marks = marks
        self._colour = colour
        self._lines: dict[tuple[int, int], tuple[int, object]] = {}
        self._words: dict[tuple[int, int], tuple[str, str]] = {}

    def draw_line(self, one: tuple[int, int], two: tuple[int, int], net: object) -> None:
        """A straight line between two points (row, column), both of them in it."""
        if one[0] == two[0]:
            low, high = sorted((one[1], two[1]))
            for column in range(low, high + 1):
                mask = (_LEFT if column > low else 0) | (_RIGHT if column < high else 0)
                self._add_directions((one[0], column), mask, net)
            return
        low, high = sorted((one[0], two[0]))
        for row in range(low, high + 1):
            mask = (_UP if row > low else 0) | (_DOWN if row < high else 0)
            self._add_directions((row, one[1]), mask, net)

    def _add_directions(self, at: tuple[int, int], mask: int, net: object) -> None:
        old, owner = self._lines.get(at, (0, net))
        if owner == net:
            self._lines[at] = (old | mask, net)
        elif mask & (_UP | _DOWN):
            self._lines[at] = (mask, net)

    def write_text(self, row: int, column: int, text: str, style: str = "") -> None:
        """Letters, over whatever line there is."""
        for letter in text:
            self._words[row, column] = (letter, style)
            column += display_width(letter)

    def render_lines(self, *, bare: bool = False) -> list[str]:
        """Every row, painted unless ``bare``."""
        points = [*self._lines, *self._words]
        rows: list[str] = []
        for row in range(max((r for r, _ in points), default=-1) + 1):
            last = max((c for r, c in points if r == row), default=-1)
            rows.append(self._render_row(row, last, self._colour and not bare))
        return rows

    def _render_row(self, row: int, last: int, colour: bool) -> str:
        pieces: list[tuple[str, str]] = []
        column = 0
        while column <= last:
            at = (row, column)
            if at in self._words:
                piece = self._words[at]
            else:
                mask = self._lines.get(at, (0, None))[0]
                piece = (self.marks[mask], "dim" if mask else "")
            pieces.append(piece)
            column += max(display_width(piece[0]), 1)
        text, run, style = "", "", ""
        for letter, its in [*pieces, ("", "end")]:
            if its != style:
                text, run, style = text + paint(run, style, colour), "", its
            run += letter
        return text.rstrip()


def _draw_boxes(
    canvas: _Canvas, nodes: Sequence[GraphNode], found: Arrangement, symbols: dict[CellState, str],
    tip: str,
) -> None:  # fmt: skip
    by_name = {node.name: node for node in nodes}
    column = {id(s): _middle_column(s) for layer in found.layers for s in layer}
    entries = _entry_columns(found, column)
    row = 0
    for number, layer in enumerate(found.layers):
        for spot in layer:
            if not spot.name:
                canvas.draw_line((row, column[id(spot)]), (row + _TALL - 1, column[id(spot)]),
                            _source_of_bend(found, spot))  # fmt: skip
                continue
            node = by_name[spot.name]
            left = _left_column(spot)
            right = left + round(spot.breadth) - 1
            for across in (row, row + _TALL - 1):
                canvas.draw_line((across, left), (across, right), ("box", spot.name))
            for down in (left, right):
                canvas.draw_line((row, down), (row + _TALL - 1, down), ("box", spot.name))
            canvas.write_text(
                row + 1, left + 2, f"{symbols[node.state]} {node.name}", node.state.style
            )
            canvas.write_text(row + 2, left + 2, node.note, "dim")
        below = row + _TALL
        if number + 1 < len(found.layers):
            tracks = _assign_tracks(found, number, column, entries)
            high = max((track for track, _, _ in tracks.values()), default=0) + 1
            for net, (track, start, ends) in tracks.items():
                canvas.draw_line((below - 1, start), (below + track, start), net)
                if any(spot.name == net for spot in layer):
                    canvas.draw_line((below - 1, start - 1), (below - 1, start + 1), net)
                    canvas.write_text(below - 1, start, _tee_mark(canvas.marks))
                for end in ends:
                    canvas.draw_line((below + track, start), (below + track, end), net)
                    canvas.draw_line((below + track, end), (below + high, end), net)
            for (_net_name, spot_id), end in entries.items():
                if any(id(s) == spot_id and s.name for s in found.layers[number + 1]):
                    canvas.write_text(below + high, end, tip)
            below += high
        row = below


def _tee_mark(marks: str) -> str:
    return marks[_LEFT | _RIGHT | _DOWN]


def _left_column(spot: Spot) -> int:
    return round(spot.place - spot.breadth / 2)


def _middle_column(spot: Spot) -> int:
    return _left_column(spot) + (round(spot.breadth) - 1) // 2


def _source_of_bend(found: Arrangement, spot: Spot) -> str:
    """The source whose edges pass through a bend."""
    return next(edge[0] for edge, route in found.routes.items() if any(s is spot for s in route))


def _entry_columns(found: Arrangement, column: dict[int, int]) -> dict[tuple[str, int], int]:
    """(source, spot) -> the column at which the source's line reaches the spot.

    Each source has its own, side by side and in the order from which they come, so that lines
    of two sources never run into one another.
    """
    into: dict[int, dict[str, int]] = {}
    spots = {id(s): s for layer in found.layers for s in layer}
    for (source, _target), route in found.routes.items():
        for one, two in pairwise(route):
            into.setdefault(id(two), {})[source] = column[id(one)]
    entries = {}
    for key, sources in into.items():
        spot, middle = spots[key], column[key]
        low, high = _left_column(spot) + 1, _left_column(spot) + round(spot.breadth) - 2
        if spot.name and len(sources) == 1:
            ((source, start),) = sources.items()
            # A jog of a column or two is no news: go straight down.
            entries[source, key] = (
                start if low <= start <= high and abs(start - middle) < 4 else middle
            )
            continue
        step = 2 if (len(sources) - 1) * 2 <= high - low else 1
        for n, source in enumerate(sorted(sources, key=lambda s: sources[s])):
            at = middle + step * n - (step * (len(sources) - 1)) // 2
            entries[source, key] = min(max(at, low), high) if spot.name else middle
    return entries


def _assign_tracks(
    found: Arrangement, number: int, column: dict[int, int], entries: dict[tuple[str, int], int]
) -> dict[str, tuple[int, int, list[int]]]:
    """Source -> (row below the layer, column it starts from, columns it ends in)."""
    nets: dict[str, tuple[int, set[int]]] = {}
    for (source, _target), route in found.routes.items():
        for one, two in pairwise(route):
            if one.layer == number:
                start, ends = nets.setdefault(source, (column[id(one)], set()))
                ends.add(entries[source, id(two)])
    placed: list[tuple[int, int, int]] = []
    rows: dict[str, tuple[int, int, list[int]]] = {}
    # From the right for lines that go right, from the left for the others: fewest crossings.
    for source, (start, ends) in sorted(
        nets.items(), key=lambda n: -n[1][0] if max(n[1][1]) > n[1][0] else n[1][0]
    ):
        low, high = min(start, *ends), max(start, *ends)
        track = 0
        if low != high:
            for other_low, other_high, other_track in placed:
                if other_low <= high and low <= other_high and other_low < other_high:
                    track = max(track, other_track + 1)
        placed.append((low, high, track))
        rows[source] = (track, start, sorted(ends))
    return rows


def _draw_lanes(
    nodes: Sequence[GraphNode], columns: int, symbols: dict[CellState, str], canvas: _Canvas
) -> list[str]:
    """One line a cell, upstreams first; a lane is open while a cell has dependents to come."""
    by_name = {node.name: node for node in nodes}
    few = reduce_edges({n.name: n.upstreams for n in nodes})
    waiting = {name: sum(name in ups for ups in few.values()) for name in few}
    order = _order_by_chains(few)
    lanes: list[str | None] = []
    drawn: list[tuple[int, GraphNode]] = []
    row = 0
    for name in order:
        ups = few[name]
        own = [lanes.index(up) for up in ups]
        if not ups and row:
            row = _extend_lanes(
                canvas, lanes, row
            )  # a blank line: it does not hang on the one above
        for up in ups:
            waiting[up] -= 1
        free = [i for i in own if not waiting[lanes[i] or ""]]
        at = min(free) if free else _first_free_lane(lanes, min(own, default=-1) + 1 if own else 0)
        for i, lane in enumerate(lanes):
            if lane is not None and i != at:
                ends = i in free
                canvas.draw_line(
                    (row - (1 if row else 0), 2 * i), (row if ends else row + 1, 2 * i), lane
                )
        for i in own:
            if i != at:
                canvas.draw_line((row, 2 * i), (row, 2 * at), lanes[i])
            elif row:
                canvas.draw_line((row - 1, 2 * i), (row, 2 * i), lanes[i])
        for i in free:
            lanes[i] = None
        while len(lanes) <= at:
            lanes.append(None)
        if waiting[name]:
            lanes[at] = name
        node = by_name[name]
        canvas.write_text(row, 2 * at, symbols[node.state], node.state.style)
        drawn.append((row, node))
        while lanes and lanes[-1] is None:
            lanes.pop()
        row += 1
    return _write_labels(canvas, drawn, few, columns)


def _write_labels(
    canvas: _Canvas, drawn: Sequence[tuple[int, GraphNode]], few: dict[str, tuple[str, ...]],
    columns: int,
) -> list[str]:  # fmt: skip
    """The words of each line: all in one column while that leaves room for them."""
    lines = canvas.render_lines(bare=True)
    gutter = max((len(line) for line in lines), default=0) + 1
    names = max((display_width(node.name) for _, node in drawn), default=0)
    note = max((display_width(node.note) for _, node in drawn), default=0)
    for row, node in drawn:
        at = gutter if gutter <= columns // 3 else len(lines[row]) + 1
        room = columns - at
        canvas.write_text(row, at, clip(node.name, room), node.state.style)
        if names + 2 + note <= room:
            text = f"  {pad(node.note, note)}"
            ups = few[node.name]
            text += f"  after {', '.join(ups)}" if ups else ""
            canvas.write_text(row, at + names, clip(text.rstrip(), room - names), "dim")
    return canvas.render_lines()


def _extend_lanes(canvas: _Canvas, lanes: Sequence[str | None], row: int) -> int:
    for i, lane in enumerate(lanes):
        if lane is not None:
            canvas.draw_line((row - 1, 2 * i), (row + 1, 2 * i), lane)
    return row + 1


def _first_free_lane(lanes: Sequence[str | None], start: int) -> int:
    """The first free lane from ``start``."""
    return next((i for i in range(start, len(lanes)) if lanes[i] is None), max(len(lanes), start))


def _order_by_chains(few: dict[str, tuple[str, ...]]) -> Iterable[str]:
    """Upstreams first, and a cell right below its upstream where that can be: few open lanes."""
    below: dict[str, list[str]] = {name: [] for name in few}
    for name, ups in few.items():
        for up in ups:
            below[up].append(name)
    size = {name: len(below[name]) for name in few}
    missing = {name: len(ups) for name, ups in few.items()}
    stack = [name for name in reversed(list(few)) if not missing[name]]
    while stack:
        name = stack.pop()
        yield name
        ready = []
        for dependent in below[name]:
            missing[dependent] -= 1
            if not missing[dependent]:
                ready.append(dependent)
        stack += sorted(ready, key=lambda n: -size[n])  # those without dependents come first
