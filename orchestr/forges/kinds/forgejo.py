"""`[forge] kind = "forgejo"`: pull requests by its REST API, see `orchestr.forges.forgejo`."""

from __future__ import annotations

from functools import partial
from threading import Event

from orchestr.forges.base import Forge, WaitListener
from orchestr.forges.repo_refs import list_forge_urls
from orchestr.settings.kinds import ForgeKind
from orchestr.settings.records import Settings


def make_forgejo_forge(
    kind: str, settings: Settings, stop: Event | None, on_wait: WaitListener | None
) -> Forge:
    """Forgejo or Gitea (``kind``): the host of each clone's remote."""
    from orchestr.forges.forgejo import ForgejoForge  # most verbs name a forge and never ask it

    chosen = settings.forge
    return ForgejoForge(
        chosen.url,
        roots=list_forge_urls(settings, kind),
        kind=kind,
        patience=chosen.patience,
        stop=stop,
        on_wait=on_wait,
    )


KIND = ForgeKind(partial(make_forgejo_forge, "forgejo"), keys=("patience", "url"))
