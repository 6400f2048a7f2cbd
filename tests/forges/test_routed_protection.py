"""Several forges as one: the branches of the one that protects its own are protected."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestr.forges.base import ForkingForge, RepoRef
from orchestr.forges.github import GitHubForge
from orchestr.forges.local import LocalForge
from orchestr.forges.protection import BranchRules, ProtectingForge
from orchestr.forges.routed import route_forges
from orchestr.run.check_forks import check_forks
from orchestr.settings.remotes import Remotes
from orchestr.spec.phases import Phase


def test_one_that_protects_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    github, wants = GitHubForge("gh"), BranchRules(("test",), 2)
    monkeypatch.setattr(github, "read_branch_rules", lambda repo, branch: wants)
    monkeypatch.setattr(github, "find_parent", lambda repo: "https://h/up/app")
    both = route_forges(LocalForge(tmp_path), {"app": github})
    here, there = RepoRef("lib", tmp_path), RepoRef("app", tmp_path)
    assert isinstance(both, ProtectingForge) and isinstance(both, ForkingForge)
    assert both.read_branch_rules(there, "main") == wants
    assert both.read_branch_rules(here, "main") == BranchRules()
    assert both.read_review_teams(here, 1) == {}
    assert (both.find_parent(there), both.find_parent(here)) == ("https://h/up/app", None)
    alone = route_forges(LocalForge(tmp_path), {"app": LocalForge(tmp_path / "x")})
    assert not isinstance(alone, ProtectingForge) and not isinstance(alone, ForkingForge)


def test_a_fork_at_a_forge_without_forks_is_refused_beside_one_with_them(tmp_path: Path) -> None:
    """GitLab would open the merge request inside the fork."""
    forge = route_forges(GitHubForge("gh"), {"sdk": LocalForge(tmp_path)})
    assert isinstance(forge, ForkingForge)

    def refusals(name: str) -> list[str]:
        repo = SimpleNamespace(remotes=Remotes("origin", "upstream"))
        cell = SimpleNamespace(repo=name, phases=(Phase.PUBLISH,))
        ctx: Any = SimpleNamespace(
            cell=cell, repo=repo, repo_path=tmp_path, run=SimpleNamespace(forge=forge)
        )
        return [finding.what for finding in check_forks([ctx], ask=False)]

    assert refusals("sdk") == ["sdk: pull requests of the forge local are not opened from forks"]
    assert refusals("app") == []
