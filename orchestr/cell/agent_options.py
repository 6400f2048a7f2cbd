"""Which options an agent of a cell is asked for: the places that say something, and what comes of
them for one start (`orchestr.spec.agent_options` decides).

Command line, then the spec, then the settings. What a cell says is meant for the agent that the
cell names: a later one of its chain goes by its own settings. The command line holds for all of
them, but for its model, which is a word of the first one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestr.cell.context import CellContext, FeatureRun
from orchestr.settings.agent_checks import list_refusals
from orchestr.settings.records import AgentSettings
from orchestr.spec.agent_options import (
    AUTHOR_ROLES,
    AgentOptions,
    ChosenOptions,
    OptionLevel,
    Role,
    choose_options,
)
from orchestr.spec.checks import Reviewer
from orchestr.spec.phases import Action, Phase
from orchestr.spec.records import AUDIT
from orchestr.state import repairs
from orchestr.state.attempts import Attempt

COMMAND_LINE, SPEC = "command line", "spec options"


def author_levels(
    ctx: CellContext, agent: str, *, with_command_line: bool = True
) -> list[OptionLevel]:
    """Where the options of the cell's author called ``agent`` may stand, what counts first."""
    chosen = ctx.run.overrides
    own = agent in (chosen.agent, ctx.agent_name)
    typed = OptionLevel(
        COMMAND_LINE, chosen.options, AgentOptions(model=chosen.model, effort=chosen.effort)
    )
    if not own:
        entries = [replace(e, options=replace(e.options, model=None)) for e in chosen.options]
        typed = OptionLevel(COMMAND_LINE, tuple(entries), AgentOptions(effort=chosen.effort))
    spec = [
        OptionLevel(SPEC, ctx.cell.options),
        OptionLevel("spec", common=AgentOptions(model=ctx.cell.model)),
    ]
    return [
        *([typed] if with_command_line else []),
        *(spec if own else []),
        *_settings_levels(ctx.run.settings.agents.get(agent)),
    ]


def reviewer_levels(
    run: FeatureRun, reviewer: Reviewer, cell: CellContext | None = None, *,
    with_command_line: bool = True,
) -> list[OptionLevel]:  # fmt: skip
    """The same for a reviewer of a cell, or for an auditor."""
    listed = "auditors" if cell is None else "reviewers"
    return [
        *([OptionLevel(COMMAND_LINE, run.overrides.options)] if with_command_line else []),
        OptionLevel(listed, common=reviewer.options),
        *([OptionLevel(SPEC, cell.cell.options)] if cell is not None else []),
        *_settings_levels(run.settings.agents.get(reviewer.agent)),
    ]


def _settings_levels(settings: AgentSettings | None) -> list[OptionLevel]:
    if settings is None:
        return []
    table = f"agents.{settings.name}"
    return [
        OptionLevel(f"{table}.phases", settings.phases),
        OptionLevel(table, common=settings.common_options),
    ]


def planned_options(
    ctx: CellContext, role: Role, number: int = 1, *, agent: str | None = None
) -> ChosenOptions:
    """What the cell's author would be asked for if it started now. ``agent``: another author."""
    return choose_options(role, author_levels(ctx, agent or ctx.agent_settings.name), number)


def declared_options(ctx: CellContext, role: Role) -> AgentOptions:
    """What spec and settings say, for digests: never the command line."""
    levels = author_levels(ctx, ctx.agent_name, with_command_line=False)
    return choose_options(role, levels).options


def reviewer_options(
    run: FeatureRun, reviewer: Reviewer, cell: CellContext | None = None
) -> ChosenOptions:
    """What a reviewer of a cell, or an auditor, would be asked for if it started now."""
    role = Role.AUDIT if cell is None else Role.REVIEW
    return choose_options(role, reviewer_levels(run, reviewer, cell))


def reader_options(ctx: CellContext, reviewer: Reviewer) -> AgentOptions:
    """The same as one set: ``ctx`` is the cell that it reviews, or what auditors run in."""
    is_audit = ctx.cell.name == AUDIT and not ctx.cell.branch
    return reviewer_options(ctx.run, reviewer, None if is_audit else ctx).options


def declared_reviewer_options(
    run: FeatureRun, reviewer: Reviewer, cell: CellContext | None = None
) -> AgentOptions:
    """The same without the command line."""
    role = Role.AUDIT if cell is None else Role.REVIEW
    levels = reviewer_levels(run, reviewer, cell, with_command_line=False)
    return choose_options(role, levels).options


