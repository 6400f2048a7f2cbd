"""What a GitLab, or what stands before it, may answer: redirects, odd values, times, refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestr.forges import rate_limit
from orchestr.forges.base import ForgeAway, ForgeError, PRState
from orchestr.forges.body import TITLE_LIMIT
from orchestr.forges.followed import StatusState
from orchestr.forges.gitlab import GitLabForge
from orchestr.forges.rest_answers import read_wait_seconds
from tests.forges.gitlab_stub import TOKEN, GitLab
from tests.forges.gitlab_world import PATIENCE, SLUG, GitLabWorld

pytest.importorskip("gitlab", reason="python-gitlab is not installed (the extra `gitlab`)")


@pytest.fixture
def world(tmp_path: Path, gitlab: GitLab) -> GitLabWorld:
    made = GitLabWorld(tmp_path, gitlab)
    made.branch("one", "a")
    return made


# --- redirects -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303])
def test_what_writes_is_not_read_instead(world: GitLabWorld, gitlab: GitLab, status: int) -> None:
    """HTTP libraries make a GET of a redirected PUT; its 200 would say that it was done."""
    number = world.pull("one", title="before")
    path = f"{gitlab.root}/api/v4/projects/{SLUG.replace('/', '%2F')}/merge_requests/{number}"
    for kind, more in (("PUT merge_requests/N", ""), ("POST merge_requests/N/notes", "/notes")):
        gitlab.fail(status, kind=kind, headers={"Location": path + more})
    with pytest.raises(ForgeError, match=r"sends what was asked there to http://127"):
        world.forge.edit_pull_request(world.repo, number, title="after")
    with pytest.raises(ForgeError):
        world.forge.comment_once(world.repo, number, "hello")
    assert gitlab.pull(number)["title"] == "Draft: before"
    assert f"{SLUG}#{number}" not in gitlab.comments


def test_a_token_is_not_carried_to_another_host(
    world: GitLabWorld, gitlab: GitLab, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    with GitLab(tmp_path / "other") as other:
        gitlab.fail(302, kind="GET user", headers={"Location": f"{other.root}/api/v4/user"})
        with pytest.raises(ForgeError, match="sends what was asked"):
            GitLabForge(patience=PATIENCE).comment_once(world.repo, 1, "hello")
        assert other.total == 0


def test_a_project_that_moved_says_where_to(world: GitLabWorld, gitlab: GitLab) -> None:
    number = world.pull("one")
    gitlab.repos["new/home"] = gitlab.repos.pop(SLUG)
    gitlab.moved[SLUG] = "new/home"
    key = f"{gitlab.root}/{SLUG} has moved to {gitlab.root}/new/home"
    with pytest.raises(ForgeError, match=key):
        world.forge.find_pull_requests(world.repo, ["one"])
    with pytest.raises(ForgeError, match=key):
        world.facts(number)
    with pytest.raises(ForgeError, match="moved projects"):
        world.forge.edit_pull_request(world.repo, number, body="x")
    gitlab.moved.clear()
    with pytest.raises(ForgeError, match="it is not there, or the login may not see it"):
        world.forge.find_pull_requests(world.repo, ["one"])


# --- values that are none --------------------------------------------------------------------

ODD: list[Any] = [["x"], {"x": {}}, "sign in", [[]], {"data": {"project": {"id": 1}}}]


@pytest.mark.parametrize("act", ["find", "title", "merge", "list", "rules", "say", "status"])
def test_an_odd_answer_is_an_error_in_words(world: GitLabWorld, gitlab: GitLab, act: str) -> None:
    """Whatever a proxy answers: never a traceback, never taken for done."""
    sha = world.branch("one", "a2")
    number, repo = world.pull("one"), world.repo
    acts: dict[str, tuple[str, Callable[[GitLabForge], object]]] = {
        "find": ("graphql", lambda f: f.find_pull_requests(repo, ["one"])),
        "title": ("PUT", lambda f: f.edit_pull_request(repo, number, title="x")),
        "merge": ("GET", lambda f: f.merge_pull_request(repo, number, sha=sha)),
        "list": ("GET", lambda f: f.list_open_into(repo, "main")),
        "rules": ("GET ", lambda f: f.read_branch_rules(repo, "main")),
        "say": ("POST", lambda f: f.comment_once(repo, number, "hello")),
        "status": ("POST", lambda f: f.set_commit_status(repo, sha, "c", StatusState.SUCCESS, "")),
    }
    kind, call = acts[act]
    for body in ODD:
        if act == "rules" and isinstance(body, dict):
            continue  # nothing is wanted of a project that says nothing of it
        rate_limit._LANES.clear()
        gitlab.faults.clear()
        gitlab.fail(200, times=10**6, kind=kind, body=body)
        with pytest.raises(ForgeError) as refused:
            call(GitLabForge(patience=0.01))
        assert TOKEN not in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.parametrize("errors", ["no", {"message": "no"}, ["no"], [None]], ids=str)
def test_errors_of_a_query_have_any_form(world: GitLabWorld, gitlab: GitLab, errors: Any) -> None:
    gitlab.fail(200, kind="graphql", body={"errors": errors})
    with pytest.raises(ForgeError):
        world.forge.find_pull_requests(world.repo, ["one"])


# --- times -----------------------------------------------------------------------------------


def test_any_time_may_be_named(world: GitLabWorld, gitlab: GitLab) -> None:
    gitlab.fail(429, kind="graphql", headers={"Retry-After": "9" * 30})
    with pytest.raises(ForgeAway, match="takes no more requests until"):
        world.forge.find_pull_requests(world.repo, ["one"])
    assert read_wait_seconds({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 1.0
    assert read_wait_seconds({"retry-after": "²"}) == 60.0
    assert read_wait_seconds({"retry-after": "soon", "ratelimit-reset": "1"}) == 1.0


# --- texts and refusals ----------------------------------------------------------------------


def test_the_longest_title_fits_with_the_words_of_a_draft(world: GitLabWorld) -> None:
    number = world.pull("one", title="x" * TITLE_LIMIT)
    assert len(world.facts(number).pr.title) == TITLE_LIMIT


def test_a_refused_merge_has_gitlab_s_reason(world: GitLabWorld, gitlab: GitLab) -> None:
    sha = world.branch("one", "a2")
    number = world.pull("one")
    gitlab.protected = "discussions_not_resolved"
    with pytest.raises(ForgeError, match=r"405 Method Not Allowed \(discussions not resolved\)"):
        world.forge.merge_pull_request(world.repo, number, sha=sha)
    assert world.states("one") == [(number, PRState.OPEN)]


@pytest.mark.parametrize("status", [0, 502])
def test_a_train_whose_answer_was_lost_has_it(
    world: GitLabWorld, gitlab: GitLab, status: int
) -> None:
    sha = world.branch("one", "a2")
    number = world.pull("one")
    gitlab.queues = True
    gitlab.fail(status, kind="POST merge_trains", late=True)
    world.forge.enqueue_pull_request(world.repo, number, sha=sha)
    assert gitlab.requests["POST merge_trains/merge_requests/N"] == 2
    while world.forge.is_queued(world.repo, number):
        pass
    assert world.states("one") == [(number, PRState.MERGED)]
