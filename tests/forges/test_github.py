"""The GitHub forge keeps the contract, through the real `gh` against the stub."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep
from time import time as now
from typing import Any

import pytest

from orchestr.forges import rate_limit
from orchestr.forges.answers import strip_said
from orchestr.forges.base import ForgeAway, ForgeError, PRExists, PRState, RepoRef
from orchestr.forges.github import GitHubForge
from orchestr.forges.github_query import build_branches_query
from orchestr.forges.rate_limit import RequestPacer
from orchestr.testing.forge_contract import ForgeContract, World, git
from tests.forges.github_stub import GH, HOST, NO_GH, TOKEN, GitHub

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
        return [strip_said(body) for body in self.github.comments[f"o/platform#{number}"]]

    def go_away(self) -> None:
        self.github.away = True

    def count_queries(self, act: Callable[[], object]) -> int:
        before = self.github.total
        act()
        return self.github.total - before


@pytest.fixture
def world(tmp_path: Path, github: GitHub) -> GitHubWorld:
    return GitHubWorld(tmp_path, github)


class TestGitHubForge(ForgeContract):
    """The whole contract."""


# --- what may pass is tried again, and never read as "none" ----------------------------------


class Time:
    """A clock that only waits move; ``waits`` are their seconds."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def clock(self) -> float:
        return 1000 + sum(self.waits)

    def wait(self, seconds: float, stop: threading.Event | None) -> bool:
        self.waits.append(seconds)
        return bool(stop and stop.is_set())


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """Waits of the lane cost nothing."""
    time = Time()
    lane = RequestPacer(HOST, 300, clock=time.clock, wait=time.wait)
    monkeypatch.setattr(rate_limit, "_LANES", {HOST: lane})
    return time


BUSY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}
QUICK = {"message": "was submitted too quickly"}
TRANSIENT: list[dict[str, Any]] = [
    {"status": 500},
    {"status": 502, "body": "<html>bad gateway</html>"},
    {"status": 503},
    {"status": 0},
    {"status": 429, "headers": {"Retry-After": "7"}},
    {"status": 403, "headers": {"Retry-After": "7"}, "body": BUSY},
    {"status": 403, "body": BUSY},
    {"status": 403, "body": QUICK},
    {"status": 200, "body": "<html>sign in to the hotel's network</html>"},
    {"status": 200, "body": {"errors": [{"message": "Something went wrong while executing"}]}},
    {"status": 200, "body": {"errors": [{"type": "RATE_LIMITED", "message": "API rate limit"}]}},
    {"status": 200, "body": {"data": None}},
]


@pytest.mark.parametrize("fault", TRANSIENT, ids=str)
def test_what_may_pass_is_tried_again(
    world: GitHubWorld, github: GitHub, time: Time, fault: dict[str, Any]
) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    github.forget_counts()
    github.fail(times=2, **fault)

    assert world.states("one") == [(number, PRState.OPEN)]
    assert github.requests == {"graphql": 3}
    named = "Retry-After" in fault.get("headers", {})
    assert len(time.waits) == 2
    assert not named or all(7 <= wait < 10 for wait in time.waits)


@pytest.mark.parametrize("fault", TRANSIENT, ids=str)
def test_what_does_not_pass_is_away_and_never_none(
    world: GitHubWorld, github: GitHub, time: Time, fault: dict[str, Any]
) -> None:
    world.branch("one", "a")
    github.fail(times=10_000, **fault)

    with pytest.raises(ForgeAway, match=HOST):
        world.forge.find_pull_requests(world.repo, ["one"])
    with pytest.raises(ForgeError):
        world.pull("one")

    assert sum(time.waits) <= 2 * 300
    assert github.total < 100
    github.faults.clear()
    assert world.states("one") == []


def test_a_host_that_was_given_up_is_tried_once_a_call(
    world: GitHubWorld, github: GitHub, time: Time
) -> None:
    world.states("one")
    github.away = True
    with pytest.raises(ForgeAway):
        world.states("one")
    github.forget_counts()

    for _ in range(3):
        with pytest.raises(ForgeAway):
            world.states("one")

    assert github.total == 3
    github.away = False
    assert world.states("one") == []
    github.fail(500, 3)
    assert world.states("one") == [], "patient again"


def test_a_host_that_never_answered_gets_little_patience(
    world: GitHubWorld, github: GitHub, time: Time
) -> None:
    github.away = True
    with pytest.raises(ForgeAway):
        world.states("one")
    assert sum(time.waits) < 300 / 60


