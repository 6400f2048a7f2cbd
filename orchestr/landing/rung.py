"""The rungs of the merge ladder (`orchestr.landing.ladder`). Views import this alone."""

from __future__ import annotations

from enum import StrEnum

UNSEEN = "no check of the cell or its repository shows that the merge is right"


class Rung(StrEnum):
    """How a conflicted merge was resolved without an agent, the surest first. A candidate has the
    highest rung that one of its files needed; a red one is made again by the rungs above it.
    """

    GIT = ""  # git's own merge: nothing conflicted
    RECORDED = "recorded"  # as the same conflict was resolved before, in what has landed
    REGENERATE = "regenerate"  # generated files, written again by their generator
    STRUCTURE = "structure"  # both sides' entries, blocks or keys
    UNION = "union"  # both sides' lines, where the settings allow it

    @property
    def level(self) -> int:
        """How far up the ladder it is; git's own merge is 0."""
        return tuple(Rung).index(self)

    @property
    def needs_check(self) -> bool:
        """Whether it makes something that neither side has seen: with no check, nothing would show
        that it is right."""
        return self in (Rung.STRUCTURE, Rung.UNION)
