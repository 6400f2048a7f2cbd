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

FAILED = (CellState.FAILED, CellState.MERGE_CONFLICT, CellState.NEEDS_PERSON)
HEADER = ("RUN", "STARTED", "TOOK", "OUTCOME", "CELLS", "COST", "REPORT", "COMMAND")


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run. ``exit`` None: it has not ended, or it is not known. ``counts``: cells that it
    touched by state; of a run with a report, all that it was about. ``done`` are those of which it
    left nothing to do, ``failed`` those that ended badly by themselves. ``cost_usd`` None with
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
    done: int = 0
    failed: int = 0
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
            cell_words(row),
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
    rows = [
        ("command", clean_line(row.command)),
        ("features", ", ".join(row.features)),
        ("started", format_started(row.started_at)),
        ("took", format_duration(row.seconds)),
        ("exit", "-" if row.exit is None else str(row.exit)),
        ("cells", cell_words(row)),
    ]
    lines = [f"run {row.run}: {row.outcome}; no report of it was written"]
    lines += [f"  {name}: {value}" for name, value in rows if value]
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
        "done": row.done,
        "failed": row.failed,
        "cost_usd": row.cost_usd if row.works else None,
        "cost_known_usd": row.cost_known_usd,
        "report": row.report or None,
    }


def format_started(ts: str) -> str:
    """`2026-11-21 16:54` in the reader's zone."""
    at: datetime | None = parse_local_time(ts)
    return at.strftime("%Y-%m-%d %H:%M") if at else "-"


def cell_words(row: RunRow) -> str:
    """`5 done, 1 failed, 2 other`."""
    other = sum(row.counts.values()) - row.done - row.failed
    words = [f"{row.done} done", f"{row.failed} failed" if row.failed else "",
             f"{other} other" if other else ""]  # fmt: skip
    return ", ".join(word for word in words if word) if row.counts else "-"


def count_done(counts: Mapping[str, int]) -> int:
    """The cells that are built, landed or rolled back; those that are ignored are not."""
    return sum(counts.get(state.value, 0) for state in BUILT)


def count_failed(counts: Mapping[str, int]) -> int:
    """The cells that ended badly by themselves; those that they block do not count."""
    return sum(counts.get(state.value, 0) for state in FAILED)
