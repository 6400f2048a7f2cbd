"""What a run will take: time, tokens and money as p10, p50 and p90, from attempts of before.

Pure: samples in, figures out; no clock, no disk. The method (docs/forecast.md):

- A cell's figures are quantiles of the attempts most alike: those of the same repository, agent and
  model; where there are fewer than `ENOUGH`, those of the same agent and model; else all. Of these
  the `NEAREST` count, by the cell itself, the size of the todo and the number of touched files.
- Where other attempts follow one that fails (a chain of agents, `retry`), an attempt that failed
  counts with a middle one of the next on top; the most that can be, with all of them.
- Few attempts say little, and so do those of others: below `MANY`, and for others' prices, the half
  of the least and the double of the most count, too.
- Sums are not sums of quantiles: every cell draws a value, the draws are added up (tokens, money)
  or scheduled (time: upstreams, slots), and the sums have quantiles of their own. The seed is
  fixed, so that the same history gives the same figures.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import log2
from types import MappingProxyType
from typing import Any

from orchestr.plan.dag import FeaturePlan
from orchestr.plan.schedule import WaitingCell, simulate_end

COLUMNS = ("seconds", "tokens", "usd")  # of a sample
ENOUGH = 3  # attempts that a narrower group must have to be taken
NEAREST = 20
MANY = 8
SEED = 1
DRAWS = 1000  # of a feature of up to 50 cells; larger ones draw less often
_DRAWN = 50_000  # values at most
_BESIDE = "@"  # between a cell's name and the number of an attempt side by side; no cell has it


class Likeness(StrEnum):
    """What the attempts behind a cell's figures have in common with it, the closest first."""

    SAME = "same"  # repository, agent and model
    AGENT = "agent"  # agent and model, another repository
    OTHERS = "others"  # another agent or model: others' prices
    NONE = "none"  # there are no attempts


class Place(StrEnum):
    """Where a true value fell."""

    BELOW = "below"
    INSIDE = "inside"
    ABOVE = "above"


@dataclass(frozen=True, slots=True)
class CellTraits:
    """What makes cells alike. ``todo``: characters of its todo; ``files``: how many an attempt
    touched; None where that is not known."""

    repo: str = ""
    agent: str = ""
    model: str = ""
    todo: int | None = None
    files: int | None = None


_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class CostSample:
    """One ended attempt with its repairs, checks and reviews.

    ``seconds`` is the time at work, without waits for slots, limits and people; ``tokens`` in and
    out; None is unknown. ``opened`` and ``ended`` are seconds since 1970, ``run`` closed it.
    """

    feature: str
    cell: str
    attempt: int
    traits: CellTraits
    seconds: float
    tokens: int | None = None
    usd: float | None = None
    opened: float = 0.0
    ended: float = 0.0
    run: str = ""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """Of ten runs one is below ``p10``, five are below ``p50``, nine below ``p90``."""

    p10: float
    p50: float
    p90: float

    def place_value(self, value: float) -> Place:
        """Where a true value fell; the ends are inside."""
        if value < self.p10:
            return Place.BELOW
        return Place.ABOVE if value > self.p90 else Place.INSIDE


@dataclass(frozen=True, slots=True)
class CellCost:
    """The figures of one cell, from ``samples`` attempts; None: no attempt says anything."""

    name: str
    likeness: Likeness
    samples: int
    seconds: Spread | None = None
    tokens: Spread | None = None
    usd: Spread | None = None


@dataclass(frozen=True, slots=True)
class FeatureCost:
    """The figures of a feature over the ``cells`` that would get an attempt, in plan order.

    ``seconds``: with ``slots`` agents at once; ``serial``: one cell after the other. ``history``
    counts the attempts of the workspace. A sum is over the cells that have that figure, which
    ``without`` counts the others of: seconds, tokens, usd.
    """

    feature: str
    slots: int
    history: int
    cells: tuple[CellCost, ...] = ()
    seconds: Spread | None = None
    serial: Spread | None = None
    tokens: Spread | None = None
    usd: Spread | None = None
    without: tuple[int, int, int] = (0, 0, 0)

    @property
    def cells_of_others(self) -> tuple[CellCost, ...]:
        """Those with figures of another agent or model only."""
        return tuple(cell for cell in self.cells if cell.likeness is Likeness.OTHERS)


@dataclass(frozen=True, slots=True)
class BudgetLimit:
    """A limit of the settings or the command line, ``name`` as there. ``unit``: usd or tokens;
    ``spent`` of it before; ``each``: it is for every attempt, not for the whole."""

    name: str
    unit: str
    limit: float
    spent: float = 0.0
    each: bool = False


