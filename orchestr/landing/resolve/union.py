"""Resolve a conflict by both lines: a stub until the resolvers are there."""

from __future__ import annotations

from orchestr.landing.resolve.conflict import FileConflict


def resolve_union(conflict: FileConflict) -> bytes | None:
    """The merged file; None where it is not proven."""
    return None
