"""The prompt of a plan (`approve: plan`), and the approved plan as later prompts quote it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestr.cell.context import CellContext
from orchestr.cell.worktree.variables import plan_file
from orchestr.files import read_file
from orchestr.state.attempts import Attempt
from orchestr.state.results import PLAN_TEXT, PlanRecord

APPROVED = (
    "A person reads your plan and approves it; then the work is done by it, perhaps not by you."
)
CARRIED_OUT = "Then the work is done by your plan, perhaps not by you."


def read_plan(ctx: CellContext) -> str | None:
    """The text of `plan.md`, or None."""
    try:
        return read_file(ctx.dir / PLAN_TEXT).decode("utf-8", "replace")
    except FileNotFoundError:
        return None


def quote_approved_plan(ctx: CellContext) -> str:
    """The plan that the work carries out, quoted; empty for a cell without one."""
    planned = PlanRecord.read(ctx.dir) if ctx.cell.has_plan_phase else None
    text = read_plan(ctx) if planned is not None and planned.digest else None
    return quote_markdown(text) if text else ""


def quote_markdown(text: str) -> str:
    """Text as a Markdown quotation."""
    return "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())


def render_plan_prompt(ctx: CellContext, plan: Attempt, refusal: str, facts: dict[str, Any]) -> str:
    """The whole prompt of a plan, Markdown. ``refusal`` is what was wrong with the last one;
    ``facts`` are those of `orchestr.cell.agent.prompt`.
    """
    cell, feature = ctx.cell, ctx.run.feature
    parts = [
        f"# Plan: {feature.title} ({feature.key}): {cell.name}",
        f"You plan one cell of a feature that spans several repositories: `{cell.name}` in "
        f"repository `{cell.repo}`. The current folder is its git worktree, branch "
        f"`{cell.branch}`. **Change nothing**: no file, no commit, no branch. "
        + (APPROVED if cell.has_plan_gate else CARRIED_OUT),
        "## What is to be done\n" + _format_bullets(cell.todo or ("See the title.",)),
    ]
    if refusal:
        text = (
            f"## Your last plan was refused\nReason: {refusal}\nMake another one that mends this."
        )
        old = read_plan(ctx)
        parts.append(f"{text}\n\nThe last plan:\n\n{quote_markdown(old)}" if old else text)
    if facts["upstreams"]:
        parts.append(
            "## What it builds on\n" + "\n".join(map(_format_upstream, facts["upstreams"]))
        )
    parts.append("## The whole feature\n" + _format_overview(ctx))
    if facts["feature"]["goal"]:
        parts.append(f"## What it is for\n{facts['feature']['goal']}")
    if feature.scenarios:
        parts.append("## Acceptance scenarios\n" + _format_bullets(feature.scenarios))
    rules = [
        "Read the code first. Name the files to change, what changes in each, in which order, and "
        "how each todo will be shown to work.",
        "Name what you are not sure of, with what you propose; nobody can answer while you plan.",
        f"Give the plan in Markdown as your last answer, or write it to `{plan_file(ctx, plan)}`.",
    ]
    if cell.owned_paths:
        owned = ", ".join(f"`{path}`" for path in cell.owned_paths)
        rules.append(f"Only these paths may be changed later: {owned}.")
    parts.append("## How to answer\n" + _format_bullets(rules))
    return "\n\n".join(parts) + "\n"


def _format_upstream(up: dict[str, Any]) -> str:
    if not up["built"]:
        return f"- `{up['name']}` ({up['repo']}): not built yet"
    return (
        f"- `{up['name']}` ({up['repo']}): read its code in `{up['worktree']}` "
        f"(branch `{up['branch']}`, head `{up['head'][:12]}`)"
    )


def _format_overview(ctx: CellContext) -> str:
    lines = []
    for cell in ctx.run.feature.cells:
        after = f", after {', '.join(cell.depends_on)}" if cell.depends_on else ""
        yours = " (yours)" if cell.name == ctx.cell.name else ""
        lines.append(f"- `{cell.name}` in `{cell.repo}`{after}{yours}")
        lines += [f"  - {item}" for item in cell.todo]
    return "\n".join(lines)


def _format_bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