@dataclass(frozen=True, slots=True)
class BudgetRisk:
    """A limit that p90 passes, of a ``cell`` or (empty) of the feature. ``likely``: p50 does."""

    limit: BudgetLimit
    cell: str
    p90: float
    likely: bool


def find_budget_risks(cost: FeatureCost, limits: Iterable[BudgetLimit]) -> tuple[BudgetRisk, ...]:
    """The limits that p90 passes on top of what was spent before."""
    found = []
    for limit in limits:
        for one in cost.cells if limit.each else (cost,):
            spread = one.usd if limit.unit == "usd" else one.tokens
            if spread is not None and limit.spent + spread.p90 > limit.limit:
                cell = one.name if isinstance(one, CellCost) else ""
                likely = limit.spent + spread.p50 > limit.limit
                found.append(BudgetRisk(limit, cell, spread.p90, likely))
    return tuple(found)


def forecast_cost(
    plan: FeaturePlan,
    wanted: Mapping[str, CellTraits],
    samples: Sequence[CostSample],
    slots: int,
    audit: tuple[str, CellTraits, Sequence[CostSample]] | None = None,
    beside: Mapping[str, Sequence[CellTraits]] = _NOTHING,
    followers: Mapping[str, Sequence[CellTraits]] = _NOTHING,
    retries: Mapping[str, int] = _NOTHING,
) -> FeatureCost:
    """The figures of a run. ``wanted``: the cells that would get an attempt, and their traits;
    ``beside``: those of further attempts of a cell at the same time, each with a row of its own;
    ``followers``: those of the agents that would follow one that failed; ``retries``: how many
    further attempts of the last one would.

    ``samples`` are of all features. ``audit``: the name of the feature's last step where it would
    be made, its traits and the samples of such steps: a row of its own, after all cells.
    """
    cells, values = [], {}
    asked: list[tuple[str, CellTraits, Sequence[CostSample]]] = []
    for cell in plan.cells:
        if cell.name in wanted:
            several = (wanted[cell.name], *beside.get(cell.name, ()))
            names = (cell.name, *(f"{cell.name}{_BESIDE}{n + 2}" for n in range(len(several) - 1)))
            asked += [(name, one, samples) for name, one in zip(names, several, strict=True)]
    asked += [audit] if audit is not None else []
    for name, traits, alike in asked:
        key = (plan.feature, cell_of_row(name))
        line = (traits, *followers.get(name, ()))
        line += line[-1:] * retries.get(key[1], 0)
        likeness, chosen = choose_alike(key, traits, alike)
        mine = _list_columns(key, line, alike)
        values[name] = mine
        spreads = [make_spread(column) if column else None for column in mine]
        cells.append(CellCost(name, likeness, len(chosen), *spreads))
    without = [sum(not mine[at] for mine in values.values()) for at in range(3)]
    time, serial, tokens, usd = _draw_sums(plan, values, slots)
    known = len(samples) + (len(audit[2]) if audit is not None else 0)
    return FeatureCost(plan.feature, slots, known, tuple(cells), time, serial, tokens, usd,
                       (without[0], without[1], without[2]))  # fmt: skip


def add_samples(one: CostSample, other: CostSample) -> CostSample:
    """Two attempts at the same work, one after the other, as one; what is unknown of either is
    unknown."""
    sums: dict[str, Any] = {}
    for field in COLUMNS:
        mine, theirs = getattr(one, field), getattr(other, field)
        sums[field] = None if mine is None or theirs is None else mine + theirs
    opened, ended = min(one.opened, other.opened), max(one.ended, other.ended)
    return replace(other, **sums, opened=opened, ended=ended)


def choose_alike(
    cell: tuple[str, str], traits: CellTraits, samples: Iterable[CostSample]
) -> tuple[Likeness, list[CostSample]]:
    """The attempts most alike to ``cell`` (feature, cell), the nearest first."""
    every = list(samples)
    if not every:
        return Likeness.NONE, []
    agents = [s for s in every if _same_agent(s.traits, traits)]
    same = [s for s in agents if s.traits.repo == traits.repo]
    groups = [(Likeness.SAME, same), (Likeness.AGENT, agents), (Likeness.OTHERS, every)]
    # Where no group has enough, all count, and what they have in common is what they have.
    likeness, pool = next(
        ((likeness, pool) for likeness, pool in groups
         if len(pool) >= ENOUGH or len(pool) == len(every)))  # fmt: skip
    pool = sorted(pool, key=lambda s: (_measure_distance(cell, traits, s), -s.ended))
    return likeness, pool[:NEAREST]


