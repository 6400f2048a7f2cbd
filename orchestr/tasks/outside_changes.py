"""What makes a phase run besides its files: its digest, and what only a look can tell.

doit compares files; these are asked when it wants to know whether a phase is up to date. Neither
asks the network.
"""

from __future__ import annotations

from orchestr.cell.context import CellContext, observed_prs
from orchestr.cell.granted import read_grants
from orchestr.cell.inputs import attempt_key, phase_digest
from orchestr.cell.phases.run_phase import phase_module
from orchestr.cell.worktree.branch_tip import find_branch_tip
from orchestr.spec.phases import Action, Phase
from orchestr.state import attempts
from orchestr.state.results import (
    ImplementRecord,
    WorktreeMarker,
    digest,
)


def current_phase_digest(ctx: CellContext, phase: str) -> str:
    """What doit remembers of a phase besides its files."""
    own = phase_digest(ctx, phase)
    match phase:
        case Phase.WORKTREE:
            return digest(own, sorted(ctx.plan.upstreams))
        case Phase.IMPLEMENT if ctx.cell.action is Action.PUSH:
            from orchestr.cell.inputs import local_head

            return digest(own, local_head(ctx))
        case Phase.PUBLISH if ctx.plan.stack:
            from orchestr.cell.phases.publish import merged_upstreams

            return digest(own, merged_upstreams(ctx))
        case _:
            return own


def has_outside_changes(ctx: CellContext, phase: str) -> bool:
    """Whether something outside of files and digests makes the phase run; asks no network."""
    match phase:
        case Phase.WORKTREE:
            # A moved base is seen by a fetch only.
            return (
                ctx.cell.track_base
                or attempts.fresh_request(ctx.dir) is not None
                or has_renamed_base(ctx)
            )
        case Phase.PLAN:
            return (
                phase_module(phase).reason_to_run(ctx) is not None
            )  # a person's answer, an edited plan
        case Phase.IMPLEMENT if ctx.cell.action is Action.AGENT:
            from orchestr.cell.pull_request.foreign_commits import has_foreign_head

            return has_moved_branch(ctx) or has_foreign_head(ctx) or has_new_grant(ctx)
        case Phase.CHECK | Phase.REVIEW if ctx.cell.proof.allow_partial:
            return (
                phase_module(phase).reason_to_run(ctx) is not None
            )  # a person repaired a red head
        case Phase.REVIEW if ctx.cell.proof.reviewers:
            return phase_module(phase).reason_to_run(ctx) is not None  # settings name the model
        case Phase.PUBLISH if observed_prs(ctx.run, ctx.cell):
            from orchestr.cell.phases.publish import saw_pr_closed

            return saw_pr_closed(ctx)
        case _ if phase not in set(Phase):
            return phase_module(phase).reason_to_run(ctx) is not None  # its prompt is a file
        case _:
            return False


def has_renamed_base(ctx: CellContext) -> bool:
    """Whether the branch that a cell is stacked on was renamed."""
    marker = WorktreeMarker.read(ctx.dir) if ctx.plan.stack else None
    if marker is None:
        return False
    from orchestr.cell.phases.worktree import find_renamed_base

    return find_renamed_base(ctx, marker) is not None


def has_moved_branch(ctx: CellContext) -> bool:
    """Whether the cell's branch has left its result: the phase looks who moved it."""
    done = ImplementRecord.read(ctx.dir)
    tip = find_branch_tip(ctx) if done is not None else None
    if done is None or tip is None or tip == done.head:
        return False
    agreed = ctx.read_head()
    return agreed is None or tip != agreed.head


def has_new_grant(ctx: CellContext) -> bool:
    """Whether another cell needs a contract of this one changed, and the run is to make it."""
    if not ctx.run.feature.contracts or read_grants(ctx.dir) is None:
        return False
    marker, done = WorktreeMarker.read(ctx.dir), ImplementRecord.read(ctx.dir)
    return marker is not None and done is not None and done.key != attempt_key(ctx, marker)
