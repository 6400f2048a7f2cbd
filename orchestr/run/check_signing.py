"""Before a run: whether the commits of its cells can be signed, and who they would be by.

A signer that nobody unlocks keeps an agent's commits and ours from being made after the work is
paid for. Where the settings switch signing off (`unsigned`, `sign = "off"`) nothing is tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from orchestr.cell.context import CellContext
from orchestr.errors import OrchestrError
from orchestr.git.errors import SIGNING_HINT
from orchestr.git.repo import Repo
from orchestr.git.sign_trial import explain_unsigned
from orchestr.run.diagnostic import Diagnostic
from orchestr.spec.phases import Action


def check_signing(cells: Sequence[CellContext]) -> list[Diagnostic]:
    """The repositories of these cells, which have something to do, where signing fails."""
    repos = {
        ctx.cell.repo: ctx.repo
        for ctx in cells
        if ctx.cell.action is not Action.PUSH and not ctx.sign_config and ctx.repo_path.is_dir()
    }
    if not repos:
        return []
    with ThreadPoolExecutor(max_workers=8) as pool:
        reasons = pool.map(_explain_safely, repos.values())
    found = [(name, why) for name, why in zip(repos, reasons, strict=True) if why is not None]
    what = "commits cannot be signed, as commit.gpgSign asks for"
    return [Diagnostic("error", f"{name}: {what}: {why}", SIGNING_HINT) for name, why in found]


def _explain_safely(repo: Repo) -> str | None:
    """A repository that git cannot use has a finding of its own already."""
    try:
        return explain_unsigned(repo)
    except OrchestrError:
        return None
