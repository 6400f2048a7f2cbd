"""Following and dressing pull requests at GitHub, through the real `gh` against the stub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestr.forges import github_follow, github_merge, rate_limit
from orchestr.forges.answers import answer_marker
from orchestr.forges.base import ForgeAway, ForgeError, PRState
from orchestr.forges.followed import (
    CheckState,
    CiCheck,
    Dressing,
    Mergeability,
    PullRequestFacts,
    PullRequestKey,
    StatusState,
)
from orchestr.forges.github import GitHubForge
from orchestr.testing.follow_contract import FollowContract
from orchestr.testing.follow_world import Said
from orchestr.testing.forge_contract import git
from tests.forges.github_stub import GH, HOST, NO_GH, GitHub
from tests.forges.stub_world import PATIENCE, StubWorld

pytestmark = pytest.mark.skipif(GH is None, reason=NO_GH)
SLUG = "o/platform"


class GitHubFollowWorld(StubWorld):
    """A clone whose origin is at the stub."""

    slug = SLUG
    forge: GitHubForge

    def __init__(self, folder: Path, github: GitHub) -> None:
        super().__init__(folder, github)
        self.github = github
        self.forge = GitHubForge(patience=PATIENCE)


@pytest.fixture
def world(tmp_path: Path, github: GitHub) -> GitHubFollowWorld:
    return GitHubFollowWorld(tmp_path, github)


class TestGitHubFollowing(FollowContract):
    """The whole contract."""


# --- how much is asked -----------------------------------------------------------------------


def many(world: GitHubFollowWorld, count: int) -> list[PullRequestKey]:
    """Pull requests of branches that are all at one commit, without a push for each."""
    tip = world.branch("b1", "a")
    numbers = []
    for n in range(1, count + 1):
        git(world.origin, "update-ref", f"refs/heads/b{n}", tip)
        asked = {"head": f"b{n}", "base": "main", "title": "t", "draft": True}
        numbers.append(world.github.open(SLUG, asked)["number"])
    return [PullRequestKey(world.repo, number) for number in numbers]


def test_fifty_pull_requests_are_one_query_of_two_points(
    world: GitHubFollowWorld, github: GitHub
) -> None:
    keys = many(world, 50)
    GitHubForge().read_facts(keys)
    assert (github.requests, github.points) == ({"graphql": 1}, 2), "the first look, too"
    for number in range(1, 21):
        github.say_at(number, "why?", "a", 1)
        github.say(number, "and this?")
    assert len(world.forge.read_facts(keys)) == 50
    github.forget_counts()

    found = world.forge.read_facts(keys)

    assert (github.requests, github.points) == ({"graphql": 1}, 2)
    assert all(facts.is_complete for facts in found.values())
    assert sum(len(facts.threads) for facts in found.values()) == 40
    assert world.forge.usage.remaining == github.remaining


@pytest.mark.slow
def test_a_query_that_is_too_large_for_github_is_halved(
    world: GitHubFollowWorld, github: GitHub
) -> None:
    keys = many(world, 40)
    github.fail(403, headers={"Retry-After": "999"}, body=BUSY)
    with pytest.raises(ForgeAway, match="no more requests"):
        world.forge.read_facts(keys)
    rate_limit._LANES.clear()  # time goes by
    github.forget_counts()
    world.forge.read_facts(keys)
    assert github.requests == {"graphql": 1}, "a limit says nothing of the size"
    github.heavy = 20
    github.forget_counts()
    assert len(world.forge.read_facts(keys)) == 40
    assert github.requests["graphql"] <= 5
    github.forget_counts()
    assert len(world.forge.read_facts(keys)) == 40
    assert github.requests == {"graphql": 2}, "it remembers"
    github.away = True
    with pytest.raises(ForgeAway):
        world.forge.read_facts(keys)


@pytest.mark.slow
def test_long_lists_are_read_to_their_end(world: GitHubFollowWorld, github: GitHub) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    for n in range(101):
        github.say(number, f"word {n}", "rita")
        github.label(number, f"label {n}")
        github.report_check(sha, f"check {n}", annotations=[])
    github.report_check(
        sha, "red", "FAILURE",
        annotations=[{"path": "a", "line": n, "message": "boom"} for n in range(120)],
    )  # fmt: skip
    thread = github.say_at(number, "word 0", "a", 1)
    for n in range(1, 101):
        github.reply(thread["id"], f"word {n}")
    github.forget_counts()

    facts = world.facts(number)

    assert facts.is_complete
    assert (len(facts.labels), len(facts.checks)) == (101, 102)
    general = [t.comments[0].body for t in facts.threads if not t.path]
    assert general == [f"word {n}" for n in range(101)]
    (placed,) = (t for t in facts.threads if t.path)
    assert [c.body for c in placed.comments] == general
    assert len(facts.checks[-1].annotations) == 120
    assert github.points <= 6


def test_write_access_is_asked_once_for_a_login(world: GitHubFollowWorld, github: GitHub) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    github.associations["mia"] = "MEMBER"
    for author in ("rita", "rita", "mia", "joe"):
        github.say(number, "hm", author)
    asked = "GET collaborators/rita/permission"
    for _ in range(2):
        found = [t.comments[0] for t in world.facts(number).threads]
        assert [c.author for c in found if c.may_write] == ["rita", "rita"]
    assert github.requests[asked] == 1
    assert github.requests["GET collaborators/mia/permission"] == 1
    assert github.requests["GET collaborators/joe/permission"] == 0


def test_what_has_no_end_is_incomplete_and_what_was_not_asked_is_no_answer(
    world: GitHubFollowWorld, github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = many(world, 3)
    for n in range(60):
        github.say(1, f"word {n}", "joe")
    monkeypatch.setattr(github_follow, "QUERIES", 1)
    found = world.forge.read_facts(keys)
    assert [found[key].is_complete for key in keys] == [False, True, True]
    monkeypatch.setattr(github_follow, "PULLS", 2)
    with pytest.raises(ForgeAway, match="could not be asked about all"):
        GitHubForge().read_facts(keys)


# --- what is not delivered is not there ------------------------------------------------------


@pytest.mark.parametrize("status", [0, 500, 502])
def test_a_look_that_fails_is_tried_again_or_away(
    world: GitHubFollowWorld, github: GitHub, status: int
) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    github.say(number, "hm")
    github.fail(status, kind="graphql")
    assert len(world.facts(number).threads) == 1
    github.fail(status, times=10_000, kind="GET collab")
    github.say(number, "hm", "ruth")
    with pytest.raises(ForgeAway):
        world.facts(number)


def test_a_login_that_may_not_read_checks_gets_no_empty_list(
    world: GitHubFollowWorld, github: GitHub
) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    world.run_ci(sha, Said("unit", CheckState.FAILURE))
    github.hidden = {"branchProtectionRule", "reviewDecision"}
    assert world.facts(number).is_complete
    github.hidden = {"statusCheckRollup"}
    facts = world.facts(number)
    assert (facts.checks, facts.is_complete) == ((), False)


def test_a_repository_that_is_not_shown_is_an_error(
    world: GitHubFollowWorld, github: GitHub
) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    github.repos.clear()
    with pytest.raises(ForgeError, match="Could not resolve"):
        world.facts(number)


def test_a_renamed_repository_is_followed_and_written_to(
    world: GitHubFollowWorld, github: GitHub
) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    before = world.facts(number).node_id
    github.rename(SLUG, "o/kas")

    facts = world.facts(number)
    assert (facts.node_id, facts.pr.url.split("/")[-3]) == (before, "kas")
    world.forge.set_commit_status(world.repo, sha, "x", StatusState.SUCCESS, "ok")
    github.say(number, "hm", "rita", "o/kas")
    thread = world.thread(number)
    world.forge.answer_once(world.repo, number, thread, "so", "k1")
    assert len(github.comments[f"o/kas#{number}"]) == 2


# --- the base that moved -----------------------------------------------------------------------


@pytest.mark.parametrize("by_ruleset", [False, True])
def test_a_draft_that_is_behind_is_behind(
    world: GitHubFollowWorld, github: GitHub, by_ruleset: bool
) -> None:
    github.by_ruleset = by_ruleset
    world.branch("one", "a")
    number = world.pull("one")
    world.branch("main", "b")
    assert world.facts(number).mergeability is Mergeability.CLEAN
    github.strict = {"main"}
    assert world.facts(number).mergeability is Mergeability.BEHIND
    github.change(number, draft=False)
    assert world.facts(number).mergeability is Mergeability.BEHIND
    github.unsure = 1_000
    assert world.facts(number).mergeability is Mergeability.UNKNOWN


# --- CI ----------------------------------------------------------------------------------------


def red_check(world: GitHubFollowWorld, **more: Any) -> CiCheck:
    sha = world.branch("one", "a")
    number = world.pull("one")
    world.github.report_check(sha, "unit", "FAILURE", **more)
    (check,) = world.facts(number).checks
    return check


def test_the_log_is_that_of_the_failed_step(world: GitHubFollowWorld, github: GitHub) -> None:
    check = red_check(world, log=["a.py:3: boom"], workflow="CI", summary="1 failed", text="t1")
    assert (check.name, check.summary) == ("CI / unit", "1 failed")
    log = world.forge.read_check_log(world.repo, check)
    assert log.split("\n") == [
        "##[group]Run make test", "make test", "shell: /usr/bin/bash -e {0}", "##[endgroup]",
        "a.py:3: boom", "##[error]Process completed with exit code 2.", "", "1 failed", "t1",
    ]  # fmt: skip


def test_a_log_that_is_gone_and_a_check_without_one(
    world: GitHubFollowWorld, github: GitHub
) -> None:
    place = {"path": "a.py", "line": 3, "message": "boom"}
    check = red_check(world, expired=True, annotations=[place])
    assert world.forge.read_check_log(world.repo, check) == "a.py:3: boom"
    other = red_check_of_app(world)
    assert world.forge.read_check_log(world.repo, other) == "it broke"
    status = CiCheck("x", CheckState.FAILURE, summary="red")
    assert world.forge.read_check_log(world.repo, status) == "red"


def red_check_of_app(world: GitHubFollowWorld) -> CiCheck:
    sha = world.branch("two", "b")
    number = world.pull("two")
    world.github.report_check(sha, "scan", "FAILURE", app="sonar", summary="it broke")
    (check,) = world.facts(number).checks
    return check


def test_a_check_of_any_app_can_run_again_twice(world: GitHubFollowWorld, github: GitHub) -> None:
    for check in (red_check(world), red_check_of_app(world)):
        for _ in range(2):
            world.forge.rerun_check(world.repo, check)
    assert github.requests["POST actions/jobs/N/rerun"] == 2
    assert github.requests["POST check-runs/N/rerequest"] == 2
    with pytest.raises(ForgeError, match="bare commit status"):
        world.forge.rerun_check(world.repo, CiCheck("x", CheckState.FAILURE))


def test_a_status_is_set_where_it_differs(world: GitHubFollowWorld, github: GitHub) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    context = "orchestr/feature"

    def set_status(forge: GitHubForge, text: str) -> None:
        forge.set_commit_status(world.repo, sha, context, StatusState.FAILURE, text)

    set_status(world.forge, "ü" * 200)
    assert world.statuses(sha)[context] == ("failure", "ü" * 139 + "…")
    github.forget_counts()
    for forge in (world.forge, GitHubForge()):
        set_status(forge, "ü" * 200)
    assert github.requests == {"GET commits/SHA/status": 1}, "another process has to look"
    other = GitHubForge()
    github.set_status(sha, context, "pending", "of another process")
    other.read_facts([PullRequestKey(world.repo, number)])
    github.forget_counts()
    set_status(other, "red")
    assert github.requests == {"POST statuses/SHA": 1}, "what was read is known"


# --- answers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "a"])
@pytest.mark.parametrize("late", [False, True])
def test_an_answer_that_may_have_been_given_is_not_given_again(
    world: GitHubFollowWorld, github: GitHub, path: str, late: bool
) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.say(number, "why?", path=path, line=1)
    thread = world.thread(number, path)
    github.fail(502, kind="POST", late=late)
    with pytest.raises(ForgeAway, match="not known"):
        world.forge.answer_once(world.repo, number, thread, "so", "k1")
    for _ in range(2):
        world.forge.answer_once(world.repo, number, thread, "so", "k1")
    answers = [c for t in world.facts(number).threads for c in t.comments if c.is_ours]
    assert len(answers) == 1


def test_a_key_in_somebody_elses_words_is_no_answer(
    world: GitHubFollowWorld, github: GitHub
) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.say(number, answer_marker("k1"), path="a", line=1)
    world.forge.answer_once(world.repo, number, world.thread(number, "a"), "so", "k1")
    assert len(world.thread(number, "a").comments) == 2


def test_an_answer_is_found_among_hundreds(world: GitHubFollowWorld, github: GitHub) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.say(number, "why?")
    thread = world.thread(number)
    world.forge.answer_once(world.repo, number, thread, "so", "k1")
    for n in range(150):
        github.say(number, f"word {n}")
    world.forge.answer_once(world.repo, number, thread, "so", "k1")
    assert len(github.comments[f"{SLUG}#{number}"]) == 152


def test_a_begun_review_of_this_login_is_in_the_way(
    world: GitHubFollowWorld, github: GitHub
) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    github.say_at(number, "why?", "a", 1)["pending"] = True
    with pytest.raises(ForgeError, match="pending review") as refused:
        world.forge.answer_once(world.repo, number, world.thread(number, "a"), "so", "k1")
    assert "submit or discard" in (refused.value.hint or "")


# --- dress -----------------------------------------------------------------------------------


def test_a_bad_name_does_not_lose_the_others(world: GitHubFollowWorld, github: GitHub) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    github.milestones = [f"m{n}" for n in range(120)]
    wanted = Dressing(
        labels=("big", "x" * 51),
        reviewers=("rita", "nobody", "o/crypto", "o/none", "TESS"),
        assignees=("ruth", "nobody"),
        milestone="m110",
    )
    left = world.forge.dress_pull_request(world.repo, number, wanted)

    assert [word.partition(":")[0] for word in left] == [
        "label " + "x" * 51, "reviewer TESS", "reviewer nobody", "team reviewer none",
        "assignee nobody",
    ]  # fmt: skip
    pull = github.pull(number)
    assert (pull["labels"], pull["assignees"], pull["milestone"]) == (["big"], ["ruth"], "m110")
    assert pull["reviewers"] == ["rita", "o/crypto"]

    other = Dressing(milestone="m1")
    (word,) = world.forge.dress_pull_request(world.repo, number, other)
    assert word == "milestone m1: it has the milestone m110"


def test_who_has_reviewed_is_not_asked_again(world: GitHubFollowWorld, github: GitHub) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    github.review(number, "COMMENTED", "hm", "rita")
    github.review(number, "APPROVED", "", "ruth")
    github.said[f"{SLUG}#{number}"][-1]["teams"] = ["o/crypto"]
    wanted = Dressing(reviewers=("Rita", "ruth", "o/crypto"))
    assert world.forge.dress_pull_request(world.repo, number, wanted) == []
    assert "asked" not in github.pull(number)


def test_one_that_is_closed_does_not_become_ready(world: GitHubFollowWorld) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.close(number)
    with pytest.raises(ForgeError, match="closed"):
        world.forge.mark_ready(world.repo, number)


def test_a_chain_is_linked_where_github_has_stacks(
    world: GitHubFollowWorld, github: GitHub
) -> None:
    world.branch("low", "a")
    world.branch("mid", "b", start="low")
    world.branch("top", "c", start="mid")
    low, mid, top = world.pull("low"), world.pull("mid", "low"), world.pull("top", "mid")
    link = world.forge.link_stack
    assert "has no stacks" in (link(world.repo, [low, mid]) or "")
    github.offers_stacks = True
    forge = GitHubForge()
    for numbers in ([low, mid], [low, mid], [low, mid, top]):
        assert forge.link_stack(world.repo, numbers) is None
    assert [stack["pulls"] for stack in github.stacks[SLUG]] == [[low, mid, top]]
    assert "other pull requests" in (forge.link_stack(world.repo, [low, top]) or "")
    assert forge.link_stack(world.repo, [low]) is not None


def test_a_stack_is_merged_from_below(
    world: GitHubFollowWorld, github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GitHub's merge button does not take them, its other way takes all below with it."""
    monkeypatch.setattr(github_merge, "MERGE_PAUSE", 0.01)
    world.branch("low", "a")
    sha = world.branch("mid", "b", start="low")
    world.branch("top", "c", start="mid")
    low, mid, top = world.pull("low"), world.pull("mid", "low"), world.pull("top", "mid")
    github.offers_stacks = True
    assert world.forge.link_stack(world.repo, [low, mid, top]) is None
    merge = world.forge.merge_pull_request

    with pytest.raises(ForgeError, match=f"#{low} below it in its stack is not merged yet"):
        merge(world.repo, mid, sha=sha)
    head = github.pull(low)["head_sha"]
    assert merge(world.repo, low, sha=head).state is PRState.MERGED
    git(world.clone, "push", "-q", "origin", ":low")
    with pytest.raises(ForgeError, match="Head branch was modified"):
        merge(world.repo, mid, sha=head)
    github.change(mid, merging={"sha": sha})  # by a process that was killed
    monkeypatch.setattr(github_merge, "MERGE_LOOKS", 3)
    with pytest.raises(ForgeAway, match="still being merged"):
        merge(world.repo, mid, sha=sha)
    github.change(mid, merging=None)
    assert merge(world.repo, mid, sha=sha).state is PRState.MERGED
    assert github.pull(top)["state"] == "open"


