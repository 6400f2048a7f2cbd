"""The GitHub forge keeps the contract, through the real `gh` against the stub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestr.forges import github_api, github_lane
from orchestr.forges.github import GitHubForge
from tests.forges.contract import ForgeContract, World
from tests.forges.github_stub import GH, NO_GH, GitHub

pytestmark = pytest.mark.skipif(GH is None, reason=NO_GH)
PATIENCE = 3.0  # s; the first wait is a hundredth of a second


class GitHubWorld(World):
    forge: GitHubForge

    def __init__(self, folder: Path, github: GitHub) -> None:
        super().__init__(folder)
        self.github = github
        github.add("o/platform", self.origin, self.clone)
        self.forge = GitHubForge(patience=PATIENCE)

    def close(self, number: int) -> None:
        self.github.change(number, state="closed")

    def merge(self, number: int) -> None:
        self.github.merge("o/platform", number, {"sha": self.github.pull(number)["head_sha"]})

    def comments(self, number: int) -> list[str]:
        return self.github.comments[f"o/platform#{number}"]

    def go_away(self) -> None:
        self.github.away = True

    def count_queries(self, act: Callable[[], object]) -> int:
        before = self.github.total
        act()
        return self.github.total - before


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    with GitHub(tmp_path) as stub:
        for name, value in stub.env().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(github_lane, "_LANES", {})
        yield stub


@pytest.fixture
def world(tmp_path: Path, github: GitHub) -> GitHubWorld:
    return GitHubWorld(tmp_path, github)


class TestGitHubForge(ForgeContract):
    """The whole contract."""
