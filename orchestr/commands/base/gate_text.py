"""What a person is asked about at a gate: the plan, or all that would be published."""

from __future__ import annotations

import os

from orchestr.cell.agent.plan_deviation import find_plan_deviation
from orchestr.cell.agent.plan_prompt import read_plan
from orchestr.cell.agent.verdict import opinion_from_row
from orchestr.cell.context import CellContext
from orchestr.cell.notes import describe_deviation, explain_unchecked, ran_in_worktree
from orchestr.cell.phases import publish
from orchestr.cell.pull_request.text import body_block, pr_title
from orchestr.git.diff import DiffLimits, read_diffs
from orchestr.git.repo import CommitId
from orchestr.process.redact_stream import hide_secret_values
from orchestr.state.results import CHECKS, PLAN_TEXT, REVIEW, Evidence, HeadRecord, check_word
from orchestr.views.terminal.text import clean_line, headline, printable_line

MOST_COMMITS = 50
DIFF = DiffLimits(file=20_000, pair=100_000, total=100_000)


def describe_plan(ctx: CellContext) -> str:
    """What is approved at the gate `plan`."""
    todo = "".join(f"  - {clean_line(item)}\n" for item in ctx.cell.todo)
    lines = (read_plan(ctx) or "").splitlines()
    text = "".join(f"{printable_line(line)}\n" for line in lines)
    return f"The plan of {ctx.name} ({ctx.dir / PLAN_TEXT}), for\n{todo}\n{text}\n"


def describe_publication(ctx: CellContext) -> str:
    """What is approved at the gate `publish`."""
    head = ctx.read_head()
    if head is None:
        return ""
    stat = "".join(f"  {clean_line(line.strip())}\n"
                   for line in ctx.repo.diff_stat(head.base, head.head).splitlines())  # fmt: skip
    words = [
        f"What {ctx.name} would publish: {ctx.cell.branch} at {head.head[:12]}, "
        f"for {publish.pr_base(ctx)} of {ctx.cell.repo}\n",
        f"  title: {clean_line(pr_title(ctx))}\n{stat}",
        f"  checks: {_describe_checks(ctx, head.head)}",
        f"  review: {_describe_reviews(ctx, head.head)}",
        _describe_deviation(ctx, head),
        _describe_commits(ctx, head),
        _describe_body(ctx),
        _describe_diff(ctx, head),
        f"  the whole diff: git -C {ctx.repo_path} diff {head.base[:12]} {head.head[:12]}\n\n",
    ]
    return hide_secret_values("".join(words), os.environ)


def _describe_commits(ctx: CellContext, head: HeadRecord) -> str:
    """The subjects of its commits, oldest first."""
    found = ctx.repo.list_commit_subjects(f"{head.base}..{head.head}", MOST_COMMITS)
    lines = [f"    {clean_line(subject)}\n" for subject in reversed(found) if subject]
    return "  commits:\n" + "".join(lines) if lines else "  commits: only merges\n"


def _describe_body(ctx: CellContext) -> str:
    """Our part of the text of its pull request, as it would be written now."""
    lines = body_block(ctx).splitlines()
    return "  text:\n" + "".join(f"    {printable_line(line)}".rstrip() + "\n" for line in lines)


def _describe_diff(ctx: CellContext, head: HeadRecord) -> str:
    """What changed, file by file; a long one is cut, and says so."""
    pair = (CommitId(head.base), CommitId(head.head))
    found = read_diffs(ctx.repo, [pair], DIFF).get(pair)
    lines: list[str] = []
    for file in found.files if found is not None else ():
        lines.append(f"  --- {clean_line(file.path)}")
        lines += [f"  {printable_line(line)}" for line in file.patch]
        if file.cut:
            lines.append("  [cut here]")
    if found is not None and found.more:
        lines.append(f"  and {found.more} more files")
    return "".join(f"{line}\n" for line in lines)


def _describe_deviation(ctx: CellContext, head: HeadRecord) -> str:
    """The files beside the approved plan, with what the agent said last."""
    found = find_plan_deviation(ctx, head) if ctx.cell.has_plan_phase else None
    if found is None or not found.is_one:
        return ""
    text = f"  plan:   {clean_line(describe_deviation(found))}\n"
    for path in found.files:
        text += f"    - {clean_line(path)}\n"
    lines = found.explanation.splitlines()
    if lines:
        text += "    its agent's last message:\n"
    return text + "".join(f"    | {clean_line(line)}\n" for line in lines)


def _describe_checks(ctx: CellContext, head: str) -> str:
    """The checks on exactly this head, in a line; a repair in `review` was checked there."""
    unchecked = explain_unchecked(ctx)
    if unchecked:
        return f"none is run: {unchecked}\n"
    checks, review = Evidence.read(ctx.dir / CHECKS), Evidence.read(ctx.dir / REVIEW)
    rows, place = None, CHECKS
    if review is not None and review.head == head and review.checks is not None:
        rows, place = review.checks, REVIEW
    elif checks is not None and checks.head == head:
        rows = checks.items
    if rows is None:
        return "none on this commit\n"
    if not rows:
        return "nothing was asked for\n"
    said = [
        f"{row.get('name')} "
        + check_word(row)
        + ("" if row.get("passed") is True else f": {headline(str(row.get('detail')))}")
        for row in rows
    ]
    where = ", in the author's worktree" if ran_in_worktree(rows) else ""
    return f"{clean_line(', '.join(said))}{where} ({ctx.dir / place})\n"


def _describe_reviews(ctx: CellContext, head: str) -> str:
    """The reviews of exactly this head: a line for each reviewer, one for each issue."""
    found = Evidence.read(ctx.dir / REVIEW)
    if found is None or found.head != head:
        return "none on this commit\n"
    if not found.items:
        return "nothing was asked for\n"
    said = f"({ctx.dir / REVIEW})\n"
    for row in found.items:
        opinion = opinion_from_row(row)
        summary = f": {headline(opinion.summary)}" if opinion.summary.strip() else ""
        said += f"    {clean_line(opinion.reviewer)}: {opinion.verdict}{clean_line(summary)}\n"
        for issue in opinion.issues:
            where = f" ({', '.join(issue.places)})" if issue.places else ""
            said += f"    - {issue.severity}: {clean_line(headline(issue.title) + where)}\n"
    return said
