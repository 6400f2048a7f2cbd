"""Cycles: small tables, and the property that what is found is really there."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from hypothesis import given
from hypothesis import strategies as st

from orchestr.spec.cycles import Cycle, find

NAMES = st.sampled_from("abcdefg")


def test_the_shortest_way_round_through_the_first_name_of_a_knot() -> None:
    graph = {"d": ["a"], "c": ["b"], "b": ["a", "c"], "a": ["d", "c"], "x": ["a"]}

    assert find(graph) == [Cycle(("a", "d", "a"), ("b", "c"))]


def test_knots_apart_are_told_apart() -> None:
    graph = {"z": ["y"], "y": ["z"], "b": ["a"], "a": ["b", "y"]}

    assert find(graph) == [Cycle(("a", "b", "a"), ()), Cycle(("y", "z", "y"), ())]


def test_oneself_and_the_unknown_are_left_to_others() -> None:
    assert find({"a": ["a", "nobody"]}) == []


@given(st.dictionaries(NAMES, st.lists(NAMES)))
def test_a_cycle_is_found_exactly_when_there_is_one(graph: dict[str, list[str]]) -> None:
    clean = {n: {up for up in ups if up in graph and up != n} for n, ups in graph.items()}
    try:
        TopologicalSorter(clean).prepare()
        cyclic = False
    except CycleError:
        cyclic = True

    found = find(graph)

    assert bool(found) == cyclic
    for cycle in found:
        assert cycle.path[0] == cycle.path[-1]
        assert all(b in clean[a] for a, b in zip(cycle.path, cycle.path[1:], strict=False))
