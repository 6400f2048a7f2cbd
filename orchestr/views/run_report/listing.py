"""The list of runs: its rows, as a table and as JSON values.

Pure. `orchestr.views.query.run_list` reads the rows from reports and journals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestr.state.states import CellState
from orchestr.views.run_report.model import BUILT, outcome_look
from orchestr.views.terminal.text import (
    clean_line,
    format_dollars,
    format_duration,
    format_fitting_table,
    paint,
    parse_local_time,
)

HEADER = ("RUN", "STARTED", "TOOK", "OUTCOME", "CELLS", "COST", "REPORT", "COMMAND")


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run. ``exit`` None: it has not ended, or it is not known. ``counts``: cells that it
    touched by state; of a run with a report, all that it was about. ``cost_usd`` None with
    ``cost_known_usd`` 0 and no ``works``: no agent worked. ``report`` is the folder, if any.
    """

    run: str
    verb: str
    command: str
    features: tuple[str, ...]
    started_at: str
    finished_at: str = ""
    seconds: float | None = None
    exit: int | None = None
    outcome: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    works: int = 0
    cost_usd: float | None = None
    cost_known_usd: float = 0.0
    report: str = ""


def runs_text(rows: Sequence[RunRow], *, columns: int = 0, colour: bool = False) -> str:
    """The table, the newest run first."""
    if not rows:
        return "no run yet\n"
    looks = [outcome_look(row.exit, row.outcome) for row in rows]
    outcomes = [
        f"{look.symbol} {row.outcome}" + (f" ({row.exit})" if row.exit else "")
        for row, look in zip(rows, looks, strict=True)
    ]
    table = [
        (
            row.run,
            format_started(row.started_at),
            format_duration(row.seconds),
            outcome,
            cell_words(row.counts),
            format_dollars(row.cost_known_usd, row.cost_usd is not None) if row.works else "-",
            "yes" if row.report else "-",
            clean_line(row.command),
        )
        for row, outcome in zip(rows, outcomes, strict=True)
    ]
    lines = format_fitting_table(HEADER, table, columns, ("COMMAND", "COST", "TOOK"))
    painted = [
        line.replace(outcome, paint(outcome, look.style, colour), 1)
        for line, outcome, look in zip(lines[1:], outcomes, looks, strict=True)
    ]
    return "\n".join([lines[0], *painted]) + "\n"


def row_text(row: RunRow) -> str:
    """What is known of a run without a report."""
    told = [
        ("command", clean_line(row.command)),
        ("features", ", ".join(row.features)),
        ("started", format_started(row.started_at)),
        ("took", format_duration(row.seconds)),
        ("exit", "-" if row.exit is None else str(row.exit)),
        ("cells", cell_words(row.counts)),
    ]
    lines = [f"run {row.run}: {row.outcome}; no report of it was written"]
    lines += [f"  {name}: {value}" for name, value in told if value]
    return "\n".join(lines) + "\n"


def row_values(row: RunRow) -> dict[str, Any]:
    """A row for programs (docs/json.md); unknown is null."""
    return {
        "run": row.run,
        "verb": row.verb,
        "command": row.command or None,
        "features": list(row.features),
        "started_at": row.started_at or None,
        "finished_at": row.finished_at or None,
        "seconds": row.seconds,
        "exit": row.exit,
        "outcome": row.outcome,
        "counts": dict(row.counts),
        "done": count_done(row.counts),
        "failed": count_failed(row.counts),
        "cost_usd": row.cost_usd if row.works else None,
        "cost_known_usd": row.cost_known_usd,
        "report": row.report or None,
    }


def format_started(ts: str) -> str:
    """`2026-11-21 16:54` in the reader's zone."""
    at: datetime | None = parse_local_time(ts)
    return at.strftime("%Y-%m-%d %H:%M") if at else "-"


def cell_words(counts: Mapping[str, int]) -> str:
    """`5 done, 1 failed`; what is neither is counted as other."""
    done, failed = count_done(counts), count_failed(counts)
    other = sum(counts.values()) - done - failed
    words = [
        f"{done} done",
        f"{failed} failed" if failed else "",
        f"{other} other" if other else "",
    ]
    return ", ".join(word for word in words if word) if counts else "-"


def count_done(counts: Mapping[str, int]) -> int:
    """The cells that are built, landed or rolled back; those that are ignored are not."""
    return sum(n for state, n in counts.items() if _state_of(state) in BUILT)


def count_failed(counts: Mapping[str, int]) -> int:
    """The cells that ended badly."""
    return sum(n for state, n in counts.items() if _state_of(state).is_bad)


def _state_of(word: str) -> CellState:
    """The state; one of a newer version counts as neither done nor failed."""
    return CellState(word) if word in list(CellState) else CellState.PENDING
