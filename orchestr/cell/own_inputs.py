"""The inputs of a phase of one's own: its definition, its prompt, who works in it."""

from __future__ import annotations

from orchestr.cell.context import CellContext
from orchestr.cell.input_nodes import SETTINGS, SPEC, Node, PhaseInput, WhenSet
from orchestr.cell.own_results import find_phase, read_prompt
from orchestr.spec.own_phases import OwnPhase


def make_own_inputs(ctx: CellContext, name: str) -> tuple[Node, ...]:
    """They are read when a digest is made. Raises KeyError where the cell has no such phase."""
    phase = find_phase(ctx, name)
    origin = SETTINGS if name in ctx.run.settings.phases else SPEC
    definition = PhaseInput(f"phases.{name}", origin, lambda ctx: phase.digest_row)
    if phase.prompt is None:
        return ("own", definition)
    prompt = PhaseInput(phase.prompt, SETTINGS, lambda ctx: read_prompt(ctx, phase))
    if phase.continues is not None:
        return ("own", definition, prompt)
    who = PhaseInput("agent", origin, lambda ctx: phase.agent or ctx.agent_name)
    model = PhaseInput("model", origin, lambda ctx: _own_model(ctx, phase))
    effort = PhaseInput("effort", SETTINGS, lambda ctx: _own_effort(ctx, phase))
    return ("own", definition, prompt, who, model, WhenSet((effort,), (effort,)))


def _own_effort(ctx: CellContext, phase: OwnPhase) -> str | None:
    settings = ctx.run.settings.agents.get(phase.agent or ctx.agent_name)
    return settings.effort if settings else None


def _own_model(ctx: CellContext, phase: OwnPhase) -> str | None:
    of_cell = ctx.cell.model if phase.agent in (None, ctx.agent_name) else None
    settings = ctx.run.settings.agents.get(phase.agent or ctx.agent_name)
    return phase.model or of_cell or (settings.model if settings else None)
