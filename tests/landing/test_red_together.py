"""Cells that are green alone and red together: every verb says so, and nothing of them lands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.landing.house import FEATURE, Yard, both

pytestmark = pytest.mark.slow
CELLS = {"one": {}, "two": {}}
BOTH = "test ! -e one.txt || test ! -e two.txt || test -e agreed"
TOGETHER = {"repo": "app", "kind": "command", "name": "together", "run": ["sh", "-c", BOTH]}


@pytest.fixture
def red(tmp_path: Path) -> Iterator[Yard]:
    yard = Yard.ready(tmp_path / "w", CELLS, build=False, repos=("app",))
    yard.spec(CELLS, cross_checks=[TOGETHER])
    yard.run("run", FEATURE, code=1)
    yield yard
    yard.end()


def test_every_verb_says_so_and_nothing_lands(red: Yard) -> None:
    assert "cross checks in app" in red.run("run", FEATURE, code=1).stdout
    (told,) = json.loads(red.run("status", "--json", code=0).stdout)["features"]
    assert told["state"] == "failed"
    assert [cell["state"] for cell in told["cells"]] == ["done", "done"]
    assert f"{FEATURE}: failed" in red.run("status", FEATURE, code=0).stdout
    assert "cross checks in app: red (" in red.run("info", FEATURE, code=1).stdout
    red.run("info", f"{FEATURE}:one", code=0)
    assert "✗ cross checks in app" in red.run("plan", FEATURE, code=0).stdout
    (row,) = json.loads(red.run("plan", FEATURE, "--json", code=0).stdout)["cross_checks"]
    assert (row["repo"], row["passed"]) == ("app", False)
    for words in (["land", FEATURE, "--dry-run"], ["plan", FEATURE, "--land"], ["land", FEATURE]):
        refused = red.run(*words, code=1)
        assert f"orchestr land {FEATURE} --allow-red" in refused.stderr, both(refused)
    assert red.history() == [] and not red.journal(kind="land.allowed")


def test_a_person_may_land_it_and_is_journalled(red: Yard) -> None:
    asked = red.run("land", FEATURE, "--allow-red", code=2)
    question = "lands demo in spite of this: cross checks are red: app"
    assert question in asked.stderr and red.history() == []
    done = red.run("land", FEATURE, "--allow-red", "--yes", code=0)
    assert sorted(red.history()) == ["one", "two"], both(done)
    (event,) = red.journal(kind="land.allowed")
    assert "together" in event["data"]["reason"] and event["data"]["user"]
    assert (
        json.loads(red.run("status", "--json", code=0).stdout)["features"][0]["state"] == "landed"
    )
    red.run("land", FEATURE, code=0)  # nothing is left: nothing to refuse


def test_a_mended_cell_makes_it_green_again(red: Yard) -> None:
    red.script("two", "echo two > two.txt; touch agreed\n")
    red.run("run", f"{FEATURE}:two", "--force", code=0)
    assert "not made for these heads" in red.run("info", FEATURE, code=1).stdout
    red.run("run", FEATURE, code=0)
    red.run("info", FEATURE, code=0)
    red.run("land", FEATURE, code=0)
    assert sorted(red.history()) == ["one", "two"]
