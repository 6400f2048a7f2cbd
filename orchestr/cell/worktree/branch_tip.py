"""Where a cell's branch stands in the clone, without a process where git's files can say it."""

from __future__ import annotations

from orchestr.cell.context import CellContext
from orchestr.errors import MachineFault, OrchestrError
from orchestr.git.branch_tip import GitMustSay, read_branch_tip
from orchestr.git.repo import CommitId


def find_branch_tip(ctx: CellContext) -> CommitId | None:
    """The commit of the cell's branch; None when the repository or the branch is not there."""
    try:
        return read_branch_tip(ctx.repo_path, ctx.cell.branch)
    except GitMustSay:
        pass
    try:
        return ctx.repo.resolve_commit(f"refs/heads/{ctx.cell.branch}")
    except MachineFault:
        raise
    except OrchestrError:
        return None
