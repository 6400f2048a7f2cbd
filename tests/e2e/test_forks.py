"""Other remotes than `origin`: a fork with its upstream, and one of another name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import git
from tests.crash.github_house import GitHubHouse
from tests.crash.house import House
from tests.e2e.workspace import FEATURE
from tests.forges.github_stub import GH, HOST, NO_GH

STACK = {"low": {}, "high": {"depends_on": ["low"]}}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[GitHubHouse]:
    """`origin` is a fork, and nothing says so yet; its parent is `up/app`."""
    made = GitHubHouse.at_github(tmp_path / "w", {**STACK, "side": {}}, repos=("app",))
    up = made.repos / "up.git"
    git(made.root, "clone", "--quiet", "--bare", str(made.repos / "app.git"), str(up))
    made.github.repos["up/app"] = up
    made.github.forks["o/app"] = "up/app"
    yield made
    made.end()


@pytest.mark.slow
@pytest.mark.skipif(GH is None, reason=NO_GH)
def test_from_a_fork_into_its_upstream(house: GitHubHouse) -> None:
    refused = house.run("run", FEATURE, code=1)
    assert f"app: origin is a fork of https://{HOST}/up/app" in refused.stderr
    assert 'upstream = "origin"' in refused.stderr and house.prs() == {}
    assert not house.book()  # before any agent is paid

    clone, up = house.repos / "app", house.repos / "up.git"
    url = f"http://{HOST}/up/app.git"
    git(clone, "config", f"url.{up}.insteadOf", url)
    git(clone, "remote", "add", "theirs", url)
    house.settings(repos={"app": {"upstream": "theirs"}}, follow={"bundle": "1ms"})
    house.run("run", FEATURE, code=0)
    found = {p["head"].rpartition("-")[2]: p for p in house.prs().values()}
    mine = [url for url, p in house.prs().items() if p is not found["side"]]
    assert {p["slug"] for p in found.values()} == {"up/app"}
    assert {p["source"] for p in found.values()} == {"o/app"}
    assert [found[cell]["base"] for cell in STACK] == ["main", "main"]
    assert git(up, "for-each-ref", "--format=%(refname)", "refs/heads") == "refs/heads/main"

    # People and CI are at the upstream: an answer goes there, its commit to the fork.
    low, side, github = found["low"], found["side"], house.github
    old = low["head_sha"]
    thread = github.say_at(low["number"], "shorter, please", "low.txt", 1, "rita", "up/app")
    (house.agents / "low.sh").write_text("echo shorter > low.txt\n")
    house.run("follow", FEATURE, "--once", "--yes", code=0)
    new = git(house.repos / "app.git", "rev-parse", low["head"])
    assert github.pull(low["number"], "up/app")["head_sha"] == new != old
    assert new in thread["comments"][1]["body"]
    assert "orchestr/feature" in github.statuses[new]
    assert len(house.prs()) == 3  # found again, not opened twice
    edited = github.pull(found["high"]["number"], "up/app")["body"]
    assert f"https://{HOST}/up/app/pull/{low['number']}" in edited

    # What is taken out of the spec is closed there, and gone from the fork.
    house.spec(STACK)
    house.run("retire", f"{FEATURE}:side", "--yes", code=0)
    assert github.pull(side["number"], "up/app")["state"] == "closed"
    assert side["head"] not in git(house.repos / "app.git", "branch", "--list")
    house.run("land", FEATURE, "--yes", code=0)
    assert {house.prs()[url]["state"] for url in mine} == {"merged"}
    assert git(up, "log", "--first-parent", "--format=%cn", "main").split("\n")[0] == "GitHub"
    assert git(house.repos / "app.git", "rev-list", "--count", "main") == "1"  # the fork's own


@pytest.mark.slow
def test_a_remote_of_another_name(tmp_path: Path) -> None:
    house = House.build(tmp_path / "w", {"low": {}}, repos=("app",),
                        settings={"repos": {"app": {"remote": "company"}}})  # fmt: skip
    clone = house.repos / "app"
    refused = house.run("run", FEATURE, code=2)
    assert "has no remote company to push to" in refused.stderr
    git(clone, "remote", "rename", "origin", "company")
    house.run("run", FEATURE, code=0)
    said = house.run("doctor", code=0).stdout
    assert f"remote     app: company ({house.repos / 'app.git'})" in said
    house.run("land", FEATURE, code=0)
    assert git(clone, "for-each-ref", "--format=%(refname)", "refs/orchestr/base") == (
        "refs/orchestr/base/company/main"
    )
    assert {pull["state"] for pull in house.prs().values()} == {"merged"}
    house.end()


@pytest.mark.slow
@pytest.mark.skipif(GH is None, reason=NO_GH)
def test_what_a_person_does_to_pull_requests_stays(tmp_path: Path) -> None:
    house = GitHubHouse.at_github(tmp_path / "w", STACK, repos=("app",))
    house.run("run", FEATURE, code=0)
    low = next(p for p in house.prs().values() if p["head"].endswith("low"))
    high = next(p for p in house.prs().values() if p["head"].endswith("high"))
    bare = house.repos / "app.git"

    # A base that a person chose stays.
    git(bare, "branch", "release", "main")
    house.github.change(low["number"], base="release")
    house.run("run", "--force", f"{FEATURE}:low", code=0)
    assert house.github.pull(low["number"])["base"] == "release"
    refused = house.run("land", FEATURE, "--yes", code=1)
    assert "its pull request is for release, which a person chose" in refused.stdout
    assert house.github.pull(low["number"])["base"] == "release"
    house.github.change(low["number"], base="main")  # and back again
    house.run("run", "--force", f"{FEATURE}:low", code=0)
    assert house.github.pull(low["number"])["base"] == "main"
    house.github.fail(401, 9)
    said = house.run("run", "--force", f"{FEATURE}:low", code=1)
    assert f"gh auth login --hostname {HOST}" in said.stderr  # the forge's own hint
    house.github.faults.clear()
    house.run("run", FEATURE, code=0)

    # What was squashed below is not shown twice.
    house.github.merge("o/app", low["number"], {"merge_method": "squash"})
    killed = house.crash("journal:after#land.update", "run", FEATURE)
    assert killed.returncode == -9  # the merge is announced, and the branch still where it was
    house.run("run", FEATURE, code=0)
    book = house.book()
    assert house.github.pull(high["number"])["base"] == "main"
    shown = git(bare, "diff", "--name-only", f"main...{high['head']}").split()
    assert shown == ["high.txt"]
    head = git(bare, "rev-parse", high["head"])
    house.run("run", FEATURE, code=0)
    assert git(bare, "rev-parse", high["head"]) == head and house.book() == book
    house.run("land", FEATURE, "--yes", code=0)
    house.end()
