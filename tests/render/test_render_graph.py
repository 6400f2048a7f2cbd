"""``graph``: the same cells as boxes, as lanes, and for the programs that draw."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given

from orchestr.state.states import CellState
from orchestr.views.graph.formats import GraphNode, dot_text, edges_of, mermaid_text, nodes_of
from orchestr.views.graph.svg import svg_text
from orchestr.views.graph.text import PLAIN_SYMBOLS, graph_text
from orchestr.views.terminal.text import display_width
from tests.render.render_stories import MIDDLE, NOW, status
from tests.render.test_layout import dags

NODES = nodes_of(status(*MIDDLE), NOW)


BOXES = """\
             ┌──────────────────┐
             │ ✓ platform-proto │
             │ done 1 min 00 s  │
             └────────┬─────────┘
           ┌──────────┴──────────┐
┌──────────▼───────────┐  ┌──────▼───────┐
│ ▶ platform-service   │  │ ✗ java-sdk   │
│ implement 4 min 00 s │  │ failed 9.0 s │
└──────────────────────┘  └──────┬───────┘
                                 │
                            ┌────▼────┐
                            │ ⊘ xtest │
                            │ blocked │
                            └─────────┘

▶ 1 running, ✗ 1 failed, ⊘ 1 blocked, ✓ 1 done
"""


def node(name: str, *ups: str, state: CellState = CellState.PENDING) -> GraphNode:
    return GraphNode(name, state, state.label, name, ups)


def lines(text: str) -> list[str]:
    return text.splitlines()


def test_boxes_where_they_fit() -> None:
    assert graph_text(NODES, 80) == BOXES


def test_one_line_a_cell_where_boxes_do_not_fit() -> None:
    assert lines(graph_text(NODES, 36))[:5] == [
        "✓   platform-proto",
        "├─▶ platform-service",
        "✗   java-sdk",
        "⊘   xtest",
        "",
    ]


def test_cells_that_do_not_hang_together_stand_apart() -> None:
    text = graph_text([node("a"), node("b"), node("c", "b")], 10)
    assert lines(text)[:4] == ["· a", "", "· b", "· c"]


def test_lanes_join_and_pass_over() -> None:
    found = [node("a"), node("b"), node("c", "a", "b"), node("d", "a"), node("e", "b")]
    text = lines(graph_text(found, 20))
    assert text[-1] == "· 5 pending"
    drawn = "\n".join(text)
    for name in "abcde":
        assert drawn.count(f"{name}  pending") == 1
    assert "┘" in drawn or "┤" in drawn


def test_ascii_only_where_asked() -> None:
    for columns in (80, 30):
        assert graph_text(NODES, columns, plain=True).isascii()
    assert len(set(PLAIN_SYMBOLS.values())) == len(CellState)


def test_colours_only_when_asked_for() -> None:
    assert "\x1b" not in graph_text(NODES, 80)
    assert "\x1b[1;31m✗ java-sdk\x1b[0m" in graph_text(NODES, 80, colour=True)


@given(dags())
def test_every_graph_can_be_told_at_any_width(graph: dict[str, tuple[str, ...]]) -> None:
    nodes = [node(name, *ups) for name, ups in graph.items()]
    for columns in (200, 80, 24):
        text = graph_text(nodes, columns)
        for name in graph:
            assert sum(name in line.replace("after", " ").split() for line in lines(text)) >= 1
        if columns > 24:
            assert all(display_width(line) <= columns for line in lines(text))


def test_implied_edges_are_known() -> None:
    found = [node("a"), node("b", "a"), node("c", "b", "a")]
    assert edges_of(found) == [("a", "b", False), ("b", "c", False), ("a", "c", True)]


def test_svg_is_whole_and_self_contained() -> None:
    text = svg_text("mlkem & <co>", NODES)
    root = ElementTree.fromstring(text)
    groups = list(root.iter("{http://www.w3.org/2000/svg}g"))
    assert [g.get("class") for g in groups] == [
        "node done", "node running", "node failed", "node blocked",
    ]  # fmt: skip
    assert not any(word in text for word in ("href", "src=", "@import", "<script"))
    paths = [p.get("class") for p in root.iter("{http://www.w3.org/2000/svg}path")]
    assert paths.count("edge") == 3


@given(dags())
def test_boxes_of_a_svg_do_not_overlap(graph: dict[str, tuple[str, ...]]) -> None:
    root = ElementTree.fromstring(svg_text("g", [node(n, *ups) for n, ups in graph.items()]))
    boxes = [
        tuple(float(r.get(k) or 0) for k in ("x", "y", "width", "height"))
        for r in root.iter("{http://www.w3.org/2000/svg}rect")
    ]
    assert len(boxes) == len(graph)
    for i, (x, y, w, h) in enumerate(boxes):
        for x2, y2, w2, h2 in boxes[:i]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


@pytest.mark.parametrize("text", [dot_text("mlkem", NODES), mermaid_text(NODES)])
def test_what_other_programs_draw_names_every_cell(text: str) -> None:
    assert all(n.name in text for n in NODES)
    assert text.count("->") + text.count("-->") >= 3
