"""The box keeps the contract of every forge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from orchestr_box import BoxForge

from orchestr.forges.base import PRState
from orchestr.testing.forge_contract import ForgeContract, World


class BoxWorld(World):
    forge: BoxForge

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.forge = BoxForge(folder / "pulls.json")

    def close(self, number: int) -> None:
        self.forge.change(self.repo, number, state=PRState.CLOSED)

    def merge(self, number: int) -> None:
        pr = self.forge.change(self.repo, number)
        self.forge.merge_pull_request(self.repo, number, sha=pr.head_sha)

    def comments(self, number: int) -> list[str]:
        return self.forge.comments(self.repo, number)

    def go_away(self) -> None:
        self.origin.rename(self.origin.with_name("gone"))

    def count_queries(self, act: Callable[[], object]) -> int:
        before = self.forge.looks
        act()
        return self.forge.looks - before


@pytest.fixture
def world(tmp_path: Path) -> BoxWorld:
    return BoxWorld(tmp_path)


class TestBox(ForgeContract):
    """The whole contract; what the box does not have is skipped."""
