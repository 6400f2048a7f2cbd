"""What the phases decide, as tables. No files, no git."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from orchestr.cell.approval import APPROVED, REFUSED, ApprovalDecision
from orchestr.cell.phases import check, implement, plan, publish, review, worktree
from orchestr.cell.phases.check import CheckInputs, CheckStep
from orchestr.cell.phases.implement import ImplementInputs, ImplementStep
from orchestr.cell.phases.plan import PlanInputs, PlanStep
from orchestr.cell.phases.publish import PublishInputs, PublishStep
from orchestr.cell.phases.review import ReviewInputs, ReviewStep
from orchestr.cell.phases.worktree import WorktreeInputs, WorktreeStep
from orchestr.cell.record import CellRecord
from orchestr.forges.base import PRState, PullRequest
from orchestr.git.repo import CommitId
from orchestr.state.attempts import Attempt
from orchestr.state.results import (
    NO_PR,
    Evidence,
    HeadRecord,
    ImplementOutcome,
    ImplementRecord,
    PlanRecord,
    PublishRecord,
    WorktreeMarker,
)

HEAD, TREE, BASE = "h" * 40, "t" * 40, "b" * 40
URL = "local://app/pull/1"
MARKER = WorktreeMarker("F-1-api", BASE, "main", {}, "w")
DONE = ImplementRecord("k", HEAD, TREE, BASE, ImplementOutcome.CHANGED, 1)
ADOPTED = replace(DONE, outcome=ImplementOutcome.ADOPTED)
GREEN = Evidence(HEAD, "c", (), HEAD)
ACCEPTED = Evidence(HEAD, "r", (), HEAD)
AGREED = HeadRecord(HEAD, TREE, BASE, "F-1-api", ImplementOutcome.CHANGED)
UNCHANGED = replace(AGREED, outcome=ImplementOutcome.NO_CHANGE_NEEDED)
MOVED = "something was red, and its branch has moved since"

BUILT: dict[str, Any] = {"marker": MARKER, "implemented": DONE}
CHECKED = {**BUILT, "checks": GREEN}
REVIEWED = {**CHECKED, "review": ACCEPTED, "head": AGREED, "tree": TREE}
PUBLISHED = {**REVIEWED, "published": PublishRecord("p", HEAD, URL), "url": URL}


def pull_request(state: PRState, head: str = HEAD) -> PullRequest:
    return PullRequest(
        number=1,
        url=URL,
        title="",
        body="",
        head="F-1-api",
        base="main",
        head_sha=head,
        draft=False,
        state=state,
        created_at="2026-01-01T00:00:00+00:00",
        updated_at="2026-01-01T00:00:00+00:00",
    )


STACKED = replace(MARKER, upstreams={"low": TREE})
NO_MARKER = "it has no worktree marker yet"


@pytest.mark.parametrize(
    ("record", "inputs", "step", "why"),
    [
        ({}, {}, WorktreeStep.MAKE, NO_MARKER),
        ({}, {"is_push": True}, WorktreeStep.RECORD_CHECKOUT, NO_MARKER),
        ({}, {"pr": pull_request(PRState.OPEN)}, WorktreeStep.ADOPT, NO_MARKER),
        ({}, {"trees": {"low": None}}, WorktreeStep.BLOCKED, NO_MARKER),
        ({}, {"trees": {"low": None}, "ignore_deps": True}, WorktreeStep.MAKE, NO_MARKER),
        (
            {},
            {"trees": {"low": None}, "pr": pull_request(PRState.MERGED)},
            WorktreeStep.ADOPT,
            NO_MARKER,
        ),
        ({"marker": MARKER}, {}, WorktreeStep.KEEP, None),
        ({"marker": STACKED}, {"trees": {"low": TREE}}, WorktreeStep.KEEP, None),
        ({"marker": MARKER}, {"track_base": True}, WorktreeStep.MAKE, None),
        (
            {"marker": MARKER},
            {"key": "other"},
            WorktreeStep.MAKE,
            "repository, branch, base or set-up changed",
        ),
        (
            {"marker": STACKED},
            {"trees": {"low": None}},
            WorktreeStep.BLOCKED,
            "upstream low has no result yet",
        ),
        (
            {"marker": STACKED},
            {"trees": {"low": HEAD}},
            WorktreeStep.MAKE,
            "upstream low has another tree",
        ),
        ({"marker": STACKED}, {}, WorktreeStep.MAKE, "its upstreams changed"),
        (
            {"marker": MARKER, "fresh_request": "r"},
            {},
            WorktreeStep.MAKE,
            "it starts again from the base",
        ),
    ],
)
def test_worktree(
    record: dict[str, Any], inputs: dict[str, Any], step: WorktreeStep, why: str | None
) -> None:
    given = WorktreeInputs(**{"key": "w", "trees": {}, **inputs})
    decision = worktree.decide(CellRecord.from_values(**record), given)
    assert (decision.step, decision.why) == (step, why)


PLANNED = {"marker": MARKER, "planned": PlanRecord("k", "d", 1)}
OPEN_PLAN = Attempt(-1, "pk", "sh", BASE)
CLOSED_PLAN = replace(OPEN_PLAN, state="closed", outcome="done")
YES = ApprovalDecision("plan", APPROVED, "d", "1")
NO = ApprovalDecision("plan", REFUSED, "d", "2")
GOES_ON = "plan 1 was interrupted and goes on"
WAITS = "its plan waits for your approval"


@pytest.mark.parametrize(
    ("record", "inputs", "step", "why"),
    [
        ({}, {}, PlanStep.CANNOT, "its worktree is not made yet"),
        ({"marker": MARKER}, {"text": None}, PlanStep.MAKE, "it was not planned yet"),
        ({"marker": MARKER, "newest_plan": OPEN_PLAN}, {}, PlanStep.MAKE, GOES_ON),
        (
            {"marker": MARKER, "newest_plan": CLOSED_PLAN},
            {},
            PlanStep.MAKE,
            "it was not planned yet",
        ),
        ({"marker": MARKER}, {"needs_none": True}, PlanStep.RECORD_NONE, None),
        ({**PLANNED, "planned": PlanRecord("k", "")}, {"text": ""}, PlanStep.KEEP, None),
        (PLANNED, {}, PlanStep.ASK, WAITS),
        (PLANNED, {"said": YES}, PlanStep.KEEP, None),
        (PLANNED, {"said": YES, "value": "edited"}, PlanStep.ASK, WAITS),
        (PLANNED, {"said": replace(YES, digest="edited"), "value": "edited"}, PlanStep.ASK, WAITS),
        (PLANNED, {"key": "other"}, PlanStep.MAKE, "its todo or what it builds on changed"),
        (PLANNED, {"text": None}, PlanStep.MAKE, "its plan.md is missing"),
        (PLANNED, {"said": NO}, PlanStep.MAKE, "its plan was refused"),
        (
            {**PLANNED, "planned": PlanRecord("k", "d", 2, answers=NO.at)},
            {"said": NO},
            PlanStep.ASK,
            WAITS,
        ),
        ({**PLANNED, "newest_plan": OPEN_PLAN}, {}, PlanStep.END_OPEN, GOES_ON),
        ({**PLANNED, "newest_plan": OPEN_PLAN}, {"said": NO}, PlanStep.MAKE, GOES_ON),
    ],
)
def test_plan(
    record: dict[str, Any], inputs: dict[str, Any], step: PlanStep, why: str | None
) -> None:
    given = PlanInputs(**{"key": "k", "text": "do it", "value": "d", **inputs})
    decision = plan.decide(CellRecord.from_values(**record), given)
    assert (decision.step, decision.why) == (step, why)


OPEN = Attempt(1, "k", "sh", BASE)
FAILED = replace(OPEN, state="closed", outcome="failed")
ENDED = replace(OPEN, state="closed", outcome="done")
MINE = CommitId("m" * 40)
TAKES = f"a person's commit {MINE[:12]} is on its branch and becomes its head"
PUSHED = "somebody pushed commits to its branch"
CHANGED = "its todo, agent, owned_paths or what it builds on changed"
WITHOUT = {"marker": MARKER}


@pytest.mark.parametrize(
    ("record", "inputs", "step", "why"),
    [
        ({}, {}, ImplementStep.CANNOT, "its worktree is not made yet"),
        (WITHOUT, {}, ImplementStep.ATTEMPT, "it was not done yet"),
        (WITHOUT, {"by_hand": True}, ImplementStep.RECORD, "it was not done yet"),
        (
            WITHOUT,
            {"pr": pull_request(PRState.OPEN)},
            ImplementStep.ADOPT,
            "it was not done yet",
        ),
        (WITHOUT, {"person_commit": MINE}, ImplementStep.TAKE, TAKES),
        (
            {**WITHOUT, "newest_attempt": OPEN},
            {"pr": pull_request(PRState.OPEN)},
            ImplementStep.ATTEMPT,
            "attempt 1 was interrupted and goes on",
        ),
        ({**WITHOUT, "newest_attempt": FAILED}, {}, ImplementStep.ATTEMPT,
         "attempt 1 ended as failed"),
        ({**WITHOUT, "newest_attempt": FAILED}, {"person_commit": MINE}, ImplementStep.TAKE, TAKES),
        (
            {**WITHOUT, "newest_attempt": FAILED},
            {"amended_by": "low"},
            ImplementStep.ATTEMPT,
            "it waits for low to amend a contract",
        ),
        ({**WITHOUT, "newest_attempt": ENDED}, {}, ImplementStep.ATTEMPT, "its result was removed"),
        (BUILT, {}, ImplementStep.KEEP, None),
        ({**BUILT, "newest_attempt": OPEN}, {}, ImplementStep.KEEP, None),
        (BUILT, {"person_commit": MINE, "pushed": HEAD}, ImplementStep.TAKE, TAKES),
        (BUILT, {"pushed": MINE}, ImplementStep.TAKE_PUSHED, PUSHED),
        (BUILT, {"key": "other"}, ImplementStep.ATTEMPT, CHANGED),
        (BUILT, {"key": "other", "by_hand": True}, ImplementStep.RECORD, CHANGED),
        (
            BUILT,
            {"key": "other", "taken_base": MINE},
            ImplementStep.MOVE_BASE,
            f"a person's commit was taken with the newer base {MINE[:12]}",
        ),
    ],
)  # fmt: skip
def test_implement(
    record: dict[str, Any], inputs: dict[str, Any], step: ImplementStep, why: str | None
) -> None:
    given = ImplementInputs(**{"key": "k", **inputs})
    decision = implement.decide(CellRecord.from_values(**record), given)
    assert (decision.step, decision.why) == (step, why)


@pytest.mark.parametrize(
    ("record", "inputs", "step", "why"),
    [
        ({}, {}, CheckStep.CANNOT, "there is nothing to check yet"),
        ({"implemented": DONE}, {}, CheckStep.CANNOT, "it was not checked yet"),
        (BUILT, {}, CheckStep.CHECK, "it was not checked yet"),
        (BUILT, {"has_checks": False}, CheckStep.PASS_THROUGH, "it was not checked yet"),
        ({**BUILT, "implemented": ADOPTED}, {}, CheckStep.PASS_THROUGH, "it was not checked yet"),
        (CHECKED, {}, CheckStep.KEEP, None),
        (CHECKED, {"key": "other"}, CheckStep.CHECK, "its checks changed"),
        (
            {**CHECKED, "checks": replace(GREEN, origin="old")},
            {},
            CheckStep.CHECK,
            "its evidence is for another head",
        ),
        (CHECKED, {"moved": MOVED}, CheckStep.CHECK, MOVED),
    ],
)
def test_check(
    record: dict[str, Any], inputs: dict[str, Any], step: CheckStep, why: str | None
) -> None:
    given = CheckInputs(**{"key": "c", "has_checks": True, **inputs})
    decision = check.decide(CellRecord.from_values(**record), given)
    assert (decision.step, decision.why) == (step, why)


@pytest.mark.parametrize(
    ("record", "inputs", "step", "why"),
    [
        ({}, {}, ReviewStep.CANNOT, "there is nothing to review yet"),
        (BUILT, {}, ReviewStep.CANNOT, "there is nothing to review yet"),
        (CHECKED, {}, ReviewStep.REVIEW, "it was not reviewed yet"),
        (CHECKED, {"has_reviewers": False}, ReviewStep.PASS_THROUGH, "it was not reviewed yet"),
        (
            {**CHECKED, "implemented": ADOPTED},
            {},
            ReviewStep.PASS_THROUGH,
            "it was not reviewed yet",
        ),
        (
            {**CHECKED, "implemented": replace(DONE, base=HEAD)},  # no change was needed
            {},
            ReviewStep.PASS_THROUGH,
            "it was not reviewed yet",
        ),
        (
            {**CHECKED, "checks": replace(GREEN, origin="old")},
            {},
            ReviewStep.CANNOT,
            "it was not reviewed yet",
        ),
        (REVIEWED, {}, ReviewStep.KEEP, None),
        (REVIEWED, {"key": "other"}, ReviewStep.REVIEW, "its reviewers changed"),
        (
            {**REVIEWED, "review": replace(ACCEPTED, origin="old")},
            {},
            ReviewStep.REVIEW,
            "its verdict is for another head",
        ),
        ({**REVIEWED, "tree": None}, {}, ReviewStep.RESTORE, "its head or tree file is missing"),
        ({**REVIEWED, "head": None}, {}, ReviewStep.RESTORE, "its head or tree file is missing"),
        (REVIEWED, {"moved": MOVED}, ReviewStep.REVIEW, MOVED),
        (
            {**REVIEWED, "tree": None},
            {"moved": MOVED},
            ReviewStep.REVIEW,
            "its head or tree file is missing",
        ),
    ],
)
def test_review(
    record: dict[str, Any], inputs: dict[str, Any], step: ReviewStep, why: str | None
) -> None:
    given = ReviewInputs(**{"key": "r", "has_reviewers": True, **inputs})
    decision = review.decide(CellRecord.from_values(**record), given)
    assert (decision.step, decision.why) == (step, why)


@pytest.mark.parametrize(
    ("record", "prs", "inputs", "step", "why"),
    [
        ({}, (), {}, PublishStep.CANNOT, "it has no head to publish yet"),
        (REVIEWED, (), {}, PublishStep.PUSH, "it was not published yet"),
        (REVIEWED, (), {"listed": False}, PublishStep.SKIP, "it was not published yet"),
        ({**REVIEWED, "head": UNCHANGED}, (), {}, PublishStep.SKIP, "it was not published yet"),
        (
            REVIEWED,
            (pull_request(PRState.MERGED),),
            {},
            PublishStep.RECORD_MERGED,
            "it was not published yet",
        ),
        (
            REVIEWED,
            (pull_request(PRState.MERGED, "old"),),
            {},
            PublishStep.PUSH,
            "it was not published yet",
        ),
        (PUBLISHED, (), {}, PublishStep.KEEP, None),
        (PUBLISHED, (pull_request(PRState.OPEN),), {}, PublishStep.KEEP, None),
        (
            PUBLISHED,
            (pull_request(PRState.CLOSED),),
            {},
            PublishStep.PUSH,
            "its pull request was closed without a merge",
        ),
        ({**PUBLISHED, "url": None}, (), {}, PublishStep.PUSH, "it was not published yet"),
        (
            {**PUBLISHED, "head": replace(AGREED, head="n" * 40)},
            (),
            {},
            PublishStep.PUSH,
            "its head changed",
        ),
        (
            PUBLISHED,
            (),
            {"key": "other"},
            PublishStep.PUSH,
            "title, scenarios, base or evidence of its pull request changed",
        ),
        (
            {**REVIEWED, "published": PublishRecord("p", HEAD, NO_PR), "url": NO_PR},
            (),
            {"listed": False},
            PublishStep.KEEP,
            None,
        ),
    ],
)
def test_publish(
    record: dict[str, Any],
    prs: tuple[PullRequest, ...],
    inputs: dict[str, Any],
    step: PublishStep,
    why: str | None,
) -> None:
    given = PublishInputs(**{"key": "p", "listed": True, **inputs})
    decision = publish.decide(CellRecord.from_values(prs, **record), given)
    assert (decision.step, decision.why) == (step, why)


def test_a_record_of_values_knows_only_its_fields() -> None:
    with pytest.raises(TypeError, match="no chekcs"):
        CellRecord.from_values(chekcs=GREEN)
