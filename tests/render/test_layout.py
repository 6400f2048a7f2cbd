"""Where a DAG's nodes stand: upstreams before dependents, nothing over anything else."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr.views.graph.layout import arrange_nodes, reduce_edges, spread_apart

DIAMOND = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c", "a")}


@st.composite
def dags(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    count = draw(st.integers(1, 14))
    found: dict[str, tuple[str, ...]] = {}
    for i in range(count):
        above = draw(st.sets(st.integers(0, i - 1), max_size=3)) if i else set()
        found[f"n{i}"] = tuple(f"n{j}" for j in sorted(above))
    return found


def test_what_others_imply_is_left_out() -> None:
    assert reduce_edges(DIAMOND) == {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}


def test_a_long_edge_passes_between_the_nodes() -> None:
    found = arrange_nodes(DIAMOND, lambda _n: 10, gap=2)
    assert [[s.name for s in layer if s.name] for layer in found.layers] == [
        ["a"], ["b", "c"], ["d"],
    ]  # fmt: skip
    assert [s.name for s in found.routes["a", "d"]] == ["a", "", "d"]


def test_crossed_pairs_are_uncrossed() -> None:
    found = arrange_nodes({"a": (), "b": (), "c": ("b",), "d": ("a",)})
    assert [s.name for s in found.layers[1]] == ["d", "c"]
    spots = found.spots_by_name()
    assert spots["a"].place == spots["d"].place  # and stand right below


def test_a_cycle_is_refused() -> None:
    with pytest.raises(ValueError, match="cycle"):
        arrange_nodes({"a": ("b",), "b": ("a",)})


def test_places_keep_their_distance_and_stay_near() -> None:
    assert spread_apart([5.0, 5.0], [4.0], [1, 1]) == [3.0, 7.0]
    assert spread_apart([0.0, 10.0], [4.0], [1, 1]) == [0.0, 10.0]


@given(dags())
def test_every_graph_stands_well(graph: dict[str, tuple[str, ...]]) -> None:
    found = arrange_nodes(graph, lambda n: 3 + len(n), gap=2)
    spots = found.spots_by_name()
    assert set(spots) == set(graph)
    for name, ups in graph.items():
        assert all(spots[up].layer < spots[name].layer for up in ups)
        for up in ups:
            assert [s.layer for s in found.routes[up, name]] == list(
                range(spots[up].layer, spots[name].layer + 1)
            )
    for layer in found.layers:
        for one, two in pairwise(layer):
            assert two.place - one.place >= (one.breadth + two.breadth) / 2 + 2 - 1e-6
        assert all(s.place - s.breadth / 2 >= -1e-6 for s in layer)
        assert all(s.place + s.breadth / 2 <= found.breadth + 1e-6 for s in layer)


@given(dags())
def test_reducing_loses_no_order(graph: dict[str, tuple[str, ...]]) -> None:
    def above(edges: dict[str, tuple[str, ...]], name: str) -> set[str]:
        return {u for up in edges[name] for u in (up, *above(edges, up))}

    few = reduce_edges(graph)
    assert all(above(few, name) == above(graph, name) for name in graph)
    for ups in few.values():
        assert not any(a in above(few, b) for a, b in combinations(ups, 2))
