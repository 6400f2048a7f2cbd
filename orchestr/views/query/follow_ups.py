"""What a feature leaves to do: work for a next spec, from reviews, last words, skipped cells.

Reads result files only, so it can be asked at any time. Nothing is invented: an item is the
reviewer's issue, the agent's verbatim words or the cell's own todo.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from orchestr.cell.agent.verdict import ReviewIssue, Severity, opinion_from_row
from orchestr.cell.context import CellContext, FeatureRun
from orchestr.state import attempts
from orchestr.state.results import (
    CHECKS,
    REVIEW,
    TRANSCRIPT,
    Evidence,
    check_word,
    valid_checks,
)
from orchestr.state.states import CellState
from orchestr.views.logs.dialect import event_parser
from orchestr.views.model import FeatureStatus
from orchestr.views.query import evidence as proofs
from orchestr.views.query.denied_actions import read_last_message
from orchestr.views.run_report.model import FollowUp

WORDS = 2_000  # characters of an agent's last message that are kept
# Words by which a message says that something is left. Only a hint: a person reads the words.
OPEN_WORK = re.compile(
    r"\b(todo|fixme|follow[- ]?ups?|left (to do|open|out|undone)|out of scope|remains?|remaining"
    r"|not (yet )?(done|implemented|covered|handled|fixed|tested|addressed|included)"
    r"|still (needs?|has to|have to|missing|fails?)|tech(nical)? debt|should be (done|fixed) later"
    r"|next steps?|for later|skipped|could not|couldn't|unable to)\b",
    re.IGNORECASE,
)


def list_follow_ups(run: FeatureRun, status: FeatureStatus) -> list[FollowUp]:
    """All that is left of a feature, in plan order."""
    return [
        found
        for plan in status.plan.cells
        for found in _list_of_cell(run.cell_context(plan.name), status)
    ]


def _list_of_cell(ctx: CellContext, status: FeatureStatus) -> Iterator[FollowUp]:
    name, repo = ctx.cell.name, ctx.cell.repo
    if status.cell_state(name) is CellState.IGNORED:
        todo = ctx.cell.todo or (ctx.cell.title or f"Do what cell {name} was for",)
        yield FollowUp("skipped", name, repo, todo, "the cell was ignored")
        return
    for reviewer, issue in _list_tech_debt(ctx):
        yield FollowUp("tech_debt", name, repo, (describe_issue(issue),), f"review by {reviewer}")
    if status.view.cell(name).with_red:
        for text in _list_red(ctx):
            yield FollowUp("partial", name, repo, (text,), "published although it stayed red")
    words = read_open_words(ctx)
    if words:
        yield FollowUp("last_words", name, repo, (words,), "its agent's last words, verbatim")


def describe_issue(issue: ReviewIssue) -> str:
    """An issue as an item of a todo."""
    where = f" ({', '.join(issue.places)})" if issue.places else ""
    more = f": {issue.description.strip()}" if issue.description.strip() else ""
    return f"{issue.title.strip()}{where}{more}"


def _list_tech_debt(ctx: CellContext) -> Iterator[tuple[str, ReviewIssue]]:
    """Every issue once, the newest attempt's rounds and what is kept of the last one."""
    opinions = [
        one.opinion
        for one in proofs.read_reviews(ctx, proofs.newest_attempt_number(ctx))
        if one.opinion is not None
    ]
    review = Evidence.read(ctx.dir / REVIEW)
    for row in review.items if review is not None else ():
        try:
            opinions.append(opinion_from_row(row))
        except (KeyError, TypeError, ValueError):
            continue
    seen = set()
    for opinion in opinions:
        for issue in opinion.issues:
            key = (issue.title, issue.places)
            if issue.severity is Severity.TECH_DEBT and key not in seen:
                seen.add(key)
                yield opinion.reviewer, issue


def _list_red(ctx: CellContext) -> Iterator[str]:
    checks, review = Evidence.read(ctx.dir / CHECKS), Evidence.read(ctx.dir / REVIEW)
    for row in valid_checks(checks, review):
        if isinstance(row, Mapping) and row.get("passed") is not True:
            yield f"Check {row.get('name')} is {check_word(row)}: {row.get('detail') or 'no words'}"
    for row in review.items if review is not None else ():
        for issue in row.get("issues") or () if isinstance(row, Mapping) else ():
            if isinstance(issue, Mapping) and issue.get("severity") == Severity.BLOCKER:
                where = ", ".join(map(str, issue.get("places") or ()))
                yield f"{issue.get('title')}{f' ({where})' if where else ''}"


def read_open_words(ctx: CellContext) -> str:
    """The last words of the author's newest attempt, where they name something left to do."""
    newest = attempts.newest_attempt(ctx.dir)
    if newest is None:
        return ""
    path = attempts.attempt_folder(ctx.dir, newest.number) / TRANSCRIPT
    words = read_last_message(path, event_parser(ctx.run.settings, newest.agent))[:WORDS]
    return words if OPEN_WORK.search(words) else ""
