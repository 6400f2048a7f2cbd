"""Whose finding it is, and what comes next: repairs of owners, a person, or the end. Pure.

A path leads to its owner: who owns the contract, else whose `owned_paths` it is in, else who
changed it, else the cell of its repository that may change everything. Of several the last in plan
order answers: its head holds the others' work. A cell waits while one of its upstreams is repaired;
what is rebuilt on that repair is judged by the next audit.

The loop ends: each round counts, `repair: {audit: N}` rounds and `MOST_REPAIRS` repairs at most,
and none where the same is red as before the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from orchestr.audit.findings import (
    Finding,
    FindingState,
    Place,
    Verdict,
    judge_findings,
    red_digest,
)
from orchestr.spec.path_patterns import match_paths

MOST_REPAIRS = 6  # of all owners, in one series of audits


@dataclass(frozen=True, slots=True)
class CellScope:
    """What a cell answers for. ``changed`` are the paths that its head changes, ``upstreams`` all
    cells that it builds on. ``refusal``: why no agent can repair it, "" where one can."""

    name: str
    repo: str
    contracts: tuple[str, ...] = ()
    owned: tuple[str, ...] = ()
    changed: frozenset[str] = frozenset()
    upstreams: frozenset[str] = frozenset()
    refusal: str = ""


class Fate(StrEnum):
    """What becomes of a finding."""

    NONE = "none"  # it passed
    REPAIR = "repair"  # an owner repairs it now
    WAITS = "waits"  # its owner's upstream is repaired first, or there is no repair left now
    NEEDS_PERSON = "needs_person"  # no owner, or none that an agent can repair
    NOT_EVALUATED = "not evaluated"
    STOPPED = "stopped"  # no further repair is tried


@dataclass(frozen=True, slots=True)
class FindingFate:
    """The fate of one finding. ``owners`` are the cells that answer for it; ``why`` is for people
    and says what a person has to know, "" where the fate says all."""

    fate: Fate
    owners: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class AuditDecision:
    """What comes of the findings: ``fates`` in their order, ``owners`` to repair now in plan order,
    and why the loop ends (``stop``), "" where it goes on or all is green."""

    verdict: Verdict
    fates: tuple[FindingFate, ...]
    owners: tuple[str, ...] = ()
    stop: str = ""


@dataclass(frozen=True, slots=True)
class SeriesState:
    """What the series of audits has done: rounds, repairs, and what was red in the last one."""

    rounds: int = 0
    repairs: int = 0
    red: str = ""


@dataclass(frozen=True, slots=True)
class _Judge:
    scope: CellScope
    is_contract: Callable[[str], bool]
    is_owned: Callable[[str], bool]

    @classmethod
    def of(cls, scope: CellScope) -> _Judge:
        return cls(scope, match_paths(scope.contracts), match_paths(scope.owned))


@dataclass(frozen=True, slots=True)
class OwnerFinder:
    """Finds the owners of places; ``cells`` in plan order."""

    cells: tuple[CellScope, ...]
    _judges: list[_Judge] = field(default_factory=list)

    def find_owner(self, place: Place) -> str | None:
        """The cell that answers for a file; None where there is none."""
        if not self._judges:
            self._judges.extend(map(_Judge.of, self.cells))
        mine = [one for one in self._judges if place.repo in ("", one.scope.repo)]
        tests: tuple[Callable[[_Judge], bool], ...] = (
            lambda one: one.is_contract(place.path),
            lambda one: one.is_owned(place.path),
            lambda one: place.path in one.scope.changed,
            lambda one: bool(place.repo) and not one.scope.owned,
        )
        for test in tests:
            found = [one.scope.name for one in mine if test(one)]
            if found:
                return found[-1]
        return None

    def find_owners(self, finding: Finding) -> tuple[str, ...]:
        """The cells that answer for the files that a finding names, each once."""
        found = map(self.find_owner, finding.places)
        return tuple(dict.fromkeys(name for name in found if name is not None))


def decide(
    findings: Sequence[Finding],
    cells: Sequence[CellScope],
    series: SeriesState,
    *,
    most_rounds: int,
    most_repairs: int = MOST_REPAIRS,
    cap: str = "",
) -> AuditDecision:
    """What becomes of every finding. ``cells`` in plan order; ``cap``: why the verdict is partial
    at best."""
    finder, scopes = OwnerFinder(tuple(cells)), {cell.name: cell for cell in cells}
    owners = [finder.find_owners(one) if one.is_red else () for one in findings]
    able = [tuple(name for name in mine if not scopes[name].refusal) for mine in owners]
    wanted = {name for mine in able for name in mine}
    stop = explain_stop(series, red_digest(findings), most_rounds, most_repairs) if wanted else ""
    left = max(0, most_repairs - series.repairs)
    first = [cell.name for cell in cells
             if cell.name in wanted and not cell.upstreams & wanted]  # fmt: skip
    chosen = () if stop else tuple(first[:left])
    fates = tuple(
        _decide_fate(one, mine, may, chosen, stop, scopes)
        for one, mine, may in zip(findings, owners, able, strict=True)
    )
    return AuditDecision(judge_findings(findings, cap), fates, chosen, stop)


def _decide_fate(
    finding: Finding, owners: tuple[str, ...], able: tuple[str, ...], chosen: tuple[str, ...],
    stop: str, scopes: dict[str, CellScope],
) -> FindingFate:  # fmt: skip
    if not finding.is_red:
        passed = finding.state is FindingState.PASSED
        return FindingFate(Fate.NONE if passed else Fate.NOT_EVALUATED)
    if not owners:
        named = ", ".join(map(str, finding.places[:3]))
        why = f"no cell owns {named}" if named else "its evidence names no file"
        return FindingFate(Fate.NEEDS_PERSON, (), why)
    if not able:
        why = "; ".join(f"{name}: {scopes[name].refusal}" for name in owners)
        return FindingFate(Fate.NEEDS_PERSON, owners, why)
    if stop:
        return FindingFate(Fate.STOPPED, able, stop)
    now = tuple(name for name in able if name in chosen)
    if now:
        return FindingFate(Fate.REPAIR, now)
    return FindingFate(Fate.WAITS, able, "another cell is repaired first")


def explain_stop(series: SeriesState, red: str, most_rounds: int, most_repairs: int) -> str:
    """Why no further round is made; "" when one is."""
    if most_rounds <= 0:
        return "no repairs are allowed (repair: {audit: 0})"
    if series.rounds and series.red == red:
        return "the same is red after the last repair"
    if series.rounds >= most_rounds:
        return f"{series.rounds} of {most_rounds} rounds of repair made"
    if series.repairs >= most_repairs:
        return f"{series.repairs} of {most_repairs} repairs made"
    return ""
