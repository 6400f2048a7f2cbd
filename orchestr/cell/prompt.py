"""The prompt of an attempt, and the variables that go with it.

Plain text from the spec and from what the upstreams made; a note about conflicts or an earlier
attempt when there is one. Nothing secret is in it.
"""

from __future__ import annotations

from pathlib import Path

from orchestr.cell import approval
from orchestr.cell import attempt as attempts
from orchestr.cell.attempt import Attempt
from orchestr.cell.context import CellContext
from orchestr.cell.records import NO_PR, PLAN_TEXT, PR_URL, Head, Marker, Planned, read_line
from orchestr.cell.worktree import place
from orchestr.spec.proof import Gate


def variables(ctx: CellContext, attempt: Attempt, prompt: Path) -> dict[str, str]:
    """`ORCHESTR_*`: the cell's own, and four for each upstream (DESIGN, the command agent)."""
    marker = Marker.read(ctx.dir)
    values = {
        "ORCHESTR_FEATURE": ctx.run.feature.name,
        "ORCHESTR_CELL": ctx.cell.name,
        "ORCHESTR_REPO": ctx.cell.repo,
        "ORCHESTR_BRANCH": ctx.cell.branch,
        "ORCHESTR_BASE": marker.base if marker else "",
        "ORCHESTR_ATTEMPT": str(abs(attempt.number)),
        "ORCHESTR_PROMPT_FILE": str(prompt),
        "ORCHESTR_WORKTREE": str(ctx.worktree),
        "ORCHESTR_KEY": ctx.run.feature.key,
    }
    if attempt.number < 0:
        values["ORCHESTR_PLAN_FILE"] = str(plan_file(ctx, attempt))
    for upstream in ctx.upstreams():
        head = Head.read(upstream.dir)
        prefix = f"ORCHESTR_UPSTREAM_{upstream.cell.name.upper().replace('-', '_')}"
        values[f"{prefix}_WORKTREE"] = str(place(upstream))
        values[f"{prefix}_BRANCH"] = upstream.cell.branch
        values[f"{prefix}_HEAD"] = head.head if head else ""
        values[f"{prefix}_PR"] = pr_of(upstream) or ""
    return values


def pr_of(ctx: CellContext) -> str | None:
    """The address of a cell's pull request, None when it has none (yet)."""
    url = read_line(ctx.dir / PR_URL)
    return None if url == NO_PR else url


def plan_file(ctx: CellContext, plan: Attempt) -> Path:
    """Where an agent that plans may write its plan, outside of the worktree."""
    return attempts.folder(ctx.dir, plan.number) / PLAN_TEXT


def build_plan(ctx: CellContext, plan: Attempt, refusal: str) -> str:
    """The whole prompt of a plan, Markdown. ``refusal`` is what was wrong with the last one."""
    cell, feature = ctx.cell, ctx.run.feature
    parts = [
        f"# Plan: {feature.title} ({feature.key}): {cell.name}",
        f"You plan one cell of a feature that spans several repositories: `{cell.name}` in "
        f"repository `{cell.repo}`. The current folder is its git worktree, branch "
        f"`{cell.branch}`. **Change nothing**: no file, no commit, no branch. A person reads your "
        f"plan and approves it; then the work is done by it, perhaps not by you.",
        "## What is to be done\n" + _bullets(cell.todo or ("See the title.",)),
    ]
    if refusal:
        text = (
            f"## Your last plan was refused\nReason: {refusal}\nMake another one that mends this."
        )
        old = read_plan(ctx)
        parts.append(f"{text}\n\nThe last plan:\n\n{_quoted(old)}" if old else text)
    upstreams = [_upstream(up) for up in ctx.upstreams()]
    if upstreams:
        parts.append("## What it builds on\n" + "\n".join(upstreams))
    parts.append("## The whole feature\n" + _overview(ctx))
    if feature.scenarios:
        parts.append("## Acceptance scenarios\n" + _bullets(feature.scenarios))
    rules = [
        "Read the code first. Name the files to change, what changes in each, in which order, and "
        "how each todo will be shown to work.",
        "Name what you are not sure of, with what you propose; nobody can answer while you plan.",
        f"Give the plan in Markdown as your last answer, or write it to `{plan_file(ctx, plan)}`.",
    ]
    if cell.owned_paths:
        owned = ", ".join(f"`{path}`" for path in cell.owned_paths)
        rules.append(f"Only these paths may be changed later: {owned}.")
    parts.append("## How to answer\n" + _bullets(rules))
    return "\n\n".join(parts) + "\n"


