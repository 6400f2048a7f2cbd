"""The prompt of a phase of one's own: the workspace's file, and what the engine has to say."""

from __future__ import annotations

from typing import Any

from orchestr.cell.agent.plan_prompt import quote_markdown, read_plan
from orchestr.cell.agent.prompt_template import PromptTemplate
from orchestr.cell.context import CellContext
from orchestr.cell.own_results import find_phase, names_read, quote_outputs, read_outputs
from orchestr.cell.worktree.variables import output_file
from orchestr.spec.own_phases import OwnPhase
from orchestr.spec.phases import Phase
from orchestr.state.attempts import Attempt


def render_own_prompt(ctx: CellContext, attempt: Attempt, notes: str, facts: dict[str, Any]) -> str:
    """The whole prompt, Markdown; of a command a line for its log. ``facts`` are those of
    `orchestr.cell.agent.prompt`. Raises SpecError with the place in the file."""
    phase, feature = find_phase(ctx, attempt.of), ctx.run.feature
    title = f"# {phase.name}: {feature.title} ({feature.key}): {ctx.cell.name}"
    if phase.prompt is None:
        return f"{title}\n"
    root = ctx.run.settings.workspace.root
    reads = names_read(phase)
    values = {**facts, "phase": {"name": phase.name}, "outputs": read_outputs(ctx, reads)}
    parts = [title, PromptTemplate(root / phase.prompt, root).render(values).strip()]
    if Phase.PLAN in reads and (plan := read_plan(ctx)):
        parts.append(f"## The plan\n{quote_markdown(plan)}")
    parts.append(quote_outputs(ctx, reads).strip())
    if notes.strip():
        parts.append(f"## Your last answer was not accepted\n{notes.strip()}")
    parts.append(
        "## How to work\n" + "\n".join(f"- {rule}" for rule in _list_rules(ctx, phase, attempt))
    )
    return "\n\n".join(filter(None, parts)) + "\n"


def _list_rules(ctx: CellContext, phase: OwnPhase, attempt: Attempt) -> list[str]:
    where = (
        f"The current folder is the git worktree of cell `{ctx.cell.name}` (repository "
        f"`{ctx.cell.repo}`, branch `{ctx.cell.branch}`). Stay in it."
    )
    if phase.output is not None:
        rules = [
            where,
            "**Change nothing**: no file, no commit, no branch.",
            f"Answer with one JSON object and nothing after it, or write it to "
            f"`{output_file(ctx, attempt)}`.",
        ]
        return (
            [*rules, f"It must fit this JSON schema: `{phase.schema}`"] if phase.schema else rules
        )
    rules = [
        where,
        "The work of the cell is committed there already. Do only what is asked for above; what "
        "you leave uncommitted is committed for you. Do not rewrite history, push or open pull "
        "requests.",
    ]
    owned = phase.owned_paths or ctx.cell.owned_paths
    if owned:
        rules.append(f"Change nothing outside of {', '.join(f'`{path}`' for path in owned)}.")
    return rules
