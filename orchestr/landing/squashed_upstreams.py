"""When a run begins: what people squashed or rebased into the target, below a stacked branch.

The stacked branch still has the commits of the lower one, and the target has the same changes as
other commits: its pull request would show them a second time. So the target is merged into it with
the lower head as what both have in common, as a landing does (`orchestr.landing.after_landing`);
the phases on the new head are the run's. A conflict is left to `follow` and `land`.

Done once for each squash, without a mark of its own: afterwards the branch has more of the target
in common than the lower one ever had. A kill in between is as in a landing: the same merge is made
again.
"""

from __future__ import annotations

from collections.abc import Callable

from orchestr.cell.context import CellContext, FeatureRun, observed_prs
from orchestr.cell.worktree.ensure import base_branch
from orchestr.errors import MachineFault, OrchestrError
from orchestr.forges.base import PRState
from orchestr.git.bases import fetch_base, find_base
from orchestr.git.repo import CommitId
from orchestr.spec.phases import Phase
from orchestr.state.events import EventKind
from orchestr.state.states import CellState


def take_in_squashed_upstreams(run: FeatureRun) -> None:
    """Merge the target into each published branch whose upstream people merged as other commits.

    The forge was asked before (`observe_pull_requests`). What cannot be done now is a warning.
    Raises MachineFault.
    """
    pairs = [
        (ctx, landed)
        for plan in run.plan.cells
        for ctx in [run.cell_context(plan.name)]
        if (landed := _find_landed_head(ctx)) is not None
    ]
    if not pairs:
        return
    from orchestr.landing.finish_updates import finish_updates  # the merge queue: seldom needed

    warns = {ctx.cell.name: _make_warn(ctx) for ctx, _ in pairs}
    finish_updates([run], next(iter(warns.values())))
    for ctx, landed in pairs:
        try:
            _take_in(ctx, landed, warns[ctx.cell.name])
        except MachineFault:
            raise
        except OrchestrError as error:
            warns[ctx.cell.name](f"{ctx.name}: what landed below it was not taken in: "
                                 f"{error.message}")  # fmt: skip


def _make_warn(ctx: CellContext) -> Callable[[str], None]:
    return lambda text: ctx.emit(EventKind.CELL_WARNED, phase=Phase.WORKTREE, reason=text)


def _find_landed_head(ctx: CellContext) -> str | None:
    """The merged head of the one cell that an open pull request stands on; a landing of ours
    updates its dependents itself."""
    if len(ctx.plan.stack) != 1:
        return None
    prs = observed_prs(ctx.run, ctx.cell)
    if not prs or prs[0].state is not PRState.OPEN:
        return None
    below = ctx.run.cell_context(ctx.plan.stack[0])
    merged = observed_prs(ctx.run, below.cell)
    if not merged or merged[0].state is not PRState.MERGED:
        return None
    state = ctx.run.past.cell(below.cell.name).state
    if state is CellState.LANDED or merged[0].base != base_branch(ctx):
        return None  # what was merged into another branch is not in the target
    return merged[0].head_sha


def _take_in(ctx: CellContext, landed: str, warn: Callable[[str], None]) -> None:
    from orchestr.landing.after_landing import find_head_to_update, move_to_target_merge
    from orchestr.landing.ladder import LadderMerge

    repo, old, target = ctx.repo, find_head_to_update(ctx), base_branch(ctx)
    tip = find_base(repo, target)
    if old is None or tip is None or repo.resolve_commit(landed) is None:
        return
    if _was_taken_in(ctx, old, tip, landed):
        return
    fetch_base(repo, target, locks=ctx.run.layout.locks_dir)
    tip = find_base(repo, target) or tip
    if repo.is_ancestor(tip, old) or _was_taken_in(ctx, old, tip, landed):
        return  # as well where the target shows nothing of it yet
    merged = repo.merge_trees(old, tip, repo.merge_base(old, landed))
    if merged.tree is None:
        files = ", ".join(merged.conflicts[:5])
        warn(f"{target}, into which what is below it was merged, conflicts with its branch in "
             f"{files}")  # fmt: skip
        return
    move_to_target_merge(ctx, target, (old, tip), LadderMerge(merged.tree), warn)


def _was_taken_in(ctx: CellContext, old: CommitId, tip: CommitId, landed: str) -> bool:
    """Whether the branch knows more of the target than the lower one ever did, or the lower
    commits are in the target as they are."""
    repo = ctx.repo
    if repo.is_ancestor(landed, tip):
        return True
    mine, theirs = repo.merge_base(old, tip), repo.merge_base(landed, tip)
    return mine is None or theirs is None or not repo.is_ancestor(mine, theirs)
