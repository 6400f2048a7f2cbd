"""The main clone of a repository of the workspace, with the remotes that the settings name."""

from __future__ import annotations

from collections.abc import Mapping

from orchestr.git.repo import Repo
from orchestr.settings.records import Settings
from orchestr.settings.remotes import read_remotes
from orchestr.settings.repo_paths import repo_path


def open_clone(settings: Settings, name: str, *, config: Mapping[str, str] | None = None) -> Repo:
    """The clone as a value; whether it is there is not looked at."""
    return Repo(repo_path(settings, name), config=config, remotes=read_remotes(settings, name))
