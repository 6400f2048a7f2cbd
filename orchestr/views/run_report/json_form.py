"""The report of a run as JSON values: what `report.json` holds (docs/json.md)."""

from __future__ import annotations

from typing import Any

from orchestr.codec import encode
from orchestr.views.run_report.model import DONE, CostFigure, RunReport, sum_costs

VERSION = 1


def report_values(report: RunReport) -> dict[str, Any]:
    """The whole report. What follows from other fields stands beside them, for programs."""
    table = encode(report)
    return {
        "v": VERSION,
        **{name: value for name, value in table.items() if name != "features"},
        "counts": report.counts,
        **cost_values(sum_costs(report.costs)),
        "prs": list(report.pull_requests),
        "features": table["features"],
        "next": next_value(report),
    }


def cost_values(whole: CostFigure) -> dict[str, Any]:
    """Cost and tokens as everywhere in our JSON: unknown is null."""
    return {
        "cost_usd": None if whole.cost_usd is None else round(whole.cost_usd, 6),
        "cost_known_usd": round(whole.cost_known_usd, 6),
        "tokens": None
        if whole.tokens is None
        else dict(zip(("input", "cached", "output"), whole.tokens, strict=True)),
    }


def next_value(report: RunReport) -> str | list[dict[str, str]]:
    """`done`, or the next command of each open cell."""
    if report.token == DONE:
        return DONE
    steps = [{"cell": step.cell, "command": step.command} for step in report.next_steps]
    return steps or [{"cell": "", "command": report.token.removeprefix("next: ")}]
