"""Before checks and reviews: the worktree stands clean on the head that they are for.

A cell's own worktree is brought to its branch; a person's head (`action: push`) gets a detached
worktree of its own for the time, because their checkout is not ours to run things in. Also goes on
with a repair that a kill interrupted.
"""

from __future__ import annotations

from orchestr.cell.agent.repair import author_of, call_off, carry_out, under_way
from orchestr.cell.context import CellContext
from orchestr.cell.ownership import claims_of, some
from orchestr.cell.proof.verify_commits import prove
from orchestr.cell.worktree.clone_guard import GUARD
from orchestr.cell.worktree.ensure import ensure, ensure_upstreams
from orchestr.cell.worktree.worktree_guard import end_left, recover
from orchestr.git.repo import CommitId
from orchestr.git.worktrees import add_detached, remove_worktree
from orchestr.spec.phases import Action, Phase
from orchestr.state import attempts, repairs
from orchestr.state.attempts import Attempt
from orchestr.state.results import Implemented, Marker


def open_round(ctx: CellContext, done: Implemented, marker: Marker, phase: Phase) -> Attempt | None:
    """Go on with the repair that was begun, if there is one; the attempt that mends, if any.

    Also with one for another phase (the spec was edited meanwhile) if its agent has started: it is
    paid for, and nothing can be proved in a worktree that it works in.
    """
    attempt = author_of(ctx, done)
    if attempt is None:
        return None
    record = repairs.open_one(repairs.every(ctx.dir, attempt.number))
    if record is not None:
        wanted = record.phase == phase or under_way(ctx, attempt, record)
        if record.origin == done.head and wanted:
            carry_out(ctx, attempt, marker, record)
        else:
            call_off(ctx, attempt, record)
    return attempts.read(ctx.dir, attempt.number)


def end_round(ctx: CellContext, done: Implemented, phase: Phase) -> None:
    """End the repair that a phase had begun, where the phase has nothing to prove any more."""
    attempt = author_of(ctx, done)
    record = repairs.open_one(repairs.every(ctx.dir, attempt.number)) if attempt else None
    if attempt is not None and record is not None and record.phase == phase:
        call_off(ctx, attempt, record)


def stand(ctx: CellContext, done: Implemented, marker: Marker) -> CommitId:
    """Make the worktree ready and return the head that it stands on.

    That is the result of `implement` or what came after it on the branch: earlier repairs, or a
    person who mended what was red. Raises PhaseFailed when it cannot be used.
    """
    ensure_upstreams(ctx)
    if ctx.cell.action is Action.PUSH:
        head = CommitId(done.head)
        end_left(ctx)
        if ctx.run.registry.lookup(ctx.key) is None:
            add_detached(ctx.repo, ctx.worktree, head, locks=ctx.run.layout.locks)
        return head
    ensure(ctx, marker)
    recover(ctx, ctx.dir / GUARD)
    dirty = ctx.tree_repo.dirty()
    if dirty:
        raise ctx.fail(
            f"its worktree has uncommitted changes: {some(dirty)}",
            hint=f"commit them or take them away: git -C {ctx.worktree} status",
        )
    tip = ctx.repo.resolve(f"refs/heads/{ctx.cell.branch}")
    if tip is None or not ctx.repo.is_ancestor(done.head, tip):
        where = tip[:12] if tip else "gone"
        raise ctx.fail(
            f"branch {ctx.cell.branch} is {where} and does not contain its result {done.head[:12]}",
            hint=f"git -C {ctx.worktree} merge {done.head[:12]}, or orchestr run --force "
            f"{ctx.name}",
        )
    return tip


def unacceptable(ctx: CellContext, done: Implemented, marker: Marker, head: CommitId) -> str:
    """Why what came after the result may not be published: its agent is to undo that.

    Empty when it may. Raises PhaseFailed for a person's commits: nobody else undoes them.
    """
    base, start = CommitId(marker.base), CommitId(done.head)
    if head == start or ctx.repo.tree(head) == ctx.repo.tree(base):
        return ""
    found = prove(
        ctx.tree_repo,
        base=base,
        start=start,
        head=head,
        claims=claims_of(ctx.run.feature, ctx.cell),
    )
    if found.ok:
        return ""
    why = "; ".join(found.findings)
    made = [one.after for one in repairs.every(ctx.dir, done.attempt)] if done.attempt else []
    if head in made:
        return why
    raise ctx.fail(
        f"commits after its result {done.head[:12]} are not acceptable: {why}",
        hint=f"mend it in {ctx.worktree}, or orchestr run --force {ctx.name}",
    )


def step_off(ctx: CellContext) -> None:
    """Remove the worktree that was only there for a person's head."""
    mine = ctx.run.registry.lookup(ctx.key) is None
    if ctx.cell.action is Action.PUSH and mine and ctx.worktree.is_dir():
        remove_worktree(ctx.repo, ctx.worktree, locks=ctx.run.layout.locks, force=True)
