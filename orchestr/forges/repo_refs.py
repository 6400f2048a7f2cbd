"""Repositories of the workspace as forges are asked about them."""

from __future__ import annotations

from orchestr.forges.base import RepoRef
from orchestr.settings.records import Settings
from orchestr.settings.remotes import read_remotes
from orchestr.settings.repo_paths import repo_path


def make_repo_ref(settings: Settings, name: str) -> RepoRef:
    """The repository of that name, with the remotes that the settings name."""
    remotes = read_remotes(settings, name)
    upstream = remotes.base if remotes.is_fork else None
    url = settings.repo_settings(name).url
    return RepoRef(name, repo_path(settings, name), remotes.push, url, upstream)
