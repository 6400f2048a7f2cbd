"""What an agent must do: an adapter to a coding agent CLI, or to any command.

An adapter builds the command line and reads the end of a stream. It starts nothing (the
supervisor does), and what it says is never proof: the host looks at the repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from orchestr.supervisor import Exit


@dataclass(frozen=True, slots=True)
class Request:
    """What one attempt asks of an agent. ``variables`` are the `ORCHESTR_*` ones."""

    worktree: Path
    prompt: Path
    variables: Mapping[str, str]
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """How the supervisor starts the agent. ``format`` is `lines` or `json` (its output)."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    stdin: Path | None = None
    format: str = "lines"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the agent's own end reads. ``ok`` is necessary, never sufficient.

    ``limited`` is a usage limit: not a failure; ``limited_until`` is Unix time when known.
    ``no_change`` is the reason given with `no_change_needed`. ``cost_usd`` None is unknown.
    """

    ok: bool
    reason: str = ""
    limited: bool = False
    limited_until: float | None = None
    no_change: str | None = None
    cost_usd: float | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


class Agent(Protocol):
    """One kind of agent with its settings. ``paid`` ones are confirmed before a run (X10)."""

    name: str
    kind: str
    paid: bool

    def launch(self, request: Request) -> Launch:
        """The command line and environment of one attempt."""
        ...

    def judge(self, end: Exit, transcript: Path) -> Verdict:
        """Read the end of the stream. Must not raise on anything an agent can print."""
        ...

    def usable(self) -> str | None:
        """Why it cannot be started here, else None; for the pre-flight and `doctor`."""
        ...
