"""The whole program with GitHub: what is asked how often, what is shown, what stays secret."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.conftest import Sandbox
from tests.crash.github_house import GitHubHouse
from tests.crash.house import both
from tests.forges.github_stub import GH, HOST, NO_GH, TOKEN

pytestmark = pytest.mark.skipif(GH is None, reason=NO_GH)
Make = Callable[..., GitHubHouse]
THREE = {"a": {}, "b": {"depends_on": ["a"]}, "w": {"repo": "web"}}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Make]:
    """``house(cells, repos=...)``: a workspace at GitHub, ended after the test."""
    made: list[GitHubHouse] = []

    def make(*args: object, **more: object) -> GitHubHouse:
        made.append(GitHubHouse.at_github(tmp_path / "w", *args, **more))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.end()


def test_each_question_is_asked_once_a_repository(house: Make) -> None:
    ws = house(THREE, repos=("app", "web"))
    ws.run("run", "demo", code=0)
    first = dict(ws.github.requests)
    assert first.pop("PATCH pulls/N") <= 3
    assert first == {
        "graphql": 4,  # 2 repositories: before the tasks, and for the links
        "POST pulls": 3,
        "GET stacks": 1,  # a chain: whether GitHub has stacks
    }
    assert {pr["head"]: pr["base"] for pr in ws.prs().values()} == {
        "T-1-a": "main", "T-1-b": "T-1-a", "T-1-w": "main",
    }  # fmt: skip
    asked = [e for e in ws.journal() if e["kind"] == "run.finished"][-1]["data"]["forge"]
    assert asked == {
        "requests": ws.github.total,
        "points": ws.github.points,
        "remaining": ws.github.remaining,
    }

    ws.github.forget_counts()
    done = ws.run("run", "demo", code=0)
    assert "nothing to be done" in done.stdout
    assert ws.github.requests == {"graphql": 2}

    ws.github.forget_counts()
    ws.status()
    assert ws.github.total == 0, "status asks files only"
    ws.run("status", "--fetch", code=0)  # also what others want to merge into each target
    assert ws.github.requests == {"graphql": 2, "GET pulls": 2}


def test_status_shows_checks_and_reviews_of_the_last_look(house: Make) -> None:
    ws = house({"a": {}})
    done = ws.run("run", "demo", code=0)
    assert "drafts: review bots skip them until they are marked ready" in done.stdout
    url = ws.result("a", "pr-url")
    assert url == f"https://{HOST}/o/app/pull/1"
    pr = {"url": url, "state": "open", "draft": True, "checks": None, "review": None}
    assert ws.status()["a"]["pr"] == pr

    ws.github.change(1, checks="FAILURE", review="CHANGES_REQUESTED")
    assert ws.status()["a"]["pr"] == pr
    shown = ws.run("status", "--fetch", code=0).stdout
    assert f"{url} (draft, checks failed, changes requested)" in shown
    pr |= {"checks": "failure", "review": "changes_requested"}
    assert ws.status()["a"]["pr"] == pr, "it is in the journal"
    before = len(ws.journal())
    ws.run("status", "--fetch", code=0)
    assert len(ws.journal()) == before, "and only news are"

    ws.github.change(1, checks="SUCCESS", review="APPROVED", draft=False)
    ws.run("run", "demo", code=0)
    assert f"{url} (open, checks passed, approved)" in ws.run("status", code=0).stdout

    ws.script("a", "echo more >> more.txt\n")
    ws.run("run", "demo", "--force", code=0)
    assert ws.status()["a"]["pr"]["checks"] is None, "the checks were of another head"


def test_a_forge_that_does_not_answer_is_told_and_nothing_is_opened_twice(house: Make) -> None:
    ws = house({"a": {}})
    ws.run("run", "demo", code=0)
    ws.github.away = True
    shown = ws.run("status", "--fetch", code=1)
    assert f"repository app: {HOST} cannot be asked now" in shown.stderr
    assert ws.result("a", "pr-url") in shown.stdout
    ws.run("run", "demo", code=0)
    ws.run("run", "demo", "--force", code=1)
    ws.github.away = False
    ws.run("run", "demo", code=0)
    assert len(ws.prs()) == 1
    assert ws.pr("a")["head_sha"] == ws.head("a")


def test_a_forge_that_is_away_at_the_start_makes_no_agent_work_twice(house: Make) -> None:
    """Whether the branch has a pull request is not known, so nothing is begun (A91)."""
    ws = house({"a": {}})
    ws.github.away = True
    done = ws.run("run", "demo", code=1)
    assert "whether T-1-a has a pull request cannot be asked now" in both(done)
    assert ws.starts() == []


def test_a_pull_request_that_shows_a_push_late_is_waited_for(house: Make) -> None:
    ws = house({"a": {}})
    ws.run("run", "demo", code=0)
    ws.github.lag = 3
    ws.edit_spec("do a", "do a again")
    ws.run("run", "demo", code=0)
    assert ws.pr("a")["head_sha"] == ws.head("a")


def test_a_real_forge_is_confirmed(house: Make) -> None:
    ws = house({"a": {}})
    done = super(GitHubHouse, ws).run("run", "demo", code=2)
    assert "pull requests at github" in done.stderr
    assert ws.github.total == 0


def test_who_is_not_logged_in_is_told_before_anything_starts(house: Make) -> None:
    ws = house({"a": {}})
    done = ws.run("run", "demo", code=2, env={"GH_TOKEN": ""})
    assert f"gh auth login --hostname {HOST}" in done.stderr
    ws.github.permission = "READ"
    assert "tess may not push" in ws.run("doctor", code=1).stdout


def test_the_token_reaches_no_agent_and_no_file(house: Make) -> None:
    ws = house({"a": {}})
    config = ws.root / "gh-config"
    config.mkdir()
    hosts = f"{HOST}:\n    oauth_token: {TOKEN}\n    user: tess\n"
    (config / "hosts.yml").write_text(hosts)
    ws.script("a", f"env > seen.txt; gh auth token --hostname {HOST} >> seen.txt 2>&1 || :\n")
    ws.run("run", "demo", code=0, env={"GH_TOKEN": ""})  # the login is in gh's own file

    seen = ws.show("a", "seen.txt")
    assert "no oauth token" in seen
    assert TOKEN not in seen
    ws.github.fail(401, 9)
    ws.run("run", "demo", "--force", env={"GH_DEBUG": "api"}, code=1)
    for path in (ws.root / ".orchestr").rglob("*"):
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes(), path


def test_what_a_person_wrote_stays(house: Make) -> None:
    ws = house(THREE, repos=("app", "web"))
    ws.run("run", "demo", code=0)
    pull = ws.github.pull(1)
    ws.github.change(1, body="Please look.\r\n\r\n" + pull["body"], title="Mine")
    ws.run("run", "demo:a", "--force", code=0)
    ws.run("run", "demo", code=0)
    after = ws.github.pull(1)
    assert after["body"].startswith("Please look.\r\n\r\n<!-- orchestr:begin")
    assert after["title"] == "Mine"
    assert len(ws.prs()) == 3


def test_a_merged_upstream_retargets_its_dependent(house: Make) -> None:
    ws = house({"a": {}, "b": {"depends_on": ["a"]}})
    ws.run("run", "demo", code=0)
    assert ws.pr("b")["base"] == "T-1-a"
    ws.github.merge("o/app", 1, {})
    ws.run("run", "demo", code=0)
    assert ws.pr("b")["base"] == "main"
    value = json.loads(ws.run("status", "--json", code=0).stdout)
    assert [c["pr"]["state"] for c in value["features"][0]["cells"]] == ["merged", "open"]


def test_a_workspace_that_clones_finds_what_another_one_made(house: Make, tmp_path: Path) -> None:
    """Not cloned yet is not "no pull request": the forge is asked by the URL (A55)."""
    ws = house({"a": {}})
    ws.run("run", "demo", code=0)
    bare, url = ws.repos / "app.git", f"http://{HOST}/o/app.git"
    config = tmp_path / "gitconfig"
    old = Path(os.environ["GIT_CONFIG_GLOBAL"]).read_text()
    config.write_text(f'{old}[url "{bare}"]\n\tinsteadOf = {url}\n')

    class Second(GitHubHouse):
        def repo(self, name: str, files: object = None) -> Sandbox:
            return Sandbox(self.repos / name, None)  # it is cloned by the run

        def env(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
            mine = {**ws.github.env(), "GIT_CONFIG_GLOBAL": str(config)}
            return super().env({**mine, **(extra or {})})

    settings = {"repos": {"app": {"url": url}}}
    other = Second.at_github(tmp_path / "other", {"a": {}}, settings=settings)
    try:
        other.run("run", "demo", code=0)
        assert other.starts() == []
        assert other.result("a", "pr-url") == ws.result("a", "pr-url")
        assert len(ws.prs()) == 1
    finally:
        other.end()


def test_a_wait_that_github_asks_for_is_told(house: Make) -> None:
    """A person must see why nothing moves."""
    ws = house({"a": {}})
    ws.github.fail(429, kind="POST", headers={"Retry-After": "2"})
    said = ws.run("run", "demo", code=0).stderr
    assert f"waiting for {HOST}: " in said
    assert ", goes on in 2." in said
    (event,) = ws.journal(kind="forge.waits")
    assert event["data"]["host"] == HOST
    assert len(ws.github.every()) == 1


def test_a_feature_is_dressed_and_handed_over(house: Make) -> None:
    options = {"labels": ["sdk"], "milestone": "none such"}
    ws = house({"a": {"pull_request": options}, "w": {"repo": "web", "depends_on": ["a"]}},
               repos=("app", "web"))  # fmt: skip
    done = ws.run("run", "demo", code=0)
    assert "does not get everything: " in both(done) and "none such" in both(done)
    assert ws.pr("a")["labels"] == ["sdk"]
    assert f"Depends-On: https://{HOST}/o/app/pull/1\n" in ws.pr("w")["body"]
    siblings = ws.run("siblings", "--ref", ws.branch("w"), code=0).stdout
    assert siblings.startswith(f"o/app {ws.head('a')} https://{HOST}/o/app/pull/1 ")

    ws.github.change(1, "o/web", checks="FAILURE")
    refused = ws.run("handoff", "demo", "--ready", "--yes", code=1)
    assert "demo:w: CI of https://" in refused.stdout
    assert "next: orchestr follow demo --once" in refused.stdout
    ws.github.change(1, "o/web", checks="SUCCESS")

    ws.github.forget_counts()
    ws.github.fail(403, 1, kind="PATCH pulls")
    ws.run("handoff", "demo", "--ready", "--yes", code=1)
    assert "going on" in ws.run("handoff", "demo", "--ready", "--yes", code=0).stderr
    assert not any(pr["draft"] for pr in ws.prs().values())
    assert ws.pr("w")["body"].startswith("<!-- orchestr:handoff -->")
    # Each time two looks a repository, before it is shown and before it is sent; each text once
    # beside the refused one, each state with looks at it.
    expected = {"graphql": 2 * 4 + 2 * 2, "PATCH pulls/N": 3, "GET pulls/N": 2}
    assert ws.github.requests == expected
    assert "nothing to do" in ws.run("handoff", "demo", "--ready", "--yes", code=0).stdout
