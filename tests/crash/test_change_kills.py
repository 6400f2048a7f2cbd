"""SIGKILL while a person's uncommitted changes are set aside: they are never lost or committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import git, write
from tests.crash.house import FEATURE, House, at_each
from tests.crash.test_kills import points

pytestmark = pytest.mark.slow
ONE = {"low": {}}


def failed_and_changed(house: House) -> None:
    """A failed attempt that left a file; a person wrote one and changed both."""
    house.script("low", "echo half > half.txt; exit 3\n")
    house.run("run", FEATURE, code=1)
    house.script("low", None)
    place = house.root / ".orchestr/worktrees" / FEATURE / "low"
    write(place, {"mine.txt": "mine\n", "README.md": "changed\n", "half.txt": "better\n"})


def kept_files(house: House) -> set[tuple[str, str]]:
    """Path and content in every commit that is kept."""
    clone = house.repos / "app"
    refs = git(clone, "for-each-ref", "--format=%(refname)", "refs/orchestr/attempts").split()
    return {
        (path, git(clone, "show", f"{ref}:{path}"))
        for ref in refs
        for path in git(clone, "ls-tree", "-r", "--name-only", ref).split()
    }


def test_a_kill_at_any_step_keeps_what_a_person_changed(tmp_path: Path) -> None:
    house = House.build(tmp_path / "undisturbed", ONE)
    failed_and_changed(house)
    steps_taken = house.steps("run", FEATURE)
    warned = next(s for s in steps_taken if s.startswith("journal:after") and "cell.warned" in s)
    upto = steps_taken[
        : steps_taken.index(next(s for s in steps_taken if s.startswith("start:after"))) + 1
    ]
    assert warned in upto
    steps = ("kept", "aside", "back", "journal", "write")
    cases = points(upto, *(f"{step}:after" for step in steps), "aside:before", "back:before")

    def act(house: House, at: str) -> None:
        failed_and_changed(house)
        house.kill_at(at, "run", FEATURE)
        house.run("run", FEATURE, code=0)
        kept = kept_files(house)
        assert {("mine.txt", "mine"), ("README.md", "changed"), ("half.txt", "better")} <= kept, at
        assert ("half.txt", "half") in kept, at
        branch = git(house.repos / "app.git", "rev-parse", house.branch("low"))
        names = git(house.repos / "app.git", "ls-tree", "-r", "--name-only", branch).split()
        assert "mine.txt" not in names, at
        assert git(house.repos / "app.git", "show", f"{branch}:README.md") != "changed", at
        house.sound()

    at_each(cases, tmp_path, act, cells=ONE)
