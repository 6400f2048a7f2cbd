"""``plan`` and ``run --dry-run``: order, bases, what would run and why.

Pure text and JSON. Nothing is run, nothing is asked of the network here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from orchestr.plan.dag import CellForecast, CellPlan, FeaturePlan, ForecastOutcome, PathOverlap
from orchestr.spec.agent_options import ChosenOptions
from orchestr.spec.phases import Action
from orchestr.spec.records import Feature
from orchestr.views.model import NOTHING, CellFacts
from orchestr.views.terminal.agent_options import format_options
from orchestr.views.terminal.text import clean_line, format_count, format_duration, format_size


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """The disk that a run would need and that is free, in bytes; None is not shown."""

    disk_wanted: int | None = None
    disk_free: int | None = None


@dataclass(frozen=True, slots=True)
class CellWork:
    """What a run would give a cell. ``agent`` and ``timeout`` (seconds) are None where none works,
    ``unchecked`` says why there are no ``checks``, ``options`` what agents are asked for by work,
    ``followers`` who works after ``agent`` has failed, ``beside`` who works at the same time.
    """

    repo_path: str = ""
    worktree: str | None = None
    agent: str | None = None
    model: str | None = None
    timeout: float | None = None
    checks: tuple[str, ...] = ()
    unchecked: str = ""
    reviewers: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    options: tuple[tuple[str, ChosenOptions], ...] = ()
    followers: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()  # all of them, the first included


NO_WORK = CellWork()
UNKNOWN_WORK: Mapping[str, CellWork] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ProposedCheck:
    """A check that fits a repository whose cells have none; ``runs``: the settings let it run."""

    repo: str
    cells: tuple[str, ...]
    check: str
    reason: str
    runs: bool


def plan_text(
    feature: Feature,
    plan: FeaturePlan,
    forecasts: Sequence[CellForecast],
    facts: Mapping[str, CellFacts],
    *,
    claims: Sequence[str] = (),
    jobs: int | None = None,
    resources: DiskSpace | None = None,
    timed: bool = False,
    proposals: Sequence[ProposedCheck] = (),
    work: Mapping[str, CellWork] = UNKNOWN_WORK,
    accepts: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The plan for people. ``claims``: problems of overlapping paths, in words; ``jobs``: agents at
    once; ``timed``: the plan's weights are seconds; ``work``: what each cell would get;
    ``accepts``: the commands that let results stand which only an edit of the spec made stale.
    """
    forecast_of = {f.name: f for f in forecasts}
    waves = plan.cells_by_wave()
    lines = [f"{plan.feature}: {clean_line(feature.title)}" if feature.title else plan.feature]
    lines.append(f"{format_count(len(plan.cells), 'cell')} in {format_count(len(waves), 'wave')}")
    for number, wave in enumerate(waves, 1):
        lines += ["", f"wave {number} ({format_count(len(wave), 'cell')})"]
        for cell in wave:
            lines += _cell_lines(
                cell,
                forecast_of.get(cell.name),
                facts.get(cell.name, NOTHING),
                work.get(cell.name, NO_WORK),
            )
            if cell.name in accepts:
                lines.append(f"    or        {accepts[cell.name]} lets its result stand")
    if plan.critical_path:
        lines += [
            "",
            f"critical path: {' > '.join(plan.critical_path)}{_length_words(plan, timed)}",
        ]
    lines += [line for claim in claims for line in claim.splitlines()]
    lines += _proposal_lines(proposals)
    lines += _resource_lines(resources or DiskSpace(), plan, jobs)
    lines += _count_lines(forecasts)
    return "\n".join(lines) + "\n"


def plan_json(
    plan: FeaturePlan,
    forecasts: Sequence[CellForecast],
    facts: Mapping[str, CellFacts],
    *,
    overlaps: Sequence[PathOverlap] = (),
    proposals: Sequence[ProposedCheck] = (),
    work: Mapping[str, CellWork] = UNKNOWN_WORK,
    findings: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """The plan as docs/json.md describes it; fields are added, never renamed.

    Added: ``stack``, ``worktree``, ``phases``, ``may``, ``weight`` and what `CellWork` has per
    cell, ``overlaps`` and ``proposals``; ``findings`` of the pre-flight.
    """
    forecast_of = {f.name: f for f in forecasts}
    branches = {cell.name: cell.branch for cell in plan.cells}
    cells = []
    for cell in plan.cells:
        stacked = branches[cell.stack[0]] if len(cell.stack) == 1 else None
        seen = facts.get(cell.name, NOTHING)
        line = forecast_of.get(cell.name)
        mine = work.get(cell.name, NO_WORK)
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
                "pr": _pull_request_url(seen),
                "stack": list(cell.stack),
                "worktree": seen.worktree or mine.worktree,
                "phases": [str(p) for p in line.phases] if line else [],
                "may": line.may if line else False,
                "weight": cell.weight,
                "repo_path": mine.repo_path or None,
                "agent": mine.agent,
                "model": mine.model,
                "followers": list(mine.followers),
                "best_of": list(mine.beside),
                "timeout_s": mine.timeout,
                "checks": list(mine.checks),
                "reviewers": list(mine.reviewers),
                "gates": list(mine.gates),
                "options": {name: chosen.options.stated for name, chosen in mine.options},
            }
        )
    return {
        "feature": plan.feature,
        "cells": cells,
        "critical_path": list(plan.critical_path),
        "overlaps": [o._asdict() for o in overlaps],
        "findings": [dict(finding) for finding in findings],
        "proposals": [{**asdict(p), "cells": list(p.cells)} for p in proposals],
    }


