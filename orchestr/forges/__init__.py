"""Forges by kind: `FORGE_KINDS` finds the file, or the package, that declares a kind."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from threading import Event
from typing import Any

from orchestr.forges.base import Forge, WaitListener
from orchestr.settings.forge_records import ForgeSettings
from orchestr.settings.kinds import FORGE_KINDS
from orchestr.settings.records import Settings

__all__ = ["FORGE_KINDS", "make_forge"]


def make_forge(
    settings: Settings, stop: Event | None = None, on_wait: WaitListener | None = None
) -> Forge:
    """The forge that the settings name; of several, one that asks each about its repositories.

    ``stop`` ends the waits of a forge that waits, ``on_wait`` hears of them: host, reason, seconds.
    Unknown kinds were refused when the settings were read.
    """
    chosen = {
        name: repo.forge
        for name, repo in settings.repos.items()
        if repo.forge not in (None, settings.forge.kind)
    }
    default = _make_kind(settings, settings.forge.kind, stop, on_wait)
    if not chosen:
        return default
    from orchestr.forges.routed import route_forges  # most workspaces have one forge

    made = {kind: _make_kind(settings, kind, stop, on_wait) for kind in set(chosen.values())}
    return route_forges(default, {name: made[kind] for name, kind in chosen.items()})


def _make_kind(
    settings: Settings, kind: str | None, stop: Event | None, on_wait: WaitListener | None
) -> Forge:
    """One forge; a key that its kind does not have is meant for another one of the workspace, an
    address for the forge that `[forge] kind` names, where that can have one."""
    assert kind is not None
    declared = FORGE_KINDS.load(kind)
    keys = set(declared.keys)
    if kind != settings.forge.kind and "url" in FORGE_KINDS.load(settings.forge.kind).keys:
        keys.discard("url")
    plain: dict[str, Any] = {
        field.name: field.default
        for field in fields(ForgeSettings)
        if field.name in _OF_A_KIND and field.name not in keys and field.default is not MISSING
    }
    forge_settings = replace(settings.forge, kind=kind, **plain)
    if forge_settings != settings.forge:
        settings = replace(settings, forge=forge_settings)
    forge: Forge = FORGE_KINDS.make_adapter(
        kind, lambda: declared.make(settings, stop, on_wait), Forge
    )
    return forge


_OF_A_KIND = ("program", "patience", "ci", "url")
