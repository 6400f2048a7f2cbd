"""Resolve a conflict by what the file is: a stub until the resolvers are there."""

from __future__ import annotations

from orchestr.landing.resolve.conflict import FileConflict


def resolve_structure(conflict: FileConflict) -> bytes | None:
    """The merged file; None where it is not proven."""
    return None
