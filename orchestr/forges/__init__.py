"""Forges by kind: `FORGE_KINDS` finds the file, or the package, that declares a kind."""

from __future__ import annotations

from threading import Event

from orchestr.forges.base import Forge, WaitListener
from orchestr.settings.kinds import FORGE_KINDS
from orchestr.settings.records import Settings

__all__ = ["FORGE_KINDS", "make_forge"]


def make_forge(
    settings: Settings, stop: Event | None = None, told: WaitListener | None = None
) -> Forge:
    """The forge that the settings name; unknown kinds were refused when they were read.

    ``stop`` ends the waits of a forge that waits, ``told`` hears of them: host, reason, seconds.
    """
    forge: Forge = FORGE_KINDS.load(settings.forge.kind).make(settings, stop, told)
    return forge
