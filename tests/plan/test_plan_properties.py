"""What holds for every graph, tried on random ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestr.plan.dag import FeaturePlan, ForecastOutcome, forecast_run, make_plan
from orchestr.spec.phases import Phase
from orchestr.spec.records import Cell, Feature


@st.composite
def features(draw: st.DrawFn) -> Feature:
    count = draw(st.integers(0, 14))
    ranks = draw(st.permutations(range(count)))
    cells = []
    for index in range(count):
        lower = [i for i in range(count) if ranks[i] < ranks[index]]
        chosen = draw(st.lists(st.sampled_from(lower), unique=True, max_size=4)) if lower else []
        cells.append(
            Cell(
                f"c{index}",
                draw(st.sampled_from(["r", "s"])),
                f"b{index}",
                depends_on=tuple(f"c{i}" for i in chosen),
            )
        )
    return Feature("f", "f", "f", tuple(cells))


def reach(edges: dict[str, tuple[str, ...]], start: str) -> set[str]:
    found: set[str] = set()
    todo = list(edges[start])
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += edges[name]
    return found


def times() -> st.SearchStrategy[dict[str, float]]:
    return st.dictionaries(st.sampled_from([f"c{i}" for i in range(14)]), st.floats(0.1, 1e4))


@given(features(), times())
def test_order_respects_edges_and_waves_are_minimal(
    feature: Feature, known: dict[str, float]
) -> None:
    plan = make_plan(feature, known)
    assert sorted(c.name for c in plan.cells) == sorted(c.name for c in feature.cells)
    place = {c.name: i for i, c in enumerate(plan.cells)}
    for cell in plan.cells:
        assert all(place[u] < place[cell.name] for u in cell.upstreams)
        assert cell.wave == 1 + max((plan.cell(u).wave for u in cell.upstreams), default=0)


@given(features(), times())
def test_priority_falls_along_every_edge_and_the_critical_path_is_the_heaviest(
    feature: Feature, known: dict[str, float]
) -> None:
    plan = make_plan(feature, known)
    for cell in plan.cells:
        assert all(plan.priority[cell.name] > plan.priority[d] for d in cell.dependents)
        assert all(cell.name in plan.cell(u).dependents for u in cell.upstreams)
    if plan.cells:
        assert plan.priority[plan.critical_path[0]] == max(plan.priority.values())
        for above, below in zip(plan.critical_path, plan.critical_path[1:], strict=False):
            assert above in plan.cell(below).upstreams


@given(features())
def test_reduction_keeps_what_can_be_reached(feature: Feature) -> None:
    plan = make_plan(feature)
    repo = {c.name: c.repo for c in plan.cells}
    near = {c.name: tuple(u for u in c.upstreams if repo[u] == c.repo) for c in plan.cells}
    stacks = {c.name: c.stack for c in plan.cells}
    every = {c.name: c.upstreams for c in plan.cells}
    for cell in plan.cells:
        # All commits that the upstreams have are still below the base, and none is named twice.
        assert reach(stacks, cell.name) == reach(near, cell.name)
        assert not any(u in reach(near, v) for u in cell.stack for v in cell.stack)
        above = {v: reach(every, v) for v in cell.upstreams}
        kept = {u for u in cell.upstreams if not any(u in above[v] for v in cell.upstreams)}
        assert set(cell.foreign) == {u for u in kept if repo[u] != cell.repo}


@given(features())
def test_the_same_feature_gives_the_same_plan(feature: Feature) -> None:
    assert make_plan(feature) == make_plan(feature)


@given(features(), st.data())
def test_a_forecast_carries_staleness_down_and_only_down(
    feature: Feature, data: st.DataObject
) -> None:
    plan = make_plan(feature)
    names = [c.name for c in plan.cells]
    stale = set(data.draw(st.lists(st.sampled_from(names)))) if names else set()
    told = forecast_run(plan, {name: {Phase.IMPLEMENT: "its todo changed"} for name in stale})
    every = {c.name: c.upstreams for c in plan.cells}
    for line in told:
        runs = line.name in stale or bool(stale & reach(every, line.name))
        assert (line.would is ForecastOutcome.RUN) == runs
        assert line.may == (runs and line.name not in stale)


def test_a_thousand_cells_are_no_trouble() -> None:
    cells = tuple(
        Cell(
            f"c{i}",
            f"r{i % 7}",
            f"b{i}",
            depends_on=tuple(f"c{j}" for j in {i // 2, i // 3, i - 1} if 0 <= j < i),
        )
        for i in range(1000)
    )
    plan: FeaturePlan = make_plan(Feature("f", "f", "f", cells))
    assert plan.cells[-1].wave == 1000
    assert len(plan.critical_path) == 1000
