"""The variables that the programs of a cell find in their environment."""

from __future__ import annotations

import json
from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.cell.own_results import find_phase, names_read, read_outputs
from orchestr.cell.pull_request.text import pull_request_url
from orchestr.cell.worktree.ports import port_variables
from orchestr.cell.worktree.readable_checkout import readable_checkout
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.results import PLAN_TEXT, HeadRecord, WorktreeMarker

IN_BOX = "in-box"  # in an attempt's folder
OUTPUT = "output.json"


def plan_file(ctx: CellContext, plan: Attempt) -> Path:
    """Where an agent that plans may write its plan: in a folder of its own outside of the worktree,
    the only one of the attempt's that it can write to in a sandbox."""
    return attempts.attempt_folder(ctx.dir, plan.number) / IN_BOX / PLAN_TEXT


def output_file(ctx: CellContext, attempt: Attempt) -> Path:
    """Where a phase of one's own may write the JSON that it gives out; as `plan_file`."""
    return attempts.attempt_folder(ctx.dir, attempt.number) / IN_BOX / OUTPUT


def cell_variables(ctx: CellContext, attempt: Attempt, prompt: Path) -> dict[str, str]:
    """`ORCHESTR_*`: the cell's own, and four for each upstream, whose work it may read."""
    marker = WorktreeMarker.read(ctx.dir)
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
        **port_variables(ctx),
    }
    if attempt.number < 0:
        values["ORCHESTR_PLAN_FILE"] = str(plan_file(ctx, attempt))
    if attempt.of:
        phase = find_phase(ctx, attempt.of)
        values["ORCHESTR_PHASE"] = phase.name
        values["ORCHESTR_OUTPUTS"] = json.dumps(read_outputs(ctx, names_read(phase)))
        if phase.output is not None:
            values["ORCHESTR_OUTPUT_FILE"] = str(output_file(ctx, attempt))
    for upstream in ctx.upstreams():
        head = HeadRecord.read(upstream.dir)
        prefix = upstream_prefix(upstream)
        values[f"{prefix}_WORKTREE"] = str(readable_checkout(upstream))
        values[f"{prefix}_BRANCH"] = upstream.cell.branch
        values[f"{prefix}_HEAD"] = head.head if head else ""
        values[f"{prefix}_PR"] = pull_request_url(upstream) or ""
    return values


def upstream_prefix(upstream: CellContext) -> str:
    """How the variables of an upstream begin."""
    return f"ORCHESTR_UPSTREAM_{upstream.cell.name.upper().replace('-', '_')}"
