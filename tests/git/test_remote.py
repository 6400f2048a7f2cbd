"""Fetch and push: refusals are values, a remote that is away is a warning, nothing is forced."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.errors import OrchestrError
from orchestr.git.errors import NoRemote, NoSuchRef
from orchestr.git.repo import Branch, CommitId, FetchFailed, PushStatus, RemoteAway, Repo
from tests.conftest import MakeRepo, Sandbox, git

B = Branch("feat")


@pytest.fixture
def box(make_repo: MakeRepo) -> Sandbox:
    return make_repo(files={"a.txt": "a\n"})


def at_origin(box: Sandbox, branch: str) -> str:
    assert box.origin is not None
    return git(box.origin, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")


def commit_on(box: Sandbox, start: str, name: str) -> CommitId:
    box.git("checkout", "--quiet", "--detach", start)
    made = box.commit({f"{name}.txt": name}, name)
    box.git("switch", "--quiet", "main")
    return CommitId(made)


def test_a_push_moves_forward_and_says_what_happened(box: Sandbox) -> None:
    repo, config = Repo(box.path), box.path / ".git/config"
    before = config.read_bytes()
    one = commit_on(box, "main", "one")
    two = commit_on(box, one, "two")
    beside = commit_on(box, "main", "beside")
    assert repo.push("origin", one, B).status is PushStatus.OK
    assert repo.push("origin", one, B).status is PushStatus.UP_TO_DATE
    assert repo.push("origin", two, B).status is PushStatus.OK
    refused = repo.push("origin", beside, B)
    assert refused.status is PushStatus.REJECTED and "non-fast-forward" in refused.reason
    assert at_origin(box, B) == two
    assert repo.ls_remote("origin", "refs/heads/feat") == {"refs/heads/feat": two}
    assert config.read_bytes() == before


def test_a_lease_replaces_only_what_was_expected(box: Sandbox) -> None:
    repo = Repo(box.path)
    one, other, fresh = (commit_on(box, "main", n) for n in ("one", "other", "fresh"))
    repo.push("origin", one, B)
    stale = repo.push("origin", fresh, B, expected=other, lease=True)
    assert stale.status is PushStatus.REJECTED and "stale info" in stale.reason
    there = repo.push("origin", fresh, B, expected=None, lease=True)
    assert there.status is PushStatus.REJECTED
    assert at_origin(box, B) == one
    assert repo.push("origin", fresh, B, expected=one, lease=True).status is PushStatus.OK
    assert at_origin(box, B) == fresh


def test_hooks_on_both_sides_may_say_no(box: Sandbox) -> None:
    repo, one = Repo(box.path), commit_on(box, "main", "one")
    assert box.origin is not None
    for place, name in ((box.origin / "hooks", "update"), (box.path / ".git/hooks", "pre-push")):
        place.mkdir(exist_ok=True)
        hook = place / name
        hook.write_text(f"#!/bin/sh\necho '{name} says no' >&2\nexit 1\n")
        hook.chmod(0o755)
    refused = repo.push("origin", one, B)
    assert refused.status is PushStatus.REJECTED and "pre-push says no" in refused.reason
    (box.path / ".git/hooks/pre-push").unlink()
    refused = repo.push("origin", one, B)
    assert refused.status is PushStatus.REJECTED
    assert "hook declined" in refused.reason and "update says no" in refused.reason
    assert at_origin(box, B) == ""


def test_a_users_push_settings_change_nothing(box: Sandbox) -> None:
    repo, one = Repo(box.path), commit_on(box, "main", "one")
    box.git("tag", "-a", "-m", "t", "v1", one)
    box.git("config", "push.followTags", "true")
    box.git("config", "push.autoSetupRemote", "true")
    before = (box.path / ".git/config").read_bytes()
    repo.push("origin", one, B)
    assert repo.ls_remote("origin", "refs/tags/*") == {}
    assert (box.path / ".git/config").read_bytes() == before


def test_fetch_brings_branches_and_leaves_fetch_head_and_tags(
    box: Sandbox, make_repo: MakeRepo, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(box.origin), str(clone))
    new = box.commit({"b.txt": "b"}, push=True)
    box.git("tag", "v1")
    box.git("push", "--quiet", "origin", "v1")
    repo = Repo(clone)
    repo.fetch("origin", "+refs/heads/main:refs/remotes/origin/main", locks=tmp_path / "locks")
    assert repo.resolve_commit("origin/main") == new
    assert not (clone / ".git/FETCH_HEAD").exists()
    assert git(clone, "tag") == ""
    repo.fetch("origin", "refs/heads/main")
    with pytest.raises(NoSuchRef, match="couldn't find remote ref"):
        repo.fetch("origin", "refs/heads/nobody")


def test_a_remote_that_is_away_or_absent_is_told_apart(box: Sandbox) -> None:
    repo, one = Repo(box.path), commit_on(box, "main", "one")
    assert box.origin is not None
    box.origin.rename(box.origin.with_name("moved"))
    for call in (
        lambda: repo.fetch("origin"),
        lambda: repo.ls_remote("origin"),
        lambda: repo.push("origin", one, B),
    ):
        with pytest.raises(RemoteAway, match="does not answer"):
            call()
    assert repo.default_branch() == "main"
    box.git("remote", "remove", "origin")
    with pytest.raises(NoRemote, match="has no remote 'origin'") as caught:
        repo.fetch("origin")
    assert isinstance(caught.value, FetchFailed)
    assert not repo.has_remote()
    with pytest.raises(OrchestrError):
        repo.fetch("--upload-pack=touch x")


def test_the_network_is_an_error_in_tests(box: Sandbox) -> None:
    box.git("remote", "set-url", "origin", "https://127.0.0.1:9/x.git")
    with pytest.raises(RemoteAway, match="not allowed"):
        Repo(box.path).fetch("origin")


def test_the_default_branch_is_found_by_any_means_left(box: Sandbox, tmp_path: Path) -> None:
    repo = Repo(box.path)
    assert box.origin is not None
    box.git("push", "--quiet", "origin", "main:refs/heads/trunk")
    box.git("fetch", "--quiet", "origin")
    box.git("remote", "set-head", "origin", "trunk")
    assert repo.default_branch() == "trunk"  # what the clone knows
    box.git("remote", "set-head", "origin", "--delete")
    git(box.origin, "symbolic-ref", "HEAD", "refs/heads/trunk")
    assert repo.default_branch() == "trunk"  # what the remote says
    box.origin.rename(tmp_path / "away")
    assert repo.default_branch() == "main"  # a usual name
    box.git("remote", "remove", "origin")
    box.git("branch", "-m", "main", "odd")
    assert repo.default_branch() == "odd"  # what is checked out
    box.git("checkout", "--quiet", "--detach")
    assert repo.default_branch() is None


def test_a_shallow_clone_fetches_and_pushes(box: Sandbox, tmp_path: Path) -> None:
    for n in range(3):
        box.commit({"n.txt": str(n)}, push=True)
    clone = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{box.origin}", str(clone))
    new = box.commit({"n.txt": "new"}, push=True)
    repo = Repo(clone)
    assert repo.is_shallow()
    repo.fetch("origin")
    assert repo.resolve_commit("origin/main") == new
    assert repo.push("origin", CommitId(new), B).status is PushStatus.OK