def attempt_options(ctx: CellContext, attempt: Attempt, role: Role | None = None) -> AgentOptions:
    """What the next start of an attempt's agent is asked for.

    The model is the attempt's, which was chosen when it opened; a repair may name another one.
    ``role`` None: what the attempt is at.
    """
    if attempt.of:  # a phase of one's own names its agent and model itself
        return replace(own_phase_options(ctx.run, attempt.agent), model=attempt.model or None)
    role, number = (role, 1) if role is not None else _role_of(ctx, attempt)
    chosen = choose_options(role, author_levels(ctx, attempt.agent), number)
    source = chosen.sources.get("model")
    if role is Role.REPAIR and source is not None and source.role is Role.REPAIR:
        return chosen.options
    return replace(chosen.options, model=attempt.model or None)


def own_phase_options(run: FeatureRun, agent: str) -> AgentOptions:
    """What an agent is asked for in a phase of one's own, but for its model."""
    settings = run.settings.agents.get(agent)
    common = settings.common_options if settings is not None else AgentOptions()
    return replace(common, model=None, effort=run.overrides.effort or common.effort)


def _role_of(ctx: CellContext, attempt: Attempt) -> tuple[Role, int]:
    if attempt.number < 0:
        return Role.PLAN, 1
    open_one = repairs.find_open_round(repairs.read_rounds(ctx.dir, attempt.number))
    return (Role.REPAIR, open_one.number) if open_one is not None else (Role.IMPLEMENT, 1)


def request_options(ctx: CellContext, agent: str, options: AgentOptions) -> dict[str, Any]:
    """The options as fields of an `AgentRequest`. Raises PhaseFailed for what this agent cannot be
    asked for: nothing is left out in silence, whoever skipped the pre-flight."""
    settings = ctx.run.settings.agents.get(agent)
    servers = ctx.run.settings.mcp
    if settings is not None:
        for _, why, hint in list_refusals(settings.kind, options, servers):
            raise ctx.fail(f"agent {agent}: {why}", hint=hint)
    return {
        "model": options.model,
        "effort": options.effort,
        "fallback_model": options.fallback_model,
        "mcp": tuple(servers[name] for name in options.mcp or ()),
        "args": options.args or (),
        "max_turns": options.max_turns,
    }


@dataclass(frozen=True, slots=True)
class WorkOptions:
    """What the agent of one piece of a cell's work would be asked for: `implement`, `repair`,
    `repair from round 3`, `plan`, `review NAME`."""

    work: str
    agent: str
    chosen: ChosenOptions


def list_work_options(ctx: CellContext) -> tuple[WorkOptions, ...]:
    """For `plan` and `explain`: all work whose agent is asked for more than the model that the cell
    shows anyway. A repair stands there where it differs from `implement`."""
    if ctx.cell.action is not Action.AGENT:
        return ()
    author = ctx.agent_settings.name
    levels = author_levels(ctx, author)
    usual = choose_options(Role.IMPLEMENT, levels)
    found: list[WorkOptions] = []
    if ctx.cell.has_plan_phase:
        plan = choose_options(Role.PLAN, levels)
        if plan.options != AgentOptions(model=usual.options.model):
            found.append(WorkOptions(Role.PLAN.value, author, plan))
    if usual.options != AgentOptions(model=usual.options.model):
        found.append(WorkOptions(Role.IMPLEMENT.value, author, usual))
    before = usual.options
    for since in _list_rounds(levels):
        one = choose_options(Role.REPAIR, levels, since)
        if one.options != before:
            name = Role.REPAIR.value if since == 1 else f"{Role.REPAIR} from round {since}"
            found.append(WorkOptions(name, author, one))
        before = one.options
    if Phase.REVIEW in ctx.cell.phases:
        for reviewer in ctx.cell.proof.reviewers:
            chosen = reviewer_options(ctx.run, reviewer, ctx)
            if chosen.options:
                name = f"{Role.REVIEW} {reviewer.name}"
                found.append(WorkOptions(name, reviewer.agent, chosen))
    return tuple(found)


def list_author_models(ctx: CellContext, agent: str) -> set[str | None]:
    """The models that an author of a cell would be asked for, whatever it works at."""
    levels = author_levels(ctx, agent)
    chosen = [choose_options(role, levels) for role in AUTHOR_ROLES]
    chosen += [choose_options(Role.REPAIR, levels, since) for since in _list_rounds(levels)]
    return {one.options.model for one in chosen}


def _list_rounds(levels: Sequence[OptionLevel]) -> list[int]:
    """The rounds of repair from which on something else holds."""
    found = {entry.since for level in levels for entry in level.entries}
    return sorted({1, *found})
