"""Phase `review`: agents that only read judge the head; blockers go back to the author.

Its result is the head that all phases agreed on: `review.json`, `head.toml` and `tree`, the
product that dependents wait for. Written in that order, `tree` last: a kill between them leaves
dependents waiting, never with a wrong product. After a repair the checks run again here, with their
evidence in `review.json`. Without reviewers the head passes through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestr.cell.agent.plan_deviation import record_plan_deviation
from orchestr.cell.context import CellContext
from orchestr.cell.inputs import phase_digest, reviewer_model
from orchestr.cell.phases import check
from orchestr.cell.phases.run_phase import PhaseResult
from orchestr.cell.record import CellRecord, Decision
from orchestr.git.repo import CommitId
from orchestr.spec.phases import Phase
from orchestr.state import repairs
from orchestr.state.attempts import Attempt
from orchestr.state.results import (
    REVIEW,
    Evidence,
    HeadRecord,
    ImplementOutcome,
    ImplementRecord,
    WorktreeMarker,
)

if TYPE_CHECKING:
    from orchestr.cell.agent.verdict import ReviewerOpinion


class ReviewStep(StrEnum):
    """What the phase can do."""

    KEEP = "keep"  # the verdict, the head and the tree are there
    CANNOT = "cannot"  # there is no checked result
    RESTORE = "restore"  # only the files of head or tree are missing
    PASS_THROUGH = "pass through"  # nothing to review, or no reviewers
    REVIEW = "review"  # reviewers read, what blocks is repaired


@dataclass(frozen=True, slots=True)
class ReviewInputs:
    """``key``: the digest of the phase. ``moved``: why a partial result is reviewed again.
    ``models``: reviewer -> the model that it reads with, which the settings may name."""

    key: str
    has_reviewers: bool
    moved: str | None = None
    models: Mapping[str, str] = field(default_factory=dict)


def decide(record: CellRecord, inputs: ReviewInputs) -> Decision[ReviewStep]:
    """What the phase does now and why. Pure."""
    why = _reason(record, inputs)
    done, checks, old = record.implemented, record.checks, record.review
    if why is None:
        return Decision(ReviewStep.KEEP, None)
    if done is None or checks is None or record.marker is None or checks.origin != done.head:
        return Decision(ReviewStep.CANNOT, why)
    current = old is not None and old.origin == checks.head and old.key == inputs.key
    if current and inputs.moved is None and _changed_model(record, inputs) is None:
        return Decision(ReviewStep.RESTORE, why)
    changed = done.outcome is not ImplementOutcome.ADOPTED and checks.head != done.base
    if inputs.has_reviewers and changed:
        return Decision(ReviewStep.REVIEW, why)
    return Decision(ReviewStep.PASS_THROUGH, why)


def _reason(record: CellRecord, inputs: ReviewInputs) -> str | None:
    checks, verdict, head = record.checks, record.review, record.head
    if checks is None:
        return "there is nothing to review yet"
    if verdict is None:
        return "it was not reviewed yet"
    if verdict.origin != checks.head:
        return "its verdict is for another head"
    if verdict.key != inputs.key:
        return "its reviewers changed"
    if head is None or head.head != verdict.head or record.tree is None:
        return "its head or tree file is missing"
    changed = _changed_model(record, inputs)
    return f"the model of its reviewer {changed} changed" if changed else inputs.moved


def _changed_model(record: CellRecord, inputs: ReviewInputs) -> str | None:
    """The reviewer whose opinion is another model's; opinions of before do not name theirs."""
    for row in record.review.items if record.review is not None else ():
        name, model = str(row.get("reviewer")), row.get("declared", row.get("model"))
        if model is not None and inputs.models.get(name, model) != model:
            return name
    return None


def read_inputs(ctx: CellContext, record: CellRecord) -> ReviewInputs:
    """The inputs of `decide`; git is asked only about a partial result."""
    old = record.review
    moved = check.moved_since(ctx, record, old) if old is not None else None
    models = {one.name: reviewer_model(ctx, one) for one in ctx.cell.proof.reviewers}
    return ReviewInputs(phase_digest(ctx, Phase.REVIEW), has_reviewers(ctx), moved, models)


