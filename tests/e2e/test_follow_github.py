"""`orchestr follow` at GitHub: the stub, asked through the real `gh`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.github_house import GitHubHouse
from tests.e2e.workspace import AGENT, both
from tests.forges.github_stub import GH, NO_GH

pytestmark = [pytest.mark.skipif(GH is None, reason=NO_GH), pytest.mark.slow]
CELLS = {"a": {}, "b": {"depends_on": ["a"]}, "w": {"repo": "web"}}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[GitHubHouse]:
    """Two repositories, three pull requests, all of them open."""
    made = GitHubHouse.at_github(tmp_path / "w", CELLS, repos=("app", "web"), agent=AGENT)
    with (made.root / "orchestr.toml").open("a") as settings:
        settings.write('\n[follow]\nbundle = "1ms"\n')
    made.run("run", "demo", code=0)
    yield made
    made.end()


def test_a_night_at_github(house: GitHubHouse) -> None:
    """A red check runs again before anybody is paid, each word is answered once, quiet is cheap."""
    github = house.github
    head = github.pull(1, "o/app")["head_sha"]
    job = {"log": ["a.txt:1: boom"], "workflow": "CI"}
    github.report_check(head, "test (java@main-main)", "FAILURE", **job)
    thread = github.say_at(1, "please say it shorter", "a.txt", 1, "rita", "o/app")
    github.say(1, "and why?", "joe", "o/web")  # who may not write

    done = house.run("follow", "demo", "--once", "--yes", code=0)
    assert "CI / test (java@main-main) is red; it runs once more" in both(done)
    assert [c["author"] for c in thread["comments"]] == ["rita"], "one thing after the other"
    status = github.statuses[github.pull(1, "o/web")["head_sha"]]["orchestr/feature"]
    assert status["state"] == "failure", status

    github.report_check(head, "test (java@main-main)", "SUCCESS", **job)
    house.run("follow", "demo", "--once", "--yes", code=0)
    assert [c["author"] for c in thread["comments"]] == ["rita", "tess"]
    new = github.pull(1, "o/app")["head_sha"]
    assert new != head
    assert new in thread["comments"][1]["body"]

    house.run("follow", "demo", "--once", "--yes", code=0)
    github.forget_counts()
    quiet = house.run("follow", "demo", "--once", "--yes", code=0)
    assert "can be merged" in both(quiet)
    assert len(thread["comments"]) == 2
    assert len(github.comments["o/web#1"]) == 1
    assert github.requests["graphql"] <= 2
    assert github.total <= 3
    assert github.points <= 2