def test_a_quota_that_is_far_away_is_not_waited_for(
    world: GitHubWorld, github: GitHub, time: Time
) -> None:
    used_up = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(now()) + 1800)}
    github.fail(403, 99, headers=used_up, body={"message": "API rate limit exceeded"})

    with pytest.raises(ForgeAway, match=r"no more requests until \d\d:\d\d:\d\d UTC"):
        world.states("one")
    with pytest.raises(ForgeAway, match="no more requests until"):
        world.states("one")

    assert time.waits == []
    assert github.total == 1, "the second one did not even ask"


def test_a_quota_that_is_near_is_waited_for(world: GitHubWorld, github: GitHub, time: Time) -> None:
    used_up = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(now()) + 100)}
    github.fail(403, 1, headers=used_up, body={"message": "API rate limit exceeded"})
    assert world.states("one") == []
    assert 98 < sum(time.waits) < 103


# --- what will not pass is final, and says what mends it -------------------------------------

SSO = {"X-GitHub-SSO": "required; url=https://github.example/orgs/o/sso?x=1"}
SCOPES = {"X-OAuth-Scopes": "gist, read:org", "X-Accepted-OAuth-Scopes": "repo"}
FINAL: list[tuple[dict[str, Any], str, str]] = [
    ({"status": 401, "body": {"message": "Bad credentials"}}, "Bad cred", "gh auth login --host"),
    ({"status": 403, "headers": SSO}, "single sign-on", "open https://github.example/orgs/o/sso"),
    ({"status": 403, "headers": SCOPES}, "lacks the scope repo", "gh auth refresh"),
    ({"status": 403}, "does not allow it: told to fail", "gh auth status"),
    ({"status": 404, "body": {"message": "Not Found"}}, "may not see it", "gh auth status"),
    (
        {"status": 200, "body": {"data": {}, "errors": [
            {"type": "INSUFFICIENT_SCOPES", "message": "Your token has not the scopes"}]}},
        "lacks the scope", "gh auth refresh",
    ),
    ({"status": 200, "body": {"data": {"repository": None}}}, "cannot be read", "newer orchestr"),
    ({"status": 200, "body": {"data": {"repository": {"b0": {"nodes": [None]}}}}},
     "cannot be read", "newer orchestr"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "said", "mend"), FINAL, ids=[f[1] for f in FINAL])
def test_what_does_not_pass_by_itself_is_final(
    world: GitHubWorld, github: GitHub, time: Time, fault: dict[str, Any], said: str, mend: str
) -> None:
    github.fail(times=9, **fault)
    with pytest.raises(ForgeError, match=said) as refused:
        world.forge.find_pull_requests(world.repo, ["one"])
    assert not isinstance(refused.value, ForgeAway)
    assert mend in (refused.value.hint or "")
    assert (github.total, time.waits) == (1, [])


def test_an_unknown_repository_is_not_one_without_pull_requests(
    world: GitHubWorld, github: GitHub
) -> None:
    github.repos.clear()
    with pytest.raises(ForgeError, match="Could not resolve") as refused:
        world.forge.find_pull_requests(world.repo, ["one"])
    assert "gh auth status" in (refused.value.hint or "")


