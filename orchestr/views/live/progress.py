"""The progress of a run: who draws it, and the JSON form of it.

Owns the choice between the live table, plain lines and JSON; leaves drawing to `plain` and `live`.
Progress is a courtesy: whatever goes wrong with the terminal, a run never ends because of it.

JSON (``--json``): one object a line on stdout, ``{"v": 1, "ts", "kind", "run", "feature", "cell",
"phase", "attempt", "data"}`` with the kinds of `orchestr.state.events.EventKind`; names that do not
apply are empty, ``attempt`` is then 0. Fields are added, never renamed.
"""

from __future__ import annotations

import json as jsonlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TextIO

from orchestr.plan.dag import FeaturePlan
from orchestr.registry import substitute_program_name
from orchestr.state.events import Event

# (feature, cell) -> the agent's last line, or the path of its log; None or "" when there is none.
CellText = Callable[[str, str], str | None]


class Progress(ABC):
    """Something that is told every event of a run, from any thread; in ``with`` it is closed."""

    @abstractmethod
    def show_event(self, event: Event) -> None:
        """Show one event. Never raises."""

    def close(self) -> None:
        """Leave the terminal as it was found. May be called twice."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()


class CellLabels:
    """What a cell is called: by its name, and by feature too when a run has several of them."""

    def __init__(self, plans: Sequence[FeaturePlan]) -> None:
        self.many = len(plans) > 1
        self.width = max(
            (
                len(self(p.feature, name))
                for p in plans
                for name in (*(c.name for c in p.cells), *p.steps)
            ),
            default=0,
        )

    def __call__(self, feature: str, cell: str) -> str:
        return f"{feature}:{cell}" if self.many else cell


class LineWriter:
    """Whole lines to a stream, one writer at a time; falls silent when the reader is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._open = True

    def write(self, lines: Sequence[str]) -> None:
        with self._lock:
            if not self._open or not lines:
                return
            text = substitute_program_name("".join(f"{line}\n" for line in lines))
            encoding = getattr(self._stream, "encoding", None) or "utf-8"
            try:
                self._stream.write(text.encode(encoding, "replace").decode(encoding))
                self._stream.flush()
            except (OSError, ValueError):
                # A closed pipe (`orchestr run | head`) or a closed file: the work goes on.
                self._open = False


class JsonProgress(Progress):
    """One JSON object a line."""

    def __init__(self, stream: TextIO) -> None:
        self._out = LineWriter(stream)

    def show_event(self, event: Event) -> None:
        self._out.write([event_json(event)])


def event_json(event: Event) -> str:
    """An event as one line of JSON (see the module)."""
    return jsonlib.dumps(
        {
            "v": 1,
            "ts": event.ts,
            "kind": event.kind.value,
            "run": event.run,
            "feature": event.feature,
            "cell": event.cell,
            "phase": event.phase,
            "attempt": event.attempt,
            "data": dict(event.data),
        },
        default=str,
    )
