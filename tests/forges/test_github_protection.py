"""Protected branches at GitHub: hosts whose schema is older than our queries."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.forges.base import ForgeError
from orchestr.forges.followed import PullRequestKey
from orchestr.forges.protection import BranchRules
from tests.forges.github_stub import GH, NO_GH, GitHub
from tests.forges.test_github_follow import SLUG, GitHubFollowWorld

pytestmark = pytest.mark.skipif(GH is None, reason=NO_GH)


@pytest.fixture
def world(tmp_path: Path, github: GitHub) -> GitHubFollowWorld:
    return GitHubFollowWorld(tmp_path, github)


def test_an_older_host_has_the_rules_that_its_schema_knows(world: GitHubFollowWorld) -> None:
    github, forge = world.github, world.forge
    github.wants["main"] = {"checks": ["test"], "approvals": 2, "locked": True, "resolved": True}
    newest = BranchRules(("test",), 2, conversations=True, is_locked=True)
    assert forge.read_branch_rules(world.repo, "main") == newest

    github.lacking = {"rules"}
    assert forge.read_branch_rules(world.repo, "main") == newest
    github.lacking = {"rules", "lockBranch"}
    assert forge.read_branch_rules(world.repo, "main") == BranchRules(("test",), 2)
    github.forget_counts()
    assert forge.read_branch_rules(world.repo, "main") == BranchRules(("test",), 2)
    assert github.requests["graphql"] == 1  # it is known now what the host knows
    github.lacking = {"branchProtectionRule"}
    assert forge.read_branch_rules(world.repo, "main") == BranchRules(is_known=False)


def test_an_older_host_shows_its_pull_requests(world: GitHubFollowWorld) -> None:
    world.branch("b1", "a")
    asked = {"head": "b1", "base": "main", "title": "t", "draft": True}
    key = PullRequestKey(world.repo, world.github.open(SLUG, asked)["number"])
    world.github.lacking = {"rules"}
    assert world.forge.read_facts([key])[key].is_complete
    world.github.forget_counts()
    assert world.forge.read_facts([key])[key].is_complete
    assert world.github.requests["graphql"] == 1

    world.github.lacking = {"reviewThreads"}
    with pytest.raises(ForgeError, match="is too old for this: Field 'reviewThreads'"):
        world.forge.read_facts([key])
