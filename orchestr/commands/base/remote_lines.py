"""Where each repository's branches go and its pull requests open, for `doctor`."""

from __future__ import annotations

from collections.abc import Iterator

from orchestr.errors import OrchestrError
from orchestr.git.open_clone import open_clone
from orchestr.git.repo import Repo
from orchestr.git.runner import YES_OR_NO_REMOTE
from orchestr.process.run import redact
from orchestr.run.workspace import Session
from orchestr.settings.repo_paths import repo_path


def describe_remotes(session: Session) -> Iterator[str]:
    """A line for each repository that is here: `app: company (git@...), from main of upstream`."""
    names = {cell.repo for feature in session.specs.features.values() for cell in feature.cells}
    for name in sorted(names):
        if not repo_path(session.settings, name).is_dir():
            continue
        repo = open_clone(session.settings, name)
        remotes = repo.remotes
        try:
            line = f"{name}: {remotes.push} ({_read_url(repo, remotes.push)})"
            if remotes.is_fork:
                where = _read_url(repo, remotes.base)
                line += f", a fork; pull requests open at {remotes.base} ({where})"
        except OrchestrError as error:
            line = f"{name}: {error.message}"
        yield line


def _read_url(repo: Repo, remote: str) -> str:
    done = repo.run_readonly("remote", "get-url", "--", remote, answers=YES_OR_NO_REMOTE)
    return redact(done.text.strip(), ()) if done.code == 0 else "it is not there"
