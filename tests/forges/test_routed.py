"""Several forges as one: a repository at GitHub and one at GitLab, each asked about its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestr.forges import make_forge
from orchestr.forges.base import ForgeAway, ForgeError, PRState, RepoRef
from orchestr.forges.capabilities import CAPABILITIES, list_capabilities, list_half_done
from orchestr.forges.depends_on import parse_address
from orchestr.forges.followed import FollowingForge, PullRequestKey
from orchestr.forges.local import LocalForge
from orchestr.forges.routed import RoutedForge, route_forges
from orchestr.settings.loader import load_settings
from orchestr.testing.forge_contract import git
from tests.forges.github_stub import GH, NO_GH, GitHub
from tests.forges.gitlab_stub import GitLab
from tests.forges.gitlab_world import SLUG, GitLabWorld

pytest.importorskip("gitlab", reason="python-gitlab is not installed (the extra `gitlab`)")
SETTINGS = """\
[agents.a]
kind = "command"
run = ["true"]
[forge]
kind = "github"
[repos.sdk]
forge = "gitlab"
"""


@dataclass
class Mixed:
    """One workspace's clones and its forge."""

    forge: RoutedForge
    app: RepoRef
    sdk: RepoRef
    github: GitHub
    gitlab: GitLab

    def pull(self, repo: RepoRef, body: str = "") -> str:
        """Open one of the branch `one`; its address."""
        made = self.forge.open_pull_request(
            repo, head="one", base="main", title="t", body=body, draft=True
        )
        return made.url


@pytest.fixture
def mixed(tmp_path: Path, github: GitHub, gitlab: GitLab) -> Mixed:
    (tmp_path / "orchestr.toml").write_text(SETTINGS)
    forge = make_forge(load_settings(tmp_path, {}))
    assert isinstance(forge, RoutedForge)
    clones = []
    for name in ("app", "sdk"):
        (tmp_path / name).mkdir()
        made = GitLabWorld(tmp_path / name, gitlab)
        made.branch("one", "a")
        clones.append(made)
    github.add("o/app", clones[0].origin, clones[0].clone)
    app, sdk = RepoRef("app", clones[0].clone), RepoRef("sdk", clones[1].clone)
    return Mixed(forge, app, sdk, github, gitlab)


@pytest.mark.skipif(GH is None, reason=NO_GH)
def test_each_repository_is_asked_about_at_its_forge(mixed: Mixed) -> None:
    forge = mixed.forge
    assert (forge.kind, forge.real) == ("github+gitlab", True)
    assert list_capabilities(forge) == tuple(each.name for each in CAPABILITIES)
    assert list_half_done(forge) == ()
    assert forge.explain_unusable([mixed.app, mixed.sdk], ask=True) is None
    here = mixed.pull(mixed.app)
    there = mixed.pull(mixed.sdk, f"Depends-On: {here}")
    assert here == "http://github.localhost/o/app/pull/1".replace("http:", "https:")
    assert there == f"{mixed.gitlab.root}/{SLUG}/-/merge_requests/1"
    for url in (here, there):
        address = parse_address(url)
        assert address is not None
        pr = forge.find_pull_requests(mixed.app if url == here else mixed.sdk, ["one"])["one"][0]
        assert pr.head_ref == address.ref
    forge.edit_pull_request(mixed.app, 1, body=f"beside {there}")
    assert mixed.github.pull(1)["body"] == f"beside {there}"
    assert isinstance(forge, FollowingForge)
    keys = [PullRequestKey(repo, 1) for repo in (mixed.app, mixed.sdk)]
    assert {key.repo.name: facts.pr.url for key, facts in forge.read_facts(keys).items()} == {
        "app": here, "sdk": there,
    }  # fmt: skip
    assert forge.usage.requests > 4

    mixed.gitlab.away = True
    with pytest.raises(ForgeAway):
        forge.read_facts(keys)
    (open_one,) = forge.find_pull_requests(mixed.app, ["one"])["one"]
    assert open_one.state is PRState.OPEN


def test_what_one_of_them_cannot_is_there_for_none(tmp_path: Path, gitlab: GitLab) -> None:
    world = GitLabWorld(tmp_path, gitlab)
    forge = route_forges(LocalForge(tmp_path / "forge"), {"platform": world.forge})
    assert list_capabilities(forge) == ("close", "list", "issues", "follow", "dress", "protect")
    assert not hasattr(forge, "mark_merged")
    world.branch("one", "a")
    forge.open_pull_request(world.repo, head="one", base="main", title="t", body="", draft=True)
    with pytest.raises(ForgeError):
        forge.edit_pull_request(RepoRef("other", world.clone), 1, title="x")
    git(world.clone, "remote", "set-url", "origin", "/nowhere")
    assert (forge.explain_unusable([RepoRef("platform", world.clone, "x")]) or "").startswith(
        "gitlab: repository platform"
    )
