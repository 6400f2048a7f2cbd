"""What GitHub is asked about followed pull requests, what it costs, what its answers mean. Pure."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import parse

from orchestr.forges.answers import mark_said
from orchestr.forges.base import ForgeError
from orchestr.forges.ci_log import find_failed_part, keep_end
from orchestr.forges.followed import CheckState, Mergeability
from orchestr.forges.github_facts import (
    CONNECTIONS,
    BaseQuestion,
    BehindQuestion,
    PageKind,
    PageQuestion,
    PullQuestion,
    Question,
    build_query,
    count_connections,
    count_points,
    is_tolerable,
    take_questions,
)
from orchestr.forges.github_facts_read import FactsReading
from orchestr.forges.github_remote import RepoSlug
from tests.forges.github_stub.cost import Price

SLUG = RepoSlug("github.com", "o", "r")
PULL = PullQuestion(SLUG, 7)
HEAD, TIP = "a" * 40, "b" * 40
WHOLE = {"hasNextPage": False, "endCursor": None, "hasPreviousPage": False, "startCursor": None}
Node = dict[str, Any]


# --- the price -----------------------------------------------------------------------------------


def price(questions: list[Question]) -> Price:
    text, variables = build_query(questions)
    return Price(parse(text), variables)


def pulls(count: int) -> list[Question]:
    return [PullQuestion(SLUG, n) for n in range(1, count + 1)]


def threads(count: int) -> list[Question]:
    return [PageQuestion(f"T{n}", PageKind.COMMENTS) for n in range(count)]


@pytest.mark.parametrize(
    ("questions", "points"),
    [
        (pulls(1), 1),
        (pulls(50), 2),
        ([*pulls(50), BaseQuestion(SLUG, "main"), *threads(47)], 2),
        ([BehindQuestion(SLUG, "main", "x")], 1),
        (threads(200), 2),
    ],
)
def test_the_price_is_what_githubs_formula_says(questions: list[Question], points: int) -> None:
    priced = price(questions)
    assert priced.connections == sum(map(count_connections, questions))
    assert priced.points == count_points(questions) == points
    assert priced.entries < 500_000 / 20


def test_comments_below_threads_would_cost_ten_times_as_much() -> None:
    inside = "comments(last: 50) { nodes { id } }"
    text, variables = build_query(pulls(50))
    text = text.replace("id isResolved", f"id {inside} isResolved")
    assert Price(parse(text), variables).points == 27


def test_a_query_takes_what_three_points_pay_and_leaves_the_rest() -> None:
    now, later = take_questions([*pulls(60), *threads(160)])
    assert len([q for q in now if isinstance(q, PullQuestion)]) == 50
    assert sum(map(count_connections, now)) == CONNECTIONS
    assert count_points(now) == 3
    assert len(now) + len(later) == 220
    assert take_questions(pulls(60), 12)[0] == pulls(12)


# --- reading -------------------------------------------------------------------------------------


def listed(*nodes: Node | None, **info: Any) -> Node:
    return {"nodes": list(nodes), "pageInfo": {**WHOLE, **info}}


def check(name: str, conclusion: str | None = "SUCCESS", **more: Any) -> Node:
    made = {
        "__typename": "CheckRun", "id": f"CR_{name}", "databaseId": 5_000_000_001, "name": name,
        "status": "COMPLETED" if conclusion else "IN_PROGRESS", "conclusion": conclusion,
        "startedAt": "2026-01-02T03:04:05Z", "detailsUrl": "https://ci/1", "permalink": "x/9",
        "title": None, "checkSuite": {"app": {"slug": "ci"}, "workflowRun": None},
        "isRequired": False,
    }  # fmt: skip
    return made | more


def actions(name: str, conclusion: str | None = "SUCCESS", **more: Any) -> Node:
    event = more.pop("event", "push")
    run = {"event": event, "workflow": {"name": "CI"}}
    suite = {"app": {"slug": "github-actions"}, "workflowRun": run}
    return check(name, conclusion, checkSuite=suite, **more)


def rollup(*contexts: Node | None, name: str = "SCR", **info: Any) -> Node:
    return {"id": name, "state": "SUCCESS", "contexts": listed(*contexts, **info)}


def pull(**more: Any) -> Node:
    checks = more.pop("rollup", None)
    made = {
        "id": "PR_7", "number": 7, "url": "https://github.com/o/r/pull/7", "title": "t",
        "body": "b", "state": "OPEN", "isDraft": False, "isCrossRepository": False,
        "createdAt": "2026-01-02T03:04:05Z", "updatedAt": "2026-01-02T03:04:05Z",
        "headRefName": "one", "headRefOid": HEAD, "baseRefName": "main", "reviewDecision": None,
        "mergeable": "MERGEABLE", "mergeStateStatus": "CLEAN",
        "headRef": {"target": {"oid": HEAD, "statusCheckRollup": checks}},
        "baseRef": {"target": {"oid": TIP}}, "labels": listed(), "reviewThreads": listed(),
        "timelineItems": listed(),
    }  # fmt: skip
    return made | more


def said(number: int, login: str = "rita", **more: Any) -> Node:
    made = {
        "__typename": "IssueComment", "id": f"IC_{number}", "body": f"word {number}",
        "url": f"x#discussion_r{number}", "createdAt": "2026-01-02T03:04:05Z",
        "viewerDidAuthor": False, "isMinimized": False, "authorAssociation": "NONE",
        "author": {"__typename": "User", "login": login},
    }  # fmt: skip
    return made | more


def base(**more: Any) -> Node:
    target = {"oid": TIP, "statusCheckRollup": more.pop("rollup", None)}
    return {
        "name": "main",
        "target": target,
        "branchProtectionRule": None,
        "rules": listed(),
    } | more


def answer(node: Node | None) -> Node:
    return {"nameWithOwner": "o/r", "pullRequest": node}


def read(
    node: Node | None, ref: Node | None = None, errors: tuple[Node, ...] = ()
) -> tuple[FactsReading, list[Question]]:
    """A pull request and its base, as one query has them; what is to be asked next."""
    reading = FactsReading()
    data = {"r0": answer(node), "r1": {"nameWithOwner": "o/r", "ref": ref or base()}}
    return reading, reading.read_answers([PULL, BaseQuestion(SLUG, "main")], data, errors)


def facts(reading: FactsReading, access: Any = ()) -> Any:
    return reading.make_facts(PULL, access)


def test_a_pull_request_that_is_gone_is_none() -> None:
    reading, more = read(None)
    assert (facts(reading), more) == (None, [])


def test_the_default_branch_need_not_be_named() -> None:
    reading = FactsReading()
    data = {"r0": answer(pull()), "r1": {"nameWithOwner": "o/r", "ref": base()}}
    assert reading.read_answers([PULL, BaseQuestion(SLUG)], data, ()) == []
    assert facts(reading).base_sha == TIP
    reading = FactsReading()
    other = answer(pull(baseRefName="low"))
    assert reading.read_answers([PULL, BaseQuestion(SLUG)], data | {"r0": other}, ()) == [
        BaseQuestion(SLUG, "low")
    ]


def test_another_form_than_asked_for_is_an_error() -> None:
    broken = pull()
    del broken["mergeable"]
    with pytest.raises(ForgeError, match="cannot be read"):
        facts(read(broken)[0])
    with pytest.raises(ForgeError, match="cannot be read"):
        FactsReading().read_answers([PULL], {"r0": None}, ())


def test_what_was_cut_off_is_asked_for_by_its_owner_and_stands_in_order() -> None:
    reading, more = read(
        pull(
            timelineItems=listed(said(3), said(4), hasPreviousPage=True, startCursor="S"),
            labels=listed({"name": "a"}, hasNextPage=True, endCursor="E"),
            rollup=rollup(check("one"), hasNextPage=True, endCursor="C"),
        )
    )
    assert more == [
        PageQuestion("PR_7", PageKind.LABELS, "E"),
        PageQuestion("PR_7", PageKind.TIMELINE, "S"),
        PageQuestion("SCR", PageKind.CONTEXTS, "C", 7),
    ]
    assert not facts(reading).is_complete

    data = {
        "n0": {"labels": listed({"name": "b"})},
        "n1": {"timelineItems": listed(said(1), said(2))},
        "n2": {"contexts": listed(check("two"))},
    }
    assert reading.read_answers(more, data, ()) == []
    found = facts(reading)
    assert found.is_complete
    assert found.labels == ("a", "b")
    assert [thread.id for thread in found.threads] == ["IC_1", "IC_2", "IC_3", "IC_4"]
    assert [each.name for each in found.checks] == ["one", "two"]


def test_an_entry_that_was_not_delivered_makes_the_answer_incomplete() -> None:
    assert not facts(read(pull(timelineItems=listed(said(1), None)))[0]).is_complete
    assert not facts(read(pull(labels=None))[0]).is_complete
    path = ["r0", "pullRequest", "headRef", "target", "statusCheckRollup"]
    denied = {"type": "FORBIDDEN", "path": path}
    assert not facts(read(pull(), errors=(denied,))[0]).is_complete
    path = ["r1", "ref", "target", "statusCheckRollup"]
    denied = {"type": "FORBIDDEN", "path": path}
    assert not facts(read(pull(), errors=(denied,))[0]).is_complete
    optional = {"type": "FORBIDDEN", "path": ["r1", "ref", "branchProtectionRule"]}
    assert facts(read(pull(), errors=(optional,))[0]).is_complete


def test_a_head_that_the_branch_has_left_has_no_checks_yet() -> None:
    """For a moment after a push the branch is ahead of its pull request."""
    behind = pull(rollup=rollup(check("one")), headRefOid="c" * 40)
    found = facts(read(behind)[0])
    assert (found.checks, found.is_complete) == ((), False)


def test_one_commit_is_required_of_differently_by_two_pull_requests() -> None:
    """The head of the lower one of a stack is the base of the upper one: one list of checks."""
    reading, _ = read(
        pull(rollup=rollup(check("one", isRequired=True))), base(rollup=rollup(check("one")))
    )
    reading.bases[SLUG, "main"]["target"]["statusCheckRollup"]["contexts"]["nodes"][0].pop(
        "isRequired"
    )
    found = facts(reading)
    assert (found.checks[0].is_required, found.base_checks[0].is_required) == (True, None)


@pytest.mark.parametrize(
    ("conclusion", "state"),
    [
        ("SUCCESS", CheckState.SUCCESS), ("NEUTRAL", CheckState.SUCCESS),
        ("SKIPPED", CheckState.SUCCESS), ("CANCELLED", CheckState.CANCELLED),
        ("STALE", CheckState.CANCELLED), ("FAILURE", CheckState.FAILURE),
        ("TIMED_OUT", CheckState.FAILURE), ("ACTION_REQUIRED", CheckState.FAILURE),
        ("STARTUP_FAILURE", CheckState.FAILURE), (None, CheckState.PENDING),
    ],
)  # fmt: skip
def test_how_a_check_ended(conclusion: str | None, state: CheckState) -> None:
    (found,) = facts(read(pull(rollup=rollup(check("one", conclusion))))[0]).checks
    assert found.state is state


def test_of_two_runs_of_a_check_the_newest_counts() -> None:
    old = actions("t (java@main-main)", "FAILURE", id="CR_old", startedAt="2026-01-02T03:04:05Z")
    new = actions("t (java@main-main)", "SUCCESS", id="CR_new", startedAt="2026-01-02T04:04:05Z")
    other = actions("t (java@main-main)", None, event="pull_request")
    found = facts(read(pull(rollup=rollup(new, old, other)))[0]).checks
    name = "CI / t (java@main-main)"
    assert [(each.name, each.state) for each in found] == [
        (name, CheckState.SUCCESS),
        (name, CheckState.PENDING),
    ]
    assert found[0].id == "job/5000000001"


def test_statuses_are_checks_but_our_own_is_not() -> None:
    status = {"__typename": "StatusContext", "context": "buildkite", "state": "ERROR",
              "targetUrl": None, "description": "red", "isRequired": True}  # fmt: skip
    ours = status | {"context": "orchestr/feature", "state": "PENDING"}
    reading, _ = read(pull(rollup=rollup(status, ours)))
    (found,) = facts(reading).checks
    assert (found.name, found.state, found.id, found.is_required, found.summary) == (
        "buildkite", CheckState.FAILURE, "", True, "red",
    )  # fmt: skip
    assert facts(reading).pr.checks == "failure"
    assert facts(read(pull(rollup=rollup(ours)))[0]).pr.checks is None
    assert reading.find_own_statuses() == [(SLUG, HEAD, ("pending", "red"))]


def test_places_of_a_red_check_are_asked_for_once() -> None:
    red = rollup(actions("unit", "FAILURE"), actions("lint"))
    reading, more = read(pull(rollup=red))
    assert more == [PageQuestion("CR_unit", PageKind.ANNOTATIONS)]
    place = {"path": "a.py", "message": "boom", "title": "E1", "annotationLevel": "FAILURE",
             "location": {"start": {"line": 3}}}  # fmt: skip
    noise = place | {"path": ".github", "message": "Process completed with exit code 1."}
    warning = place | {"annotationLevel": "WARNING"}
    page = {"n0": {"summary": "s", "annotations": listed(noise, warning, place)}}
    assert reading.read_answers(more, page, ()) == []
    unit = facts(reading).checks[0]
    assert [(a.path, a.line, a.message) for a in unit.annotations] == [("a.py", 3, "E1: boom")]
    assert unit.summary == "s"

    later = FactsReading(kept=reading.find_lasting())
    data = {"r0": answer(pull(rollup=red)), "r1": {"nameWithOwner": "o/r", "ref": base()}}
    assert later.read_answers([PULL, BaseQuestion(SLUG, "main")], data, ()) == []
    assert facts(later) == facts(reading)


def thread(*, resolved: bool = False) -> Node:
    return {"id": "T", "isResolved": resolved, "path": "a", "line": None, "originalLine": 4}


def test_the_comments_of_a_resolved_thread_are_asked_for_until_it_is_open_again() -> None:
    reading, more = read(pull(reviewThreads=listed(thread(resolved=True))))
    assert more == [PageQuestion("T", PageKind.COMMENTS)]
    comments = [
        said(1, state="SUBMITTED", pullRequestReview={"authorCanPushToRepository": True}),
        said(2, state="PENDING", pullRequestReview=None),
        said(3, state="SUBMITTED", isMinimized=True, pullRequestReview=None),
    ]
    reading.read_answers(more, {"n0": {"comments": listed(*comments)}}, ())
    (found,) = facts(reading).threads
    assert [(c.id, c.may_write) for c in found.comments] == [("IC_1", True)]
    assert (found.line, found.is_resolved) == (4, True)

    for resolved, asked in ((True, []), (False, more)):
        again = FactsReading(kept=reading.find_lasting())
        node = pull(reviewThreads=listed(thread(resolved=resolved)))
        data = {"r0": answer(node), "r1": {"nameWithOwner": "o/r", "ref": base()}}
        assert again.read_answers([PULL, BaseQuestion(SLUG, "main")], data, ()) == asked


def test_who_may_write_is_not_read_from_an_association() -> None:
    unsure = ("MEMBER", "COLLABORATOR", "CONTRIBUTOR")
    nodes = [
        said(n, f"u{n}", authorAssociation=a) for n, a in enumerate((*unsure, "OWNER", "NONE"))
    ]
    bot = {"__typename": "Bot", "login": "renovate"}
    nodes += [
        said(5, author=bot, authorAssociation="CONTRIBUTOR"),
        said(6, "me", viewerDidAuthor=True, body=mark_said("ours")),
        said(7, author=None, authorAssociation="MEMBER"),
        said(8, "hidden", isMinimized=True, authorAssociation="MEMBER"),
    ]
    reading, _ = read(pull(timelineItems=listed(*nodes)))
    assert reading.find_unsure_authors() == [(SLUG, "u0"), (SLUG, "u1"), (SLUG, "u2")]
    found = [t.comments[0] for t in facts(reading, {(SLUG, "u1")}).threads]
    assert [c.author for c in found if c.may_write] == ["u1", "u3", "me"]
    assert [(c.author, c.is_bot, c.is_ours) for c in found[5:]] == [
        ("renovate[bot]", True, False), ("me", False, True), ("", False, False),
    ]  # fmt: skip


def test_a_person_with_the_login_of_gh_is_not_orchestr() -> None:
    """Who has one login reviews under it what orchestr wrote under it: that counts."""
    nodes = [said(1, "me", viewerDidAuthor=True), said(2, "rita", body=mark_said("forged"))]
    found = [t.comments[0] for t in facts(read(pull(timelineItems=listed(*nodes)))[0]).threads]
    assert [(c.is_ours, c.may_write) for c in found] == [(False, True), (False, False)]


@pytest.mark.parametrize(
    ("mergeable", "state", "found"),
    [
        ("MERGEABLE", "CLEAN", Mergeability.CLEAN),
        ("MERGEABLE", "UNSTABLE", Mergeability.CLEAN),
        ("MERGEABLE", "BLOCKED", Mergeability.CLEAN),
        ("MERGEABLE", "BEHIND", Mergeability.BEHIND),
        ("MERGEABLE", "UNKNOWN", Mergeability.UNKNOWN),
        ("CONFLICTING", "DIRTY", Mergeability.CONFLICTING),
        ("UNKNOWN", "UNKNOWN", Mergeability.UNKNOWN),
    ],
)
def test_mergeability(mergeable: str, state: str, found: Mergeability) -> None:
    node = pull(mergeable=mergeable, mergeStateStatus=state)
    assert facts(read(node)[0]).mergeability is found


STRICT_RULE = {"branchProtectionRule": {"requiresStrictStatusChecks": True}}
STRICT_RULESET = {"rules": listed({"parameters": {"strictRequiredStatusChecksPolicy": True}})}


@pytest.mark.parametrize("strict", [STRICT_RULE, STRICT_RULESET])
@pytest.mark.parametrize("state", ["BLOCKED", "DRAFT"])
def test_that_it_is_behind_is_seen_through_other_reasons(strict: Node, state: str) -> None:
    """GitHub shows one reason: a draft, or one without its review, is never BEHIND."""
    node = pull(mergeStateStatus=state)
    assert read(node)[0].find_masked_branches() == []
    reading, _ = read(node, base(**strict))
    asked = reading.find_masked_branches()
    assert asked == [BehindQuestion(SLUG, "main", "one")]
    ends = {"behindBy": 2, "baseTarget": {"oid": TIP}, "headTarget": {"oid": HEAD}}
    answered = {"r0": {"nameWithOwner": "o/r", "ref": {"compare": ends}}}
    reading.read_answers(asked, answered, ())
    assert facts(reading).mergeability is Mergeability.BEHIND
    assert reading.find_masked_branches() == []


def test_who_closed_it() -> None:
    events = [
        {"__typename": "ClosedEvent", "createdAt": "x",
         "actor": {"__typename": kind, "login": name}}
        for kind, name in (("User", "rita"), ("Bot", "stale"))
    ]  # fmt: skip
    assert facts(read(pull(timelineItems=listed(*events)))[0]).closed_by == ""
    closed = pull(state="CLOSED", timelineItems=listed(*events))
    assert facts(read(closed)[0]).closed_by == "stale[bot]"


@pytest.mark.parametrize(
    ("error", "tolerable"),
    [
        ({"type": "NOT_FOUND", "path": ["r3", "pullRequest"]}, True),
        ({"type": "NOT_FOUND", "path": ["n3"]}, True),
        ({"type": "NOT_FOUND", "path": ["r3"]}, False),
        ({"type": "FORBIDDEN", "path": ["r3", "pullRequest", "headRef"]}, True),
        ({"type": "FORBIDDEN", "path": ["r3"]}, False),
        ({"message": "Something went wrong"}, False),
        ({"type": "RATE_LIMITED", "path": ["r3", "pullRequest"]}, False),
        ("text", False),
    ],
)
def test_which_errors_leave_the_rest_good(error: Any, tolerable: bool) -> None:
    assert is_tolerable(error) is tolerable


# --- logs ----------------------------------------------------------------------------------------


def stamped(*lines: str) -> str:
    return "\ufeff" + "".join(f"2026-01-02T03:04:05.{n:07d}Z {x}\r\n" for n, x in enumerate(lines))


def test_of_a_log_the_failed_steps_are_kept() -> None:
    log = stamped(
        "##[group]Run setup", "##[endgroup]", "fine",
        "##[group]Run make test", "##[endgroup]", "\x1b[31mcompiling\x1b[0m",
        "##[group]details", "a.py:3: boom", "##[endgroup]", "##[error]first",
        "more", "##[error]Process completed with exit code 2.", "trailing",
        "Post job cleanup.", "##[warning]later",
    )  # fmt: skip
    assert find_failed_part(log).split("\n") == [
        "##[group]Run make test", "##[endgroup]", "compiling", "##[group]details",
        "a.py:3: boom", "##[endgroup]", "##[error]first", "more",
        "##[error]Process completed with exit code 2.",
    ]  # fmt: skip
    assert find_failed_part(stamped("one", "two")) == "one\ntwo"
    assert find_failed_part("") == ""


def test_a_long_text_keeps_its_end_from_a_line_on() -> None:
    assert keep_end("short", 100) == "short"
    assert keep_end("ü" * 40 + "\nend ü\n", 20) == "end ü\n"
