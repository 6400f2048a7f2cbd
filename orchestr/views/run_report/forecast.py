"""Where the truth of a run fell, against what its history foretold: records and words. Pure.

The field names are those of `report.json` (docs/json.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestr.plan.cost_forecast import Likeness, Place, Spread
from orchestr.views.terminal.text import (
    format_count,
    format_dollars,
    format_duration,
    format_tokens,
)


class Verdict(StrEnum):
    """How a true value stands to p10 and p90."""

    BELOW = Place.BELOW.value
    INSIDE = Place.INSIDE.value
    ABOVE = Place.ABOVE.value
    UNKNOWN = "unknown"  # there is no forecast, or no true value


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: what was forecast, what came; None is unknown."""

    p10: float | None = None
    p50: float | None = None
    p90: float | None = None
    actual: float | None = None
    place: str = Verdict.UNKNOWN.value


@dataclass(frozen=True, slots=True)
class ForecastLine:
    """A cell (empty: all of them together) and the truth. ``likeness``: what the ``attempts``
    behind the forecast had in common with it; `none`: there was nothing to forecast from."""

    cell: str
    likeness: str
    attempts: int
    seconds: Figure
    tokens: Figure
    cost_usd: Figure


def judge_figure(spread: Spread | None, actual: float | None) -> Figure:
    """A forecast beside the true value; either may be missing."""
    if spread is None:
        return Figure(actual=actual)
    place = Verdict.UNKNOWN if actual is None else Verdict(spread.place_value(actual).value)
    return Figure(spread.p10, spread.p50, spread.p90, actual, place.value)


def forecast_words(lines: Sequence[ForecastLine]) -> list[str]:
    """A sentence for each line, the sums last; empty without any attempt."""
    if not lines:
        return []
    if all(line.likeness in (Likeness.NONE.value, "") for line in lines):
        attempts = format_count(sum(bool(line.cell) for line in lines), "attempt")
        return [f"there was no history, so nothing was forecast; this run adds {attempts} to it"]
    return [f"{line.cell or 'all cells'}: {_line_words(line)}" for line in lines]


def _line_words(line: ForecastLine) -> str:
    if line.likeness == Likeness.NONE.value:
        return "no history, nothing was forecast"
    columns: tuple[tuple[Figure, Callable[[float], str]], ...] = (
        (line.seconds, format_duration),
        (line.tokens, lambda value: format_tokens(round(value))),
        (line.cost_usd, lambda value: format_dollars(value, True)),
    )
    found = [_figure_words(figure, show) for figure, show in columns]
    said = "; ".join(words for words in found if words) or "nothing is known of what it took"
    return f"{said} (others' prices)" if line.likeness == Likeness.OTHERS.value else said


def _figure_words(figure: Figure, show: Callable[[float], str]) -> str:
    if figure.actual is None or figure.p10 is None or figure.p90 is None:
        return ""
    span = f"{show(figure.p10)} to {show(figure.p90)}"
    if figure.place == Verdict.INSIDE.value:
        return f"{show(figure.actual)}, inside of {span}"
    return f"{show(figure.actual)}, {figure.place.upper()} {span}"