# --- failures at each call -------------------------------------------------------------------

BUSY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}
KINDS = (
    "graphql", "GET collaborators", "GET actions/jobs", "GET check-runs", "POST actions/jobs",
    "GET commits", "POST statuses", "POST issues/N/comments", "POST pulls/N/comments",
    "GET issues", "POST issues/N/labels", "POST issues/N/assignees", "POST pulls/N/requested",
    "GET milestones", "PATCH issues", "GET pulls", "GET stacks",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 502},
        {"status": 0, "late": True},
        {"status": 403, "headers": {"Retry-After": "1"}, "body": BUSY},
        {"status": 200, "body": "<html>a page of a proxy</html>", "late": True},
    ],
    ids=str,
)
def test_every_call_may_fail_once_and_nothing_is_done_twice(
    world: GitHubFollowWorld, github: GitHub, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
) -> None:
    """What raises because nobody knows whether it was done is done by the same call again."""
    lane = rate_limit.RequestPacer(HOST, 300, wait=lambda _seconds, _stop: False)
    monkeypatch.setattr(rate_limit, "_LANES", {HOST: lane})
    github.milestones = ["m1"]
    forge, repo = world.forge, world.repo
    sha = world.branch("one", "a")
    number = world.pull("one")
    github.report_check(sha, "unit", "FAILURE", log=["boom"])
    github.say(number, "what?", "rita")
    github.say_at(number, "why?", "a", 1)
    for kind in KINDS:
        github.fail(times=1, kind=kind, **fault)
    seen: list[PullRequestFacts] = []

    def dress() -> None:
        wanted = Dressing(("big",), ("ruth", "o/crypto"), ("ruth",), "m1")
        assert forge.dress_pull_request(repo, number, wanted) == []

    def answer() -> None:
        for thread in seen[-1].threads:
            forge.answer_once(repo, number, thread, "so", f"k{thread.path}")

    for act in (
        lambda: seen.append(world.facts(number)),
        lambda: forge.read_check_log(repo, seen[-1].checks[0]),
        lambda: forge.rerun_check(repo, seen[-1].checks[0]),
        lambda: forge.set_commit_status(repo, "c" * 40, "x", StatusState.PENDING, "hm"),
        dress,
        answer,
        lambda: forge.mark_ready(repo, number),
        lambda: forge.link_stack(repo, [number, number]),
        lambda: seen.append(world.facts(number)),
    ):
        for _ in range(3):
            try:
                act()
                break
            except ForgeAway as away:
                assert "not known" in away.message
        else:
            pytest.fail("it does not end")

    assert [fault.times for fault in github.faults] == [0] * len(KINDS)
    before, after = seen
    assert [c.body for t in before.threads for c in t.comments] == ["what?", "why?"]
    assert sorted(c.is_ours for t in after.threads for c in t.comments) == [False] * 2 + [True] * 2
    assert (after.labels, after.pr.draft) == (("big",), False)
    assert after.checks[0].state is CheckState.PENDING
    pull = github.pull(number)
    assert (pull["reviewers"], pull["assignees"]) == (["ruth", "o/crypto"], ["ruth"])
    assert github.statuses["c" * 40]["x"]["state"] == "pending"
