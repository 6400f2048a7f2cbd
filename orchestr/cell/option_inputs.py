"""Options of agents as inputs of phases: what of them makes a phase run again.

Those that change what is made: model, effort, MCP servers, words of the command. A fallback model
and a number of turns are limits, and change nothing that was made within them. What is stated for
repairs counts for rounds that start anyway. Each is in the digest only where it is stated, so specs
without options keep theirs.
"""

from __future__ import annotations

from typing import Any

from orchestr.cell.agent_options import (
    SPEC,
    author_levels,
    declared_options,
    declared_reviewer_options,
)
from orchestr.cell.context import CellContext
from orchestr.cell.input_nodes import SETTINGS, PhaseInput, WhenSet
from orchestr.cell.input_nodes import SPEC as SPEC_FILE
from orchestr.spec.agent_options import AgentOptions, OptionSource, Role, choose_options

COUNTED = ("effort", "mcp", "args")


def _source(ctx: CellContext, role: Role, name: str) -> OptionSource | None:
    levels = author_levels(ctx, ctx.agent_name, with_command_line=False)
    return choose_options(role, levels).sources.get(name)


def _origin(ctx: CellContext, role: Role, name: str) -> str:
    source = _source(ctx, role, name)
    return SPEC_FILE if source is not None and source.place in (SPEC, "spec") else SETTINGS


def origin_of_model(ctx: CellContext) -> str:
    """The file that the model of the cell's author stands in."""
    return _origin(ctx, Role.IMPLEMENT, "model")


def count_options(options: AgentOptions) -> dict[str, Any]:
    """Those that change what an agent makes, by name."""
    return {name: value for name, value in options.stated.items() if name in COUNTED}


def _make_input(role: Role, name: str) -> WhenSet:
    def read(ctx: CellContext) -> Any:
        if role is not Role.IMPLEMENT:  # a plan's inputs never held what is stated for all work
            source = _source(ctx, role, name)
            if source is None or source.role is not role:
                return None
        return declared_options(ctx, role).stated.get(name)

    one = PhaseInput(
        f"options.{role.value}.{name}",
        lambda ctx: _origin(ctx, role, name),
        read,
        lambda ctx: None if read(ctx) in (None, []) else [role.value, name, read(ctx)],
    )
    return WhenSet((one,), (one,))


def _review_options(ctx: CellContext) -> dict[str, Any]:
    found = {
        one.name: count_options(declared_reviewer_options(ctx.run, one, ctx))
        for one in ctx.cell.proof.reviewers
    }
    return {name: options for name, options in found.items() if options}


IMPLEMENT_OPTIONS = tuple(_make_input(Role.IMPLEMENT, name) for name in COUNTED)
PLAN_OPTIONS = tuple(_make_input(Role.PLAN, name) for name in ("model", *COUNTED))
REVIEW_OPTIONS = PhaseInput("options.review", SPEC_FILE, _review_options)
