"""One feature at two forges through the program: a repository at GitHub, one at GitLab; and one at
GitLab beside a local one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import git
from tests.crash.house import both
from tests.crash.mixed_house import FEATURE, GROUP, MixedHouse
from tests.forges.github_stub import GH, HOST, NO_GH
from tests.forges.github_stub import TOKEN as GITHUB_TOKEN
from tests.forges.gitlab_stub import TOKEN as GITLAB_TOKEN

pytest.importorskip("gitlab", reason="python-gitlab is not installed (the extra `gitlab`)")
pytestmark = pytest.mark.slow
Make = Callable[..., MixedHouse]
AT_GITHUB = pytest.mark.skipif(GH is None, reason=NO_GH)
TOKENS = (GITHUB_TOKEN, GITLAB_TOKEN)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Make]:
    made: list[MixedHouse] = []

    def make(**more: Any) -> MixedHouse:
        made.append(MixedHouse.at_both(tmp_path / "w", **more))
        return made[-1]

    yield make
    for one in made:
        one.end()


def list_states(house: MixedHouse) -> dict[str, tuple[str, bool]]:
    """Branch -> its pull request's state, and whether it is a draft, at both."""
    return {
        pull["head"]: (pull["state"], pull["draft"] or pull["title"].startswith("Draft: "))
        for pull in (*house.github.every(), *house.gitlab.every())
    }


@AT_GITHUB
def test_a_feature_at_two_forges_from_the_first_run_to_its_rollback(house: Make) -> None:
    ws = house()
    # An agent that looks for tokens: in its environment, and at what clients would tell it.
    ws.script("low", "env > seen.txt; cat ~/.config/glab-cli/config.yml >> seen.txt 2>&1 || :\n")
    said = both(ws.run("run", FEATURE, code=0))
    low, high = ws.result("low", "pr-url"), ws.result("high", "pr-url")
    assert low == f"{ws.gitlab.root}/{GROUP}/lib/-/merge_requests/1"
    assert high == f"https://{HOST}/o/app/pull/1"
    (lib,), (app,) = ws.gitlab.every(), ws.github.every()
    assert high in lib["body"]
    assert f"Depends-On: {low}" in app["body"]
    assert list_states(ws) == {ws.branch("low"): ("open", True), ws.branch("high"): ("open", True)}
    siblings = ws.run("siblings", "--feature", FEATURE, code=0).stdout
    assert f"{GROUP}/lib {ws.head('low', 'lib')}" in siblings
    assert f"o/app {ws.head('high')}" in siblings

    ws.github.forget_counts()
    ws.gitlab.forget_counts()
    assert "nothing to be done" in ws.run("run", FEATURE, code=0).stdout
    assert (ws.github.requests, ws.gitlab.requests) == ({"graphql": 1}, {"graphql": 1})

    ws.gitlab.report_check(ws.head("low", "lib"), "unit", "SUCCESS")
    ws.gitlab.review(1, "APPROVED", "fine")
    shown = ws.run("status", "--fetch", code=0).stdout
    assert f"{low} (draft, checks passed, approved)" in shown
    assert f"{high} (draft)" in shown
    refused = both(ws.run("comment", "lib#1", "hello", code=2))
    assert "are at github+gitlab, not on the local forge" in refused

    ws.gitlab.say(1, "Why?\n/close", "rita")
    ws.run("follow", FEATURE, "--once", "--yes")
    assert list_states(ws)[ws.branch("low")][0] == "open"
    ws.run("handoff", FEATURE, "--ready", "--yes", code=0)
    assert set(list_states(ws).values()) == {("open", False)}
    ws.run("land", FEATURE, "--yes", code=0)
    assert set(list_states(ws).values()) == {("merged", False)}
    landed = both(ws.run("status", code=0))
    assert landed.count("(merged)") == 2
    ws.run("rollback", FEATURE, "--yes", code=0)
    for repo in ("app", "lib"):
        names = git(ws.repos / f"{repo}.git", "ls-tree", "--name-only", "main").split()
        assert names == ["README.md"], "what it landed is taken back"
    ws.run("report", FEATURE, code=0)

    state = [path for path in (ws.root / ".orchestr").rglob("*") if path.is_file()]
    seen = git(ws.repos / "lib.git", "show", f"{ws.branch('low')}:seen.txt")
    assert "PATH=" in seen
    texts = [said, landed, seen, *(path.read_text(errors="replace") for path in state)]
    assert not any(token in text for text in texts for token in TOKENS)


@AT_GITHUB
def test_one_forge_that_is_away_stops_nothing_twice(house: Make) -> None:
    """A storm at one forge: nothing is begun, then what is missing is made once."""
    ws = house()
    storm: dict[str, Any] = {"body": "<html>bad gateway</html>", "times": 10**6}
    ws.gitlab.fail(502, **storm)
    done = both(ws.run("run", FEATURE, code=1))
    assert "127.0.0.1" in done and "cannot be asked now" in done
    assert ws.starts() == []
    ws.gitlab.faults.clear()
    ws.gitlab.fail(502, kind="POST merge_requests", late=True)
    ws.run("run", FEATURE, code=0)
    ws.gitlab.fail(502, kind="PUT merge_requests/N/merge", late=True)
    ws.run("land", FEATURE, "--yes", code=0)
    assert len(ws.gitlab.every()) == len(ws.github.every()) == 1
    assert set(list_states(ws).values()) == {("merged", False)}
    assert ws.gitlab.requests["PUT merge_requests/N/merge"] == 1


@pytest.mark.parametrize("at", ["before#1", "after#1"])
def test_a_kill_around_opening_and_merging_beside_a_local_repository(house: Make, at: str) -> None:
    """A local repository has no merge button; the one at GitLab keeps its own."""
    ws = house(settings={"forge": {"kind": "local"}})
    ws.kill_at(f"l-open:{at}", "run", FEATURE)
    ws.run("run", FEATURE, code=0)
    low, high = ws.result("low", "pr-url"), ws.result("high", "pr-url")
    assert high == "local://app/pull/1"
    (lib,) = ws.gitlab.every()
    assert high in lib["body"]
    assert low in (ws.root / ".orchestr/forge/app/1.toml").read_text()
    ws.run("comment", "app#1", "Looks right.", "--approve", code=0)
    assert "of lib are at gitlab" in both(ws.run("comment", "lib#1", "x", code=2))

    ws.kill_at(f"l-press:{at}", "land", FEATURE, "--yes")
    ws.run("land", FEATURE, "--yes", code=0)
    assert ws.gitlab.requests["PUT merge_requests/N/merge"] == 1, "by its button, once"
    assert ws.gitlab.every()[0]["state"] == "merged"
    assert both(ws.run("status", code=0)).count("(merged)") == 2
