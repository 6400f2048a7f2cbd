"""What a reader of a cell's result has to know beside green and red.

Read from the result files, for `status`, the run's summary, the pull request and the report: that
nothing was checked, that checks ran in the author's worktree, that the tests were red before the
work, a blocker that was outvoted, files beside the approved plan. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestr.cell.context import CellContext
from orchestr.codec import replace as codec_replace
from orchestr.spec.checks import list_test_checks
from orchestr.spec.phases import Phase
from orchestr.state.results import (
    CHECKS,
    REVIEW,
    Evidence,
    HeadRecord,
    PlanDeviation,
    valid_checks,
)

TEST_FIRST = "test first"  # the check of a cell with `test_first: true`
NOT_EVALUATED = "not evaluated"  # begins the note where nothing can show it
IN_WORKTREE = "its checks ran in the author's worktree, not in a clean checkout of the commit"
MOST = 5  # names in a line


@dataclass(frozen=True, slots=True)
class ProofNotes:
    """``unchecked``: why no check is run. ``in_worktree``: a check ran where the author worked, so
    it is no proof of what a clean clone does. ``outvoted``: blockers with evidence, too few.
    ``deviation`` is there when the work and the approved plan differ.
    """

    unchecked: str = ""
    test_first: str = ""
    outvoted: tuple[str, ...] = ()
    deviation: PlanDeviation | None = None
    in_worktree: bool = False

    def lines(self) -> tuple[str, ...]:
        """A line for each, for people."""
        return (
            *((f"no check is run: {self.unchecked}",) if self.unchecked else ()),
            *((IN_WORKTREE,) if self.in_worktree else ()),
            *((f"test first: {self.test_first}",) if self.test_first else ()),
            *(f"outvoted blocker: {text}" for text in self.outvoted),
            *((describe_deviation(self.deviation),) if self.deviation else ()),
        )

    def redacted(self, hide: Callable[[str], str]) -> ProofNotes:
        """The same without secrets in what programs wrote."""
        deviation = self.deviation
        if deviation is not None:
            files = tuple(map(hide, deviation.files))
            deviation = codec_replace(
                deviation, files=files, explanation=hide(deviation.explanation)
            )
        return replace(
            self,
            test_first=hide(self.test_first),
            outvoted=tuple(map(hide, self.outvoted)),
            deviation=deviation,
        )


NO_NOTES = ProofNotes()


def describe_deviation(deviation: PlanDeviation) -> str:
    """Files beside the approved plan, in a line."""
    if not deviation.plan_names_files:
        return "the approved plan names no files, so the change cannot be compared with it"
    names = ", ".join(deviation.files[:MOST])
    more = len(deviation.files) - MOST
    return f"beside the approved plan: {names}" + (f" and {more} more" if more > 0 else "")


def read_notes(ctx: CellContext, head: HeadRecord | None) -> ProofNotes:
    """The notes of a cell; those on a result belong to exactly this head."""
    unchecked = explain_unchecked(ctx)
    if head is None:
        return ProofNotes(unchecked, explain_unproved_tests(ctx))
    checks, review = Evidence.read(ctx.dir / CHECKS), Evidence.read(ctx.dir / REVIEW)
    rows = tuple(row for row in valid_checks(checks, review) if isinstance(row, Mapping))
    in_worktree = ran_in_worktree(rows)
    rows = rows if ctx.cell.proof.test_first else ()
    shown = (str(r.get("detail")) for r in rows if _is_test_first(r))
    deviation = PlanDeviation.read(ctx.dir) if ctx.cell.has_plan_phase else None
    if deviation is not None and (deviation.head != head.head or not deviation.is_one):
        deviation = None
    outvoted = tuple(_outvoted(review)) if review is not None and review.head == head.head else ()
    test_first = next(shown, "") or explain_unproved_tests(ctx)
    if rows and not test_first:  # before the engine could show it
        test_first = f"{NOT_EVALUATED}: orchestr run --force {ctx.name} builds it with that proof"
    return ProofNotes(unchecked, test_first, outvoted, deviation, in_worktree)


def ran_in_worktree(rows: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a check among the ``rows`` ran where the author worked."""
    return any(row.get("in_worktree") is True for row in rows)


def explain_unchecked(ctx: CellContext) -> str:
    """Why nothing is run on the cell's work; empty for a cell with checks."""
    if ctx.has_checks:
        return ""
    if Phase.CHECK not in ctx.cell.phases:
        return "its phases leave out `check`"
    return "its spec says `checks: none`" if ctx.cell.proof.no_checks else "its spec names none"


def explain_unproved_tests(ctx: CellContext) -> str:
    """Why nothing can show that the tests came first; empty where it can, or need not."""
    if not ctx.cell.proof.test_first:
        return ""
    if not ctx.has_checks:
        return f"{NOT_EVALUATED}: {explain_unchecked(ctx)}"
    checks = (*ctx.repo_settings.checks, *ctx.cell.proof.checks)
    if checks and not list_test_checks(checks):
        return f"{NOT_EVALUATED}: none of its checks runs tests"
    return ""


def _is_test_first(row: Mapping[str, Any]) -> bool:
    return row.get("name") == TEST_FIRST


def _outvoted(review: Evidence) -> Iterator[str]:
    for row in review.items:
        issues = row.get("issues") if isinstance(row, Mapping) else None
        for issue in issues if isinstance(issues, list) else ():
            rule = issue.get("outvoted") if isinstance(issue, Mapping) else None
            if rule:
                who = f"{row.get('reviewer')}, review_rule: {rule}"
                yield f"{issue.get('title')} ({who})"
