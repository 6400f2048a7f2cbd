"""Features at a Forgejo, from the first run to the landing: killed on the way, and beside a local
repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.forgejo_house import FEATURE, ForgejoHouse
from tests.crash.house import both
from tests.forges.forgejo_stub import TOKEN

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("at", ["before#1", "after#2"])
def test_a_kill_around_opening_and_merging_makes_nothing_twice(tmp_path: Path, at: str) -> None:
    house = ForgejoHouse.at_forgejo(tmp_path / "w")
    try:
        house.kill_at(f"f-open:{at}", "run", FEATURE)
        house.run("run", FEATURE, code=0)
        house.settled()
        low, high = house.result("low", "pr-url"), house.result("high", "pr-url")
        bodies = {pull["head"]: pull["body"] for pull in house.prs().values()}
        assert high in bodies[house.branch("low")]
        assert low in bodies[house.branch("high")]
        assert all(pull["title"].startswith("WIP: ") for pull in house.prs().values())

        house.kill_at(f"f-press:{at}", "land", FEATURE, "--yes")
        house.run("land", FEATURE, "--yes", code=0)
        assert {pull["state"] for pull in house.prs().values()} == {"merged"}
        assert house.forgejo.requests["POST pulls/N/merge"] == 2
    finally:
        house.end()


class MixedHouse(ForgejoHouse):
    hosted = ("lib",)


def test_a_repository_at_forgejo_and_a_local_one_link_each_other(tmp_path: Path) -> None:
    cells = {"low": {"repo": "lib"}, "high": {"repo": "app", "depends_on": ["low"]}}
    house = MixedHouse.at_forgejo(
        tmp_path / "w", cells, repos=("lib", "app"), settings={"repos": {"app": {"forge": "local"}}}
    )
    try:
        done = house.run("run", FEATURE, code=0)
        (hosted,) = house.prs().values()
        low, high = house.result("low", "pr-url"), house.result("high", "pr-url")
        assert (low, high) == (f"{house.forgejo.root}/o/lib/pulls/1", "local://app/pull/1")
        assert high in hosted["body"]
        local = (house.root / ".orchestr" / "forge" / "app" / "1.toml").read_text()
        assert low in local
        assert TOKEN not in both(done)
        house.run("run", FEATURE, code=0)
        assert len(house.prs()) == 1
        house.run("land", FEATURE, "--yes", code=0)
        assert [pull["state"] for pull in house.prs().values()] == ["merged"]
    finally:
        house.end()
