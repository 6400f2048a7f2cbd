"""The GitLab forge keeps the contracts, through the real python-gitlab against the stub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestr.forges import rate_limit
from orchestr.forges.answers import answer_marker
from orchestr.forges.base import (
    ForeignAddress,
    ForgeAway,
    ForgeError,
    MergeMethod,
    PRExists,
    PRState,
)
from orchestr.forges.followed import (
    CheckState,
    Dressing,
    Mergeability,
    PullRequestKey,
    StatusState,
    Verdict,
)
from orchestr.forges.gitlab import GitLabForge
from orchestr.forges.rate_limit import OutcomeUnknown
from orchestr.testing.follow_contract import FollowContract
from orchestr.testing.follow_world import Said, by_name
from orchestr.testing.forge_contract import ForgeContract, git
from orchestr.testing.killed_at import is_killed_at
from tests.forges.gitlab_stub import TOKEN, GitLab
from tests.forges.gitlab_world import PATIENCE, SLUG, GitLabWorld

pytest.importorskip("gitlab", reason="python-gitlab is not installed (the extra `gitlab`)")


@pytest.fixture
def world(tmp_path: Path, gitlab: GitLab) -> GitLabWorld:
    return GitLabWorld(tmp_path, gitlab)


class TestGitLabForge(ForgeContract):
    """The whole contract."""


class TestGitLabFollowing(FollowContract):
    """The whole contract."""


# --- what may pass, and what may have been carried out ---------------------------------------

TRANSIENT: list[dict[str, Any]] = [
    {"status": 500},
    {"status": 502, "body": "<html>bad gateway</html>"},
    {"status": 0},
    {"status": 429, "headers": {"Retry-After": "0"}},
    {"status": 429, "headers": {"RateLimit-Remaining": "0", "RateLimit-Reset": "1"}},
    {"status": 200, "body": "<html>sign in to the hotel's network</html>"},
    {"status": 200, "body": {"errors": [{"message": "Timeout on validation of query"}]}},
    {"status": 200, "body": {"data": None}},
]


@pytest.mark.parametrize("fault", TRANSIENT, ids=str)
def test_what_may_pass_is_tried_again_and_never_none(
    world: GitLabWorld, gitlab: GitLab, fault: dict[str, Any]
) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    gitlab.forget_counts()
    gitlab.fail(times=1, kind="graphql", **fault)
    assert world.states("one") == [(number, PRState.OPEN)]
    assert gitlab.requests == {"graphql": 2}
    rate_limit._LANES.clear()
    gitlab.fail(times=10_000, kind="graphql", **fault)
    with pytest.raises(ForgeAway, match="127"):
        GitLabForge(patience=0.01).find_pull_requests(world.repo, ["one"])


@pytest.mark.parametrize("status", [0, 502])
def test_opened_but_not_told_is_found_and_not_opened_twice(
    world: GitLabWorld, gitlab: GitLab, status: int
) -> None:
    world.branch("one", "a")
    gitlab.fail(status, kind="POST merge_requests", late=True)
    with pytest.raises(PRExists) as found:
        world.pull("one")
    assert found.value.pr.number == 1
    assert world.states("one") == [(1, PRState.OPEN)]
    assert gitlab.requests["POST merge_requests"] == 1


def test_not_opened_and_not_told_is_opened(world: GitLabWorld, gitlab: GitLab) -> None:
    world.branch("one", "a")
    gitlab.fail(502, kind="POST merge_requests")
    assert world.pull("one") == 1
    gitlab.fail(502, times=9, kind="POST merge_requests")
    world.branch("two", "b")
    with pytest.raises(OutcomeUnknown):
        world.pull("two")


def test_merged_but_not_told_is_merged(world: GitLabWorld, gitlab: GitLab) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    gitlab.fail(0, kind="PUT merge_requests/N/merge", late=True)
    assert world.forge.merge_pull_request(world.repo, number, sha=sha).state is PRState.MERGED
    assert gitlab.requests["PUT merge_requests/N/merge"] == 1


def test_a_comment_that_may_have_been_said_is_not_said_again(
    world: GitLabWorld, gitlab: GitLab
) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    gitlab.fail(502, kind="POST merge_requests/N/notes", late=True)
    with pytest.raises(OutcomeUnknown):
        world.forge.comment_once(world.repo, number, "hello")
    world.forge.comment_once(world.repo, number, "hello")
    assert world.comments(number) == ["hello"]


@pytest.mark.parametrize("act", ["open", "merge"])
def test_a_kill_at_any_line_leaves_one(world: GitLabWorld, gitlab: GitLab, act: str) -> None:
    """Killed at each line of the forge in its turn; the same call again completes it."""
    sha = world.branch("one", "a")
    if act == "merge":
        world.pull("one")

    def go() -> None:
        if act == "open":
            world.pull("one")
        else:
            world.forge.merge_pull_request(world.repo, 1, sha=sha)

    line, kills = 0, 0
    while is_killed_at(line, go, lambda name: "/orchestr/forges/gitlab" in name):
        line, kills = line + 20, kills + 1
    assert kills > 4
    try:
        go()
    except PRExists as error:
        assert error.pr.number == 1
    assert len(gitlab.every()) == 1
    assert world.states("one") == [(1, PRState.OPEN if act == "open" else PRState.MERGED)]
    if act == "merge":
        assert git(world.origin, "rev-list", "--count", "--merges", "main") == "1"


# --- GitLab's ways ---------------------------------------------------------------------------


def test_a_draft_is_a_title_and_stays_one(world: GitLabWorld, gitlab: GitLab) -> None:
    world.branch("one", "a")
    number = world.pull("one", title="Draft: a title")
    assert gitlab.pull(number)["title"] == "Draft: a title"
    edited = world.forge.edit_pull_request(world.repo, number, title="other")
    assert (edited.title, edited.draft) == ("other", True)
    assert gitlab.pull(number)["title"] == "Draft: other"
    gitlab.change(number, title="[Draft] by a person")
    assert world.facts(number).pr.title == "by a person"
    assert world.forge.mark_ready(world.repo, number).title == "by a person"
    assert not world.forge.edit_pull_request(world.repo, number, title="last").draft


def test_no_line_of_ours_is_a_command(world: GitLabWorld, gitlab: GitLab) -> None:
    """GitLab runs `/close` in a description or a comment, whoever's words it quotes."""
    world.branch("one", "a")
    body = "what failed:\n/close\n/merge now\n/usr/bin/env stays\nand/or\n"
    number = world.pull("one", body=body)
    (pr,) = world.forge.find_pull_requests(world.repo, ["one"])["one"]
    assert (pr.body, pr.state) == (body, PRState.OPEN)
    assert "\n/usr/bin/env stays\n" in gitlab.pull(number)["body"]
    world.forge.edit_pull_request(world.repo, number, body="/close")
    world.forge.comment_once(world.repo, number, "/close")
    world.forge.comment_once(world.repo, number, "/close")
    world.say(number, "what?")
    thread = world.facts(number).threads[-1]
    for _ in range(2):
        world.forge.answer_once(world.repo, number, thread, "/close it", "k1")
    assert world.states("one") == [(number, PRState.OPEN)]
    assert len(gitlab.comments[f"{SLUG}#{number}"]) == 3
    assert world.facts(number).threads[0].comments[0].body == "/close"


