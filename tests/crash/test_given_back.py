"""SIGKILL at every step around giving work back: the agent is told once and paid for twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import git
from tests.crash.house import FEATURE, House, at_each, both

pytestmark = pytest.mark.slow

CELLS = {"low": {"owned_paths": ["low.txt"]}}
SCRIPT = """\
if grep -q "not accepted as it is" "$ORCHESTR_PROMPT_FILE"; then
    git checkout -q main -- README.md
else
    echo mine >> README.md
fi
"""


def build(root: Path, **more: Any) -> House:
    house = House.build(root, CELLS, **more)
    house.script("low", SCRIPT)
    return house


def test_a_kill_anywhere_around_giving_back(tmp_path: Path) -> None:
    first = build(tmp_path / "undisturbed")
    steps = first.steps("run", FEATURE)
    trees = first.trees()
    places = [step.split()[0].rpartition(":") for step in steps]
    names = [step.split()[1] for step in steps]
    begin = names.index("attempt.exited")
    end = names.index("attempt.closed")
    wanted = ("journal:after", "write:after", "start:before", "start:after", "go-on:before",
              "go-on:after", "commit:before", "commit:after")  # fmt: skip
    cases = [
        f"{place}#{number}"
        for place, _, number in places[begin - 1 : end + 2]
        if place in wanted
    ]  # fmt: skip
    assert {"go-on:before#1", "go-on:after#1"} <= set(cases)
    assert len(cases) > 12

    def act(house: House, at: str) -> None:
        killed = house.crash(at, "run", FEATURE)
        assert killed.returncode == -9, both(killed)
        house.run("run", FEATURE, code=0)
        assert house.trees() == trees
        assert house.book() == {"start low 1": 2, "end low 1": 2}
        assert len(house.journal(kind="attempt.given-back")) <= 1
        assert [e["attempt"] for e in house.journal(kind="attempt.opened")] == [1]
        assert len(house.prs()) == 1
        changed = git(house.repos / "app.git", "diff", "--name-only", "main", house.head("low"))
        assert changed.split() == ["low.txt"]
        house.sound()

    at_each(cases, tmp_path, act, make=build)


def test_a_kill_does_not_give_a_second_chance(tmp_path: Path) -> None:
    house = build(tmp_path / "w")
    house.script("low", "echo mine >> README.md\n")
    killed = house.crash("go-on:after#1", "run", FEATURE)
    assert killed.returncode == -9, both(killed)
    done = house.run("run", FEATURE, code=1)
    assert "after it was given back once" in both(done)
    assert house.book()["start low 1"] == 2


OWNED = {"api": {}, "use": {"depends_on": ["api"]}}
CONTRACTS = [{"path": "api.txt", "owner": "api"}]


def waiting(root: Path, **more: Any) -> House:
    house = House.build(root, OWNED, contracts=CONTRACTS, **more)
    house.script("use", "echo 'ORCHESTR amend api.txt: another line'; exit 0\n")
    assert house.run("run", FEATURE).returncode == 1
    return house


def test_a_kill_while_amending_adds_one_line(tmp_path: Path) -> None:
    first = waiting(tmp_path / "undisturbed")
    steps = first.steps("amend", f"{FEATURE}:use")
    spec = (first.root / "specs" / f"{FEATURE}.yaml").read_text()
    assert spec.count("another line") == 1
    cases = ["#".join(step.split()[0].rsplit(":", 1)) for step in steps]
    assert len(cases) >= 6

    def act(house: House, at: str) -> None:
        killed = house.crash(at, "amend", f"{FEATURE}:use")
        assert killed.returncode == -9, both(killed)
        house.run("amend", f"{FEATURE}:use", code=0)
        assert (house.root / "specs" / f"{FEATURE}.yaml").read_text() == spec
        assert house.states()["use"] == "pending"

    at_each(cases, tmp_path, act, make=waiting)
