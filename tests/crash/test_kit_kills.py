"""SIGKILL while what the kit brought is taken out of commits: the same command ends as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import git, write
from tests.crash.house import FEATURE, House, at_each
from tests.crash.test_kills import points

pytestmark = pytest.mark.slow
ONE = {"low": {}}
COPIES = {"repos": {"app": {"copy": [".env"]}}}
SLY = "git add -f .env; git commit -qm sly; echo l > low.txt; git add low.txt; git commit -qm low\n"


def committed_by_an_agent(house: House) -> None:
    write(house.repos / "app", {".env": "TOKEN=secret\n"})
    house.script("low", SLY)


def committed_by_a_person(house: House) -> None:
    write(house.repos / "app", {".env": "TOKEN=secret\n"})
    house.run("run", FEATURE, code=0)
    place = house.worktree("low")
    write(place, {"more.txt": "more\n"})
    git(place, "add", "-A")
    git(place, "commit", "--quiet", "-m", "a person's")


SETS_UP = {"repos": {"app": {"setup": ["echo set-up >> README.md; echo gen > gen.txt"]}}}


def test_a_kill_around_the_set_up_leaves_nothing_of_it_to_the_agent(tmp_path: Path) -> None:
    house = House.build(tmp_path / "undisturbed", ONE, settings=SETS_UP)
    steps = house.steps("run", FEATURE)
    trees = house.trees()
    cases = points(steps, "add:before", "add:after", "baseline:before", "baseline:after",
                   "put-back:before", "put-back:after", "equip:after")  # fmt: skip
    assert {case.partition(":")[0] for case in cases} == {"add", "baseline", "put-back", "equip"}

    def act(house: House, at: str) -> None:
        house.kill_at(at, "run", FEATURE)
        house.run("run", FEATURE, code=0)
        assert house.trees() == trees, at
        assert (house.worktree("low") / "gen.txt").read_text() == "gen\n"
        house.settled(ONE)

    at_each(cases, tmp_path, act, cells=ONE, settings=SETS_UP)


@pytest.mark.parametrize("begin", [committed_by_an_agent, committed_by_a_person])
def test_a_kill_at_any_step_publishes_no_secret_and_pays_once(
    begin: object, tmp_path: Path
) -> None:
    assert callable(begin)
    house = House.build(tmp_path / "undisturbed", ONE, settings=COPIES)
    begin(house)
    steps = house.steps("run", FEATURE)
    trees = house.trees()
    cases = points(steps, "journal:after", "history:before", "history:after", "ref:after",
                   "commits:after")  # fmt: skip
    assert any(case.startswith("history") for case in cases)

    def act(house: House, at: str) -> None:
        begin(house)
        house.kill_at(at, "run", FEATURE)
        house.run("run", FEATURE, code=0)
        assert house.trees() == trees, at
        listed = git(house.repos / "app.git", "rev-list", "--objects", "--all")
        assert ".env" not in listed, at
        assert (house.worktree("low") / ".env").read_text() == "TOKEN=secret\n"
        house.settled(ONE)

    at_each(cases, tmp_path, act, cells=ONE, settings=COPIES)
