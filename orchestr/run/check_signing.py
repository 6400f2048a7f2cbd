"""Before a run: whether the commits of its cells can be signed, and who they would be by.

A signer that is locked keeps an agent's commits and ours from being made after the work is
paid for. Where the settings switch signing off (`unsigned`, `sign = "off"`) nothing is tried.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from orchestr.cell.context import CellContext, FeatureRun
from orchestr.errors import MachineFault, OrchestrError
from orchestr.git.errors import SIGNING_HINT
from orchestr.git.repo import Repo
from orchestr.git.sign_trial import explain_unsigned
from orchestr.run.diagnostic import Diagnostic
from orchestr.settings.repo_paths import repo_path
from orchestr.spec.phases import Action


def check_signing(cells: Sequence[CellContext]) -> list[Diagnostic]:
    """The repositories of these cells, which have something to do, where signing fails."""
    repos = {
        ctx.cell.repo: ctx.repo if ctx.repo_path.is_dir() else None
        for ctx in cells
        if ctx.cell.action is not Action.PUSH and not ctx.sign_config
    }
    if not repos:
        return []
    with ThreadPoolExecutor(max_workers=8) as pool:
        reasons = list(pool.map(_explain_safely, repos.values()))
    found = [(name, why) for name, why in zip(repos, reasons, strict=True) if why is not None]
    what = "commits cannot be signed, as commit.gpgSign asks for"
    return [Diagnostic("error", f"{name}: {what}: {why}", SIGNING_HINT) for name, why in found]


def refuse_unsigned_landing(runs: Sequence[FeatureRun], strategy: str | None) -> None:
    """Before a landing of features that are not in yet: its merges are signed where the user signs.

    Raises OrchestrError where that fails now. A fast-forward makes no commit, so it needs none.
    """
    for run in runs:
        settings = run.settings
        for name in sorted({cell.repo for cell in run.feature.cells}):
            place = settings.repo_settings(name)
            way = strategy or place.strategy or settings.landing.strategy
            path = repo_path(settings, name)
            if settings.workspace.unsigned or way == "fast-forward" or not path.is_dir():
                continue
            why = _explain_safely(Repo(path))
            if why is not None:
                what = f"{name}: the commits of a landing cannot be signed: {why}"
                raise OrchestrError(what, hint=SIGNING_HINT)


def _explain_safely(repo: Repo | None) -> str | None:
    """None is a repository that the run will clone: the user's own settings count there.

    One that git cannot use has a finding of its own already.
    """
    try:
        if repo is not None:
            return explain_unsigned(repo)
        with tempfile.TemporaryDirectory(prefix="orchestr-sign-") as folder:
            empty = Repo(Path(folder))
            empty.run_git("init", "--quiet", "--template=")
            return explain_unsigned(empty)
    except MachineFault:
        raise
    except OrchestrError:
        return None
