"""What a gate is about now: the digest that a person's answer has to name to count."""

from __future__ import annotations

from orchestr.cell import approval
from orchestr.cell.agent.plan_prompt import read_plan
from orchestr.cell.context import CellContext
from orchestr.cell.phases import publish
from orchestr.spec.checks import Gate
from orchestr.state.results import ImplementOutcome, PlanRecord


def current_gate_digest(ctx: CellContext, gate: Gate) -> str | None:
    """The digest of what a gate is about now; None while there is nothing to look at."""
    if gate is Gate.PLAN:
        planned, text = PlanRecord.read(ctx.dir), read_plan(ctx)
        if not ctx.cell.has_plan_phase or planned is None or not planned.digest or text is None:
            return None
        return approval.plan_digest(text, ctx.cell.todo)
    head = ctx.read_head()
    ready = head is not None and head.outcome is not ImplementOutcome.NO_CHANGE_NEEDED
    return publish.gate_digest(ctx, head) if ready and head is not None else None
