"""Before a run: branches of the cells' names that hold another's work already.

The claim itself is made when the worktree is (`orchestr.cell.pull_request.claim`), before an agent
starts; this says the same earlier, to `plan`, too. Where no other cell is known to own the branch
it is a warning: its pull request, which is not asked for here, may name this cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestr.cell.context import CellContext
from orchestr.cell.pull_request.claim import find_other_owner, other_branch_hint
from orchestr.cell.worktree.ensure import base_branch
from orchestr.errors import MachineFault, OrchestrError
from orchestr.git.bases import list_base_tips
from orchestr.git.repo import Branch, CommitId
from orchestr.run.diagnostic import Diagnostic
from orchestr.spec.phases import Action
from orchestr.state.results import WorktreeMarker


def check_branches(cells: Sequence[CellContext]) -> list[Diagnostic]:
    """``cells`` have something to do; those that have worked on their branch are passed over."""
    found: list[Diagnostic] = []
    heads: dict[str, dict[Branch, CommitId]] = {}
    for ctx in cells:
        new = ctx.cell.action is Action.AGENT and WorktreeMarker.read(ctx.dir) is None
        if not new or ctx.cell.adopt or not ctx.repo_path.is_dir():
            continue
        try:
            if ctx.cell.repo not in heads:
                heads[ctx.cell.repo] = ctx.repo.list_branch_heads()
            found += _check_branch(ctx, heads[ctx.cell.repo].get(Branch(ctx.cell.branch)))
        except MachineFault:
            raise
        except OrchestrError:
            continue  # a repository that git cannot use has a finding of its own
    return found


def _check_branch(ctx: CellContext, tip: CommitId | None) -> Iterator[Diagnostic]:
    branch = ctx.cell.branch
    known = ctx.run.registry.lookup(ctx.key)
    if tip is None or (known is not None and known.branch == branch):
        return
    base = base_branch(ctx)
    if any(ctx.repo.is_ancestor(tip, at) for at in list_base_tips(ctx.repo, base).values()):
        return
    there = f"{ctx.name}: branch {branch} exists in {ctx.repo_path} ({tip[:12]})"
    owner = find_other_owner(ctx)
    if owner is not None:
        yield Diagnostic("error", f"{there} and belongs to {owner}", other_branch_hint(ctx))
        return
    yield Diagnostic(
        "warning",
        f"{there} with commits; its cell is refused unless a pull request names it as the owner",
        f"to go on from these commits, set `adopt: true` for cell {ctx.cell.name} in "
        f"{ctx.run.feature.path}; else: git -C {ctx.repo_path} branch -m {branch} {branch}-old",
    )
