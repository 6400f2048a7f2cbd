"""Landing at GitHub, through the real `gh` and the stub: the merge button, its queue, a push."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.github_house import GitHubHouse
from tests.forges.github_stub import GH, NO_GH
from tests.landing.house import CHAIN, FEATURE, Yard, both, git

pytestmark = [pytest.mark.slow, pytest.mark.skipif(GH is None, reason=NO_GH)]


class Hub(GitHubHouse, Yard):
    """A yard whose pull requests are at GitHub."""

    def land(self, *words: str, code: int = 0) -> Any:
        return self.run("land", FEATURE, "--yes", *words, code=code)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub.ready(tmp_path / "w")
    assert isinstance(made, Hub)
    yield made
    made.end()


def test_the_merge_button_lands_what_was_checked(hub: Hub) -> None:
    refused = hub.run("land", FEATURE, code=2)
    assert "merges pull requests" in refused.stderr and "--yes" in refused.stderr
    assert {pull["draft"] for pull in hub.prs().values()} == {True}
    hub.land()
    assert hub.history() == ["low", "high"] and hub.history("web") == ["far"]
    assert git(hub.repos / "app.git", "log", "-1", "--format=%cn", "main") == "GitHub"
    assert {pull["base"] for pull in hub.prs("app").values()} == {"main"}  # none into a branch
    hub.landed()
    hub.land()
    hub.run("rollback", FEATURE, "--yes", code=0)
    assert hub.files() == ["README.md"] and hub.files("web") == ["README.md"]


def test_squashed_by_the_button_and_rolled_back(hub: Hub) -> None:
    hub.land("--strategy", "squash")
    assert git(hub.repos / "app.git", "log", "--merges", "--format=%s", "main") == ""
    assert hub.history() == ["low", "high"]
    hub.landed()
    hub.run("rollback", FEATURE, "--yes", code=0)
    assert hub.files() == ["README.md"]


def test_a_kill_right_after_the_button_lands_it_once(hub: Hub) -> None:
    """What GitHub did before the kill, and nobody wrote down; thrice at least, for every cell."""
    codes: list[int] = []
    while len(codes) < 9 and codes[-1:] != [0]:
        done = hub.crash("press:after#2", "land", FEATURE, "--yes")
        codes.append(done.returncode)
    assert codes[-1] == 0 and codes.count(-9) >= 3, both(done)
    assert hub.history() == ["low", "high"] and hub.history("web") == ["far"]
    hub.landed()
    before = [row["steps"] for row in hub.queue_events("Landed")]
    assert all(steps and steps[0][0] != steps[0][1] for steps in before)
    hub.run("rollback", FEATURE, "--yes", code=0)
    assert hub.files() == ["README.md"]


def test_who_was_quicker_than_the_button_is_said_and_the_new_tree_checked(hub: Hub) -> None:
    """GitHub compares the head, not the base: what it made was nobody's candidate."""
    hub.github.quicker = lambda: hub.somebody_pushes({"theirs": "1\n"})
    done = hub.land()
    (warned,) = [line for line in done.stderr.splitlines() if "was not checked before" in line]
    assert "main of app moved while the forge merged" in warned
    assert hub.history()[:2] == ["(somebody else's)", "low"]
    assert "theirs" in hub.files()
    hub.landed()  # every tree on the way was checked, that one too


def test_what_nobody_checked_and_is_red_ends_the_landing_with_1(tmp_path: Path) -> None:
    hub = Hub.ready(tmp_path / "w", landing={"repairs": 0})
    assert isinstance(hub, Hub)
    try:
        hub.github.quicker = lambda: hub.somebody_pushes({"bad": "1\n"})
        done = hub.land(code=1)
        made = git(hub.repos / "app.git", "log", "-1", "--format=%H", "main")
        assert f"main of app is RED at {made[:12]}: 0 of 1 checks passed" in both(done)
        assert hub.history() == ["(somebody else's)", "low"]  # and nothing on top of it
        assert hub.states()["low"] == "landed"
        assert hub.states()["high"] == "needs_person"
    finally:
        hub.end()


def test_what_github_refuses_is_left_to_a_person_with_its_words(hub: Hub) -> None:
    hub.github.protected = "At least 1 approving review is required by reviewers"
    done = hub.land(code=1)
    assert "1 approving review" in done.stdout and hub.history() == []
    assert "a person looks at https://" in done.stdout and "mend it on" not in done.stdout
    assert hub.states()["low"] == "needs_person"
    hub.github.protected = ""
    hub.land()
    hub.landed()


def test_the_repositorys_own_queue_lands_it(tmp_path: Path) -> None:
    hub = Hub.ready(tmp_path / "w", landing={"land": "forge"})
    assert isinstance(hub, Hub)
    try:
        done = hub.land(code=1)
        assert "Merge queue is not enabled" in done.stdout and hub.history() == []
        hub.github.queues = True
        hub.land()
        assert hub.states() == dict.fromkeys(CHAIN, "landed")
        assert hub.files() == ["README.md", "high.txt", "low.txt"]
    finally:
        hub.end()


def test_a_push_lands_it_where_the_settings_say_so(tmp_path: Path) -> None:
    hub = Hub.ready(tmp_path / "w", landing={"land": "push"})
    assert isinstance(hub, Hub)
    try:
        hub.land()
        assert git(hub.repos / "app.git", "log", "-1", "--format=%cn", "main") != "GitHub"
        hub.landed()
    finally:
        hub.end()
