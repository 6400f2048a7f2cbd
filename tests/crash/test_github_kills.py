"""SIGKILL at every step around push and pull request: one pull request a cell, always."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.github_house import FEATURE, GitHubHouse
from tests.crash.house import at_each, both
from tests.forges.github_stub import GH, NO_GH

pytestmark = [pytest.mark.slow, pytest.mark.skipif(GH is None, reason=NO_GH)]


WRITTEN = ("publish.toml", "pr-url", "links.toml")
KINDS = ("push.", "pr.")


def boundaries(steps: list[str]) -> list[str]:
    """The steps of publishing: pushes, requests to the API, its files and journal lines."""
    found = []
    for step in steps:
        at, name = step.split()
        place, _, number = at.rpartition(":")
        point, _, when = place.partition(":")
        of_files = point == "write" and name in WRITTEN and when == "after"
        of_journal = point == "journal" and name.startswith(KINDS) and when == "after"
        if point in ("push", "rest") or of_files or of_journal:
            found.append(f"{place}#{number}")
    return found


def test_a_kill_between_push_pull_request_link_and_pr_url(tmp_path: Path) -> None:
    house = GitHubHouse.at_github(tmp_path / "undisturbed")
    try:
        cases = boundaries(house.steps("run", FEATURE))
        trees = house.trees()
        house.settled()
    finally:
        house.end()
    assert sum(case.startswith("rest") for case in cases) >= 6, cases
    assert len(cases) > 20

    def act(house: GitHubHouse, at: str) -> None:
        house.kill_at(at, "run", FEATURE)
        done = house.run("run", FEATURE)
        assert done.returncode == 0, both(done)
        assert house.trees() == trees
        house.settled()
        bodies = {pr["head"]: pr["body"] for pr in house.prs().values()}
        low, high = house.result("low", "pr-url"), house.result("high", "pr-url")
        assert high in bodies[house.branch("low")]
        assert low in bodies[house.branch("high")]
        assert all(pr["draft"] for pr in house.prs().values())

    at_each(cases, tmp_path, act, make=GitHubHouse.at_github)


def test_an_answer_that_is_lost_makes_no_second_pull_request(tmp_path: Path) -> None:
    """GitHub opened it, the connection drops, and we are killed before we can ask again."""
    house = GitHubHouse.at_github(tmp_path / "w")
    try:
        house.github.fail(0, kind="POST", late=True)
        house.github.fail(500, kind="POST", late=True)
        house.run("run", FEATURE, code=0)
        house.settled()
    finally:
        house.end()
