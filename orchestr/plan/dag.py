"""From a feature to the order of its cells: waves, bases, priorities, overlaps, forecast.

Pure: no clock, no disk, no git. Edges alone decide when a cell may start; waves are only a way to
show the plan. Everything is deterministic: the same feature gives the same plan on every
machine and after every crash, so a resumed run takes its cells in the order of the first one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from math import isfinite
from statistics import median
from typing import NamedTuple

from orchestr.plan.path_overlap import can_overlap
from orchestr.spec.own_phases import change_result
from orchestr.spec.path_patterns import GlobPattern, parse_glob
from orchestr.spec.phases import LISTED, Action, Delivery, Phase
from orchestr.spec.records import AUDIT, Cell, Feature


@dataclass(frozen=True, slots=True)
class CellPlan:
    """What the plan knows of one cell. ``wave`` counts from 1, ``weight`` is seconds or 1.

    ``stack`` are the same-repository upstreams that the base must contain, after reduction: one is
    stacked on, several are merged first. ``foreign`` are the upstreams in other repositories after
    reduction; the prompt lists all ``upstreams``.
    """

    name: str
    wave: int
    repo: str
    branch: str
    upstreams: tuple[str, ...] = ()
    stack: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    dependents: tuple[str, ...] = ()
    weight: float = 1.0
    action: Action = Action.AGENT
    base: str | None = None
    steps: tuple[str, ...] = LISTED

    @property
    def needs_merge_base(self) -> bool:
        """True when several heads must be merged before the cell's branch can start."""
        return len(self.stack) > 1


