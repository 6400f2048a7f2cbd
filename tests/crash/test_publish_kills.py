"""SIGKILL while a head is published: where force is forbidden, and where commits are signed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import git
from tests.crash.house import FEATURE, House, at_each
from tests.crash.test_kills import points
from tests.e2e.test_publishing import sign_everything
from tests.e2e.workspace import JIRA

pytestmark = pytest.mark.slow
ONE: dict[str, dict[str, Any]] = {"low": {}}
STACK: dict[str, dict[str, Any]] = {"a": {}, "b": {}, "c": {"depends_on": ["a", "b"]}}


def published_once(house: House) -> str:
    """A published cell at an origin that forbids force pushes; the next attempt does otherwise."""
    git(house.repos / "app.git", "config", "receive.denyNonFastForwards", "true")
    house.run("run", FEATURE, code=0)
    house.script("low", "echo otherwise > low.txt")
    return git(house.repos / "app.git", "rev-parse", house.branch("low"))


def after_first_push(steps: list[str]) -> list[str]:
    first = next(n for n, step in enumerate(steps) if step.startswith("push:before:"))
    return steps[first:]


def test_a_kill_while_an_old_head_is_joined(tmp_path: Path) -> None:
    house = House.build(tmp_path / "undisturbed", ONE)
    published_once(house)
    steps = after_first_push(house.steps("run", FEATURE, "--fresh"))
    places = ("push:before", "push:after", "commits:after", "write:after", "journal:after")
    cases = points(steps, *places)

    def act(house: House, at: str) -> None:
        first = published_once(house)
        house.kill_at(at, "run", FEATURE, "--fresh")
        house.run("run", FEATURE, code=0)
        assert len(house.starts()) == 4, at  # two attempts, a start and an end of each
        head = house.head("low")
        assert git(house.repos / "app.git", "rev-parse", f"{head}^2") == first, at
        assert git(house.repos / "app", "rev-parse", house.branch("low")) == head, at
        assert house.show("low", "low.txt") == "otherwise", at
        assert [pr["head_sha"] for pr in house.prs().values()] == [head], at
        assert house.last_run() == [] or "low:implement" not in house.last_run(), at
        house.sound()

    at_each(cases, tmp_path, act, cells=ONE)


def test_a_kill_around_a_signature_signs_nothing_twice(tmp_path: Path) -> None:
    """A second signature would make another base, and another base pays an agent again."""
    house = House.build(tmp_path / "undisturbed", STACK)
    sign_everything(house)
    cases = points(house.steps("run", FEATURE), "commits:before", "commits:after")
    assert cases

    def act(house: House, at: str) -> None:
        sign_everything(house)
        house.kill_at(at, "run", FEATURE)
        house.run("run", FEATURE, code=0)
        assert sorted(line for line in house.starts() if line.startswith("end")) == [
            f"end {cell} 1" for cell in STACK
        ], at
        merges = git(house.repos / "app.git", "rev-list", "--merges", f"main..{JIRA}-c").split()
        assert len(merges) == 1, at
        kept = git(house.repos / "app", "for-each-ref", "--format=%(objectname)",
                   "refs/orchestr/signed").split()  # fmt: skip
        assert kept == merges, at
        house.sound()

    at_each(cases, tmp_path, act, cells=STACK)


def test_a_kill_in_a_landing_signs_each_candidate_once(tmp_path: Path) -> None:
    def begin(house: House) -> None:
        sign_everything(house)
        house.run("run", FEATURE, code=0)

    house = House.build(tmp_path / "undisturbed", ONE)
    begin(house)
    cases = points(house.steps("land", FEATURE), "commits:before", "commits:after", "push:before",
                   "push:after")  # fmt: skip

    def act(house: House, at: str) -> None:
        begin(house)
        house.kill_at(at, "land", FEATURE)
        house.run("land", FEATURE, code=0)
        assert set(house.states().values()) == {"landed"}
        signed = git(house.repos / "app", "for-each-ref", "refs/orchestr/signed").splitlines()
        assert len(signed) == 1, at
        house.sound()

    at_each(cases, tmp_path, act, cells=ONE)
