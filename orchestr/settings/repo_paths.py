"""Where the clones of the repositories are."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from orchestr.settings.records import Settings


def repo_path(settings: Settings, name: str) -> Path:
    """Where the clone of a repository is, whether it exists or not."""
    repo = settings.repo_settings(name)
    if repo.path is not None:
        return repo.path
    if repo.url is not None:
        return settings.workspace.state / "repos" / name
    return settings.workspace.repos / name


def head_file(clone: Path) -> Path:
    """The file that is there when the repository is; a submodule has its git folder elsewhere."""
    place = clone / ".git"
    if place.is_file():
        with suppress(OSError, UnicodeError):
            kind, _, folder = place.read_text(encoding="utf-8").strip().partition(": ")
            return clone / folder / "HEAD" if kind == "gitdir" else place / "HEAD"
    return place / "HEAD"
