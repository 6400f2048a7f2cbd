"""SIGKILL while a person's commit is taken, or a branch claimed: the same command ends as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import git, write
from tests.crash.house import FEATURE, House, at_each
from tests.crash.test_kills import points

pytestmark = pytest.mark.slow
ONE = {"low": {"owned_paths": ["low.txt", "more.txt"]}}
ADOPTS = {"low": {"adopt": True}}


def commit(place: Path, files: dict[str, str]) -> str:
    write(place, files)
    git(place, "add", "-A")
    git(place, "commit", "--quiet", "-m", "a person's")
    return git(place, "rev-parse", "HEAD")


def built_and_committed(house: House) -> str:
    """A done cell; a person merges a newer base into it and commits more."""
    house.run("run", FEATURE, code=0)
    place = house.root / ".orchestr/worktrees" / FEATURE / "low"
    clone = house.repos / "app"
    commit(clone, {"elsewhere.txt": "x\n"})
    git(clone, "push", "--quiet", "origin", "main")
    git(place, "merge", "--quiet", "--no-edit", "main")
    return commit(place, {"more.txt": "more\n"})


def pushed_by_another(house: House) -> str:
    """A branch of the cell's name is at the origin, of no cell."""
    clone = house.root / "elsewhere"
    git(house.root, "clone", "--quiet", str(house.repos / "app.git"), str(clone))
    git(clone, "switch", "--quiet", "--create", house.branch("low"))
    mine = commit(clone, {"theirs.txt": "x\n"})
    git(clone, "push", "--quiet", "origin", "HEAD")
    return mine


@pytest.mark.parametrize("story", ["taken", "claimed"])
def test_a_kill_at_any_step_pays_no_agent_and_loses_no_commit(story: str, tmp_path: Path) -> None:
    cells, begin = (ONE, built_and_committed) if story == "taken" else (ADOPTS, pushed_by_another)
    house = House.build(tmp_path / "undisturbed", cells)
    mine = begin(house)
    paid = len(house.starts())
    steps = house.steps("run", FEATURE)
    assert len(house.starts()) == paid
    assert git(house.repos / "app.git", "rev-parse", house.branch("low")) == mine
    cases = points(steps, "journal:after", "write:after", "add:after")

    def act(house: House, at: str) -> None:
        mine = begin(house)
        house.kill_at(at, "run", FEATURE)
        house.run("run", FEATURE, code=0)
        assert len(house.starts()) == paid, at
        assert git(house.repos / "app.git", "rev-parse", house.branch("low")) == mine, at
        assert len(house.prs()) == 1
        house.sound()

    at_each(cases, tmp_path, act, cells=cells)


def test_our_own_merge_before_a_killed_start_is_no_persons(tmp_path: Path) -> None:
    house = House.build(tmp_path / "w", {"low": {}})
    house.run("run", FEATURE, code=0)
    house.script("low", "exit 3\n")
    house.run("run", FEATURE, "--force", code=1)
    clone = house.root / "elsewhere"
    git(house.root, "clone", "--quiet", str(house.repos / "app.git"), str(clone))
    git(clone, "switch", "--quiet", house.branch("low"))
    theirs = commit(clone, {"theirs.txt": "x\n"})
    git(clone, "push", "--quiet", "origin", "HEAD")
    place = house.root / ".orchestr/worktrees" / FEATURE / "low"
    commit(place, {"mine.txt": "x\n"})
    house.script("low", None)
    for _ in range(2):
        house.crash("attempt:before#1", "run", FEATURE, "--force")
    house.run("run", FEATURE, code=0)
    assert house.book()["start low 3"] == 1
    git(house.repos / "app.git", "merge-base", "--is-ancestor", theirs, house.branch("low"))