def reason_to_run(ctx: CellContext) -> str | None:
    """Why the phase would run, or None."""
    record = CellRecord.of_cell(ctx)
    return decide(record, read_inputs(ctx, record)).why


def run(ctx: CellContext) -> PhaseResult:
    """Write the verdict, the head and the tree. Raises PhaseFailed, Interrupted."""
    why = reason_to_run(ctx)
    if why is None:
        return PhaseResult.up_to_date()
    check.run(ctx)  # does nothing, unless its file was not readable and is set aside
    record = CellRecord.of_cell(ctx)
    inputs = read_inputs(ctx, record)
    decision = decide(record, inputs)
    if decision.step is ReviewStep.KEEP:
        return PhaseResult.up_to_date()
    done, checks, marker = record.implemented, record.checks, record.marker
    if decision.step is ReviewStep.CANNOT or done is None or checks is None or marker is None:
        raise ctx.fail("it has no checked result", hint=f"orchestr run {ctx.name}")
    if decision.step is ReviewStep.RESTORE and record.review is not None:
        evidence = record.review
    elif decision.step is ReviewStep.REVIEW:
        evidence = review_until_accepted(ctx, done, marker, checks)
    else:
        evidence = _pass_head_through(ctx, record, done, marker, checks, inputs.key)
    evidence.write(ctx.dir / REVIEW)
    agreed = make_agreed_head(ctx, done, evidence.head)
    agreed.write(ctx.dir)
    record_plan_deviation(ctx, agreed)
    if evidence == record.review:
        return PhaseResult.up_to_date()
    partial = evidence.partial or (checks.partial and evidence.checks is None)
    return PhaseResult.built(why, head=agreed.head, tree=agreed.tree, partial=partial)


def _pass_head_through(
    ctx: CellContext,
    record: CellRecord,
    done: ImplementRecord,
    marker: WorktreeMarker,
    checks: Evidence,
    key: str,
) -> Evidence:
    """A verdict without reviewers, for the head that the last repair in this phase came to; one
    that is red by the checks is left where it is."""
    from orchestr.cell.agent.repair import author_attempt
    from orchestr.cell.phases.checkout_head import end_repair, find_repaired_head

    end_repair(ctx, done, marker, Phase.REVIEW)
    old = record.review
    known = old.head if old is not None and old.origin == checks.head else checks.head
    repaired = find_repaired_head(ctx, done, marker, Phase.REVIEW, known)
    if repaired is not None and repaired != known:
        attempt = author_attempt(ctx, done)
        rows, red, _words = _rerun_checks(ctx, attempt, marker, repaired)
        if red is None:
            return Evidence(repaired, key, (), checks.head, checks=rows)
    if old is None or old.origin != checks.head:
        return Evidence(checks.head, key, (), checks.head)
    return Evidence(old.head, key, (), checks.head, checks=old.checks)


def has_reviewers(ctx: CellContext) -> bool:
    """Whether the cell has reviewers."""
    return Phase.REVIEW in ctx.cell.phases and bool(ctx.cell.proof.reviewers)


def make_agreed_head(ctx: CellContext, done: ImplementRecord, head: str) -> HeadRecord:
    """What the phases agreed on: the result of `implement`, or what repairs made of it."""
    tree, outcome = done.tree, done.outcome
    if head != done.head:
        tree = ctx.repo.resolve_tree(head)
        if outcome is ImplementOutcome.NO_CHANGE_NEEDED:
            outcome = ImplementOutcome.CHANGED
    agreed = HeadRecord(head, tree, done.base, ctx.cell.branch, outcome, done.anchor)
    return agreed.with_former_products(HeadRecord.read(ctx.dir), done.lands)