def test_no_login_names_the_command(world: GitHubWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GH_TOKEN")
    with pytest.raises(ForgeError, match="not logged in") as refused:
        world.forge.find_pull_requests(world.repo, ["one"])
    assert refused.value.hint == f"gh auth login --hostname {HOST}"


def test_drafts_that_a_repository_cannot_have(world: GitHubWorld, github: GitHub) -> None:
    world.branch("one", "a")
    told = "Draft pull requests are not supported in this repository."
    github.fail(422, kind="POST", body={"message": "Validation Failed", "errors": [told]})
    with pytest.raises(ForgeError, match="not supported") as refused:
        world.pull("one")
    assert "draft = false" in (refused.value.hint or "")


def test_a_renamed_repository_is_named(world: GitHubWorld, github: GitHub) -> None:
    world.branch("one", "a")
    github.fail(307, kind="POST", body={"message": "Moved Permanently", "url": "x"})
    with pytest.raises(ForgeError, match="has moved") as refused:
        world.pull("one")
    assert "set-url" in (refused.value.hint or "")


def test_nothing_that_is_said_holds_the_token(
    world: GitHubWorld, github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GH_DEBUG", "api")
    monkeypatch.setenv("DEBUG", "api")
    github.fail(401, body={"message": f"token {TOKEN} is bad; ghp_{'x' * 36} too"})
    with pytest.raises(ForgeError) as refused:
        world.forge.find_pull_requests(world.repo, ["one"])
    said = f"{refused.value} {refused.value.hint}"
    assert TOKEN not in said
    assert "ghp_x" not in said


# --- an answer that got lost ------------------------------------------------------------------


@pytest.mark.parametrize("status", [0, 502])
def test_opened_but_not_told_is_found(world: GitHubWorld, github: GitHub, status: int) -> None:
    world.branch("one", "a")
    github.fail(status, kind="POST", late=True)
    with pytest.raises(PRExists) as there:
        world.pull("one")
    assert there.value.pr.number == 1
    assert len(github.every()) == 1


def test_edited_and_merged_but_not_told(world: GitHubWorld, github: GitHub) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    github.fail(0, kind="P", late=True)
    assert world.forge.edit_pull_request(world.repo, number, title="new").title == "new"
    github.fail(0, kind="PUT", late=True)
    assert world.forge.merge_pull_request(world.repo, number, sha=sha).state is PRState.MERGED


def test_a_comment_that_may_have_been_said_is_not_said_again(
    world: GitHubWorld, github: GitHub
) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    github.fail(0, kind="POST", late=True)
    with pytest.raises(ForgeAway, match="not known"):
        world.forge.comment_once(world.repo, number, "hello")
    world.forge.comment_once(world.repo, number, "hello")
    assert world.comments(number) == ["hello"]


# --- how much is asked ------------------------------------------------------------------------


def test_many_branches_cost_a_handful(world: GitHubWorld, github: GitHub) -> None:
    names = [f"b{n}" for n in range(120)]
    assert world.forge.find_pull_requests(world.repo, names) == dict.fromkeys(names, ())
    assert github.requests == {"graphql": 3}
    assert github.points == world.forge.usage.points == 3
    assert world.forge.usage.requests == 3
    assert world.forge.usage.remaining == github.remaining


def test_many_pull_requests_of_a_branch_come_in_pages(world: GitHubWorld, github: GitHub) -> None:
    world.branch("one", "a")
    world.branch("two", "b")
    for _ in range(23):
        world.close(world.pull("one"))
    number = world.pull("two")
    github.forget_counts()

    found = world.forge.find_pull_requests(world.repo, ["one", "two"])

    assert [pr.number for pr in found["one"]] == list(range(23, 0, -1))
    assert [pr.number for pr in found["two"]] == [number]
    assert github.requests == {"graphql": 3}


def test_questions_during_a_query_share_the_next_one(world: GitHubWorld, github: GitHub) -> None:
    names = [f"b{n}" for n in range(10)]
    world.forge.find_pull_requests(world.repo, names[:1])
    desk = world.forge._batcher_for(world.repo)
    github.forget_counts()
    with ThreadPoolExecutor(10) as pool:
        with github.lock:  # the first query stands
            first = pool.submit(world.forge.find_pull_requests, world.repo, names[:1])
            until(lambda: desk._turn.locked() and not desk._waiting)
            rest = [
                pool.submit(world.forge.find_pull_requests, world.repo, [name])
                for name in names[1:]
            ]
            until(lambda: len(desk._waiting) == 9)
        found = [future.result() for future in (first, *rest)]
    assert found == [{name: ()} for name in names]
    assert github.requests == {"graphql": 2}


def until(look: Callable[[], object]) -> None:
    """Poll until it is so."""
    end = now() + 30
    while not look():
        assert now() < end
        sleep(0.01)


def test_one_who_fails_leaves_the_others_their_own_try(
    world: GitHubWorld, github: GitHub, time: Time
) -> None:
    world.forge.find_pull_requests(world.repo, ["x"])
    desk = world.forge._batcher_for(world.repo)
    github.fail(401)
    with ThreadPoolExecutor(3) as pool:
        with github.lock:
            first = pool.submit(world.forge.find_pull_requests, world.repo, ["a"])
            until(lambda: desk._turn.locked() and not desk._waiting)
            second = pool.submit(world.forge.find_pull_requests, world.repo, ["b"])
            until(lambda: len(desk._waiting) == 1)
        with pytest.raises(ForgeError, match="does not accept"):
            first.result()
        assert second.result() == {"b": ()}


# --- what is seen -----------------------------------------------------------------------------


def test_checks_and_reviews_are_seen(world: GitHubWorld, github: GitHub) -> None:
    seen = []
    world.branch("one", "a")
    number = world.pull("one")
    for checks, review in (
        ("PENDING", "REVIEW_REQUIRED"),
        ("EXPECTED", "CHANGES_REQUESTED"),
        ("ERROR", "APPROVED"),
        ("SUCCESS", None),
        (None, None),
    ):
        github.change(number, checks=checks, review=review)
        (pr,) = world.forge.find_pull_requests(world.repo, ["one"])["one"]
        seen.append((pr.checks, pr.review))
    assert seen == [
        ("pending", "review_required"),
        ("pending", "changes_requested"),
        ("failure", "approved"),
        ("success", None),
        (None, None),
    ]


def test_a_token_that_may_not_read_checks_sees_the_rest(world: GitHubWorld, github: GitHub) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    path = ["repository", "b0", "nodes", 0, "headRef", "target", "statusCheckRollup"]
    _, whole = github.graphql(asked_of(world, "one"))
    told = {"type": "FORBIDDEN", "path": path, "message": "Resource not accessible"}
    github.fail(200, body={**whole, "errors": [told]})
    assert world.states("one") == [(number, PRState.OPEN)]


def asked_of(world: GitHubWorld, head: str) -> dict[str, Any]:
    text, variables = build_branches_query("o", "platform", {head: None})
    return {"query": text, "variables": variables}


def test_a_forks_branch_of_the_same_name_is_another(world: GitHubWorld, github: GitHub) -> None:
    world.branch("one", "a")
    github.foreign("one")
    assert world.states("one") == []
    number = world.pull("one")
    assert world.states("one") == [(number, PRState.OPEN)]


def test_of_two_processes_that_open_at_once_one_wins(world: GitHubWorld, github: GitHub) -> None:
    world.branch("one", "a")
    program = (
        "import sys; from pathlib import Path; from orchestr.forges.base import *\n"
        "from orchestr.forges.github import GitHubForge\n"
        "forge, repo = GitHubForge(), RepoRef('platform', Path(sys.argv[1]))\n"
        "sys.stdin.readline()\n"
        "try:\n"
        "    made = forge.open_pull_request("
        "repo, head='one', base='main', title='', body='', draft=True)\n"
        "    print('opened', made.number)\n"
        "except PRExists as error: print('exists', error.pr.number)\n"
    )
    argv = [sys.executable, "-c", program, str(world.clone)]
    pipe = subprocess.PIPE
    children = [subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    for child in children:
        assert child.stdin
        child.stdin.write("go\n")
        child.stdin.flush()
    assert sorted(child.communicate()[0] for child in children) == ["exists 1\n", "opened 1\n"]
    assert len(github.every()) == 1


# --- is it usable -----------------------------------------------------------------------------


def test_ready_says_what_is_missing(
    world: GitHubWorld, github: GitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = [world.repo]
    assert "not installed" in (GitHubForge("no-such-gh").explain_unusable(refs) or "")

    old = tmp_path / "old-gh"
    old.write_text("#!/bin/sh\necho 'gh version 2.10.1 (2022-05-10)'\n")
    old.chmod(0o755)
    assert (
        GitHubForge(str(old)).explain_unusable(refs)
        == "gh 2.10.1 is too old, 2.17 or newer is needed"
    )
    other = tmp_path / "other-gh"
    other.write_text("#!/bin/sh\necho hello\n")
    other.chmod(0o755)
    assert "is it GitHub's gh?" in (GitHubForge(str(other)).explain_unusable(refs) or "")

    github.permission = "READ"
    github.forget_counts()
    assert world.forge.explain_unusable(refs) is None
    assert github.total == 0, "before a run the network is left alone"
    assert "tess may not push to" in (world.forge.explain_unusable(refs, ask=True) or "")
    assert github.total == 1

    monkeypatch.delenv("GH_TOKEN")
    assert "gh auth login --hostname github.localhost" in (world.forge.explain_unusable(refs) or "")

    git(world.clone, "remote", "set-url", "origin", "/srv/somewhere.git")
    assert "set-url origin https://github.com/OWNER/NAME.git" in (
        GitHubForge().explain_unusable(refs) or ""
    )
    git(world.clone, "remote", "remove", "origin")
    assert "no remote 'origin'" in (GitHubForge().explain_unusable(refs) or "")
    assert GitHubForge().explain_unusable([RepoRef("later", tmp_path / "not-cloned-yet")]) is None


def test_an_enterprise_host_is_asked_by_its_own_name(
    world: GitHubWorld, github: GitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over TLS, at `/api/v3` and `/api/graphql`, with the login that gh has for that host."""
    github.serve_tls("ghe.example.test", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    url = "git@ghe.example.test:o/platform.git"
    git(world.clone, "config", f"url.{world.origin}.insteadOf", url)
    git(world.clone, "remote", "set-url", "origin", url)
    forge = world.forge = GitHubForge(patience=PATIENCE)
    told = "gh auth login --hostname ghe.example.test"
    assert told in (forge.explain_unusable([world.repo]) or "")
    with pytest.raises(ForgeError, match=r"does not accept gh's login|not logged in") as refused:
        forge.find_pull_requests(world.repo, ["one"])
    assert told in (refused.value.hint or "")

    monkeypatch.setenv("GH_ENTERPRISE_TOKEN", TOKEN)
    assert forge.explain_unusable([world.repo], ask=True) is None
    world.branch("one", "a")
    number = world.pull("one")
    assert world.states("one") == [(number, PRState.OPEN)]

    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ForgeError, match="certificate") as unknown:
        forge.find_pull_requests(world.repo, ["one"])
    assert "SSL_CERT_FILE" in (unknown.value.hint or "")
