"""What a run would give the cells of a feature: places, agent, limits, checks, gates.

For `plan`, so that a person sees before a run what it will use. By spec, settings and the values of
the command line; reads files of the clones only where checks are detected. Runs nothing.
"""

from __future__ import annotations

from orchestr.cell.agent_chain import list_authors, list_beside
from orchestr.cell.agent_options import list_work_options, planned_options
from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.notes import explain_unchecked
from orchestr.cell.proof.run_checks import cell_checks
from orchestr.spec.agent_options import Role
from orchestr.spec.phases import Action, Phase
from orchestr.views.terminal.plan import CellWork


def list_cell_work(run: FeatureRun) -> dict[str, CellWork]:
    """Cell -> what it gets, in plan order."""
    return {plan.name: _describe_cell(run.cell_context(plan.name)) for plan in run.plan.cells}


def _describe_cell(ctx: CellContext) -> CellWork:
    works = ctx.cell.action is Action.AGENT
    known = ctx.run.overrides.agent or ctx.agent_name
    has_agent = works and known in ctx.run.settings.agents
    place = ctx.worktree if ctx.worktree.is_dir() else ctx.repo_path
    proof = ctx.cell.proof
    return CellWork(
        repo_path=str(ctx.repo_path),
        worktree=str(ctx.worktree) if works else None,
        agent=known if has_agent else None,
        followers=list_authors(ctx)[1:] if has_agent else (),
        beside=list_beside(ctx) if has_agent else (),
        model=planned_options(ctx, Role.IMPLEMENT).options.model if has_agent else None,
        options=tuple((one.work, one.chosen) for one in list_work_options(ctx))
        if has_agent
        else (),
        timeout=ctx.timeout if works else None,
        checks=tuple(check.name for check in cell_checks(ctx, place)),
        unchecked=explain_unchecked(ctx),
        reviewers=tuple(r.name for r in proof.reviewers) if Phase.REVIEW in ctx.cell.phases else (),
        gates=tuple(gate.value for gate in proof.approve),
    )
