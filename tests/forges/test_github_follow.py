"""Following and dressing pull requests at GitHub, through the real `gh` against the stub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestr.forges import github_rate_limit
from orchestr.forges.followed import CheckState, Verdict
from orchestr.forges.github import GitHubForge
from tests.forges.contract_follow import FollowContract, FollowWorld, Said
from tests.forges.github_stub import GH, NO_GH, GitHub

pytestmark = pytest.mark.skipif(GH is None, reason=NO_GH)
PATIENCE = 3.0  # s; the first wait is a hundredth of a second
SLUG = "o/platform"
_CONCLUSIONS = {
    CheckState.SUCCESS: "SUCCESS",
    CheckState.FAILURE: "FAILURE",
    CheckState.CANCELLED: "CANCELLED",
    CheckState.PENDING: None,
}


class GitHubFollowWorld(FollowWorld):
    """A clone whose origin is at the stub."""

    forge: GitHubForge

    def __init__(self, folder: Path, github: GitHub) -> None:
        super().__init__(folder)
        self.github = github
        github.add(SLUG, self.origin, self.clone)
        self.forge = GitHubForge(patience=PATIENCE)

    # --- as in `tests.forges.contract` ---------------------------------------------------------

    def close(self, number: int) -> None:
        self.close_as(number, "rita")

    def merge(self, number: int) -> None:
        self.github.merge(SLUG, number, {"sha": self.github.pull(number)["head_sha"]})

    def comments(self, number: int) -> list[str]:
        return self.github.comments[f"{SLUG}#{number}"]

    def go_away(self) -> None:
        self.github.away = True

    def count_queries(self, act: Any) -> int:
        before = self.github.total
        act()
        return self.github.total - before

    # --- what people and CI do -----------------------------------------------------------------

    def say(
        self,
        number: int,
        body: str,
        *,
        author: str = "rita",
        path: str = "",
        line: int = 0,
        thread: str = "",
        is_bot: bool = False,
    ) -> None:
        if thread:
            self.github.reply(thread, body, author, bot=is_bot)
        elif path:
            self.github.say_at(number, body, path, line, author, bot=is_bot)
        else:
            self.github.say(number, body, author, bot=is_bot)

    def review(self, number: int, verdict: Verdict, body: str, *, author: str = "rita") -> None:
        self.github.review(number, verdict.upper(), body, author)

    def resolve(self, number: int, thread: str) -> None:
        self.github.resolve(thread)

    def label(self, number: int, name: str, *, remove: bool = False) -> None:
        self.github.label(number, name, on=not remove)

    def close_as(self, number: int, author: str) -> None:
        self.github.close_as(number, author)

    def reopen(self, number: int) -> None:
        self.github.change(number, state="open")

    def run_ci(self, sha: str, *said: Said) -> None:
        known = {run["name"]: run for run in self.github.runs.get(sha, [])}
        for each in said:
            if each.name in known and not known[each.name]["again"]:
                continue
            places = [dict(zip(("path", "line", "message"), each.place, strict=True))] \
                if each.place else []  # fmt: skip
            self.github.report_check(
                sha, each.name, _CONCLUSIONS[each.state], log=each.log, annotations=places
            )

    def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        rows = self.github.statuses.get(sha, {})
        return {name: (row["state"], row["description"]) for name, row in rows.items()}


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    with GitHub(tmp_path) as stub:
        for name, value in stub.env().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(github_rate_limit, "_LANES", {})
        yield stub


@pytest.fixture
def world(tmp_path: Path, github: GitHub) -> GitHubFollowWorld:
    return GitHubFollowWorld(tmp_path, github)


class TestGitHubFollowing(FollowContract):
    """The whole contract."""
