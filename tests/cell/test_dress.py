"""What a pull request is given beside its text: decided from options and what it got before."""

from __future__ import annotations

from orchestr.cell.phases.link_pull_requests import find_chains
from orchestr.cell.pull_request.dress import plan_dressing
from orchestr.forges.followed import Dressing
from orchestr.spec.pull_request import PullRequestOptions, join_options

OPTIONS = PullRequestOptions(("a", "b"), ("ann",), ("bob",), "v2", ready=True)


def test_everything_is_added_once() -> None:
    plan = plan_dressing(OPTIONS, given=(), is_draft=True, is_green=True)
    assert plan.dressing == Dressing(("a", "b"), ("ann",), ("bob",), "v2") and plan.mark_ready
    assert plan.items == (
        "label a", "label b", "reviewer ann", "assignee bob", "milestone v2", "ready",
    )  # fmt: skip
    assert not plan_dressing(OPTIONS, given=plan.items, is_draft=True, is_green=True)


def test_only_what_is_new_is_added() -> None:
    given = ("label a", "reviewer ann", "assignee bob", "milestone v1", "ready")
    plan = plan_dressing(OPTIONS, given=given, is_draft=True, is_green=True)
    assert plan.items == ("label b", "milestone v2")
    assert plan.dressing == Dressing(("b",), milestone="v2") and not plan.mark_ready


def test_ready_waits_for_green_evidence_and_is_not_asked_of_what_is_ready() -> None:
    options = PullRequestOptions(ready=True)
    assert not plan_dressing(options, given=(), is_draft=True, is_green=False)
    plan = plan_dressing(options, given=(), is_draft=False, is_green=True)
    assert plan.items == ("ready",) and not plan.mark_ready


def test_lists_of_all_levels_are_joined_the_last_of_the_others_counts() -> None:
    levels = [
        PullRequestOptions(("a",), milestone="v1"),
        PullRequestOptions(("b", "a"), ready=True),
    ]
    assert join_options(levels) == PullRequestOptions(("a", "b"), milestone="v1", ready=True)
    assert not join_options([PullRequestOptions()])


def test_chains_are_told_from_the_bottom_and_end_at_a_fork() -> None:
    stacks = {"a": (), "b": ("a",), "c": ("b",), "d": ("c",), "e": ("c",), "f": ("e",), "g": ("x",)}
    assert find_chains(stacks, stacks) == [("a", "b", "c"), ("e", "f")]
    assert find_chains(stacks, {"b", "c", "f"}) == [("b", "c")]
    assert find_chains({"a": (), "m": ("a", "b"), "b": ()}, {"a", "m", "b"}) == []
