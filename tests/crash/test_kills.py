"""SIGKILL at every step of a run, then the same command: nothing lost, nothing done twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.house import FEATURE, House, at_each, both

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict[str, str]]:
    """The steps and the trees of a run that nobody disturbs."""
    house = House.build(tmp_path_factory.mktemp("undisturbed") / "w")
    steps = house.steps("run", FEATURE)
    house.settled()
    return steps, house.trees()


def points(steps: list[str], *wanted: str) -> list[str]:
    """`POINT:WHEN#N` of the steps at these points."""
    found = [step.split()[0].rpartition(":") for step in steps]
    return [f"{place}#{number}" for place, _, number in found if place in wanted]


def again(house: House, at: str, trees: dict[str, str]) -> None:
    """Kill at ``at``, run again, expect the end of an undisturbed run."""
    house.kill_at(at, "run", FEATURE)
    done = house.run("run", FEATURE)
    assert done.returncode == 0, both(done)
    assert house.trees() == trees
    house.settled()


def test_a_kill_after_any_journal_line_loses_nothing(
    undisturbed: tuple[list[str], dict[str, str]], tmp_path: Path
) -> None:
    steps, trees = undisturbed
    cases = points(steps, "journal:after")
    assert len(cases) > 20
    at_each(cases, tmp_path, lambda house, at: again(house, at, trees))


def test_a_kill_after_any_file_push_or_pull_request_loses_nothing(
    undisturbed: tuple[list[str], dict[str, str]], tmp_path: Path
) -> None:
    steps, trees = undisturbed
    places = ("write", "push", "open", "edit", "commit", "start", "add")
    cases = points(steps, *(f"{place}:after" for place in places[1:]))
    cases += points(steps, "write:after")[::2]  # half, for time
    cases += points(steps, "start:before", "push:before")
    assert len(cases) > 25
    at_each(cases, tmp_path, lambda house, at: again(house, at, trees))


def test_two_repositories_killed_at_each_kind_of_event(tmp_path: Path) -> None:
    cells = {"low": {}, "high": {"repo": "web", "depends_on": ["low"]}}
    house = House.build(tmp_path / "undisturbed", cells, repos=("app", "web"))
    kinds = dict.fromkeys(
        step.split()[1] for step in house.steps("run", FEATURE) if step.startswith("journal:after")
    )
    trees = house.trees(("app", "web"))

    def act(house: House, at: str) -> None:
        assert house.crash(at, "run", FEATURE).returncode == -9
        house.run("run", FEATURE, code=0)
        assert house.trees(("app", "web")) == trees
        house.settled()

    at_each([f"journal:after#{kind}" for kind in kinds], tmp_path, act,
            cells=cells, repos=("app", "web"))  # fmt: skip