def review_until_accepted(
    ctx: CellContext, done: ImplementRecord, marker: WorktreeMarker, checks: Evidence
) -> Evidence:
    """Hear the reviewers, repair what blocks, until nothing does, or give up with PhaseFailed."""
    from orchestr.cell.agent import verdict as opinions
    from orchestr.cell.agent.review_prompt import review_head
    from orchestr.cell.phases.checkout_head import (
        checkout_head,
        remove_temporary_worktree,
        resume_repair,
        unacceptable_reason,
    )
    from orchestr.cell.phases.own import end_open_attempt, follow_repair, is_to_be_followed

    end_open_attempt(ctx)
    key, most = phase_digest(ctx, Phase.REVIEW), ctx.cell.proof.repair.reviews
    origin, proof = done.origin, ctx.cell.proof
    attempt = resume_repair(ctx, done, marker, Phase.REVIEW)
    head = checkout_head(ctx, done, marker)
    rows: check.Rows | None = checks.items if head == checks.head else None
    try:
        while True:
            red, words = None, ""
            found: tuple[ReviewerOpinion, ...] = ()  # of this head; those of another one are void
            refused = unacceptable_reason(ctx, done, marker, head)
            if not refused and rows is None and is_to_be_followed(ctx, done, head):
                done = follow_repair(ctx, done, head, Phase.REVIEW)
                checks = _check_followed(ctx, checks)
                head, rows = CommitId(checks.head), checks.items
            if not refused and rows is None:
                rows, red, words = _rerun_checks(ctx, attempt, marker, head)
            if refused:
                red = check.RedFinding.from_text(refused)
                words = check.REFUSED.format(head[:12], refused)
            elif red is None:
                rows = rows or ()
                found = review_head(ctx, head, CommitId(marker.base), rows, attempt)
                blockers = opinions.blocking_issues(found, proof.review_rule)
                items: check.Rows = tuple(opinions.opinion_to_row(o) for o in found)
                if not blockers:
                    items = opinions.mark_outvoted(items, found, proof.review_rule)
                    if attempt is not None:
                        repairs.end_series(ctx.dir, attempt.number, Phase.REVIEW, origin)
                    return Evidence(head, key, items, checks.head,
                                    checks=None if head == checks.head else rows)  # fmt: skip
                told = "; ".join(f"{issue.title} ({o.reviewer})" for o, issue in blockers)
                red = check.RedFinding(opinions.blockers_digest(blockers), f"review: {told}")
                words = BLOCKED.format(head[:12], opinions.format_blockers(blockers))
            assert red is not None
            stop = check.give_up_reason(ctx, attempt, Phase.REVIEW, origin, red.digest, most)
            if stop is not None or attempt is None:
                if proof.allow_partial and not refused and rows is not None and red.is_whole:
                    check.warn_partial(ctx, Phase.REVIEW, red)
                    return Evidence(head, key, tuple(opinions.opinion_to_row(o) for o in found),
                                    checks.head, partial=True,
                                    checks=None if head == checks.head else rows)  # fmt: skip
                raise ctx.fail(
                    f"{red.told} ({stop})",
                    hint=f"mend it in {ctx.worktree} and commit, then: orchestr run {ctx.name}",
                )
            head = check.repair_head(
                ctx, attempt, marker, Phase.REVIEW, origin, head, red, words, most
            )
            rows = None
    finally:
        remove_temporary_worktree(ctx)


def _check_followed(ctx: CellContext, before: Evidence) -> Evidence:
    """The evidence of phase `check` on what phases of one's own made after a repair: it is written
    down as that phase's, because the result of `implement` is another one."""
    check.run(ctx)
    return CellRecord.of_cell(ctx).checks or before


def _rerun_checks(
    ctx: CellContext, attempt: Attempt | None, marker: WorktreeMarker, head: CommitId
) -> tuple[check.Rows, check.RedFinding | None, str]:
    """The checks on a head that a repair made here: results, what is red, words for the author."""
    from orchestr.cell.proof.run_checks import raise_not_evaluated, run_checks

    if not ctx.has_checks:
        return (), None, ""
    number = attempt.number if attempt else 0
    verdict = run_checks(ctx, head, CommitId(marker.base), attempt=number, phase=Phase.REVIEW)
    if verdict.passed:
        return verdict.rows, None, ""
    if not verdict.has_red:
        raise_not_evaluated(ctx, verdict)
    words = check.format_red_checks(verdict, head, first=False)
    return verdict.rows, check.RedFinding.from_verdict(verdict), words


BLOCKED = """Reviewers have read your commit {} and found what must not be merged as it is:

{}
Mend each of these with the smallest change that is right; where one of them is wrong, say why and
change nothing for it. Do not delete, skip or weaken tests, stay within the rules of your task. The
checks and the reviews run again afterwards; the engine commits what you leave uncommitted.
"""