def test_a_project_that_merges_otherwise_is_refused_before_a_touch(
    world: GitLabWorld, gitlab: GitLab
) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    gitlab.merge_method = "ff"
    with pytest.raises(ForgeError, match="merge method `ff`") as refused:
        world.forge.merge_pull_request(world.repo, number, sha=sha)
    assert "land" in (refused.value.hint or "")
    assert gitlab.pull(number)["title"].startswith("Draft")
    merged = world.forge.merge_pull_request(world.repo, number, sha=sha, method=MergeMethod.REBASE)
    assert merged.state is PRState.MERGED
    assert git(world.origin, "rev-parse", "main") == sha


def test_a_head_that_moves_at_the_last_moment_is_not_merged(
    world: GitLabWorld, gitlab: GitLab
) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    gitlab.quicker = lambda: world.branch("one", "b")
    with pytest.raises(ForgeError, match="SHA does not match"):
        world.forge.merge_pull_request(world.repo, number, sha=sha)
    assert world.states("one") == [(number, PRState.OPEN)]


def test_a_merge_train_or_auto_merge_takes_it(world: GitLabWorld, gitlab: GitLab) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    gitlab.queues = True
    for _ in range(2):
        world.forge.enqueue_pull_request(world.repo, number, sha=sha)
    while world.forge.is_queued(world.repo, number):
        pass
    assert world.states("one") == [(number, PRState.MERGED)]

    gitlab.queues = False
    other = world.branch("two", "b")
    second = world.pull("two")
    world.run_ci(other, Said("unit", CheckState.PENDING))
    with pytest.raises(ForgeError):
        world.forge.enqueue_pull_request(world.repo, second, sha=sha)
    world.forge.enqueue_pull_request(world.repo, second, sha=other)
    assert world.forge.is_queued(world.repo, second)
    gitlab.report_check(other, "unit", "SUCCESS")
    assert not world.forge.is_queued(world.repo, second)
    assert world.states("two") == [(second, PRState.MERGED)]


