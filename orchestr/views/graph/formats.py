"""``graph``: a feature's DAG coloured by state, as text, DOT, Mermaid or SVG.

Pure. Owns what a node says and the two forms that other programs draw (DOT, Mermaid); the text is
drawn by `graph_text`, the SVG by `graph_svg`. An edge that other edges imply is kept but drawn
faintly, and left out of the text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestr.state.cell_state import describe_cell
from orchestr.state.states import CellState
from orchestr.views.graph.layout import reduce_edges
from orchestr.views.model import FeatureStatus
from orchestr.views.terminal.text import clean_line, format_duration, headline, seconds_between

FORMATS = ("text", "dot", "svg", "mermaid")
# Fill and line; the text on them is dark in both colour schemes of a reader.
COLOURS = {
    CellState.PENDING: ("#eceff1", "#90a4ae"),
    CellState.RUNNING: ("#d5eefb", "#0288d1"),
    CellState.FAILED: ("#fddcdc", "#d32f2f"),
    CellState.BLOCKED: ("#f8e4e4", "#c77c7c"),
    CellState.WAITING: ("#fff3cd", "#c99700"),
    CellState.APPROVAL: ("#fff3cd", "#c99700"),
    CellState.IGNORED: ("#f5f5f5", "#bdbdbd"),
    CellState.ABORTED: ("#f3e0f7", "#8e24aa"),
    CellState.DONE: ("#dcf2dd", "#388e3c"),
    CellState.MERGE_CONFLICT: ("#fddcdc", "#d32f2f"),
    CellState.NEEDS_PERSON: ("#ffe8c2", "#ef6c00"),
    CellState.LANDED: ("#c5e8c8", "#1b5e20"),
    CellState.ROLLED_BACK: ("#ffe8c2", "#ef6c00"),
}


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A cell as it is drawn. ``note`` is its state and time in a few words, ``tip`` more."""

    name: str
    state: CellState
    note: str
    tip: str
    upstreams: tuple[str, ...] = ()


def nodes_of(status: FeatureStatus, now: datetime) -> tuple[GraphNode, ...]:
    """The cells in plan order."""
    found = []
    for cell in status.plan.cells:
        view, state = status.view.cell(cell.name), status.cell_state(cell.name)
        end = view.finished_at or (now if state.is_moving else None)
        seconds = seconds_between(view.started_at, end) if state is not CellState.PENDING else None
        told = describe_cell(state, view)
        words = told.step
        note = f"{words} {format_duration(seconds)}" if seconds is not None else words
        tip = f"{cell.name}: {told.label}, {cell.repo} on {cell.branch}"
        why = headline(view.reason)
        link = status.pull_request(cell.name)
        tip += f"\n{why}" if why else ""
        tip += f"\n{clean_line(link[0])}" if link else ""
        found.append(GraphNode(cell.name, state, note, tip, cell.upstreams))
    return tuple(found)


def edges_of(nodes: Sequence[GraphNode]) -> list[tuple[str, str, bool]]:
    """(upstream, dependent, whether other edges imply it)."""
    few = reduce_edges({node.name: node.upstreams for node in nodes})
    return [(up, n.name, up not in few[n.name]) for n in nodes for up in n.upstreams]


def dot_text(feature: str, nodes: Sequence[GraphNode]) -> str:
    """For Graphviz: `orchestr graph F --format dot | dot -Tpng`."""
    lines = [
        f"digraph {_quote_dot(feature)} {{",
        '  rankdir=LR; node [shape=box, style="rounded,filled", fontname="sans-serif"];',
    ]
    for node in nodes:
        fill, line = COLOURS[node.state]
        label = f"{node.state.symbol} {node.name}\n{node.note}"
        lines.append(
            f"  {_quote_dot(node.name)} [label={_quote_dot(label)}, tooltip={_quote_dot(node.tip)},"
            f' fillcolor="{fill}", color="{line}"];'
        )
    for up, name, implied in edges_of(nodes):
        faint = ' [style=dashed, color="#b0bec5"]' if implied else ""
        lines.append(f"  {_quote_dot(up)} -> {_quote_dot(name)}{faint};")
    return "\n".join([*lines, "}"]) + "\n"


def mermaid_text(nodes: Sequence[GraphNode]) -> str:
    """For Markdown at GitHub and elsewhere: paste it into a ```mermaid block."""
    lines = ["flowchart LR"]
    # A cell may be called `end`, which is a word of Mermaid's: the ids are numbers.
    number = {node.name: f"c{i}" for i, node in enumerate(nodes)}
    for node in nodes:
        label = f"{node.state.symbol} {node.name}<br/>{clean_line(node.note)}".replace(
            '"', "#quot;"
        )
        lines.append(f'  {number[node.name]}["{label}"]:::{node.state}')
    for up, name, implied in edges_of(nodes):
        lines.append(f"  {number[up]} {'-.->' if implied else '-->'} {number[name]}")
    for state in dict.fromkeys(node.state for node in nodes):
        fill, line = COLOURS[state]
        lines.append(f"  classDef {state} fill:{fill},stroke:{line},color:#111")
    return "\n".join(lines) + "\n"


def _quote_dot(text: str) -> str:
    """A string of DOT: JSON's escapes are its own, but for letters outside ASCII."""
    return json.dumps(text, ensure_ascii=False)
