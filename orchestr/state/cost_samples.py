"""What attempts took, from the journal: the samples of `orchestr.plan.cost_forecast`. Pure.

A sample is an attempt at `implement` with all that came of it: the plan and the worktree before it,
its repairs, checks and reviews, and what phases of one's own took, whose tries have numbers, too.
Only what came to an end counts, well or badly; what was stopped, was replaced before its end, or
whose agent could not work at all, says nothing of what one takes.

Journals of earlier versions say neither the repository nor the sizes: ``known`` fills in what other
records still say.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf

from orchestr.plan.cost_forecast import CellTraits, CostSample
from orchestr.spec.own_phases import COMMAND
from orchestr.spec.phases import Phase
from orchestr.spec.records import AUDIT
from orchestr.state.event_details import (
    AttemptClosed,
    AttemptExited,
    AttemptOpened,
    AuditDone,
    PhaseDone,
    PhaseStarted,
)
from orchestr.state.events import Event
from orchestr.state.spans import Span, SpanKind, Timeline, parse_time
from orchestr.state.timeline import make_timeline

COUNTED = ("done", "failed")  # outcomes of an attempt that came to its end
_WORK = (Phase.PLAN.value, Phase.IMPLEMENT.value)
_BEFORE = (Phase.WORKTREE.value, Phase.PLAN.value)  # phases that belong to the attempt after them
_WORKS = (SpanKind.ATTEMPT, SpanKind.REPAIR, SpanKind.REVIEW)
_WAITS = (SpanKind.QUEUE, SpanKind.LIMIT, SpanKind.APPROVAL)
_CUT = ("running", "interrupted", "aborted")


def list_cost_samples(
    feature: str, events: Sequence[Event], known: Mapping[str, CellTraits] | None = None
) -> list[CostSample]:
    """The attempts of a feature that ended, by cell and number. ``known``: by cell, what is known
    beside the journal of its newest attempt."""
    line = make_timeline(events)
    facts = _read_facts(events)
    tries, early = _find_own_tries(events)
    facts = {key: known for key, known in facts.items() if key not in tries}
    found = []
    for cell in dict.fromkeys(cell for cell, _ in facts):
        spans = line.select_spans(SpanKind.ATTEMPT, cell=cell)
        mine = [s for s in spans if s.attempt > 0 and (cell, s.attempt) in facts]
        newest = max((s.attempt for s in mine), default=0)
        for number, sample in _measure_attempts(feature, cell, mine, line, early):
            traits, run, failed = facts[cell, number]
            beside = (known or {}).get(cell, CellTraits())
            traits = replace(
                traits,
                agent=traits.agent or sample.traits.agent,
                model=traits.model or sample.traits.model,
                repo=traits.repo or beside.repo,
                todo=beside.todo if traits.todo is None and number == newest else traits.todo,
            )
            found.append(replace(sample, traits=traits, run=run, failed=failed))
    return found


def list_audit_samples(feature: str, events: Sequence[Event]) -> list[CostSample]:
    """What the auditors of each audit of a feature took, all of one audit as one sample; audits
    whose answers were all known already are left out."""
    spans = make_timeline(events).select_spans(SpanKind.REVIEW, cell=AUDIT)
    found: list[CostSample] = []
    since = 0.0
    for event in events:
        at = parse_time(event.ts)
        if not isinstance(event.details, AuditDone) or at is None:
            continue
        mine = [s for s in spans if s.end is not None and since < s.end <= at]
        since = at
        if not mine:
            continue
        tokens = [_read_tokens(s) for s in mine]
        usd = [cost for cost in map(_read_dollars, mine) if cost is not None]
        start, end = min(s.start for s in mine), max(s.end or s.start for s in mine)
        found.append(
            CostSample(
                feature, AUDIT, len(found) + 1,
                make_audit_traits((str(s.data.get("agent") or ""), str(s.data.get("model") or ""))
                                  for s in mine),
                end - start,
                sum(t for t in tokens if t is not None) if None not in tokens else None,
                sum(usd) if len(usd) == len(mine) else None,
                start, end, event.run,
            )
        )  # fmt: skip
    return found


def make_audit_traits(auditors: Iterable[tuple[str, str]]) -> CellTraits:
    """What makes audits alike: the agents and models of their auditors."""
    pairs = sorted(auditors)
    return CellTraits(
        agent=", ".join(agent for agent, _ in pairs), model=", ".join(model for _, model in pairs)
    )


def _read_facts(events: Iterable[Event]) -> dict[tuple[str, int], tuple[CellTraits, str, bool]]:
    """By cell and number the attempts that came to their end: their traits, the run in which they
    did, and whether they failed."""
    traits: dict[tuple[str, int], CellTraits] = {}
    closed: dict[tuple[str, int], tuple[str, bool]] = {}
    worked: set[tuple[str, int]] = set()
    for event in events:
        key = (event.cell, event.attempt)
        match event.details:
            case AttemptOpened() as one if event.attempt > 0 and not one.part:
                old = traits.get(key, CellTraits())
                traits[key] = CellTraits(
                    one.repo or old.repo,
                    one.agent or old.agent,
                    one.model or old.model,
                    old.todo if one.todo is None else one.todo,
                    old.files,
                )
            case AttemptClosed(outcome=outcome) as one if not one.part and outcome in COUNTED:
                if outcome == "done" or key in worked:
                    closed.setdefault(key, (event.run, outcome == "failed"))
            case AttemptExited() as one if not one.part:
                if one.code == 0 or one.tokens or one.reason != "exited":
                    worked.add(key)
            case PhaseDone(files=int() as files) if key in traits:
                traits[key] = replace(traits[key], files=files)
            case _:
                pass
    return {key: (traits.get(key, CellTraits()), *end) for key, end in closed.items()}


def _find_own_tries(
    events: Iterable[Event],
) -> tuple[set[tuple[str, int]], set[tuple[str, int | str]]]:
    """The tries at phases of one's own, by cell and number; and which of them, by number and by
    name of the phase, come before the work and so belong to the attempt after them."""
    tries: dict[tuple[str, int], str] = {}
    ahead: set[tuple[str, str]] = set()
    for event in events:
        match event.details:
            case AttemptOpened() as one if event.attempt > 0 and not one.part:
                if event.phase not in ("", Phase.IMPLEMENT):
                    tries[event.cell, event.attempt] = event.phase
            case PhaseStarted(following=str() as following) if following in _WORK:
                ahead.add((event.cell, event.phase))
            case _:
                pass
    numbers = {(cell, number) for (cell, number), name in tries.items() if (cell, name) in ahead}
    return set(tries), {*ahead, *numbers}


def _measure_attempts(
    feature: str,
    cell: str,
    attempts: Sequence[Span],
    line: Timeline,
    early: Container[tuple[str, int | str]],
) -> Iterator[tuple[int, CostSample]]:
    """What each attempt took. What has no number of its own belongs to the attempt of its time,
    and what is ``early`` to the one after it."""
    attempts = sorted(attempts, key=lambda span: span.start)
    starts = [span.start for span in attempts]
    places = {span.attempt: place for place, span in enumerate(attempts)}

    def find_owner(span: Span) -> int:
        """Place of the attempt that a span belongs to."""
        if span.kind in _WORKS and span.attempt in places:
            return places[span.attempt]
        before = bisect_right(starts, span.end if span.end is not None else span.start)
        named = {(cell, span.attempt), (cell, span.phase)}
        if span.phase in _BEFORE or span.attempt < 0 or any(key in early for key in named):
            before = bisect_right(starts, span.start) + 1
        return min(max(before, 1), len(starts)) - 1

    groups: dict[int, list[Span]] = {}
    for span in line.select_spans(SpanKind.PHASE, *_WORKS, *_WAITS, cell=cell):
        if attempts:
            groups.setdefault(find_owner(span), []).append(span)
    for place, span in enumerate(attempts):
        mine = groups.get(place, [])
        phases = [s for s in mine if s.kind is SpanKind.PHASE]
        if any(s.state in _CUT for s in phases[-1:]) or span.state in _CUT or span.end is None:
            continue
        works = [
            s for s in mine
            if s.kind in _WORKS and not str(s.data.get("agent") or "").startswith(COMMAND)
        ]  # fmt: skip
        waits = [s for s in mine if s.kind in _WAITS]
        seconds = sum(max(s.seconds(s.start) - _sum_waits(s, waits), 0.0) for s in phases)
        tokens = [_read_tokens(s) for s in works]
        usd = [cost for cost in map(_read_dollars, works) if cost is not None]
        traits = CellTraits(
            agent=str(span.data.get("agent") or ""), model=str(span.data.get("model") or "")
        )
        yield (
            span.attempt,
            CostSample(
                feature,
                cell,
                span.attempt,
                traits,
                seconds or span.seconds(span.start),
                sum(t for t in tokens if t is not None) if None not in tokens else None,
                sum(usd) if len(usd) == len(works) else None,
                span.start,
                max(s.end or s.start for s in (*mine, span)),
            ),
        )


def _sum_waits(span: Span, waits: Iterable[Span]) -> float:
    """Seconds of a span in which something was waited for; several reviewers wait at once."""
    end, total = span.start, 0.0
    for wait in sorted(waits, key=lambda w: w.start):
        until = min(span.end or span.start, wait.end or wait.start)
        total += max(until - max(end, wait.start), 0.0)
        end = max(end, until)
    return total


def _read_dollars(span: Span) -> float | None:
    """What the work cost; an agent may say anything, and what cannot be is unknown."""
    match span.data.get("cost_usd"):
        case (int() | float()) as cost if 0 <= cost < inf:
            return float(cost)
        case _:
            return None


def _read_tokens(span: Span) -> int | None:
    """Tokens in and out; what was read from a cache is a part of those in."""
    match span.data.get("tokens"):
        case [int() as taken, _, int() as given] if min(taken, given) >= 0:
            return taken + given
        case _:
            return None
