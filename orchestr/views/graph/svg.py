"""A DAG as one self-contained SVG, from left to right: no Graphviz, no script, no fonts.

Pure. Light and dark by the reader's own scheme; each node has a tooltip. Owns sizes and strokes;
where things stand is `layout`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from orchestr.views.graph.formats import COLOURS, GraphNode, edges_of
from orchestr.views.graph.layout import Spot, arrange_nodes
from orchestr.views.terminal.text import clip, display_width

_HIGH = 46
_GAP = 16
_BETWEEN = 64  # from one layer to the next
_MARGIN = 16
_LETTER = 7.6  # of the 13 px monospace that names are set in
_MOST = 34  # letters of a name
_STYLE = """\
  .orchestr-graph text { font: 13px ui-monospace, Menlo, Consolas, monospace; fill: #111 }
  .orchestr-graph .note { font-size: 11px; fill: #455a64 }
  .orchestr-graph .edge { fill: none; stroke: #78909c; stroke-width: 1.5 }
  .orchestr-graph .implied { stroke-dasharray: 3 4; stroke: #b0bec5 }
  .orchestr-graph .tip { fill: #78909c }
  .orchestr-graph .running rect { stroke-width: 2.5 }
  @media (prefers-color-scheme: dark) { .orchestr-graph .edge { stroke: #90a4ae } }"""


def svg_text(title: str, nodes: Sequence[GraphNode]) -> str:
    """The drawing. Its classes are the states, so that a page may restyle it."""
    if not nodes:
        return '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>\n'
    found = arrange_nodes({n.name: n.upstreams for n in nodes}, lambda _n: _HIGH, gap=_GAP)
    by_name = {node.name: node for node in nodes}
    wide = [_layer_width([by_name[s.name] for s in layer if s.name]) for layer in found.layers]
    left = [_MARGIN + sum(wide[:i]) + _BETWEEN * i for i in range(len(wide))]
    whole = (left[-1] + wide[-1] + _MARGIN, found.breadth + 2 * _MARGIN)
    size = f"{whole[0]:.0f} {whole[1]:.0f}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="orchestr-graph" viewBox="0 0 {size}" '
        f'width="{whole[0]:.0f}" height="{whole[1]:.0f}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{_STYLE}\n</style>",
        '<defs><marker id="orchestr-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>',
    ]
    for up, name, implied in edges_of(nodes):
        route = found.routes[up, name]
        faint = " implied" if implied else ""
        lines.append(
            f'<path class="edge{faint}" marker-end="url(#orchestr-tip)" '
            f'd="{_edge_path(route, left, wide)}"/>'
        )
    for layer in found.layers:
        for spot in layer:
            if spot.name:
                lines.append(
                    _node_box(by_name[spot.name], spot, left[spot.layer], wide[spot.layer])
                )
    return "\n".join([*lines, "</svg>"]) + "\n"


def _layer_width(nodes: Sequence[GraphNode]) -> float:
    letters = max(
        (max(display_width(n.name) + 2, 0.85 * display_width(n.note)) for n in nodes), default=0
    )
    return 24 + _LETTER * min(letters, _MOST + 2)


def _edge_path(route: Sequence[Spot], left: Sequence[float], wide: Sequence[float]) -> str:
    """Cubic curves that leave and reach every layer level; bends pass through straight."""
    first = route[0]
    x, y = left[first.layer] + wide[first.layer], _MARGIN + first.place
    path = f"M{x:.1f} {y:.1f}"
    for spot in route[1:]:
        to_x, to_y = left[spot.layer], _MARGIN + spot.place
        half = (x + to_x) / 2
        path += f"C{half:.1f} {y:.1f} {half:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
        if not spot.name:
            to_x += wide[spot.layer]
            path += f"H{to_x:.1f}"
        x, y = to_x, to_y
    return path


def _node_box(node: GraphNode, spot: Spot, x: float, wide: float) -> str:
    fill, line = COLOURS[node.state]
    y = _MARGIN + spot.place - _HIGH / 2
    name = escape(clip(f"{node.state.symbol} {node.name}", _MOST + 2))
    note = escape(clip(node.note, _MOST + 8))
    return (
        f'<g class="node {node.state}"><title>{escape(node.tip)}</title>'
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{_HIGH}" rx="7" '
        f'fill="{fill}" stroke="{line}" stroke-width="1.3"/>'
        f'<text x="{x + 12:.1f}" y="{y + 20:.1f}">{name}</text>'
        f'<text class="note" x="{x + 12:.1f}" y="{y + 36:.1f}">{note}</text></g>'
    )
