"""Several forges as one: the branches of the one that protects its own are protected."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.forges.base import ForkingForge, RepoRef
from orchestr.forges.github import GitHubForge
from orchestr.forges.local import LocalForge
from orchestr.forges.protection import BranchRules, ProtectingForge
from orchestr.forges.routed import route_forges


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
