"""What the forge wants before a change lands, decided from facts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestr.forges.base import PRState, PullRequest
from orchestr.forges.followed import (
    CheckState,
    CiCheck,
    Comment,
    PullRequestFacts,
    PullRequestReview,
    Thread,
    Verdict,
)
from orchestr.forges.github_protection import parse_branch_rules
from orchestr.forges.protection import BranchRules
from orchestr.landing.codeowners import find_owners, parse_codeowners
from orchestr.landing.requirements import (
    Ownership,
    Requirement,
    describe_unmet,
    find_unmet,
    list_optional_red,
)

PR = PullRequest(7, "u", "t", "", "b", "main", "1" * 40, True, PRState.OPEN, "", "")
FACTS = PullRequestFacts(PR, "n")
RED, GREEN = CheckState.FAILURE, CheckState.SUCCESS


def checks(**states: CheckState) -> PullRequestFacts:
    return replace(FACTS, checks=tuple(CiCheck(f"CI / {n}", s) for n, s in states.items()))


def reviewed(*verdicts: tuple[str, Verdict], may_write: bool = True) -> PullRequestFacts:
    found = [
        PullRequestReview(verdict, Comment("c", who, "", "", may_write=may_write))
        for who, verdict in verdicts
    ]
    return replace(FACTS, reviews=tuple(found))


def unmet(facts: PullRequestFacts, rules: BranchRules | None = None, *wanted: str) -> list[str]:
    found = find_unmet(facts, "main", rules or BranchRules(), {Requirement(w) for w in wanted})
    return [f"{one.requirement}: {one.text}{' (pending)' * one.is_pending}" for one in found]


def test_without_protection_nothing_is_wanted() -> None:
    facts = checks(test=RED, lint=CheckState.PENDING)
    assert unmet(facts) == []
    assert list_optional_red(facts, BranchRules()) == ["CI / test"]


def test_required_checks_are_green_or_wanted() -> None:
    rules = BranchRules(checks=("test", "docs"))
    assert unmet(checks(test=GREEN, docs=GREEN, lint=RED), rules) == []
    assert unmet(checks(test=RED, lint=RED), rules) == [
        "checks: red: CI / test",
        "checks: not reported yet: docs (pending)",
    ]
    pending = checks(test=CheckState.PENDING, docs=GREEN)
    assert unmet(pending, rules) == ["checks: still at work: CI / test (pending)"]
    by_forge = replace(FACTS, checks=(CiCheck("x", RED, is_required=True),))
    assert unmet(by_forge) == ["checks: red: x"]


def test_the_setting_wants_every_check_and_at_least_one() -> None:
    assert unmet(checks(lint=RED), None, "checks") == ["checks: red: CI / lint"]
    assert unmet(FACTS, None, "checks") == ["checks: no check has reported yet (pending)"]


def test_who_asks_for_changes_is_heard_without_any_rule() -> None:
    no, yes = Verdict.CHANGES_REQUESTED, Verdict.APPROVED
    assert unmet(reviewed(("rita", no))) == ["approval: changes were requested by rita"]
    assert unmet(reviewed(("rita", no), ("rita", Verdict.COMMENTED))) != []
    assert unmet(reviewed(("rita", no), ("rita", yes))) == []
    assert unmet(reviewed(("rita", no), ("rita", Verdict.DISMISSED))) == []
    assert unmet(reviewed(("passer-by", no), may_write=False)) == []


def test_approvals_are_counted_against_the_rules_of_the_target() -> None:
    rules = BranchRules(approvals=2)
    one = reviewed(("rita", Verdict.APPROVED))
    assert unmet(one, rules) == ["approval: 1 of 2 approving reviews"]
    assert unmet(reviewed(("rita", Verdict.APPROVED), ("ruth", Verdict.APPROVED)), rules) == []
    assert unmet(FACTS, None, "approval") == ["approval: 0 of 1 approving review"]
    stacked = replace(one, pr=replace(PR, base="low", review="approved"))
    assert unmet(stacked, rules) == ["approval: 1 of 2 approving reviews"]
    summed = replace(FACTS, pr=replace(PR, review="review_required"))
    assert unmet(summed, BranchRules(is_known=False)) == ["approval: a review is required"]


def test_conversations_at_places_are_resolved() -> None:
    said = (Comment("c", "rita", "why?", ""),)
    facts = replace(FACTS, threads=(Thread("t", said, "a.py", 3), Thread("g", said)))
    assert unmet(facts) == []
    text = "conversations: 1 conversation is not resolved, the first at a.py:3"
    assert unmet(facts, BranchRules(conversations=True)) == [text]
    assert unmet(facts, None, "conversations") == [text]
    done = replace(facts, threads=(Thread("t", said, "a.py", 3, is_resolved=True),))
    assert unmet(done, None, "conversations") == []


API = "api/x.go waits for an owner: @rita, @o/crypto"
WEB = "web/y.js waits for an owner: @web"


@pytest.mark.parametrize(
    ("approver", "missing"),
    [
        ("", [API, WEB]),
        ("rita", [WEB]),
        ("ruth", [WEB]),  # speaks for o/crypto
        ("web", [API]),
    ],
)
def test_owners_of_the_changed_paths(approver: str, missing: list[str]) -> None:
    lines = parse_codeowners("* @all\n/api/ @rita @o/crypto # hot\nweb/ @web\n/docs/\n!x @no\n")
    paths = frozenset({"api/x.go", "web/y.js", "docs/z.md"})
    owners = Ownership(tuple(lines), paths, {"ruth": {"o/crypto"}})
    facts = reviewed((approver, Verdict.APPROVED)) if approver else FACTS
    found = find_unmet(facts, "main", BranchRules(), {Requirement.CODEOWNERS}, owners)
    assert [one.text for one in found] == missing


@pytest.mark.parametrize(
    ("line", "path", "is_owned"),
    [
        ("docs/* @rita", "docs/a.md", True),
        ("docs/* @rita", "docs/deep/a.md", False),  # gitignore would say yes
        ("docs/ @rita", "docs/deep/a.md", True),
        (r"my\ docs/ @rita", "my docs/a.md", True),
        ("broken\\ @rita", "broken", False),
        ("/*  @rita", "a.md", True),
        ("/*  @rita", "docs/a.md", False),
    ],
)
def test_patterns_are_read_as_the_forge_reads_them(line: str, path: str, is_owned: bool) -> None:
    assert bool(find_owners(parse_codeowners(line), path)) is is_owned


def test_a_locked_branch_and_an_answer_with_gaps() -> None:
    assert unmet(FACTS, BranchRules(is_locked=True)) == [
        "checks: main is locked: nothing may be merged there"
    ]
    gaps = replace(FACTS, is_complete=False)
    assert unmet(gaps) == []  # nothing is wanted, so nothing is missed
    assert unmet(gaps, BranchRules(is_known=False)) == []  # the forge's own button says what lacks
    assert "pending" in unmet(gaps, BranchRules(conversations=True))[0]
    approved = replace(gaps, pr=replace(PR, review="approved"))
    assert unmet(approved, BranchRules(approvals=1)) == []  # the forge has counted
    assert unmet(gaps, BranchRules(approvals=1))[0].startswith("checks: the forge did not show")
    text = describe_unmet("URL", find_unmet(checks(a=RED), "main", BranchRules(("a",))))
    assert text == "the forge is not done with URL: checks: red: CI / a"


def test_both_kinds_of_protection_are_read_as_one() -> None:
    rule = {"requiresStatusChecks": True, "requiredStatusCheckContexts": ["test"],
            "requiresApprovingReviews": False, "requiredApprovingReviewCount": 3,
            "requiresCodeOwnerReviews": True, "requiresConversationResolution": False,
            "lockBranch": False}  # fmt: skip
    rules = [
        {"parameters": {"requiredStatusChecks": [{"context": "test"}, {"context": "docs"}]}},
        {"parameters": None},
        {"parameters": {"requiredApprovingReviewCount": 1, "requireCodeOwnerReview": True,
                        "requiredReviewThreadResolution": True}},
    ]  # fmt: skip
    ref = {"branchProtectionRule": rule, "rules": {"nodes": rules}}
    found = parse_branch_rules({"repository": {"ref": ref}})
    assert found == BranchRules(("test", "docs"), 1, True, True)
    assert parse_branch_rules({"repository": {"ref": None}}) == BranchRules()
