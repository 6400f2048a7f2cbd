"""A conflict in one file, as the functions of this package get it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileConflict:
    """Three versions of a file that git could not merge. ``path``: relative to the repository, with
    slashes. ``base`` None: the common ancestor has no such file (both sides added it).
    """

    path: str
    base: bytes | None
    ours: bytes
    theirs: bytes


# The merged file; None where the function cannot prove what both sides mean together.
Resolver = Callable[[FileConflict], bytes | None]