def test_what_gitlab_does_not_know_yet_is_asked_again(world: GitLabWorld, gitlab: GitLab) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    gitlab.unsure = 1
    assert world.facts(number).mergeability is Mergeability.CLEAN
    gitlab.unsure = 2
    assert world.facts(number).mergeability is Mergeability.UNKNOWN
    gitlab.merge_method = "ff"
    world.branch("main", "z")
    assert world.facts(number).mergeability is Mergeability.BEHIND


def test_long_lists_are_read_to_their_end(world: GitLabWorld, gitlab: GitLab) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    for n in range(101):
        world.say(number, f"word {n}")
        gitlab.report_check(sha, f"job {n}", "SUCCESS")
    facts = world.facts(number)
    assert [len(facts.threads), len(facts.checks), facts.is_complete] == [101, 101, True]
    gitlab.add(SLUG, world.origin, world.clone)
    for _ in range(101):
        gitlab.make_pull(SLUG, "many", "main", "t", "", False)
    assert len(world.forge.find_pull_requests(world.repo, ["many"])["many"]) == 101


def test_a_query_that_is_too_complex_is_asked_in_parts(world: GitLabWorld, gitlab: GitLab) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.say(number, "hello")
    whole = world.facts(number)
    gitlab.complexity = max(map(len, gitlab.queries)) - 1
    assert world.facts(number) == whole
    gitlab.forget_counts()
    assert world.facts(number) == whole
    assert gitlab.requests == {"graphql": 3}


def test_jobs_that_may_fail_and_jobs_that_wait(world: GitLabWorld, gitlab: GitLab) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    gitlab.wants_green = True
    gitlab.report_check(sha, "lint", "FAILURE", allow_failure=True)
    gitlab.report_check(sha, "deploy", None, status="MANUAL", allow_failure=True)
    gitlab.report_check(sha, "gate", None, status="MANUAL")
    found = by_name(world.facts(number).checks)
    assert {name: (check.state, check.is_required) for name, check in found.items()} == {
        "lint": (CheckState.SUCCESS, False),
        "deploy": (CheckState.SUCCESS, False),
        "gate": (CheckState.PENDING, True),
    }
    assert found["lint"].url == f"{gitlab.root}/{SLUG}/-/jobs/{found['lint'].id[4:]}"
    gitlab.wants_resolved = True
    rules = world.forge.read_branch_rules(world.repo, "main")
    assert (rules.conversations, rules.is_known) == (True, False)
    assert world.forge.read_review_teams(world.repo, number) == {}


def test_the_log_is_what_the_script_printed(world: GitLabWorld) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    world.run_ci(sha, Said("unit", CheckState.FAILURE, ["make test", f"{TOKEN} is wrong"]))
    (red,) = world.facts(number).checks
    log = world.forge.read_check_log(world.repo, red)
    assert log.startswith("make test\n")
    assert "preparing" not in log
    assert TOKEN not in log


def test_an_approval_that_a_push_reset_is_dismissed(world: GitLabWorld, gitlab: GitLab) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.review(number, Verdict.APPROVED, "")
    assert world.facts(number).pr.review == "approved"
    gitlab.forget_approvals(number)
    facts = world.facts(number)
    assert [r.verdict for r in facts.reviews] == [Verdict.DISMISSED]
    assert facts.pr.review is None
    world.review(number, Verdict.CHANGES_REQUESTED, "no")
    assert world.facts(number).pr.review == "changes_requested"


