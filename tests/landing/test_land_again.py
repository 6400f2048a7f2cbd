"""What was rolled back is called so everywhere, and lands again when a person asks for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.landing.house import CHAIN, FEATURE, Yard, both

pytestmark = pytest.mark.slow


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    made = Yard.ready(tmp_path / "w")
    yield made
    made.end()


def feature_state(yard: Yard) -> str:
    (feature,) = json.loads(yard.run("status", "--json", code=0).stdout)["features"]
    return str(feature["state"])


def test_every_view_says_rolled_back_with_the_command_that_lands_it(yard: Yard) -> None:
    yard.run("land", FEATURE, code=0)
    ended = yard.run("rollback", FEATURE, code=0).stdout
    assert ended.count("↺ rolled back") == len(CHAIN) and "★" not in ended
    assert yard.states() == dict.fromkeys(CHAIN, "rolled_back")
    assert feature_state(yard) == "rolled_back"
    shown = yard.run("status", FEATURE, code=0).stdout
    assert "↺ rolled back" in shown and shown.startswith(f"{FEATURE}: rolled back")
    told = yard.run("explain", f"{FEATURE}:low", code=0).stdout
    assert "is rolled back" in told and told.endswith(f"next: orchestr land {FEATURE} --again\n")
    page = yard.root / "page.html"
    yard.run("report", FEATURE, "-o", str(page), code=0)
    assert "rolled back" in page.read_text() and "ready: orchestr land" not in page.read_text()
    assert "rolled back" in yard.run("graph", FEATURE, code=0).stdout
    yard.run("run", FEATURE, code=0)  # it is built: nothing is to be done
    assert feature_state(yard) == "rolled_back"
    refused = yard.run("land", FEATURE, code=1)
    assert f"next: orchestr land {FEATURE} --again" in refused.stdout, both(refused)


@pytest.mark.parametrize("state", ["landed", "rolled_back"])
def test_the_same_head_built_once_more_is_where_the_landing_left_it(yard: Yard, state: str) -> None:
    yard.run("land", FEATURE, code=0)
    if state == "rolled_back":
        yard.run("rollback", FEATURE, code=0)
    for words in (("ignore", FEATURE), ("ignore", "--undo", FEATURE)):
        yard.run(*words, code=0)
    assert yard.states() == dict.fromkeys(CHAIN, state)
    heads = {name: yard.head(name) for name in ("low", "high")}
    yard.run("forget", f"{FEATURE}:low:check", code=0)
    yard.run("run", FEATURE, code=0)
    assert yard.states() == dict.fromkeys(CHAIN, state)
    shown = yard.run("run", FEATURE, "--force", code=0).stdout
    assert {name: yard.head(name) for name in heads} == heads
    assert yard.states() == dict.fromkeys(CHAIN, state)
    assert "✓ done" not in shown and "drafts" not in shown  # they are merged
    yard.script("low", "echo more >> low.txt")
    yard.run("run", f"{FEATURE}:low", "--force", code=0)  # another head: it may land
    assert yard.head("low") != heads["low"] and yard.states()["low"] == "done"


@pytest.mark.parametrize("strategy", ["merge", "squash", "rebase", "fast-forward"])
def test_it_lands_again_as_it_was_and_rolls_back_again(yard: Yard, strategy: str) -> None:
    before = len(yard.starts())
    for again in ((), ("--again",), ("--again",)):
        yard.somebody_pushes({f"other{len(yard.history())}.txt": "of somebody\n"})
        yard.run("land", FEATURE, "--strategy", strategy, *again, code=0)
        assert {"high.txt", "low.txt"} <= set(yard.files()) and "far.txt" in yard.files("web")
        assert feature_state(yard) == "landed"
        yard.run("rollback", FEATURE, code=0)
        assert not {"high.txt", "low.txt"} & set(yard.files())
        assert feature_state(yard) == "rolled_back"
    assert len(yard.starts()) == before
    assert sum(name.startswith("other") for name in yard.files()) == 3


def test_siblings_that_stay_landed_keep_their_work(tmp_path: Path) -> None:
    """The second cell was made before the first one landed, and landed on top of it."""
    yard = Yard.ready(tmp_path / "w", {"one": {}, "two": {}}, repos=("app",))
    yard.run("land", FEATURE, code=0)
    yard.run("rollback", FEATURE, code=0)
    yard.somebody_pushes({"one.txt": "by hand\n"})
    done = yard.run("land", FEATURE, "--again", code=1)  # the first one conflicts with that now
    assert "two.txt" in yard.files() and yard.states()["one"] != "landed", both(done)
    assert yard.states()["two"] == "landed" and feature_state(yard) == "failed"
    yard.end()


def test_delivery_by_merge_does_not_land_it_again(tmp_path: Path) -> None:
    yard = Yard.ready(tmp_path / "w", {"one": {}}, repos=("app",), build=False)
    yard.spec({"one": {}}, delivery="merge")
    yard.run("run", FEATURE, code=0)
    assert yard.files() == ["README.md", "one.txt"]
    yard.run("rollback", FEATURE, code=0)
    yard.run("run", FEATURE, code=0)
    assert yard.files() == ["README.md"]
    yard.end()
