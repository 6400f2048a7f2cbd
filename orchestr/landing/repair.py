"""Repair: a conflict or a red check goes to the cell's own agent, in its own worktree.

The target becomes the cell's base: the next attempt merges it into the branch first (never a
rebase), leaves conflicts to the agent, and is proved, checked, reviewed and published as any other
attempt, within its owned paths. Safe to repeat after a kill: `landing.toml` names the repair that
was prepared, and the phases themselves know what is done.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable

from orchestr.cell.context import CellContext
from orchestr.cell.phases.forget import forget_phases
from orchestr.cell.phases.run_phase import phase_module, run_phase
from orchestr.cell.worktree.landing_request import EVIDENCE, PROVEN
from orchestr.cell.worktree.operations import unfinished_operation
from orchestr.cell.worktree.resolved_files import ResolvedFile, write_resolved_files
from orchestr.codec import replace
from orchestr.files import read_toml, write_atomic, write_toml
from orchestr.git.conflicts import write_blob
from orchestr.git.repo import CommitId
from orchestr.landing.events import Trouble
from orchestr.landing.ladder import read_ladder_rules, resolve_single_files
from orchestr.spec.phases import Action, Phase
from orchestr.state import attempts
from orchestr.state.results import CHECKS, IMPLEMENT, OWN, REVIEW, ImplementRecord, WorktreeMarker

RECORD = "landing.toml"
PROOFS = (IMPLEMENT, CHECKS, REVIEW)


def repair_obstacle(ctx: CellContext) -> str | None:
    """Why nobody can be asked, else None."""
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
        prepare_repair(ctx, trouble, detail, head=head, target=target, tip=tip)
        write_toml(ctx.dir / RECORD, {"schema": 1, "number": number, "head": head})
    perform_open_phases(ctx, list_phases_from(ctx, Phase.IMPLEMENT))
    (ctx.dir / EVIDENCE).unlink(missing_ok=True)
    write_resolved_files(ctx, ())
    mended = ctx.read_head()
    if mended is None:
        raise ctx.fail("it has no head after its repair", hint=f"orchestr explain {ctx.name}")
    return mended.head


def _keep_single_files(
    ctx: CellContext, trouble: Trouble, detail: str, head: str, tip: str
) -> None:
    """Resolve what the ladder can of a conflict, so that the agent gets the rest only; not where a
    result of the ladder was red: it may be what was wrong."""
    found: list[ResolvedFile] = []
    if trouble is Trouble.CONFLICT and "\n" not in detail:
        rules = read_ladder_rules(ctx.run.settings, ctx.cell.repo)
        if not ctx.has_landing_checks:
            seen = frozenset(rung for rung in rules.rungs if not rung.needs_check)
            rules = dataclasses.replace(rules, rungs=seen)
        for file, data in resolve_single_files(ctx.repo, CommitId(head), CommitId(tip), rules):
            found.append(ResolvedFile(file.path, file.blobs, file.mode, write_blob(ctx.repo, data)))
    write_resolved_files(ctx, found)


def prepare_repair(
    ctx: CellContext, trouble: Trouble, detail: str, *, head: str, target: str, tip: str
) -> None:
    """Ask the next attempt to take ``target`` into ``head`` as it is at ``tip``. Raises
    PhaseFailed, GitError.
    """
    marker = WorktreeMarker.read(ctx.dir)
    if marker is None:
        raise ctx.fail("its worktree marker is missing", hint=f"orchestr run {ctx.name}")
    if trouble is Trouble.CONFLICT:
        files, _, rest = detail.partition("\n")
        what = "\n\n".join(
            filter(None, (f"This branch conflicts with `{target}` in {files}.", rest))
        )
    else:
        what = f"Merged with `{target}` as it is now, this branch is red: {detail}"
    text = (
        f"{what}\n\n`{target}` ({tip[:12]}) is merged into your branch. Make both sides' intent "
        "work together, change nothing that your task does not need, and leave no conflict markers."
    )
    write_atomic(ctx.dir / EVIDENCE, f"{text}\n".encode())
    _keep_single_files(ctx, trouble, detail, head, tip)
    _keep_proven_head(ctx, marker)
    # Its result is void whatever happens; the attempt after it goes on from the same branch.
    forget_phases(ctx, [Phase.IMPLEMENT, Phase.CHECK, Phase.REVIEW])
    # A merge that an attempt left half-done is of the target as it was then: it is finished first,
    # and what moved since is the next candidate's. Another base could never be in that merge.
    half = ctx.worktree.exists() and unfinished_operation(ctx.worktree_repo) is not None
    if not (half and marker.base_ref == target):
        replace(marker, base=tip, base_ref=target).write(ctx.dir)


def _keep_proven_head(ctx: CellContext, marker: WorktreeMarker) -> None:
    """Copy what proves the head, before a repair puts it aside."""
    folder = ctx.dir / PROVEN
    if ImplementRecord.read(ctx.dir) is None:
        return  # a second repair: what was proven is kept
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    marker.write(folder)
    for name in PROOFS:
        if (ctx.dir / name).exists():
            shutil.copy2(ctx.dir / name, folder / name)
    if (ctx.dir / OWN).is_dir():
        shutil.copytree(ctx.dir / OWN, folder / OWN)


def restore_proven_head(ctx: CellContext) -> bool:
    """Put back what proves the published head, when a repair failed.

    The branch may stand where the failed attempt left it: that work is kept, and is proven by
    nothing. False when there is nothing to put back: a person has committed since, or its agent is
    at work.
    """
    folder, head = ctx.dir / PROVEN, ctx.read_head()
    kept, marker = ImplementRecord.read(folder), WorktreeMarker.read(folder)
    newest = attempts.newest_attempt(ctx.dir)
    if head is None or kept is None or marker is None or kept.head != head.head:
        return False
    if ImplementRecord.read(ctx.dir) is not None or newest is None or newest.is_open:
        return False
    tip = ctx.repo.resolve_commit(f"refs/heads/{ctx.cell.branch}")
    if tip not in (head.head, newest.tip):
        return False
    marker.write(ctx.dir)
    for name in PROOFS:
        if (folder / name).exists():
            shutil.copy2(folder / name, ctx.dir / name)
    if (folder / OWN).is_dir():
        shutil.copytree(folder / OWN, ctx.dir / OWN, dirs_exist_ok=True)
    return True


def withdraw_proven_head(ctx: CellContext) -> None:
    """It did not land: the cell is for its agent or a person again, as before."""
    kept, now = ImplementRecord.read(ctx.dir / PROVEN), ImplementRecord.read(ctx.dir)
    if kept is None or now is None or kept.head != now.head:
        return  # a repair has made a new head
    for name in PROOFS:
        (ctx.dir / name).unlink(missing_ok=True)


def list_phases_from(ctx: CellContext, first: Phase) -> tuple[str, ...]:
    """The phases of a cell from one of ours on, those of one's own among them."""
    steps = ctx.cell.task_phases
    return steps[steps.index(first) :]


def perform_open_phases(ctx: CellContext, phases: Iterable[str]) -> None:
    """The phases that are not done for what the cell has now. Raises what they raise."""
    for phase in phases:
        if phase_module(phase).reason_to_run(ctx) is not None:
            run_phase(ctx, phase)
