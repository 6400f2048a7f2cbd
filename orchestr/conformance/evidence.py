"""What came of a trial, gathered from outside of the agent: the only thing that judges see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestr.conformance.script import Asked


@dataclass(frozen=True, slots=True)
class Evidence:
    """The repository, the journal, the ledger, processes and the server's own count.

    ``code`` is the exit code of the last `orchestr run`, ``seconds`` its time. ``state`` and
    ``reason`` are the cell's, ``tokens`` its ledger (input, of it cached, output), None when
    unknown. ``files`` are those of its branch at the origin, ``branches`` all branches there.
    ``events`` is the journal. Of the server: ``asked``, ``other``, ``strays`` (hosts that the agent
    wanted to reach besides), ``billed`` (as ``tokens``), ``answers``, and ``refused``, how often it
    answered with a fault. ``survivors`` are processes of the attempt that still live (pid and
    command); ``output`` is the text of the runs, ``transcript`` the bytes of the agent's output.
    """

    code: int = 0
    seconds: float = 0.0
    state: str = ""
    reason: str = ""
    tokens: tuple[int, int, int] | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    branches: frozenset[str] = frozenset()
    events: tuple[Mapping[str, Any], ...] = ()
    asked: tuple[Asked, ...] = ()
    other: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    billed: tuple[int, int, int] = (0, 0, 0)
    answers: int = 0
    refused: int = 0
    survivors: tuple[str, ...] = ()
    output: str = ""
    transcript: int = 0

    def list_events(self, kind: str) -> list[Mapping[str, Any]]:
        """The events of a kind, in order."""
        return [event for event in self.events if event.get("kind") == kind]

    @property
    def attempts(self) -> int:
        """How many attempts were opened."""
        return len(self.list_events("attempt.opened"))

    @property
    def sessions(self) -> list[str | None]:
        """The session of each start, None where none is known."""
        exits = self.list_events("attempt.exited")
        return [(event.get("data") or {}).get("session") for event in exits]
