"""Print the conflicts that a landing of features will meet, below the preview of its order."""

from __future__ import annotations

from collections.abc import Collection

from orchestr.run.conflicts import fetch_foreign, forecast_features
from orchestr.run.workspace import Session
from orchestr.views.terminal.conflicts import conflict_lines
from orchestr.views.terminal.output import write_stdout


def print_expected_conflicts(session: Session, names: Collection[str]) -> None:
    """Ask the forge for other people's pull requests, and print what will conflict with what."""
    forecast = forecast_features(session, names, foreign=fetch_foreign(session, names))
    feature = next(iter(names)) if len(names) == 1 else ""
    lines = conflict_lines(forecast, feature)
    if lines:
        write_stdout("\n".join(["", "expected conflicts", *lines]) + "\n")
