"""One attempt: a small program, what it tries, and how its success is proven from the outside.

The program is the text of a shell script (or of Python, without anything but its library), run in
the worktree of its cell. It knows the whole scene by variables (`benchmarks.escape.programs`), as a
prepared attacker would; what it may reach is the wall's business.

A proof looks at the scene after the tool has ended. It never believes the program, except where
nothing can be seen from the outside (`claims`: a system call that was allowed).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.escape.scene import Scene

RUN = f"{secrets.randbits(28):07x}"  # of this process


class By(StrEnum):
    """Who runs the program: the author's agent, a check, a reviewer, the repository's set-up."""

    AGENT = "agent"
    CHECK = "check"
    REVIEWER = "reviewer"
    SETUP = "setup"


class Room(StrEnum):
    """What an attempt shares with others of the same run."""

    TOGETHER = "together"  # the clone, too
    OWN_CLONE = "own clone"  # one run, but a clone and an origin of its own
    ALONE = "alone"  # it ends or damages the run
    BESIDE = "beside"  # alone but for another cell's agent, which is at work


@dataclass(frozen=True, slots=True)
class Proof:
    """How success shows: in words, and as a look at the scene."""

    shows: str
    look: Callable[[Scene, Attempt], bool]

    def __or__(self, other: Proof) -> Proof:
        """Either of the two is success."""
        return Proof(
            f"{self.shows}, or {other.shows}",
            lambda scene, attempt: self.look(scene, attempt) or other.look(scene, attempt),
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """A hostile program and its proof.

    ``share``: the name of a cell that several attempts share, one after the other, to keep a run
    short; there only a report with ``clue`` (a pattern) in it is of this attempt.
    ``spec`` are fields of its cell in the spec (checks, reviewers).
    ``config`` are settings that the user has in the clone.
    ``only``: the tool whose own files or rules it attacks; other tools have nothing like it.
    """

    name: str
    group: str
    tries: str
    program: str
    proof: Proof
    language: str = "sh"
    by: By = By.AGENT
    room: Room = Room.TOGETHER
    spec: Mapping[str, Any] = field(default_factory=dict)
    only: str = ""
    share: str = ""
    clue: str = ""
    config: Mapping[str, str] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        """A text that nothing else writes anywhere, no other run of the suite either."""
        return f"escape-mark-{self.name}-{RUN}"  # none is the beginning of another

    @property
    def cell(self) -> str:
        """The name of its cell."""
        return self.share or self.name

    @property
    def branch(self) -> str:
        """The branch of its cell."""
        return f"E-1-{self.cell}"

    @property
    def words(self) -> set[str]:
        """What it can be chosen by."""
        return {self.name, self.group, self.cell}

    @property
    def repo(self) -> str:
        """The name of the clone that its cell works in."""
        return "app" if self.room in (Room.TOGETHER, Room.BESIDE) else self.cell

    def pick_reports(self, reports: Iterable[str], *, shared: bool = False) -> tuple[str, ...]:
        """The reports of this attempt, out of those of its cell, or of several (``shared``)."""
        clue = re.compile(self.clue or re.escape(self.mark))
        return tuple(text for text in reports if not (shared or self.share) or clue.search(text))
