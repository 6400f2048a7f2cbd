"""`[forge] kind = "github"`: GitHub by its client `gh`, see `orchestr.forges.github`."""

from __future__ import annotations

from threading import Event

from orchestr.forges.base import Forge, WaitListener
from orchestr.settings.kinds import ForgeKind
from orchestr.settings.records import Settings


def make_github_forge(
    settings: Settings, stop: Event | None, on_wait: WaitListener | None
) -> Forge:
    """GitHub; a program with a slash in its name counts from the workspace."""
    from orchestr.forges.github import GitHubForge  # most verbs name a forge and never ask it

    chosen = settings.forge
    program = chosen.program or "gh"
    if "/" in program:
        program = str(settings.workspace.root / program)
    return GitHubForge(program, patience=chosen.patience, stop=stop, on_wait=on_wait)


KIND = ForgeKind(make_github_forge, keys=("program", "patience"))
