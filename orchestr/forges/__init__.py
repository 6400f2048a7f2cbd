"""Forges by name. A new one is a module here, a line in `FORGES` and the contract tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event

from orchestr.forges.base import Forge
from orchestr.settings.records import Settings

__all__ = ["FORGES", "make_forge"]

Told = Callable[[str, str, float], None]


def _make_local_forge(settings: Settings, stop: Event | None, told: Told | None) -> Forge:
    from orchestr.forges.local import LocalForge  # most verbs name a forge and never ask it

    return LocalForge(settings.workspace.state / "forge")


def _make_github_forge(settings: Settings, stop: Event | None, told: Told | None) -> Forge:
    from orchestr.forges.github import GitHubForge

    chosen = settings.forge
    program = chosen.program or "gh"
    if "/" in program:
        program = str(settings.workspace.root / program)
    return GitHubForge(program, patience=chosen.patience, stop=stop, told=told)


FORGES: Mapping[str, Callable[[Settings, Event | None, Told | None], Forge]] = {
    "local": _make_local_forge,
    "github": _make_github_forge,
}


def make_forge(settings: Settings, stop: Event | None = None, told: Told | None = None) -> Forge:
    """The forge that the settings name; unknown kinds were refused when they were read.

    ``stop`` ends the waits of a forge that waits, ``told`` hears of them: host, reason, seconds.
    """
    return FORGES[settings.forge.kind](settings, stop, told)
