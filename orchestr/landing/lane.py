"""Where changes land one after the other: a branch of a repository. Views import this alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Lane:
    """One queue: a repository and the branch that is landed on."""

    repo: str
    target: str

    def __str__(self) -> str:
        return f"{self.repo}:{self.target or '?'}"
