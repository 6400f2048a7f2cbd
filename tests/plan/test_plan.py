"""The plan of a feature: order, waves, bases, priorities. Small specs, whole results."""

from __future__ import annotations

import pytest

from orchestr.plan.dag import make_plan
from orchestr.spec.records import Cell, Feature


def feature(*cells: Cell) -> Feature:
    return Feature("mlkem", "DSPX-1", "Pure ML-KEM", cells)


def cell(name: str, repo: str, *upstreams: str) -> Cell:
    return Cell(name, repo, f"DSPX-1-{name}", depends_on=upstreams)


MLKEM = feature(
    cell("tests", "tests"),
    cell("platform-proto", "platform"),
    cell("platform-service", "platform", "platform-proto"),
    cell("platform-go-sdk", "platform", "platform-proto", "platform-service"),
    cell("java-sdk", "java-sdk", "platform-proto"),
    cell("web-sdk", "web-sdk", "platform-proto"),
)


def test_the_real_feature_has_three_waves_in_spec_order() -> None:
    plan = make_plan(MLKEM)
    assert [[c.name for c in wave] for wave in plan.cells_by_wave()] == [
        ["tests", "platform-proto"],
        ["platform-service", "java-sdk", "web-sdk"],
        ["platform-go-sdk"],
    ]
    assert plan.critical_path == ("platform-proto", "platform-service", "platform-go-sdk")


def test_a_cell_is_stacked_on_the_nearest_upstream_of_its_repository() -> None:
    go = make_plan(MLKEM).cell("platform-go-sdk")
    assert go.stack == ("platform-service",)
    assert go.upstreams == ("platform-proto", "platform-service")
    assert not go.needs_merge_base


def test_upstreams_elsewhere_are_foreign_and_not_stacked_on() -> None:
    java = make_plan(MLKEM).cell("java-sdk")
    assert (java.stack, java.foreign) == ((), ("platform-proto",))


def test_two_independent_upstreams_of_one_repository_must_be_merged_first() -> None:
    plan = make_plan(feature(cell("a", "r"), cell("b", "r"), cell("c", "r", "b", "a")))
    assert plan.cell("c").stack == ("b", "a")
    assert plan.cell("c").needs_merge_base


def test_a_way_through_another_repository_does_not_carry_commits() -> None:
    # a -> x -> b, all of them upstreams of c: b's branch knows nothing of a's head.
    plan = make_plan(
        feature(cell("a", "r"), cell("x", "s", "a"), cell("b", "r", "x"), cell("c", "r", "a", "b"))
    )
    assert plan.cell("c").stack == ("a", "b")


def test_a_diamond_has_three_waves() -> None:
    plan = make_plan(
        feature(cell("a", "r"), cell("b", "r", "a"), cell("c", "r", "a"), cell("d", "r", "b", "c"))
    )
    assert [c.wave for c in plan.cells] == [1, 2, 2, 3]
    assert plan.cell("a").dependents == ("b", "c")


def test_priority_is_the_weighted_way_to_the_end_and_unknown_times_get_the_median() -> None:
    plan = make_plan(MLKEM, {"java-sdk": 900.0, "platform-proto": 100.0, "tests": 300.0})
    assert plan.cell("web-sdk").weight == 300.0
    assert plan.priority["platform-proto"] == 100.0 + 900.0
    assert plan.critical_path == ("platform-proto", "java-sdk")


def test_useless_durations_count_as_unknown() -> None:
    plan = make_plan(MLKEM, {"java-sdk": 0.0, "web-sdk": float("nan")})
    assert set(plan.priority.values()) == {1.0, 2.0, 3.0}


def test_the_longest_way_to_the_end_is_ready_first() -> None:
    plan = make_plan(MLKEM)
    assert plan.ready_cells(done=()) == ("platform-proto", "tests")
    assert plan.ready_cells(done=("platform-proto",), taken=("tests",)) == (
        "platform-service",
        "java-sdk",
        "web-sdk",
    )


def test_a_cycle_is_named_and_never_loops() -> None:
    ring = feature(
        cell("z", "r", "b"), cell("a", "r", "c"), cell("b", "r", "a"), cell("c", "r", "b")
    )
    with pytest.raises(ValueError, match="in a cycle: b -> a -> c -> b"):
        make_plan(ring)


def test_a_cell_on_itself_is_a_cycle() -> None:
    with pytest.raises(ValueError, match="a -> a"):
        make_plan(feature(cell("a", "r", "a")))


def test_an_unknown_upstream_is_named() -> None:
    with pytest.raises(ValueError, match="cell a depends on ghost"):
        make_plan(feature(cell("a", "r", "ghost")))


def test_an_empty_feature_has_an_empty_plan() -> None:
    plan = make_plan(feature())
    assert (plan.cells, plan.critical_path, plan.cells_by_wave()) == ((), (), ())
