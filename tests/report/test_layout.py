"""The picture of a plan: every cell in its wave, no two on one spot, edges from left to right."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from orchestr.views.graph.report_layout import lay_out_plan


def test_a_chain_is_a_straight_line() -> None:
    found = lay_out_plan([["a"], ["b"], ["c"]], [("a", "b"), ("b", "c")])
    assert found.places == {"a": (0, 0.0), "b": (1, 0.0), "c": (2, 0.0)}
    assert (found.waves, found.rows) == (3, 1.0)


def test_a_cell_stands_in_the_middle_of_its_dependents() -> None:
    found = lay_out_plan([["a"], ["x", "y", "z"]], [("a", "x"), ("a", "y"), ("a", "z")])
    assert found.places["a"] == (0, 1.0)
    assert [found.places[n][1] for n in "xyz"] == [0.0, 1.0, 2.0]


def test_crossed_pairs_are_untangled() -> None:
    found = lay_out_plan([["a", "b"], ["x", "y"]], [("a", "y"), ("b", "x")])
    assert found.places["y"][1] < found.places["x"][1]


def test_a_long_edge_bends_around_the_cells_between() -> None:
    edges = [("a", "b"), ("b", "c"), ("a", "c")]
    found = lay_out_plan([["a"], ["b"], ["c"]], edges)
    long = next(e for e in found.edges if (e.upstream, e.dependent) == ("a", "c"))
    assert [wave for wave, _ in long.points] == [0, 1, 2]
    assert abs(long.points[1][1] - found.places["b"][1]) >= 1.0


def test_no_cells_at_all() -> None:
    found = lay_out_plan([], [])
    assert (found.places, found.edges, found.waves, found.rows) == ({}, (), 0, 0.0)


@st.composite
def dags(draw: st.DrawFn) -> tuple[list[list[str]], list[tuple[str, str]]]:
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=6))
    waves = [[f"c{w}-{i}" for i in range(size)] for w, size in enumerate(sizes)]
    edges = []
    for index, wave in enumerate(waves):
        earlier = [name for before in waves[:index] for name in before]
        for name in wave:
            for upstream in draw(st.lists(st.sampled_from(earlier), max_size=3) if earlier
                                 else st.just([])):  # fmt: skip
                edges.append((upstream, name))
    return waves, edges


@given(dags())
def test_nothing_overlaps_and_edges_lead_to_the_right(
    dag: tuple[list[list[str]], list[tuple[str, str]]],
) -> None:
    waves, edges = dag
    found = lay_out_plan(waves, edges)
    assert found == lay_out_plan(waves, edges)
    assert {n: w for n, (w, _) in found.places.items()} == {
        n: w for w, wave in enumerate(waves) for n in wave
    }
    for wave in range(len(waves)):
        rows = sorted(row for at, row in found.places.values() if at == wave)
        assert all(b - a >= 0.999 for a, b in pairwise(rows))
        assert all(0 <= row <= found.rows - 0.999 for row in rows)
    assert {(e.upstream, e.dependent) for e in found.edges} == set(edges)
    for edge in found.edges:
        assert edge.points[0] == found.places[edge.upstream]
        assert edge.points[-1] == found.places[edge.dependent]
        assert all(b[0] - a[0] == 1 for a, b in pairwise(edge.points))
