"""`[forge] kind = "gitlab"`: merge requests by python-gitlab, see `orchestr.forges.gitlab`."""

from __future__ import annotations

from threading import Event

from orchestr.forges.base import Forge, WaitListener
from orchestr.forges.repo_refs import list_forge_urls
from orchestr.settings.kinds import ForgeKind
from orchestr.settings.records import Settings


def make_gitlab_forge(
    settings: Settings, stop: Event | None, on_wait: WaitListener | None
) -> Forge:
    """GitLab: gitlab.com, or the host of each clone's remote."""
    from orchestr.forges.gitlab import GitLabForge  # most verbs name a forge and never ask it

    chosen = settings.forge
    urls = list_forge_urls(settings, "gitlab")
    return GitLabForge(chosen.url, roots=urls, patience=chosen.patience, stop=stop, on_wait=on_wait)


KIND = ForgeKind(make_gitlab_forge, keys=("patience", "url"))
