"""Phase `review`: agents that only read judge the head; blockers go back to the author.

Its result is the head that all phases agreed on: `review.json`, `head.toml` and `tree`, the
product that dependents wait for. Written in that order, `tree` last: a kill between them leaves
dependents waiting, never with a wrong product. After a repair the checks run again here, with their
evidence in `review.json`. Without reviewers the head passes through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestr.cell.context import CellContext
from orchestr.cell.inputs import phase_digest
from orchestr.cell.phases import check
from orchestr.cell.phases.run_phase import PhaseResult
from orchestr.git.repo import CommitId
from orchestr.spec.phases import Phase
from orchestr.state import repairs
from orchestr.state.attempts import Attempt
from orchestr.state.results import (
    CHECKS,
    REVIEW,
    Evidence,
    HeadRecord,
    ImplementOutcome,
    ImplementRecord,
    WorktreeMarker,
    read_tree,
)

if TYPE_CHECKING:
    from orchestr.cell.agent.verdict import ReviewerOpinion


def reason_to_run(ctx: CellContext) -> str | None:
    """Why the phase would run, or None."""
    checks = Evidence.read(ctx.dir / CHECKS)
    if checks is None:
        return "there is nothing to review yet"
    evidence = Evidence.read(ctx.dir / REVIEW)
    if evidence is None:
        return "it was not reviewed yet"
    if evidence.origin != checks.head:
        return "its verdict is for another head"
    if evidence.key != phase_digest(ctx, Phase.REVIEW):
        return "its reviewers changed"
    head = HeadRecord.read(ctx.dir)
    if head is None or head.head != evidence.head or read_tree(ctx.dir) is None:
        return "its head or tree file is missing"
    return check.moved_since(ctx, evidence)


def run(ctx: CellContext) -> PhaseResult:
    """Write the verdict, the head and the tree. Raises PhaseFailed, Interrupted."""
    from orchestr.cell.phases.checkout_head import end_repair

    why = reason_to_run(ctx)
    if why is None:
        return PhaseResult.up_to_date()
    check.run(ctx)  # a no-op, unless its file was just found to be rubbish and set aside
    done, checks = ImplementRecord.read(ctx.dir), Evidence.read(ctx.dir / CHECKS)
    marker = WorktreeMarker.read(ctx.dir)
    if done is None or checks is None or marker is None or checks.origin != done.head:
        raise ctx.fail("it has no checked result", hint=f"orchestr run {ctx.name}")
    old, key = Evidence.read(ctx.dir / REVIEW), phase_digest(ctx, Phase.REVIEW)
    current = old is not None and old.origin == checks.head and old.key == key
    if old is not None and current and check.moved_since(ctx, old) is None:
        evidence = old  # only head or tree were missing
    elif (
        has_reviewers(ctx)
        and done.outcome is not ImplementOutcome.ADOPTED
        and checks.head != done.base
    ):
        evidence = review_until_accepted(ctx, done, marker, checks)
    else:
        end_repair(ctx, done, Phase.REVIEW)
        same = old if old is not None and old.origin == checks.head else None
        evidence = Evidence(same.head if same else checks.head, key, (), checks.head,
                            checks=same.checks if same else None)  # fmt: skip
    evidence.write(ctx.dir / REVIEW)
    agreed = make_agreed_head(ctx, done, evidence.head)
    agreed.write(ctx.dir)
    if evidence == old:
        return PhaseResult.up_to_date()
    partial = evidence.partial or (checks.partial and evidence.checks is None)
    return PhaseResult.built(why, head=agreed.head, tree=agreed.tree, partial=partial)


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
    return HeadRecord(head, tree, done.base, ctx.cell.branch, outcome, done.anchor)


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

    key, most = phase_digest(ctx, Phase.REVIEW), ctx.cell.proof.repair.reviews
    origin, proof = done.head, ctx.cell.proof
    attempt = resume_repair(ctx, done, marker, Phase.REVIEW)
    head = checkout_head(ctx, done, marker)
    rows: check.Rows | None = checks.items if head == checks.head else None
    try:
        while True:
            red, words = None, ""
            found: tuple[ReviewerOpinion, ...] = ()  # of this head; those of another one are void
            refused = unacceptable_reason(ctx, done, marker, head)
            if not refused and rows is None:
                rows, red, words = _rerun_checks(ctx, attempt, marker, head)
            if refused:
                red = check.RedFinding.from_text(refused)
                words = check.REFUSED.format(head[:12], refused)
            elif red is None:
                rows = rows or ()
                found = review_head(ctx, head, CommitId(marker.base), rows, attempt)
                blockers = opinions.blocking_issues(found, proof.review_rule)
                items = tuple(opinions.opinion_to_row(o) for o in found)
                if not blockers:
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
                if proof.allow_partial and not refused and rows is not None:
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


def _rerun_checks(
    ctx: CellContext, attempt: Attempt | None, marker: WorktreeMarker, head: CommitId
) -> tuple[check.Rows, check.RedFinding | None, str]:
    """The checks on a head that a repair made here: results, what is red, words for the author."""
    from orchestr.cell.proof.run_checks import has_checks, run_checks

    if not has_checks(ctx):
        return (), None, ""
    number = attempt.number if attempt else 0
    verdict = run_checks(ctx, head, CommitId(marker.base), attempt=number, phase=Phase.REVIEW)
    if verdict.passed:
        return verdict.rows, None, ""
    words = check.format_red_checks(verdict.results, head, first=False)
    return (
        verdict.rows,
        check.RedFinding(verdict.red_digest, verdict.summary_line, verdict.folder),
        words,
    )


BLOCKED = """Reviewers have read your commit {} and found what must not be merged as it is:

{}
Mend each of these with the smallest change that is right; where one of them is wrong, say why and
change nothing for it. Do not delete, skip or weaken tests, stay within the rules of your task. The
checks and the reviews run again afterwards; the engine commits what you leave uncommitted.
"""