def _list_columns(
    cell: tuple[str, str], line: Sequence[CellTraits], samples: Sequence[CostSample]
) -> list[list[float]]:
    """The sorted values of a cell: seconds, tokens, usd. ``line``: its agents in their order."""
    likeness, chosen = choose_alike(cell, line[0], samples)
    unsure = len(chosen) < MANY or likeness is Likeness.OTHERS
    after = _list_columns(cell, line[1:], samples) if line[1:] else [[], [], []]
    columns = []
    for field, follower in zip(COLUMNS, after, strict=True):
        middle, most = (find_quantile(follower, 0.5), follower[-1]) if follower else (0.0, 0.0)
        known = [(getattr(s, field), s.failed) for s in chosen]
        values = [value + failed * middle for value, failed in known if value is not None]
        columns.append(_sort_values(values, unsure, most))
    return columns


def find_quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which a ``share`` of the sorted values is, between two of them linear.

    >>> find_quantile([1.0, 2.0, 3.0], 0.25)
    1.5
    """
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def make_spread(ordered: Sequence[float]) -> Spread:
    """p10, p50 and p90 of sorted values, of which there is at least one."""
    return Spread(*(find_quantile(ordered, share) for share in (0.1, 0.5, 0.9)))


def cell_of_row(name: str) -> str:
    """The cell of a row: attempts side by side have one each."""
    return name.partition(_BESIDE)[0]


def _same_agent(one: CellTraits, other: CellTraits) -> bool:
    return (one.agent, one.model) == (other.agent, other.model)


def _measure_distance(cell: tuple[str, str], traits: CellTraits, sample: CostSample) -> float:
    """In doublings: of the todo's size, of the number of files; another cell counts as one."""
    return (
        (0.0 if (sample.feature, sample.cell) == cell else 1.0)
        + _count_doublings(traits.todo, sample.traits.todo, 50)
        + _count_doublings(traits.files, sample.traits.files, 1)
    )


def _count_doublings(one: int | None, other: int | None, floor: int) -> float:
    if one is None or other is None:
        return 1.0
    return abs(log2((one + floor) / (other + floor)))


def _sort_values(values: Sequence[float], unsure: bool, most: float = 0.0) -> list[float]:
    """Sorted; where they say little, with the half of the least and the double of the most, and
    the ``most`` of who may follow."""
    ordered = sorted(map(float, values))
    return [ordered[0] / 2, *ordered, ordered[-1] * 2 + most] if ordered and unsure else ordered


def _draw_sums(
    plan: FeaturePlan, values: Mapping[str, Sequence[Sequence[float]]], slots: int
) -> tuple[Spread | None, Spread | None, Spread | None, Spread | None]:
    """Time with slots, time one after the other, tokens, dollars. A cell's three figures are drawn
    together: an attempt that takes long is the one that costs much."""
    known = [any(mine[at] for mine in values.values()) for at in range(3)]
    if not any(known):
        return None, None, None, None
    chance = random.Random(SEED)
    sums: list[list[float]] = [[], [], [], []]
    schedule = _make_schedule(plan, values, slots)
    for _ in range(max(100, min(DRAWS, _DRAWN // len(values)))):
        totals, seconds = [0.0, 0.0, 0.0], {}
        for name, columns in values.items():
            share = chance.random()
            for at, column in enumerate(columns):
                if column:
                    value = find_quantile(column, share)
                    totals[at] += value
                    if at == 0:
                        seconds[name] = value
        for at, total in enumerate((schedule(seconds), *totals)):
            sums[at].append(total)
    spreads = [make_spread(sorted(column)) for column in sums]
    return (
        spreads[0] if known[0] else None,
        spreads[1] if known[0] else None,
        spreads[2] if known[1] else None,
        spreads[3] if known[2] else None,
    )


def _make_schedule(
    plan: FeaturePlan, values: Mapping[str, object], slots: int
) -> Callable[[Mapping[str, float]], float]:
    """Seconds by cell -> when the last one ends. Cells without an attempt take no time."""
    late: dict[str, frozenset[str]] = {}  # the nearest upstreams that get an attempt
    rows: dict[str, set[str]] = {}  # a cell -> its row, and those of attempts side by side
    for name in values:
        rows.setdefault(cell_of_row(name), set()).add(name)
    for cell in plan.cells:
        found: set[str] = set()
        for upstream in cell.upstreams:
            found |= rows.get(upstream) or late[upstream]
        late[cell.name] = frozenset(found)
    cells = frozenset(name for name in values if cell_of_row(name) in late)
    above = {  # a last step waits for all of them
        name: {(plan.feature, up) for up in late.get(cell_of_row(name), cells)} for name in values
    }

    def end_of(seconds: Mapping[str, float]) -> float:
        waiting = {
            (plan.feature, name): WaitingCell(
                above[name], seconds.get(name, 0.0), plan.priority.get(cell_of_row(name), 0.0)
            )
            for name in values
        }
        return simulate_end(waiting, slots) or 0.0

    return end_of
