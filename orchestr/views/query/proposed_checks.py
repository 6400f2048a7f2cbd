"""What `plan` proposes where nothing is configured: checks that fit what a repository has.

Reads names and a few small files of the clone; runs nothing. Cells that have checks of their own,
or none of the phase `check`, are left alone.
"""

from __future__ import annotations

from orchestr.cell.context import FeatureRun
from orchestr.spec.phases import Phase
from orchestr.views.terminal.plan import ProposedCheck


def propose_checks(run: FeatureRun) -> list[ProposedCheck]:
    """One for each check that was detected, in the order of the repositories in the spec."""
    from orchestr.checks.detect import detect_checks, proposal_as_yaml

    bare: dict[str, list[str]] = {}
    for cell in run.feature.cells:
        ctx = run.cell_context(cell.name)
        if Phase.CHECK in cell.phases and not (ctx.repo_settings.checks or cell.proof.checks):
            bare.setdefault(cell.repo, []).append(cell.name)
    return [
        ProposedCheck(
            repo, tuple(names), proposal_as_yaml(found), found.reason, ctx.repo_settings.detect
        )
        for repo, names in bare.items()
        for ctx in (run.cell_context(names[0]),)
        for found in detect_checks(ctx.worktree if ctx.worktree.is_dir() else ctx.repo_path)
    ]
