"""``plan`` and ``run --dry-run``: order, bases, what would run and why (rows A22, A57, B87).

Pure text and JSON. Nothing is run, nothing is asked of the network here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orchestr.plan.dag import CellPlan, Forecast, Overlap, Plan, Would
from orchestr.spec.phases import Action
from orchestr.spec.records import Feature
from orchestr.views.model import NOTHING, CellFacts
from orchestr.views.terminal.text import clean, count, size, took


@dataclass(frozen=True, slots=True)
class Resources:
    """The disk that a run would need and that is free, in bytes; None is not shown."""

    disk_wanted: int | None = None
    disk_free: int | None = None


@dataclass(frozen=True, slots=True)
class Proposed:
    """A check that fits a repository whose cells have none; ``runs``: the settings let it run."""

    repo: str
    cells: tuple[str, ...]
    check: str
    reason: str
    runs: bool


def plan_text(
    feature: Feature,
    plan: Plan,
    forecasts: Sequence[Forecast],
    facts: Mapping[str, CellFacts],
    *,
    claims: Sequence[str] = (),
    jobs: int | None = None,
    resources: Resources | None = None,
    timed: bool = False,
    proposals: Sequence[Proposed] = (),
) -> str:
    """The plan for people. ``claims``: problems of overlapping paths, in words; ``jobs``: agents at
    once; ``timed``: the plan's weights are seconds.
    """
    told = {f.name: f for f in forecasts}
    waves = plan.waves()
    lines = [f"{plan.feature}: {clean(feature.title)}" if feature.title else plan.feature]
    lines.append(f"{count(len(plan.cells), 'cell')} in {count(len(waves), 'wave')}")
    for number, wave in enumerate(waves, 1):
        lines += ["", f"wave {number} ({count(len(wave), 'cell')})"]
        for cell in wave:
            lines += _cell(cell, told.get(cell.name), facts.get(cell.name, NOTHING))
    if plan.critical_path:
        lines += ["", f"critical path: {' > '.join(plan.critical_path)}{_length(plan, timed)}"]
    lines += [line for claim in claims for line in claim.splitlines()]
    lines += _proposed(proposals)
    lines += _resources(resources or Resources(), plan, jobs)
    lines += _counts(forecasts)
    return "\n".join(lines) + "\n"


def plan_json(
    plan: Plan,
    forecasts: Sequence[Forecast],
    facts: Mapping[str, CellFacts],
    *,
    overlaps: Sequence[Overlap] = (),
    proposals: Sequence[Proposed] = (),
) -> dict[str, Any]:
    """The plan as DESIGN documents it; fields are added, never renamed.

    Added: ``stack``, ``worktree``, ``phases``, ``may``, ``weight`` per cell, ``overlaps`` and
    ``proposals``.
    """
    told = {f.name: f for f in forecasts}
    branches = {cell.name: cell.branch for cell in plan.cells}
    cells = []
    for cell in plan.cells:
        stacked = branches[cell.stack[0]] if len(cell.stack) == 1 else None
        seen = facts.get(cell.name, NOTHING)
        line = told.get(cell.name)
        cells.append(
            {
                "name": cell.name,
                "wave": cell.wave,
                "repo": cell.repo,
                "branch": cell.branch,
                "base": seen.base or stacked or cell.base,
                "upstreams": list(cell.upstreams),
                "would": line.would.value if line else None,
                "why": line.why if line else None,
                "pr": _url(seen),
                "stack": list(cell.stack),
                "worktree": seen.worktree,
                "phases": [p.value for p in line.phases] if line else [],
                "may": line.may if line else False,
                "weight": cell.weight,
            }
        )
    return {
        "feature": plan.feature,
        "cells": cells,
        "critical_path": list(plan.critical_path),
        "overlaps": [o._asdict() for o in overlaps],
        "proposals": [{**asdict(p), "cells": list(p.cells)} for p in proposals],
    }


def _cell(cell: CellPlan, told: Forecast | None, facts: CellFacts) -> list[str]:
    url = _url(facts)
    mark = f"  [PR EXISTS: {clean(url)}]" if url else ""
    lines = [f"  {cell.name}{mark}", f"    repo      {cell.repo}, branch {cell.branch}"]
    lines.append(f"    base      {_base(cell, facts)}")
    if cell.upstreams:
        lines.append(f"    after     {', '.join(cell.upstreams)}")
    if facts.worktree:
        lines.append(f"    worktree  {facts.worktree}")
    if cell.action is Action.PUSH:
        lines.append("    action    push what is there, no agent")
    if told:
        lines.append(f"    {_would(told)}")
    return lines


def _base(cell: CellPlan, facts: CellFacts) -> str:
    if cell.needs_merge_base:
        return f"the merge of {' and '.join(cell.stack)}"
    if cell.stack:
        return f"stacked on {cell.stack[0]}"
    return facts.base or cell.base or "the default branch"


def _would(told: Forecast) -> str:
    match told.would:
        case Would.UP_TO_DATE:
            return told.why if told.why.startswith("up to date") else f"up to date: {told.why}"
        case Would.BLOCKED:
            return f"blocked: {told.why}"
        case Would.RUN:
            if told.may:
                return f"may run: {told.why}"
            phases = ", ".join(p.value for p in told.phases)
            return f"would run: {told.why}" + (f" ({phases})" if phases else "")


def _length(plan: Plan, timed: bool) -> str:
    if not timed:
        return ""
    return f" (about {took(sum(plan.cell(n).weight for n in plan.critical_path))})"


def _proposed(proposals: Sequence[Proposed]) -> list[str]:
    lines: list[str] = []
    for repo in dict.fromkeys(p.repo for p in proposals):
        mine = [p for p in proposals if p.repo == repo]
        cells = ", ".join(mine[0].cells)
        if mine[0].runs:
            lines.append(f"checks of {repo} ({cells}), detected and run:")
        else:
            lines.append(f"nothing checks {repo} ({cells}); it could be checked with")
        lines += [f"  {clean(p.check)}  ({clean(p.reason)})" for p in mine]
        if not mine[0].runs:
            lines.append(f"  write it under `checks:`, or set [repos.{repo}] detect = true")
    return ["", *lines] if lines else []


def _resources(wanted: Resources, plan: Plan, jobs: int | None) -> list[str]:
    lines = []
    if jobs is not None:
        widest = max((len(w) for w in plan.waves()), default=0)
        lines.append(f"agents: {jobs} at once, the widest wave has {count(widest, 'cell')}")
    if wanted.disk_wanted is not None:
        free = f", {size(wanted.disk_free)} free" if wanted.disk_free is not None else ""
        lines.append(f"disk: about {size(wanted.disk_wanted)} for worktrees{free}")
        if wanted.disk_free is not None and wanted.disk_free < wanted.disk_wanted:
            lines.append("warning: there is less free disk than the worktrees may need")
    return lines


def _counts(forecasts: Sequence[Forecast]) -> list[str]:
    if not forecasts:
        return []
    would = [f.would for f in forecasts]
    may = sum(f.may for f in forecasts)
    parts = [f"{would.count(Would.RUN) - may} would run"]
    parts += [f"{may} may run"] if may else []
    parts.append(f"{would.count(Would.UP_TO_DATE)} up to date")
    blocked = would.count(Would.BLOCKED)
    parts += [f"{blocked} blocked"] if blocked else []
    return ["", ", ".join(parts)]


def _url(facts: CellFacts) -> str | None:
    return facts.pr_url if facts.pr_url and facts.pr_url != "none" else None