def test_what_gitlab_does_not_take_is_said(world: GitLabWorld, gitlab: GitLab) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    gitlab.most_reviewers = 1
    gitlab.milestones = ["v2"]
    dressing = Dressing(
        reviewers=("rita", "ruth", "my-org/team", "who"), milestone="v2", assignees=("ruth",)
    )
    refused = world.forge.dress_pull_request(world.repo, number, dressing)
    assert [line.split(":")[0] for line in refused] == [
        "reviewer my-org/team", "reviewer who", "reviewer ruth",
    ]  # fmt: skip
    assert gitlab.pull(number)["milestone"] == "v2"
    more = world.forge.dress_pull_request(world.repo, number, Dressing(milestone="v3"))
    assert more == ["milestone v3: it has the milestone v2"]


def test_a_status_that_stays_pending_is_left(world: GitLabWorld, gitlab: GitLab) -> None:
    sha = world.branch("one", "a")
    for text in ("one", "two"):
        forge = GitLabForge(patience=PATIENCE)  # another process
        forge.set_commit_status(world.repo, sha, "c", StatusState.PENDING, text)
    assert world.statuses(sha) == {"c": ("pending", "one")}


def test_issues_with_the_words_of_members(world: GitLabWorld, gitlab: GitLab) -> None:
    key = f"{SLUG}#issue3"
    gitlab.said[key] = [
        {"number": 1, "body": "yes", "author": "rita", "at": "2026-01-02T03:04:05Z"},
        {"number": 2, "body": "ignore all", "author": "mallory", "at": "2026-01-02T03:04:05Z"},
    ]
    issue = world.forge.read_issue(f"{gitlab.root}/{SLUG}/-/issues/3")
    assert (issue.title, issue.text, issue.comments) == (
        "An issue", "What is wanted", ("rita: yes",),
    )  # fmt: skip
    with pytest.raises(ForeignAddress):
        world.forge.read_issue("https://github.com/o/r/issues/3")


def test_a_fork_s_branch_of_the_same_name_is_another(world: GitLabWorld, gitlab: GitLab) -> None:
    world.branch("one", "a")
    gitlab.foreign("one")
    assert world.states("one") == []


def test_an_answer_has_its_key(world: GitLabWorld, gitlab: GitLab) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.say(number, "why?", path="a", line=1)
    thread = world.thread(number, "a")
    gitlab.fail(502, kind="POST merge_requests/N/discussions", late=True)
    with pytest.raises(OutcomeUnknown):
        world.forge.answer_once(world.repo, number, thread, "because", "k1")
    world.forge.answer_once(world.repo, number, thread, "because", "k1")
    said = [c.body for c in world.thread(number, "a").comments]
    assert [answer_marker("k1") in body for body in said] == [False, True]


def test_fifty_are_one_query(world: GitLabWorld, gitlab: GitLab) -> None:
    tip = world.branch("b0", "a")
    for n in range(50):
        git(world.origin, "update-ref", f"refs/heads/b{n}", tip)
        gitlab.make_pull(SLUG, f"b{n}", "main", "t", "", False)
    keys = [PullRequestKey(world.repo, n + 1) for n in range(50)]
    world.forge.read_facts(keys)
    assert world.count_queries(lambda: world.forge.read_facts(keys)) == 1


# --- logins ----------------------------------------------------------------------------------


def test_a_token_that_is_refused_names_its_place(
    world: GitLabWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITLAB_TOKEN", "glpat-wrongWrongWrong01234")
    forge = GitLabForge(patience=PATIENCE)
    with pytest.raises(ForgeError, match=r"\$GITLAB_TOKEN") as refused:
        forge.find_pull_requests(world.repo, ["one"])
    assert "wrongWrong" not in f"{refused.value.message} {refused.value.hint}"


def test_ready_says_what_is_missing(
    world: GitLabWorld, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    gitlab.access_level = 20
    why = world.forge.explain_unusable([world.repo], ask=True)
    assert why is not None and "tess may not push" in why
    monkeypatch.delenv("GITLAB_HOST")
    before = gitlab.total
    why = GitLabForge().explain_unusable([world.repo])
    assert why is not None and f"export GITLAB_HOST=127.0.0.1:{gitlab.port}" in why
    git(world.clone, "remote", "set-url", "origin", str(world.origin))
    why = GitLabForge().explain_unusable([world.repo])
    assert why is not None and "is not a project at a GitLab" in why
    assert gitlab.total == before
