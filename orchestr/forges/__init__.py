"""Forges by name. A new one is a module here, a line in `FORGES` and the contract tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestr.config import Settings
from orchestr.forges.base import Forge

__all__ = ["FORGES", "make_forge"]


def _local(settings: Settings) -> Forge:
    from orchestr.forges.local import LocalForge  # most verbs name a forge and never ask it

    return LocalForge(settings.workspace.state / "forge")


FORGES: Mapping[str, Callable[[Settings], Forge]] = {"local": _local}


def make_forge(settings: Settings) -> Forge:
    """The forge that the settings name; unknown kinds were refused when they were read."""
    return FORGES[settings.forge.kind](settings)
