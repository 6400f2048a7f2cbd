"""Repair: a conflict or a red check goes to the cell's own agent, in its own worktree.

The target becomes the cell's base: the next attempt merges it into the branch first (never a
rebase), leaves conflicts to the agent, and is proved, checked, reviewed and published as any other
attempt, within its owned paths. Safe to repeat after a kill: `landing.toml` names the repair that
was prepared, and the phases themselves know what is done.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestr.cell.context import CellContext
from orchestr.cell.phases.forget import forget_phases
from orchestr.cell.phases.run_phase import phase_module, run_phase
from orchestr.cell.worktree.salvage import unfinished_operation
from orchestr.codec import replace
from orchestr.files import read_toml, write_atomic, write_toml
from orchestr.landing.events import Trouble
from orchestr.spec.phases import Action, Phase
from orchestr.state.results import WorktreeMarker

EVIDENCE = "landing.md"  # read by `orchestr.cell.worktree.prepare_branch` for the prompt
RECORD = "landing.toml"


def repair_obstacle(ctx: CellContext) -> str | None:
    """Why nobody can be asked (row E43), else None."""
    if ctx.cell.action is Action.PUSH:
        return "its commits are a person's"
    if Phase.IMPLEMENT not in ctx.cell.phases:
        return "it has no agent"
    return None


def repair_head(
    ctx: CellContext, trouble: Trouble, number: int, detail: str, *, head: str, target: str,
    tip: str,
) -> str:  # fmt: skip
    """One repair of ``head``. Returns the new head; raises what the phases raise."""
    done = read_toml(ctx.dir / RECORD)
    if done is None or (done.get("number"), done.get("head")) != (number, head):
        _prepare_repair(ctx, trouble, detail, target, tip)
        write_toml(ctx.dir / RECORD, {"schema": 1, "number": number, "head": head})
    perform_open_phases(ctx, (Phase.IMPLEMENT, Phase.CHECK, Phase.REVIEW, Phase.PUBLISH))
    (ctx.dir / EVIDENCE).unlink(missing_ok=True)
    mended = ctx.read_head()
    if mended is None:
        raise ctx.fail("it has no head after its repair", hint=f"orchestr explain {ctx.name}")
    return mended.head


def _prepare_repair(ctx: CellContext, trouble: Trouble, detail: str, target: str, tip: str) -> None:
    marker = WorktreeMarker.read(ctx.dir)
    if marker is None:
        raise ctx.fail("its worktree marker is missing", hint=f"orchestr run {ctx.name}")
    if trouble is Trouble.CONFLICT:
        what = f"This branch conflicts with `{target}` in {detail}."
    else:
        what = f"Merged with `{target}` as it is now, this branch is red: {detail}"
    text = (
        f"{what}\n\n`{target}` ({tip[:12]}) is merged into your branch. Make both sides' intent "
        "work together, change nothing that your task does not need, and leave no conflict markers."
    )
    write_atomic(ctx.dir / EVIDENCE, f"{text}\n".encode())
    # Its result is void whatever happens; the attempt after it goes on from the same branch.
    forget_phases(ctx, [Phase.IMPLEMENT, Phase.CHECK, Phase.REVIEW])
    # A merge that an attempt left half-done is of the target as it was then: it is finished first,
    # and what moved since is the next candidate's. Another base could never be in that merge.
    half = ctx.worktree.exists() and unfinished_operation(ctx.worktree_repo) is not None
    if not (half and marker.base_ref == target):
        replace(marker, base=tip, base_ref=target).write(ctx.dir)


def perform_open_phases(ctx: CellContext, phases: Iterable[Phase]) -> None:
    """The phases that are not done for what the cell has now. Raises what they raise."""
    for phase in phases:
        if phase_module(phase).reason_to_run(ctx) is not None:
            run_phase(ctx, phase)