@dataclass(frozen=True)
class FeaturePlan:
    """The cells by wave, then in spec order; ``priority`` is the weighted way to the end."""

    feature: str
    cells: tuple[CellPlan, ...]
    critical_path: tuple[str, ...] = ()
    priority: Mapping[str, float] = field(default_factory=dict)
    steps: tuple[str, ...] = ()  # of the whole feature, after its cells

    def cell(self, name: str) -> CellPlan:
        """The planned cell of that name. Raises KeyError."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, CellPlan]:
        return {cell.name: cell for cell in self.cells}

    def cells_by_wave(self) -> tuple[tuple[CellPlan, ...], ...]:
        """The cells grouped by wave, for showing."""
        groups: dict[int, list[CellPlan]] = {}
        for cell in self.cells:
            groups.setdefault(cell.wave, []).append(cell)
        return tuple(tuple(group) for _, group in sorted(groups.items()))

    def ready_cells(self, done: Collection[str], taken: Collection[str] = ()) -> tuple[str, ...]:
        """Cells whose upstreams are all done, the longest path to the end first.

        ``taken`` are those that run, failed or are finished already, besides ``done``.
        """
        out = {*done, *taken}
        satisfied = set(done)
        free = [c for c in self.cells if c.name not in out and satisfied.issuperset(c.upstreams)]
        return tuple(c.name for c in sorted(free, key=lambda c: -self.priority[c.name]))


class ForecastOutcome(StrEnum):
    """What the next run would do with a cell."""

    RUN = "run"
    UP_TO_DATE = "up-to-date"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class CellForecast:
    """What a run would do with a cell, and why; ``phases`` are those that would run.

    ``may`` marks a guess: an upstream runs first, and if it ends in the same tree, early cutoff
    leaves this cell as it is.
    """

    name: str
    would: ForecastOutcome
    why: str
    phases: tuple[str, ...] = ()
    may: bool = False


class PathOverlap(NamedTuple):
    """Two cells of a repository, without a way between them, that may change one path."""

    cell_a: str
    cell_b: str
    pattern_a: str
    pattern_b: str


def make_plan(feature: Feature, durations: Mapping[str, float] | None = None) -> FeaturePlan:
    """Order the cells of a feature.

    ``durations`` are seconds of earlier attempts; a cell without one gets the median of the known
    ones, else 1. Raises ValueError on a cycle or on an upstream that does not exist; the spec
    reader refuses both long before, with file and line.
    """
    cells = {cell.name: cell for cell in feature.cells}
    waves = _assign_waves(cells)
    position = {name: index for index, name in enumerate(cells)}
    order = sorted(cells, key=lambda name: (waves[name], position[name]))
    local = _ancestor_bits(cells, order, same_repo=True)
    every = _ancestor_bits(cells, order, same_repo=False)
    dependents: dict[str, list[str]] = {name: [] for name in cells}
    for name in order:
        for upstream in _unique_upstreams(cells[name]):
            dependents[upstream].append(name)
    weight = _cell_weights(order, durations or {})
    priority: dict[str, float] = {}
    for name in reversed(order):
        below = max((priority[d] for d in dependents[name]), default=0.0)
        priority[name] = weight[name] + below

    planned = []
    for name in order:
        cell = cells[name]
        upstreams = _unique_upstreams(cell)
        near = tuple(u for u in upstreams if cells[u].repo == cell.repo)
        kept = _reduce_transitively(upstreams, every, position)
        planned.append(
            CellPlan(
                name=name,
                wave=waves[name],
                repo=cell.repo,
                branch=cell.branch,
                upstreams=upstreams,
                # Only same-repository edges carry commits: a way through another repository
                # orders two cells, but does not put the one's head under the other's.
                stack=_reduce_transitively(near, local, position),
                foreign=tuple(u for u in kept if cells[u].repo != cell.repo),
                dependents=tuple(dependents[name]),
                weight=weight[name],
                action=cell.action,
                base=cell.base,
                steps=cell.task_phases,
            )
        )
    path = _find_critical_path(order, dependents, priority)
    steps = (AUDIT,) if feature.has_audit else ()
    return FeaturePlan(feature.name, tuple(planned), path, priority, steps)


def find_overlaps(feature: Feature) -> tuple[PathOverlap, ...]:
    """Patterns of two cells of one repository that can match one path, without an edge path.

    Such cells can start from the same commit and change the same file. Cells without
    ``owned_paths`` are left out, because they claim no path. In spec order.
    """
    cells = {cell.name: cell for cell in feature.cells}
    waves = _assign_waves(cells)
    ancestors = _ancestor_bits(cells, sorted(cells, key=waves.__getitem__), same_repo=False)
    position = {name: index for index, name in enumerate(cells)}
    index = _ClaimIndex()
    found: list[PathOverlap] = []
    for cell in feature.cells:
        mine = [
            _Claim(cell.repo, cell.name, p, g)
            for p in cell.owned_paths
            if (g := parse_glob(p)) is not None
        ]
        for claim in mine:
            for other in index.list_near(claim):
                linked = ancestors[cell.name] >> position[other.cell] & 1
                linked |= ancestors[other.cell] >> position[cell.name] & 1
                if not linked and can_overlap(claim.glob, other.glob):
                    found.append(PathOverlap(other.cell, cell.name, other.pattern, claim.pattern))
        for claim in mine:
            index.add_claim(claim)
    return tuple(sorted(set(found), key=lambda o: (position[o[0]], position[o[1]], o[2:])))


class _Claim(NamedTuple):
    repo: str
    cell: str
    pattern: str
    glob: GlobPattern


class _ClaimIndex:
    """Claims by where their paths start, so that not all pairs are compared.

    Anchored patterns can only meet when one's literal prefix starts the other's, so each looks
    among the prefixes of its own: near linear where they live in their own folders. Those that are
    one plain name for every depth meet only their like among themselves.
    """

    def __init__(self) -> None:
        self._at: dict[tuple[str, ...], list[_Claim]] = {}
        self._below: dict[tuple[str, ...], list[_Claim]] = {}
        self._floating: dict[tuple[str, str], list[_Claim]] = {}
        self._every: dict[tuple[str, bool], list[_Claim]] = {}  # repository, whether floating

    def list_near(self, claim: _Claim) -> list[_Claim]:
        """The claims before this one that it may meet."""
        if claim.glob.floating:
            same = self._floating.get((claim.repo, claim.glob.floating), [])
            return [*same, *self._every.get((claim.repo, False), [])]
        prefix = (claim.repo, *claim.glob.literal_prefix)
        found = [c for k in range(1, len(prefix) + 1) for c in self._at.get(prefix[:k], ())]
        found += self._below.get(prefix, ())
        return [*found, *self._every.get((claim.repo, True), [])]

    def add_claim(self, claim: _Claim) -> None:
        """Keep it for those that come."""
        self._every.setdefault((claim.repo, bool(claim.glob.floating)), []).append(claim)
        if claim.glob.floating:
            self._floating.setdefault((claim.repo, claim.glob.floating), []).append(claim)
            return
        prefix = (claim.repo, *claim.glob.literal_prefix)
        self._at.setdefault(prefix, []).append(claim)
        for k in range(1, len(prefix)):
            self._below.setdefault(prefix[:k], []).append(claim)


def overlap_severity(feature: Feature) -> str:
    """What an overlap is: a merge queue would meet it as a conflict, for open PRs it is a hint."""
    return "error" if feature.delivery is Delivery.MERGE else "warning"


def forecast_run(
    plan: FeaturePlan,
    stale: Mapping[str, Mapping[str, str]],
    blocked: Mapping[str, str] | None = None,
    *,
    ignored: Collection[str] = (),
    only: Collection[str] | None = None,
    have_result: Collection[str] = (),
    ignore_deps: bool = False,
) -> tuple[CellForecast, ...]:
    """What a run would do with every cell, in plan order.

     ``stale``: cell -> phase -> why it would run (a cell or phase not there is up to date).
     ``blocked``: cells that cannot run, with the reason. ``ignored`` and cells outside ``only`` are
     not run; with a result in ``have_result`` they count as satisfied for their dependents
    , without one they block them.
    """
    stuck = dict(blocked or {})
    found: dict[str, CellForecast] = {}
    for cell in plan.cells:
        name = cell.name
        phases = stale.get(name, {})
        first = next((p for p in cell.steps if p in phases), None)
        left_out = "ignored" if name in ignored else ""
        if not left_out and only is not None and name not in only:
            left_out = "not selected"
        if left_out:
            satisfied = first is None or name in have_result
            would = ForecastOutcome.UP_TO_DATE if satisfied else ForecastOutcome.BLOCKED
            why = f"{left_out}, its result stays as it is" if satisfied else left_out
            found[name] = CellForecast(name, would, why)
            continue
        if name in stuck:
            found[name] = CellForecast(name, ForecastOutcome.BLOCKED, stuck[name])
            continue
        above = [] if ignore_deps else [found[u] for u in cell.upstreams]
        found[name] = _forecast_cell(cell, phases, first, above)
    return tuple(found.values())


def _forecast_cell(
    cell: CellPlan, reasons: Mapping[str, str], first: str | None, above: list[CellForecast]
) -> CellForecast:
    name = cell.name
    missing = next((u for u in above if u.would is ForecastOutcome.BLOCKED), None)
    if missing is not None:
        return CellForecast(
            name, ForecastOutcome.BLOCKED, f"upstream {missing.name} is blocked: {missing.why}"
        )
    moving = next((u for u in above if change_result(u.phases)), None)
    order = cell.steps
    if first is not None and (moving is None or order.index(first) <= order.index(Phase.IMPLEMENT)):
        return CellForecast(name, ForecastOutcome.RUN, reasons[first], order[order.index(first) :])
    if moving is not None:
        why = f"{moving.name} runs first (its tree may change)"
        if first is not None:
            return CellForecast(name, ForecastOutcome.RUN, f"{reasons[first]}; {why}", order)
        return CellForecast(name, ForecastOutcome.RUN, why, order, may=True)
    return CellForecast(name, ForecastOutcome.UP_TO_DATE, "up to date")


def _unique_upstreams(cell: Cell) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cell.depends_on))


def _assign_waves(cells: Mapping[str, Cell]) -> dict[str, int]:
    """Kahn's walk; the wave is the longest way from a cell without upstreams, from 1."""
    waiting: dict[str, int] = {}
    after: dict[str, list[str]] = {name: [] for name in cells}
    for name, cell in cells.items():
        upstreams = _unique_upstreams(cell)
        waiting[name] = len(upstreams)
        for upstream in upstreams:
            if upstream not in cells:
                raise ValueError(f"cell {name} depends on {upstream}, which does not exist")
            after[upstream].append(name)
    waves = {name: 1 for name, count in waiting.items() if count == 0}
    queue = list(waves)
    for name in queue:
        for dependent in after[name]:
            waves[dependent] = max(waves.get(dependent, 1), waves[name] + 1)
            waiting[dependent] -= 1
            if waiting[dependent] == 0:
                queue.append(dependent)
    if len(queue) < len(cells):
        ring = _find_cycle(cells, {name for name, count in waiting.items() if count})
        raise ValueError(f"cells depend on each other in a cycle: {' -> '.join(ring)}")
    return waves