def read_plan(ctx: CellContext) -> str | None:
    """The text of `plan.md`, or None."""
    try:
        return (ctx.dir / PLAN_TEXT).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _approved_plan(ctx: CellContext) -> list[str]:
    planned = Planned.read(ctx.dir) if ctx.cell.plans else None
    text = read_plan(ctx) if planned is not None and planned.digest else None
    if not text:
        return []
    return [
        "## The plan\nA person has read and approved this plan. Keep to it. Where you cannot, do "
        "the least that is needed and say in your last answer what differs and why.\n\n"
        + _quoted(text)
    ]


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())


def build(ctx: CellContext, attempt: Attempt, notes: str) -> str:
    """The whole prompt, Markdown."""
    cell, feature = ctx.cell, ctx.run.feature
    parts = [
        f"# {feature.title} ({feature.key}): {cell.name}",
        f"You work on one cell of a feature that spans several repositories. Yours is "
        f"`{cell.name}` in repository `{cell.repo}`, branch `{cell.branch}`. The current folder "
        f"is its git worktree.",
        "## What to do\n" + _bullets(cell.todo or ("See the title.",)),
    ]
    parts += _approved_plan(ctx)
    if notes:
        parts.append("## First\n" + notes)
    if attempt.number > 1:
        parts.append(_earlier(ctx, attempt))
    upstreams = [_upstream(up) for up in ctx.upstreams()]
    if upstreams:
        parts.append("## What it builds on\n" + "\n".join(upstreams))
    parts.append("## The whole feature\n" + _overview(ctx))
    if feature.scenarios:
        parts.append("## Acceptance scenarios\n" + _bullets(feature.scenarios))
    parts.append("## House rules\n" + _bullets(_rules(ctx)))
    return "\n\n".join(parts) + "\n"


def _earlier(ctx: CellContext, attempt: Attempt) -> str:
    """What a later attempt must know of the one before it: above all why it failed."""
    text = f"This is attempt {attempt.number}; earlier commits of the branch stay."
    refusal = approval.read(ctx.dir, Gate.PUBLISH)
    if refusal is not None and refusal.verdict == approval.REFUSED:
        text += f"\nA person refused to publish the last result: {refusal.reason}\nMend that first."
    before = [a for a in attempts.every(ctx.dir) if a.number < attempt.number]
    if before and before[-1].outcome == "failed" and not attempt.fresh:
        text += f"\nThe last one was not accepted: {before[-1].reason}\nMend that first."
    return text


def _bullets(lines: tuple[str, ...] | list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _upstream(ctx: CellContext) -> str:
    head = Head.read(ctx.dir)
    if head is None:
        return f"- `{ctx.cell.name}` ({ctx.cell.repo}): not built"
    stat = ctx.repo.diff_stat(head.base, head.head).strip().splitlines()
    lines = [
        f"- `{ctx.cell.name}` ({ctx.cell.repo}): read its code in `{place(ctx)}` "
        f"(branch `{ctx.cell.branch}`, head `{head.head[:12]}`)"
    ]
    url = pr_of(ctx)
    if url:
        lines.append(f"  pull request: {url}")
    lines += [f"  {line.strip()}" for line in stat[-12:]]
    return "\n".join(lines)


def _overview(ctx: CellContext) -> str:
    lines = []
    for cell in ctx.run.feature.cells:
        after = f", after {', '.join(cell.depends_on)}" if cell.depends_on else ""
        yours = " (yours)" if cell.name == ctx.cell.name else ""
        lines.append(f"- `{cell.name}` in `{cell.repo}`{after}{yours}")
        lines += [f"  - {item}" for item in cell.todo]
    return "\n".join(lines)


def _rules(ctx: CellContext) -> list[str]:
    key = ctx.run.feature.key
    rules = [
        f"Put `({key})` in the subject of every commit. What you leave uncommitted is "
        "committed for you.",
        "Stay in this folder and on this branch. Do not push, do not open pull requests, do not "
        "rewrite commits that are there, do not touch other cells' worktrees.",
        "Run the repository's own checks before you finish.",
        "If nothing has to be changed, end with the line "
        "`ORCHESTR no_change_needed: <why>` and leave the tree as it is.",
    ]
    if ctx.cell.owned_paths:
        owned = ", ".join(f"`{path}`" for path in ctx.cell.owned_paths)
        rules.append(f"Change only these paths: {owned}.")
    return rules
