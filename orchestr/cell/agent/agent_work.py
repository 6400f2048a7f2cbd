"""One agent to drive: where it works, what it counts for, what the journal has of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestr.cell.context import CellContext
from orchestr.spec.agent_options import AgentOptions
from orchestr.state.events import EventKind


@dataclass(frozen=True, slots=True)
class AgentWork:
    """One agent to drive. ``write`` makes its prompt and `launch.json` in ``folder`` right before a
    start; ``leave`` writes down what it leaves when it is to start again later.

    ``part`` names what is not the author's work in an attempt (a review): its costs count apart.
    ``event_data`` goes into the journal with each of its events, ``options`` with its starts.
    ``max_wait`` are seconds that a usage limit is waited for; None: as long as it lasts.
    """

    folder: Path
    marker: str
    agent: str
    attempt: int
    phase: str
    write: Callable[[], None]
    part: str = ""
    event_data: Mapping[str, Any] = field(default_factory=dict)
    leave: Callable[[], None] = lambda: None
    options: Callable[[], AgentOptions] = AgentOptions
    max_wait: float | None = None

    @property
    def cost_key(self) -> int | str:
        """What its costs are kept under, see `CellView.costs`."""
        return f"{self.attempt}/{self.part}" if self.part else self.attempt

    def attribute_reason(self, reason: str) -> str:
        """The reason with the reviewer's name before it; an author's reason stays as it is."""
        return f"reviewer {self.event_data.get('reviewer')}: {reason}" if self.part else reason

    def emit(self, ctx: CellContext, kind: EventKind, **data: Any) -> None:
        """Journal an event of the work; ``part`` is there for what is not the author's."""
        more = {"part": self.part} if self.part else {}
        fields = {**self.event_data, **more, **data}
        ctx.run.emit(kind, cell=ctx.cell.name, phase=self.phase, attempt=self.attempt, **fields)
