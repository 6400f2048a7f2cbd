"""When what happened: spans of runs, phases, attempts, rounds, reviews and waits.

Pure: events in, spans out; no clock, no disk. The report draws them, `export` writes them. Like
`orchestr.state.replay` it never refuses a journal: what a kill left open ends with the last event
of its run and is called interrupted, and an attempt that outlived its run (its supervisor went on)
is one span over both runs.

Whatever an agent does has a key, its cell, its part in it and the attempt: the part is the attempt
itself, a repair of it, or a reviewer. Several reviewers work at the same time, and several attempts
(`best_of`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from orchestr.spec.phases import Phase
from orchestr.state.attempt_transitions import AttemptDetails
from orchestr.state.event_details import (
    ApprovalAsked,
    ApprovalGiven,
    ApprovalRefused,
    AttemptAdopted,
    AttemptClosed,
    AttemptExited,
    AttemptLimited,
    AttemptOpened,
    AttemptStarted,
    CellForgotten,
    CheckDone,
    LandDone,
    LandParked,
    LandUndone,
    PhaseDone,
    PhaseStarted,
    PhaseStopped,
    RepairClosed,
    RepairOpened,
    ReviewDone,
    RunFinished,
    RunStarted,
)
from orchestr.state.events import Event
from orchestr.state.spans import (
    PLACE,
    Span,
    SpanKind,
    Timeline,
    cell_spans,
    critical_chain,
    increase_since,
    parse_time,
    positive_or_none,
    upstream_waits,
)

__all__ = ["Span", "SpanKind", "Timeline", "make_timeline"]


def make_timeline(
    events: Iterable[Event],
    upstreams: Mapping[str, Iterable[str]] | None = None,
    *,
    live: bool = False,
) -> Timeline:
    """The timeline of a feature. ``upstreams`` of the plan, for waits and the critical path.

    ``live``: a process holds the lease, so what is open goes on; else it was interrupted.
    """
    builder = _TimelineBuilder()
    for event in events:
        at = parse_time(event.ts)
        if at is not None:
            builder.add_event(event, at)
    spans = builder.finish(live)
    spans += cell_spans(spans)
    above = {cell: tuple(names) for cell, names in (upstreams or {}).items()}
    waits, blockers = upstream_waits(spans, above)
    spans = sorted([*spans, *waits], key=lambda s: (s.start, PLACE[s.kind]))
    return Timeline(tuple(spans), critical_chain(spans, blockers))


_Key = tuple[str, str, int]  # cell, what part an agent has in it, and its attempt
_GATES = {"plan": "approval of its plan", "publish": "approval to publish"}
_AUTHOR, _REPAIR = "", "repair"
_NAMED = ("agent", "model", "session", "reviewer", "part")
_COSTS = ("cost_usd", "cost_known_usd", "tokens")


class _TimelineBuilder:
    """What is open while the events go by."""

    def __init__(self) -> None:
        self.closed: list[Span] = []
        self.run: Span | None = None
        self.last = 0.0
        self.phases: dict[str, Span] = {}
        self.works: dict[_Key, Span] = {}  # attempts, repairs, reviews
        self.parts: dict[_Key, Span] = {}  # of these: queue, work or limit
        self.heard: dict[_Key, str] = {}  # of these: the run that spoke of it last
        self.told: dict[_Key, Span] = {}  # reviews that ended and whose verdict is not out yet
        self.asked: dict[str, Span] = {}  # approvals
        self.agents: dict[tuple[str, int], dict[str, Any]] = {}  # of attempts: who, and its costs
        self.seen: dict[str, float] = {}  # when a cell was last heard of

    def add_event(self, event: Event, at: float) -> None:
        cell, details = event.cell, event.details
        match details:
            case RunStarted():
                self._end_run(self.last, "interrupted")
                self.run = Span(SpanKind.RUN, event.run, at, None, "running", run=event.run,
                                data=dict(event.data))  # fmt: skip
            case RunFinished() if self.run is not None and self.run.run == event.run:
                code = details.exit
                self.run = replace(self.run, data={**self.run.data, "exit": code})
                state = "done" if code == 0 else "aborted" if code == 130 else "failed"
                self._end_run(at, state)
            case PhaseStarted():
                self._end_phase(cell, self.last, "interrupted")
                why = details.why or ""
                span = self._make_span(SpanKind.PHASE, event.phase, event, at, "running")
                fields = [str(c["field"]) for c in details.changes or () if isinstance(c, dict)]
                data = {"why": why, "changed": ", ".join(fields)} if fields else {"why": why}
                self.phases[cell] = replace(span, note=why, data=data)
            case PhaseDone():
                self._close_phase(event, details, at, "done")
            case PhaseStopped():
                aborted = details.aborted
                waits = details.state == "approval"
                state = "waits" if waits else "aborted" if aborted else "failed"
                self._close_phase(event, details, at, state, details.reason or "")
            case (
                AttemptOpened()
                | AttemptStarted()
                | AttemptAdopted()
                | AttemptLimited()
                | AttemptExited()
                | AttemptClosed()
            ):
                self._add_attempt_event(event, details, at)
            case RepairOpened():
                self._end_work((cell, _REPAIR, event.attempt), at, "interrupted")
                self._open_repair(event, details, at)
            case RepairClosed():
                outcome = details.outcome or ""
                state = {"changed": "done", "void": "aborted"}.get(outcome, outcome) or "done"
                self._end_work((cell, _REPAIR, event.attempt), at, state, details.detail or "")
            case ReviewDone():
                self._close_review(event, details)
            case CheckDone():
                self._add_check_span(event, details, at)
            case ApprovalAsked():
                gate = _GATES.get(details.gate or "", "approval")
                asks = self._make_span(SpanKind.APPROVAL, f"asks for {gate}", event, at, "running")
                self.asked.setdefault(cell, asks)
            case ApprovalGiven() | ApprovalRefused():
                state = "done" if isinstance(details, ApprovalGiven) else "failed"
                who = details.name or details.user
                said = "approved" if state == "done" else "refused"
                self._close_approval(cell, at, state, f"{said} by {who or 'a person'}")
            case CellForgotten():
                self._close_approval(cell, at, "aborted", "forgotten")
            case LandDone() | LandParked() | LandUndone():
                self._add_landing_span(event, details, at)
            case _:
                pass
        self.last = max(self.last, at)
        if cell:
            self.seen[cell] = at

    # ---- phases ----------------------------------------------------------------------------

    def _close_phase(
        self,
        event: Event,
        details: PhaseDone | PhaseStopped,
        at: float,
        state: str,
        note: str = "",
    ) -> None:
        self._end_phase_agents(event.cell, at, "done" if state == "waits" else state)
        span = self.phases.get(event.cell)
        if span is None or span.phase != event.phase:  # its beginning was not journalled
            seconds = positive_or_none(details.seconds) or 0.0
            span = Span(SpanKind.PHASE, event.phase, at - seconds, None, cell=event.cell,
                        phase=event.phase, run=event.run)  # fmt: skip
        else:
            del self.phases[event.cell]
        told = {k: event.data[k] for k in ("outcome", "head", "url") if event.data.get(k)}
        told = {**span.data, **told}
        self.closed.append(
            span.end_at(at, state=state, note=note or span.note, data=told,
                        attempt=event.attempt or span.attempt)
        )  # fmt: skip

    def _end_phase(self, cell: str, at: float, state: str) -> None:
        span = self.phases.pop(cell, None)
        if span is not None:  # a round that `follow` opened goes on in the phase that begins
            self._end_phase_agents(cell, at, state)
            self.closed.append(span.end_at(at, state=state))

    def _end_phase_agents(self, cell: str, at: float, state: str) -> None:
        """Repairs and reviews end with their phase; the attempt may go on."""
        for key in [k for k in (*self.works, *self.told) if k[0] == cell and k[1] != _AUTHOR]:
            self._end_work(key, at, state)
            late = self.told.pop(key, None)
            if late is not None:
                self.closed.append(late)

    # ---- agents: attempts, repairs, reviews ------------------------------------------------

    def _add_attempt_event(self, event: Event, details: AttemptDetails, at: float) -> None:
        cell, number, data = event.cell, event.attempt, event.data
        part = details.part
        key = (cell, part or (_REPAIR if details.round else _AUTHOR), number)
        for old in [k for k in self.works if k[:2] == key[:2] and k != key]:
            if self.heard.get(old) != event.run:  # else they work side by side
                self._end_work(old, self.seen.get(cell, self.works[old].start), "interrupted")
        span = self.works.get(key)
        if span is None:
            if isinstance(details, AttemptClosed):
                return  # `forget` closes attempts that ended long ago
            if key[1] == _REPAIR:
                span = self._open_repair(event, details, at)
            elif part:
                span = self._make_span(
                    SpanKind.REVIEW, details.reviewer or part, event, at, "running"
                )
            else:
                span = replace(self._make_span(SpanKind.ATTEMPT, f"attempt {number}", event, at,
                                        "running"), phase=Phase.IMPLEMENT.value)  # fmt: skip
        told = {k: data[k] for k in _NAMED if data.get(k) not in (None, "")}
        span = replace(span, data={**span.data, **told, **self._work_cost(key, number, data)})
        self.works[key], self.heard[key] = span, event.run
        match details:
            case AttemptOpened():
                self._open_part(key, SpanKind.QUEUE, "waits for a slot", at)
            case AttemptStarted():
                self._open_part(key, SpanKind.WORK, str(span.data.get("agent", "agent")), at)
            case AttemptAdopted():
                if key not in self.parts:
                    self._open_part(key, SpanKind.WORK, str(span.data.get("agent", "agent")), at)
            case AttemptLimited():
                self._open_part(key, SpanKind.LIMIT, "usage limit", at)
            case AttemptExited():
                self._add_agent_exit(key, details, at)
            case AttemptClosed():
                outcome = details.outcome or ""
                state = {"done": "done", "aborted": "aborted"}.get(outcome, "failed")
                if outcome in ("superseded", "forgotten"):
                    state = "done"
                self.works[key] = replace(span, data={**span.data, "outcome": outcome})
                self._end_work(key, at, state, details.reason or "")

    def _add_agent_exit(self, key: _Key, details: AttemptExited, at: float) -> None:
        part, seconds = self.parts.get(key), positive_or_none(details.seconds)
        end = at
        if part is not None and part.kind is SpanKind.WORK and seconds is not None:
            # An adopted one may have ended long before anybody looked.
            end = min(at, part.start + seconds)
        why = details.reason or ""
        good = details.code == 0 and why == "exited"
        self._close_part(key, end, "done" if good else "failed", why)
        code = {"exit": details.code, "signal": details.signal, "why": why}
        span = self.works[key]
        self.works[key] = replace(span, data={**span.data, **code})
        if span.kind is SpanKind.REVIEW:  # what it says comes in a moment, or it is asked again
            self.told[key] = self.works[key].end_at(end, state="done" if good else "failed")

    def _work_cost(self, key: _Key, number: int, data: Mapping[str, Any]) -> dict[str, Any]:
        """What this work cost: the journal tells sums of the whole attempt, repairs included."""
        told = {k: data[k] for k in _COSTS if data.get(k) is not None}
        if key[1] not in (_AUTHOR, _REPAIR):
            return told
        known = self.agents.setdefault((key[0], number), {})
        known |= {k: data[k] for k in ("agent", "model") if data.get(k)}
        if key[1] == _AUTHOR:
            known |= told
            return told
        spent = {}
        for name, value in told.items():
            before = known.get(f"to {name}", known.get(name))
            spent[name] = increase_since(value, before)
            known[f"to {name}"] = value
        return {k: v for k, v in spent.items() if v is not None} | {
            k: known[k] for k in ("agent", "model") if k in known
        }

    def _open_repair(self, event: Event, details: RepairOpened | AttemptDetails, at: float) -> Span:
        known = details if isinstance(details, RepairOpened) else None
        of = positive_or_none(known.of) if known else None
        number = positive_or_none(details.round) or 0
        name = f"repair {number:.0f}" + (f" of {of:.0f}" if of else "")
        span = replace(self._make_span(SpanKind.REPAIR, name, event, at, "running"),
                       note=(known.why or "") if known else "")  # fmt: skip
        self.works[event.cell, _REPAIR, event.attempt] = span
        return span

    def _close_review(self, event: Event, details: ReviewDone) -> None:
        """A reviewer's verdict, after it ended."""
        name = details.reviewer or ""
        for key, span in self.told.items():
            if (key[0], key[2], span.name) == (event.cell, event.attempt, name):
                break
        else:
            return
        del self.told[key]
        self.works.pop(key, None)
        blockers = positive_or_none(details.blockers) or 0
        verdict = details.verdict or ""
        self.closed.append(
            replace(span, state="blockers" if blockers else "done", note=verdict,
                    data={**span.data, "verdict": verdict})
        )  # fmt: skip

    def _open_part(self, key: _Key, kind: SpanKind, name: str, at: float) -> None:
        self._close_part(key, at, "done", "")
        self.told.pop(key, None)  # it is asked once more
        self.parts[key] = replace(
            self.works[key],
            kind=kind,
            name=name,
            start=at,
            end=None,
            state="running",
            data={"part": key[1]} if key[1] else {},
            note="",
        )

    def _close_part(self, key: _Key, at: float, state: str, note: str) -> None:
        part = self.parts.pop(key, None)
        if part is not None:
            self.closed.append(part.end_at(at, state=state, note=note or part.note))

    def _end_work(self, key: _Key, at: float, state: str, note: str = "") -> None:
        self._close_part(key, at, "failed" if state == "failed" else "done", "")
        span = self.works.pop(key, None)
        if span is not None and key not in self.told:
            self.closed.append(span.end_at(at, state=state, note=note or span.note))

    # ---- points and waits ------------------------------------------------------------------

    def _add_check_span(self, event: Event, details: CheckDone, at: float) -> None:
        good = details.passed
        cached = details.cached
        start = at - (0.0 if cached else positive_or_none(details.seconds) or 0.0)
        span = self._make_span(SpanKind.CHECK, details.name or "", event, start)
        note = (details.detail or "") + (" (cached)" if cached else "")
        note = f"not evaluated: {note}" if details.unavailable else note
        told = {k: event.data[k] for k in ("log", "repo", "check") if event.data.get(k)}
        self.closed.append(
            span.end_at(at, state="done" if good else "failed", note=note, data=told)
        )

    def _close_approval(self, cell: str, at: float, state: str, note: str) -> None:
        span = self.asked.pop(cell, None)
        if span is not None:
            self.closed.append(span.end_at(at, state=state, note=note))

    def _add_landing_span(
        self, event: Event, details: LandDone | LandParked | LandUndone, at: float
    ) -> None:
        match details:
            case LandDone():
                name, note = "landed", details.target
            case LandUndone():
                name, note = "rolled back", details.target
            case LandParked():
                name, note = "not landed", details.reason
        span = self._make_span(SpanKind.LAND, name, event, at)
        told = {k: event.data[k] for k in ("target", "commit", "state") if event.data.get(k)}
        state = "failed" if isinstance(details, LandParked) else "done"
        self.closed.append(span.end_at(at, state=state, note=note or "", data=told))

    def _make_span(
        self, kind: SpanKind, name: str, event: Event, at: float, state: str = "done"
    ) -> Span:
        return Span(kind, name, at, None, state, event.cell, event.phase, event.attempt, event.run)

    # ---- ends ------------------------------------------------------------------------------

    def _end_run(self, at: float, state: str) -> None:
        """Its phases end with it; attempts may outlive it."""
        for cell in list(self.phases):
            self._end_phase(cell, at, "aborted" if state == "aborted" else "interrupted")
        if self.run is not None:
            self.closed.append(self.run.end_at(at, state=state))
        self.run = None

    def finish(self, live: bool) -> list[Span]:
        """Everything; what is open goes on if the run is ``live``. A person is always awaited."""
        if not live:
            self._end_run(self.last, "interrupted")
            for key in list(self.works):
                self._end_work(key, self.seen.get(key[0], self.last), "interrupted")
        works = [*self.works.values(), *self.parts.values(), *self.asked.values()]
        kept = [*self.phases.values(), *works]
        return [*self.closed, *kept, *([self.run] if self.run is not None else [])]
