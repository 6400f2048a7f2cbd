"""The forecast of a run as text and JSON: `plan`, `run --dry-run`, the question before a run.

Pure. What is not known is named: a cell without history has no figures, never a 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from orchestr.plan.cost_forecast import (
    BudgetRisk,
    CellCost,
    FeatureCost,
    Likeness,
    Spread,
    cell_of_row,
)
from orchestr.spec.records import AUDIT, Feature
from orchestr.views.terminal.plan import CellWork
from orchestr.views.terminal.text import (
    format_count,
    format_dollars,
    format_duration,
    format_table,
    format_tokens,
    shorten_number,
)

Show = Callable[[float], str]


def cost_lines(cost: FeatureCost, risks: Sequence[BudgetRisk] = ()) -> list[str]:
    """The forecast, a row for each cell that would get an attempt; empty where none would."""
    if not cost.cells:
        return []
    if not cost.history:
        return [
            f"forecast of {_count_cells(cost.cells)}: no history at all: nothing can be forecast",
            "  after the first run: time, tokens and money of each cell, from its attempts",
        ]
    attempts = format_count(cost.history, "attempt")
    agents = format_count(cost.slots, "agent")
    header = ("p10, p50, p90", "time", "tokens", "money", "from")
    rows = [(cell.name, *_format_figures(cell), _describe_origin(cell)) for cell in cost.cells]
    if len(cost.cells) > 1:
        at_once = _format_spread(cost.seconds, format_duration)
        tokens = _unless_partial(_format_spread(cost.tokens, _format_tokens), cost.without[1])
        money = _unless_partial(_format_spread(cost.usd, _format_dollars), cost.without[2])
        rows.append((f"all, {agents} at once", at_once, tokens, money, ""))
        rows.append(("all, one by one", _format_spread(cost.serial, format_duration), "", "", ""))
    lines = [f"forecast from {attempts} of this workspace"]
    lines += [line.rstrip() for line in format_table(header, rows, indent="  ")]
    foreign = cost.cells_of_others
    if foreign:
        names = ", ".join(cell.name for cell in foreign)
        lines.append(f"  no history: {_count_cells(foreign)} at others' prices ({names})")
    return [*lines, *(f"warning: {words}" for words in map(risk_words, risks))]


def _count_cells(cells: Sequence[CellCost]) -> str:
    """The rows in words: the audit is none of the cells."""
    works = {cell_of_row(cell.name) for cell in cells} - {AUDIT}
    words = [format_count(len(works), "cell")] if works else []
    audited = any(cell.name == AUDIT for cell in cells)
    return " and ".join([*words, "the audit"] if audited else words)


def scope_line(feature: Feature, work: Mapping[str, CellWork], cells: Iterable[str]) -> str:
    """How much there is to do, counted: the todo items, checks and reviewers of these cells."""
    names = set(cells)
    mine = [cell for cell in feature.cells if cell.name in names]
    given = [work[cell.name] for cell in mine if cell.name in work]
    counts = (
        (len(mine), "cell"),
        (sum(len(cell.todo) for cell in mine), "todo item"),
        (sum(len(one.checks) for one in given), "check"),
        (sum(len(one.reviewers) for one in given), "reviewer"),
    )
    return "scope: " + ", ".join(format_count(number, noun) for number, noun in counts if number)


def cost_sentence(cost: FeatureCost) -> str:
    """For the question before a run: `12 min to 40 min, ... (p10 to p90 of 14 attempts)`."""
    if not cost.history:
        return "There is no history: what it takes cannot be forecast."
    shown: tuple[tuple[Spread | None, int, Show], ...] = (
        (cost.seconds, cost.without[0], format_duration),
        (cost.tokens, cost.without[1], _format_tokens),
        (cost.usd, cost.without[2], _format_dollars),
    )
    parts = []
    for spread, missing, show in shown:
        if spread is not None:
            more = f" and {format_count(missing, 'cell')} unknown" if missing else ""
            unit = " tokens" if show is _format_tokens else ""
            parts.append(f"{show(spread.p10)} to {show(spread.p90)}{unit}{more}")
    if not parts:
        return "Its history does not tell what it takes."
    attempts = format_count(cost.history, "attempt")
    return f"It takes {', '.join(parts)} (p10 to p90, from {attempts})."


def risk_words(risk: BudgetRisk) -> str:
    """`budget limits.budget_usd = $10.00: p90 is $12.10, after $3.00 spent`."""
    limit = risk.limit
    show: Show = (
        _format_dollars if limit.unit == "usd" else lambda value: format_tokens(round(value))
    )
    whose = f" of {risk.cell}" if risk.cell else ""
    spent = f" on top of {show(limit.spent)} spent" if limit.spent else ""
    likely = ", and p50 does too" if risk.likely else ""
    return f"p90{whose}, {show(risk.p90)}{spent}, passes {limit.name} = {show(limit.limit)}{likely}"


def cost_json(cost: FeatureCost, risks: Sequence[BudgetRisk] = ()) -> dict[str, Any]:
    """The forecast as docs/json.md describes it; unknown is null."""
    return {
        "attempts": cost.history,
        "jobs": cost.slots,
        "seconds": _spread_json(cost.seconds),
        "serial_seconds": _spread_json(cost.serial),
        "tokens": _spread_json(cost.tokens),
        "cost_usd": _spread_json(cost.usd),
        "without": dict(zip(("seconds", "tokens", "cost_usd"), cost.without, strict=True)),
        "cells": [
            {
                "name": cell.name,
                "likeness": cell.likeness.value,
                "attempts": cell.samples,
                "seconds": _spread_json(cell.seconds),
                "tokens": _spread_json(cell.tokens),
                "cost_usd": _spread_json(cell.usd),
            }
            for cell in cost.cells
        ],
        "over_budget": [
            {
                "limit": risk.limit.name,
                "unit": risk.limit.unit,
                "value": risk.limit.limit,
                "spent": risk.limit.spent,
                "cell": risk.cell or None,
                "p90": round(risk.p90, 6),
                "likely": risk.likely,
            }
            for risk in risks
        ],
    }


def _spread_json(spread: Spread | None) -> dict[str, float] | None:
    if spread is None:
        return None
    return {name: round(value, 6) for name, value in asdict(spread).items()}


def _format_figures(cell: CellCost) -> tuple[str, str, str]:
    return (
        _format_spread(cell.seconds, format_duration),
        _format_spread(cell.tokens, _format_tokens),
        _format_spread(cell.usd, _format_dollars),
    )


def _format_spread(spread: Spread | None, show: Show) -> str:
    if spread is None:
        return "unknown"
    return ", ".join(map(show, (spread.p10, spread.p50, spread.p90)))


def _unless_partial(words: str, missing: int) -> str:
    """A sum over the cells that have the figure; the others are named."""
    return f"{words} + {format_count(missing, 'cell')}" if missing and words != "unknown" else words


def _describe_origin(cell: CellCost) -> str:
    attempts = format_count(cell.samples, "attempt")
    match cell.likeness:
        case Likeness.SAME:
            return f"{attempts} like it"
        case Likeness.AGENT:
            return f"{attempts} of its agent elsewhere"
        case Likeness.OTHERS:
            return f"{attempts} of others"
        case Likeness.NONE:
            return "no history"


def _format_tokens(number: float) -> str:
    return shorten_number(round(number))


def _format_dollars(value: float) -> str:
    return format_dollars(value, True)
