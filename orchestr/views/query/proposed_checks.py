"""What `plan` proposes where nothing is configured: checks that fit what a repository has.

Reads names and a few small files of the clone; runs nothing. Cells that have checks of their own,
or none of the phase `check`, are left alone.
"""

from __future__ import annotations

from orchestr.cell.context import Run
from orchestr.spec.phases import Phase
from orchestr.views.terminal.plan import Proposed


def proposals(run: Run) -> list[Proposed]:
    """One for each check that was detected, in the order of the repositories in the spec."""
    from orchestr.checks.detect import as_yaml, detect

    bare: dict[str, list[str]] = {}
    for cell in run.feature.cells:
        ctx = run.cell(cell.name)
        if Phase.CHECK in cell.phases and not (ctx.repo_settings.checks or cell.proof.checks):
            bare.setdefault(cell.repo, []).append(cell.name)
    return [
        Proposed(repo, tuple(names), as_yaml(found), found.reason, ctx.repo_settings.detect)
        for repo, names in bare.items()
        for ctx in (run.cell(names[0]),)
        for found in detect(ctx.worktree if ctx.worktree.is_dir() else ctx.repo_path)
    ]