def _find_cycle(cells: Mapping[str, Cell], stuck: set[str]) -> list[str]:
    """One cycle among the cells that Kahn's walk could not reach: walk up until a cell repeats."""
    name = next(iter(n for n in cells if n in stuck))
    trail: list[str] = []
    while name not in trail:
        trail.append(name)
        name = next(u for u in cells[name].depends_on if u in stuck)
    return [*trail[trail.index(name) :], name]


def _ancestor_bits(
    cells: Mapping[str, Cell], order: list[str], *, same_repo: bool
) -> dict[str, int]:
    """Per cell the set of cells above it, as the bits of an int (spec positions).

    Python's big ints make this one OR an edge: 1,000 cells take milliseconds.
    """
    position = {name: index for index, name in enumerate(cells)}
    above: dict[str, int] = {}
    for name in order:
        bits = 0
        for upstream in cells[name].depends_on:
            if not same_repo or cells[upstream].repo == cells[name].repo:
                bits |= above[upstream] | 1 << position[upstream]
        above[name] = bits
    return above


def _reduce_transitively(
    names: tuple[str, ...], above: Mapping[str, int], position: Mapping[str, int]
) -> tuple[str, ...]:
    """Drop every name that another one of them has above itself already."""
    covered = 0
    for name in names:
        covered |= above[name]
    return tuple(n for n in names if not covered >> position[n] & 1)


def _cell_weights(order: list[str], durations: Mapping[str, float]) -> dict[str, float]:
    known = {
        n: float(durations[n])
        for n in order
        if n in durations and isfinite(durations[n]) and durations[n] > 0
    }
    typical = median(known.values()) if known else 1.0
    return {name: known.get(name, typical) for name in order}


def _find_critical_path(
    order: list[str], dependents: Mapping[str, list[str]], priority: Mapping[str, float]
) -> tuple[str, ...]:
    """The heaviest way from a start to an end; among equals the first in plan order."""
    path: list[str] = []
    choices = order
    while choices:
        name = max(choices, key=priority.__getitem__)
        path.append(name)
        choices = dependents[name]
    return tuple(path)