def _cell_lines(cell: CellPlan, forecast: CellForecast | None, facts: CellFacts,
                work: CellWork) -> list[str]:  # fmt: skip
    url = _pull_request_url(facts)
    mark = f"  [PR EXISTS: {clean_line(url)}]" if url else ""
    place = f" at {clean_line(work.repo_path)}" if work.repo_path else ""
    lines = [f"  {cell.name}{mark}", f"    repo      {cell.repo}{place}, branch {cell.branch}"]
    lines.append(f"    base      {_base_words(cell, facts)}")
    if cell.upstreams:
        lines.append(f"    after     {', '.join(cell.upstreams)}")
    if facts.worktree:
        lines.append(f"    worktree  {facts.worktree}")
    elif work.worktree:
        lines.append(f"    worktree  {work.worktree} (not made yet)")
    if cell.action is Action.PUSH:
        lines.append("    action    push what is there, no agent")
    lines += _work_lines(work)
    if forecast:
        lines.append(f"    {_forecast_words(forecast)}")
    return lines


def _work_lines(work: CellWork) -> list[str]:
    """Who works, what proves it, and where a person is asked."""
    lines = []
    if work.agent:
        model = f", model {clean_line(work.model)}" if work.model else ""
        limit = f", at most {format_duration(work.timeout)}" if work.timeout else ""
        then = f"; after it fails {', then '.join(work.followers)}" if work.followers else ""
        who = f"{work.agent}{model}"
        if work.beside:
            who = f"{', '.join(work.beside)} side by side, the best is taken"
        lines.append(f"    agent     {who}{limit}{then}")
    for name, chosen in work.options:
        lines.append(f"    options   {clean_line(name)}: {format_options(chosen.options)}")
    if work.checks:
        lines.append(f"    checks    {', '.join(map(clean_line, work.checks))}")
    elif work.unchecked:
        lines.append(f"    checks    none: {work.unchecked}")
    if work.reviewers:
        lines.append(f"    reviews   {', '.join(map(clean_line, work.reviewers))}")
    if work.gates:
        lines.append(f"    asks      for your yes: {', '.join(work.gates)}")
    return lines


def _base_words(cell: CellPlan, facts: CellFacts) -> str:
    if cell.needs_merge_base:
        return f"the merge of {' and '.join(cell.stack)}"
    if cell.stack:
        return f"stacked on {cell.stack[0]}"
    return facts.base or cell.base or "the default branch"


def _forecast_words(forecast: CellForecast) -> str:
    why = forecast.why
    match forecast.would:
        case ForecastOutcome.UP_TO_DATE:
            return why if why.startswith("up to date") else f"up to date: {why}"
        case ForecastOutcome.BLOCKED:
            return f"blocked: {why}"
        case ForecastOutcome.RUN:
            if forecast.may:
                return f"may run: {why}"
            phases = ", ".join(str(p) for p in forecast.phases)
            return f"would run: {why}" + (f" ({phases})" if phases else "")


def _length_words(plan: FeaturePlan, timed: bool) -> str:
    if not timed:
        return ""
    return f" (about {format_duration(sum(plan.cell(n).weight for n in plan.critical_path))})"


def _proposal_lines(proposals: Sequence[ProposedCheck]) -> list[str]:
    lines: list[str] = []
    for repo in dict.fromkeys(p.repo for p in proposals):
        mine = [p for p in proposals if p.repo == repo]
        cells = ", ".join(mine[0].cells)
        if mine[0].runs:
            lines.append(f"checks of {repo} ({cells}), detected and run:")
        else:
            lines.append(f"nothing checks {repo} ({cells}); it could be checked with")
        lines += [f"  {clean_line(p.check)}  ({clean_line(p.reason)})" for p in mine]
        if not mine[0].runs:
            lines.append(f"  write it under `checks:`, or set [repos.{repo}] detect = true")
    return ["", *lines] if lines else []


def _resource_lines(wanted: DiskSpace, plan: FeaturePlan, jobs: int | None) -> list[str]:
    lines = []
    if jobs is not None:
        widest = max((len(w) for w in plan.cells_by_wave()), default=0)
        lines.append(f"agents: {jobs} at once, the widest wave has {format_count(widest, 'cell')}")
    if wanted.disk_wanted is not None:
        free = f", {format_size(wanted.disk_free)} free" if wanted.disk_free is not None else ""
        lines.append(f"disk: about {format_size(wanted.disk_wanted)} for worktrees{free}")
        if wanted.disk_free is not None and wanted.disk_free < wanted.disk_wanted:
            lines.append("warning: there is less free disk than the worktrees may need")
    return lines


def _count_lines(forecasts: Sequence[CellForecast]) -> list[str]:
    if not forecasts:
        return []
    would = [f.would for f in forecasts]
    may = sum(f.may for f in forecasts)
    parts = [f"{would.count(ForecastOutcome.RUN) - may} would run"]
    parts += [f"{may} may run"] if may else []
    parts.append(f"{would.count(ForecastOutcome.UP_TO_DATE)} up to date")
    blocked = would.count(ForecastOutcome.BLOCKED)
    parts += [f"{blocked} blocked"] if blocked else []
    return ["", ", ".join(parts)]


def _pull_request_url(facts: CellFacts) -> str | None:
    return facts.pr_url if facts.pr_url and facts.pr_url != "none" else None
