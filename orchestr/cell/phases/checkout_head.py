"""Before checks and reviews: the worktree stands clean on the head that they are for.

A cell's own worktree is brought to its branch; a person's head (`action: push`) gets a detached
worktree of its own for the time, because their checkout is not ours to run things in. Also goes on
with a repair that a kill interrupted.
"""

from __future__ import annotations

from orchestr.cell.agent.repair import (
    author_attempt,
    call_off_repair,
    carry_out_repair,
    is_repair_started,
)
from orchestr.cell.context import CellContext
from orchestr.cell.ownership import format_paths
from orchestr.cell.proof.prove_cell_head import prove_cell_head
from orchestr.cell.worktree.clone_guard import GUARD
from orchestr.cell.worktree.damage import restore_missing_files
from orchestr.cell.worktree.discard import remove_cell_worktree
from orchestr.cell.worktree.ensure import ensure_worktree
from orchestr.cell.worktree.readable_checkout import ensure_upstreams
from orchestr.cell.worktree.worktree_guard import kill_leftover_checks, recover_worktree
from orchestr.git.repo import CommitId
from orchestr.git.worktrees import add_detached
from orchestr.spec.phases import Action, Phase
from orchestr.state import attempts, repairs
from orchestr.state.attempts import Attempt
from orchestr.state.results import ImplementRecord, WorktreeMarker


def resume_repair(
    ctx: CellContext, done: ImplementRecord, marker: WorktreeMarker, phase: Phase
) -> Attempt | None:
    """Go on with the repair that was begun, if there is one; the attempt that mends, if any.

    Also with one for another phase (the spec was edited meanwhile) if its agent has started: it is
    paid for, and nothing can be proved in a worktree that it works in.
    """
    attempt = author_attempt(ctx, done)
    if attempt is None:
        return None
    record = repairs.find_open_round(repairs.read_rounds(ctx.dir, attempt.number))
    if record is not None:
        wanted = record.phase == phase or is_repair_started(ctx, attempt, record)
        if record.origin == done.origin and wanted:
            carry_out_repair(ctx, attempt, marker, record)
        else:
            call_off_repair(ctx, attempt, record)
    return attempts.read_attempt(ctx.dir, attempt.number)


def end_repair(
    ctx: CellContext, done: ImplementRecord, marker: WorktreeMarker, phase: Phase
) -> None:
    """End the repair that a phase had begun, where the phase has nothing to prove any more; one
    that came from the open pull request or the audit is carried out."""
    attempt = author_attempt(ctx, done)
    record = (
        repairs.find_open_round(repairs.read_rounds(ctx.dir, attempt.number)) if attempt else None
    )
    if attempt is None or record is None or record.phase != phase:
        return
    if record.asked_by in repairs.OUTSIDE and record.origin == done.origin:
        ensure_worktree(ctx, marker)
        carry_out_repair(ctx, attempt, marker, record)
    else:
        call_off_repair(ctx, attempt, record)


def find_repaired_head(
    ctx: CellContext, done: ImplementRecord, marker: WorktreeMarker, phase: Phase, known: str
) -> CommitId | None:
    """The head that the repairs of a phase came to, where the phase has nothing to prove any more
    (the spec lost its checks or reviewers after they had failed).

    None when that is the ``known`` one, and when it may not be published. Raises PhaseFailed when
    the worktree cannot be used.
    """
    rounds = repairs.read_rounds(ctx.dir, done.attempt) if done.attempt else []
    repaired = repairs.last_repaired_head(rounds, phase, done.origin)
    if repaired in (None, known):
        return None
    head = checkout_head(ctx, done, marker)
    return None if unacceptable_reason(ctx, done, marker, head) else head


def checkout_head(
    ctx: CellContext,
    done: ImplementRecord,
    marker: WorktreeMarker,
    *,
    works_elsewhere: bool = False,
) -> CommitId:
    """Make the worktree ready and return the head that it stands on.

    That is the result of `implement` or what came after it on the branch: earlier repairs, or a
    person who repaired what was red. ``works_elsewhere``: what follows has checkouts of its own, of
    the cell and of what it reads. Raises PhaseFailed when it cannot be used.
    """
    if not works_elsewhere:
        ensure_upstreams(ctx)
    if ctx.cell.action is Action.PUSH:
        head = CommitId(done.head)
        kill_leftover_checks(ctx)
        if not works_elsewhere and ctx.run.registry.lookup(ctx.key) is None:
            add_detached(ctx.worktree_owner, ctx.worktree, head, locks=ctx.run.layout.locks_dir)
        return head
    ensure_worktree(ctx, marker)
    recover_worktree(ctx, ctx.dir / GUARD)
    dirty = ctx.worktree_repo.dirty_paths()
    if dirty and restore_missing_files(ctx):
        dirty = ctx.worktree_repo.dirty_paths()
    if dirty:
        raise ctx.fail(
            f"its worktree has uncommitted changes: {format_paths(dirty)}",
            hint=f"commit them or take them away: git -C {ctx.worktree} status",
        )
    tip = ctx.repo.resolve_commit(f"refs/heads/{ctx.cell.branch}")
    if tip is None or not ctx.repo.is_ancestor(done.head, tip):
        where = tip[:12] if tip else "gone"
        raise ctx.fail(
            f"branch {ctx.cell.branch} is {where} and does not contain its result {done.head[:12]}",
            hint=f"git -C {ctx.worktree} merge {done.head[:12]}, or orchestr run --force "
            f"{ctx.name}",
        )
    return tip


def unacceptable_reason(
    ctx: CellContext, done: ImplementRecord, marker: WorktreeMarker, head: CommitId
) -> str:
    """Why what came after the result may not be published: its agent is to undo that.

    Empty when it may. Raises PhaseFailed for a person's commits: nobody else undoes them.
    """
    base, start = CommitId(marker.base), CommitId(done.head)
    if head == start or ctx.repo.resolve_tree(head) == ctx.repo.resolve_tree(base):
        return ""
    found = prove_cell_head(ctx, ctx.worktree_repo, base=base, start=start, head=head)
    if found.ok:
        return ""
    why = "; ".join(found.findings)
    made = [one.after for one in repairs.read_rounds(ctx.dir, done.attempt)] if done.attempt else []
    if head in made:
        return why
    raise ctx.fail(
        f"commits after its result {done.head[:12]} are not acceptable: {why}",
        hint=f"mend it in {ctx.worktree}, or orchestr run --force {ctx.name}",
    )


def remove_temporary_worktree(ctx: CellContext) -> None:
    """Remove the worktree that was only there for a person's head."""
    mine = ctx.run.registry.lookup(ctx.key) is None
    if ctx.cell.action is Action.PUSH and mine and ctx.worktree.is_dir():
        remove_cell_worktree(ctx, 0)
