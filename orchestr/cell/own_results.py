"""What phases of one's own gave out and were given: read by those after them and by digests.

Looks at files only. Outputs count as `orchestr.state.results.OwnResult` says: their bytes must be
those that the engine wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from orchestr.cell.context import CellContext
from orchestr.errors import OrchestrError
from orchestr.files import read_file
from orchestr.spec.expression import list_names
from orchestr.spec.own_phases import OwnPhase, find_anchors
from orchestr.spec.phases import Phase
from orchestr.state.results import (
    CHECKS,
    Evidence,
    HeadRecord,
    ImplementRecord,
    OwnOutcome,
    OwnResult,
    PlanRecord,
    WorktreeMarker,
    digest,
    own_output_name,
)
from orchestr.state.seals import digest_bytes


def find_phase(ctx: CellContext, name: str) -> OwnPhase:
    """The definition of a phase of one's own. Raises KeyError where the cell has none."""
    for phase in ctx.cell.own_phases:
        if phase.name == name:
            return phase
    raise KeyError(name)


def anchor_of(ctx: CellContext, name: str) -> Phase:
    """The last of orchestr's phases before one of one's own."""
    return find_anchors(ctx.cell.phases)[name]


def names_after(ctx: CellContext, *anchors: Phase) -> tuple[str, ...]:
    """The phases of one's own that stand after one of these, in their order."""
    return tuple(n for n, anchor in find_anchors(ctx.cell.phases).items() if anchor in anchors)


def read_prompt(ctx: CellContext, phase: OwnPhase) -> str:
    """The text of a phase's prompt as it stands in the workspace; empty where it is not there."""
    try:
        path = ctx.run.settings.workspace.root / (phase.prompt or "")
        return read_file(path).decode("utf-8", "replace")
    except OSError:
        return ""


def names_read(phase: OwnPhase) -> tuple[str, ...]:
    """The phases whose results are inputs of this one: by `needs` and `when`."""
    return tuple(dict.fromkeys((*phase.needs, *(list_names(phase.when) if phase.when else ()))))


def read_output_text(ctx: CellContext, name: str) -> str | None:
    """The JSON that a phase gave out, as it is kept; None for one that was passed over.

    Raises OrchestrError where there is none, or another than the engine wrote.
    """
    result = OwnResult.read(ctx.dir, name)
    if result is None:
        raise ctx.fail(f"phase `{name}` has given out nothing yet", hint=f"orchestr run {ctx.name}")
    if result.outcome is not OwnOutcome.ANSWERED:
        return None
    try:
        data = read_file(ctx.dir / own_output_name(name))
    except FileNotFoundError:
        data = b""
    if digest_bytes(data) != result.output:
        raise ctx.fail(
            f"the output of phase `{name}` is not there as it was written",
            hint=f"orchestr run {ctx.name}:{name}",
        )
    return data.decode("utf-8")


def read_outputs(ctx: CellContext, names: Iterable[str]) -> dict[str, Any]:
    """Phase -> what it gave out, None where it was passed over; phases without `output` are left
    out. Raises as `read_output_text`."""
    giving = {phase.name for phase in ctx.cell.own_phases if phase.output is not None}
    found: dict[str, Any] = {}
    for name in names:
        if name in giving:
            text = read_output_text(ctx, name)
            found[name] = None if text is None else json.loads(text)
    return found


def outputs_before(ctx: CellContext, phase: Phase) -> dict[str, str]:
    """Phase of one's own -> the digest of what it gave out, for those that stand before `plan` or
    `implement`, whose prompts quote them; empty for a cell without any. Never raises."""
    anchors = (Phase.WORKTREE, Phase.PLAN) if phase is Phase.IMPLEMENT else (Phase.WORKTREE,)
    if not ctx.cell.own_phases:
        return {}
    found = {name: OwnResult.read(ctx.dir, name) for name in names_after(ctx, *anchors)}
    return {name: result.output for name, result in found.items() if result is not None}


def quote_outputs(ctx: CellContext, names: Iterable[str]) -> str:
    """Outputs as a section of a prompt; empty where there are none."""
    try:
        found = {n: value for n, value in read_outputs(ctx, names).items() if value is not None}
    except OrchestrError:
        return ""
    if not found:
        return ""
    blocks = [
        f"`{name}`:\n\n```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"
        for name, value in found.items()
    ]
    return "\n\n".join(["## What phases before found", *blocks]) + "\n"


def digest_reads(ctx: CellContext, phase: OwnPhase) -> dict[str, str]:
    """What a phase reads by `needs` and `when`, as its digest contains it. Never raises."""
    found: dict[str, str] = {}
    own = {one.name for one in ctx.cell.own_phases}
    for name in names_read(phase):
        if name in own:
            result = OwnResult.read(ctx.dir, name)
            found[name] = "" if result is None else f"{result.outcome} {result.output}"
        elif name == Phase.PLAN:
            planned = PlanRecord.read(ctx.dir)
            found[name] = "" if planned is None else planned.digest
    return found


def read_given(ctx: CellContext, name: str) -> str | None:
    """What a phase works on, in a word: the tree of the result where it stands after `implement`,
    else what the phase before it came to. None while that is not there."""
    match anchor_of(ctx, name):
        case Phase.WORKTREE:
            marker = WorktreeMarker.read(ctx.dir)
            return None if marker is None else marker.content_digest()
        case Phase.PLAN:
            marker, planned = WorktreeMarker.read(ctx.dir), PlanRecord.read(ctx.dir)
            if marker is None or planned is None:
                return None
            return digest(marker.content_digest(), planned.digest)
        case Phase.IMPLEMENT:
            done = ImplementRecord.read(ctx.dir)
            return None if done is None else done.tree
        case Phase.CHECK:
            done, checks = ImplementRecord.read(ctx.dir), Evidence.read(ctx.dir / CHECKS)
            current = done is not None and checks is not None and checks.origin == done.head
            return checks.head if current and checks is not None else None
        case _:
            head = HeadRecord.read(ctx.dir)
            return None if head is None else head.head
