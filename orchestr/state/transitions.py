"""How one event changes the view of a cell: the steps of `replay`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from math import isfinite
from typing import Any, assert_never

from orchestr.spec.phases import LISTED, Phase
from orchestr.state.events import Event, Kind
from orchestr.state.states import CellState
from orchestr.state.view import NONE, READS, CellView

_PHASES = tuple(p.value for p in LISTED)  # `plan` has a mark only where it is a step


def _step_cell(cell: CellView, event: Event) -> CellView:
    data, phase = event.data, event.phase
    match event.kind:
        case Kind.PHASE_STARTED:
            return _phase_started(cell, phase, event)
        case Kind.PHASE_DONE:
            return _phase_done(cell, phase, event)
        case Kind.PHASE_FAILED:
            return _phase_failed(cell, phase, event)
        case Kind.CELL_BLOCKED:
            upstream = _text(data, "upstream")
            where = phase or next((p for p in _PHASES if cell.phases.get(p) != "done"), "")
            # Behind an upstream that only waits for a person nothing is wrong.
            waits = data.get("state") == CellState.APPROVAL
            mark = "pending" if waits else "blocked"
            return replace(
                cell,
                state=CellState.APPROVAL if waits else CellState.BLOCKED,
                phase=where or cell.phase,
                phases=_with(cell.phases, {where: mark} if where else {}),
                reason=_text(data, "reason") or f"upstream {upstream or 'cell'} failed",
                hint=_text(data, "hint"),
                # It did nothing in this run: the time of an earlier one is not this one's.
                started_at=cell.started_at if cell.run == event.run else None,
                finished_at=event.ts,
            )
        case Kind.APPROVAL_ASKED:
            return replace(
                cell,
                state=CellState.APPROVAL,
                phase=phase or cell.phase,
                phases=_with(cell.phases, {phase: "approval"} if phase else {}),
                reason=_text(data, "reason") or "waits for an approval",
                hint=_text(data, "hint"),
                finished_at=event.ts,
                slot="",
            )
        case Kind.APPROVAL_GIVEN | Kind.APPROVAL_REFUSED:
            return _answered(cell, event)
        case Kind.CELL_IGNORED:
            reason = _text(data, "reason") or "ignored by a person"
            return replace(cell, state=CellState.IGNORED, ignored=True, reason=reason, hint=None)
        case Kind.CELL_UNIGNORED:
            rest = _at_rest(cell.phases)
            return replace(cell, state=rest, ignored=False, reason=None, hint=None)
        case Kind.CELL_WAITING:
            wait = _text(data, "reason")
            now = CellState.WAITING if wait else CellState.RUNNING
            return replace(cell, state=now, phase=phase or cell.phase, reason=wait)
        case Kind.CELL_AMENDED:
            why = f"goes on after {_text(data, 'owner') or 'its owner'} has amended the contract"
            phases = _with(cell.phases, {"implement": "pending"})
            return replace(cell, state=CellState.PENDING, phases=phases, reason=why, hint=None)
        case Kind.CELL_FORGOTTEN:
            named = data.get("phases")
            ignored = cell.ignored
            known = [str(p) for p in named] if isinstance(named, list | tuple) else _PHASES
            return replace(
                cell,
                state=CellState.IGNORED if ignored else CellState.PENDING,
                phases=_with(cell.phases, dict.fromkeys(known, "pending")),
                reason=cell.reason if ignored else "forgotten: runs again with the next run",
                hint=None,
                outcome=None,
                started_at=None,
                finished_at=None,
                waiting_until=None,
            )
        case Kind.CELL_ADOPTED:
            url = _text(data, "url")
            return replace(
                cell,
                state=CellState.DONE,
                phases=_with(cell.phases, dict.fromkeys(_PHASES, "done")),
                reason=f"adopted from {url}" if url else "adopted from its pull request",
                hint=None,
                pr_url=url or cell.pr_url,
                pr_state=_text(data, "state") or cell.pr_state or "open",
                finished_at=event.ts,
            )
        case Kind.WORKTREE_ADDED:
            return replace(
                cell,
                worktree=_text(data, "path"),
                branch=_text(data, "branch") or cell.branch,
                base=_text(data, "base") or cell.base,
            )
        case Kind.WORKTREE_REMOVED:
            return replace(cell, worktree=None)
        case (
            Kind.ATTEMPT_OPENED
            | Kind.ATTEMPT_STARTED
            | Kind.ATTEMPT_ADOPTED
            | Kind.ATTEMPT_LIMITED
            | Kind.ATTEMPT_EXITED
            | Kind.ATTEMPT_CLOSED
        ):
            return _attempt(cell, event)
        case Kind.PR_OPENED | Kind.PR_UPDATED | Kind.PR_SEEN:
            draft = data.get("draft")
            state = _text(data, "state")
            if state is None:
                state = "open" if event.kind is Kind.PR_OPENED else cell.pr_state or "open"
            seen = event.kind is Kind.PR_SEEN  # only a look tells checks and reviews
            fresh = event.kind is Kind.PR_OPENED
            return replace(
                cell,
                pr_url=_text(data, "url") or cell.pr_url,
                pr_state=state,
                pr_draft=draft if isinstance(draft, bool) else cell.pr_draft,
                pr_checks=_text(data, "checks") if seen or fresh else cell.pr_checks,
                pr_review=_text(data, "review") if seen or fresh else cell.pr_review,
            )
        case Kind.LAND_DONE | Kind.LAND_PARKED | Kind.LAND_UNDONE:
            return _land(cell, event)
        case Kind.PUSH_DONE:
            return replace(cell, pr_checks=None)  # they were of another head
        case Kind.REPAIR_OPENED:
            of, number = int(_number(data, "of") or 0), int(_number(data, "round") or 0)
            total = f" of {of}" if of else ""
            return replace(cell, doing=f"repair {number}{total}", repairs=cell.repairs + 1,
                           round=number, rounds=of, reviewers=NONE)  # fmt: skip
        case Kind.REPAIR_CLOSED if cell.state is CellState.RUNNING:
            return replace(cell, doing="")
        case Kind.CHECK_DONE if cell.state is CellState.RUNNING:
            mark = "passed" if data.get("passed") is True else "red"
            return replace(cell, doing=f"check {_text(data, 'name') or '?'} {mark}")
        case Kind.REVIEW_DONE if cell.state is CellState.RUNNING:
            who, said = _text(data, "reviewer") or "a reviewer", _text(data, "verdict") or "?"
            return replace(cell, doing="", reviewers={**cell.reviewers, who: said})
        case (
            Kind.CHECK_DONE
            | Kind.REPAIR_CLOSED
            | Kind.REVIEW_DONE
            | Kind.LAND_QUEUE
            | Kind.LAND_REPAIR
            | Kind.LAND_UPDATE
            | Kind.RUN_STARTED
            | Kind.RUN_FORCED
            | Kind.RUN_FINISHED
            | Kind.PUSH_INTENDED
            | Kind.PR_INTENDED
            | Kind.FORGE_AWAY
            | Kind.FORGE_WAITS
            | Kind.CELL_WARNED
            | Kind.ATTEMPT_GIVEN_BACK
        ):
            return cell
        case _:
            assert_never(event.kind)


LAND = "land"  # where a cell is that was not landed; no phase of a spec


def _land(cell: CellView, event: Event) -> CellView:
    """Landed, left to a person, or rolled back."""
    if event.kind is Kind.LAND_PARKED:
        told = event.data.get("state") == CellState.MERGE_CONFLICT
        return replace(
            cell,
            state=CellState.MERGE_CONFLICT if told else CellState.NEEDS_PERSON,
            phase=LAND,
            reason=_text(event.data, "reason"),
            hint=_text(event.data, "hint"),
            finished_at=event.ts,
        )
    where = f"{_text(event.data, 'target')} at {(_text(event.data, 'commit') or '')[:12]}"
    if event.kind is Kind.LAND_DONE:
        state, reason = CellState.LANDED, f"landed on {where}"
    else:
        state, reason = CellState.DONE, f"rolled back on {where}"
    return replace(cell, state=state, reason=reason, hint=None)


def _phase_started(cell: CellView, phase: str, event: Event) -> CellView:
    fresh = cell.run != event.run or not cell.state.is_moving
    repairs = 0 if phase in (Phase.WORKTREE, Phase.IMPLEMENT) else cell.repairs
    marks = dict.fromkeys(_before(phase), "done")
    if phase == Phase.IMPLEMENT and Phase.PLAN in cell.phases:
        marks[Phase.PLAN.value] = "done"
    if phase == Phase.IMPLEMENT:
        # A new result makes the evidence and the pull request of the old one void.
        marks |= dict.fromkeys(_after(phase), "pending")
    return replace(
        cell,
        state=CellState.RUNNING,
        phase=phase,
        attempt=event.attempt or cell.attempt,
        phases=_with(cell.phases, {**marks, phase: "running"}),
        reason=None,
        hint=None,
        slot="",
        doing="",
        round=0,
        rounds=0,
        reviewers=NONE,
        repairs=repairs,
        with_red=cell.with_red and phase not in (Phase.WORKTREE, Phase.IMPLEMENT, Phase.CHECK),
        started_at=event.ts if fresh else cell.started_at,
        finished_at=None,
        waiting_until=None,
    )


def _phase_done(cell: CellView, phase: str, event: Event) -> CellView:
    marks = {**dict.fromkeys(_before(phase), "done"), phase: "done"}
    if event.data.get("changed") is True:
        marks |= dict.fromkeys(_after(phase), "pending")
    phases = _with(cell.phases, marks)
    done = all(phases.get(p) == "done" for p in _PHASES)
    return replace(
        _costed(cell, event),
        state=CellState.DONE if done else CellState.RUNNING,
        phase=phase,
        attempt=event.attempt or cell.attempt,
        phases=phases,
        reason=_text(event.data, "reason") if done else None,
        hint=None,
        outcome=_text(event.data, "outcome") or cell.outcome,
        slot="",
        with_red=event.data.get("partial", cell.with_red) is True,
        started_at=cell.started_at or event.ts,
        finished_at=event.ts if done else None,
        waiting_until=None,
    )


def _phase_failed(cell: CellView, phase: str, event: Event) -> CellView:
    state = CellState.FAILED
    told = next((s for s in CellState if s == event.data.get("state")), None)
    if told is not None and (told.is_bad or told is CellState.APPROVAL):
        state = told
    elif event.data.get("aborted") is True or cell.outcome == "aborted":
        state = CellState.ABORTED
    return replace(
        cell,
        state=state,
        phase=phase,
        attempt=event.attempt or cell.attempt,
        phases=_with(cell.phases, {phase: "approval" if state is CellState.APPROVAL else "failed"}),
        reason=_text(event.data, "reason") or "failed without a reason",
        hint=_text(event.data, "hint"),
        finished_at=event.ts,
        waiting_until=None,
    )


def _answered(cell: CellView, event: Event) -> CellView:
    """A person's answer; it moves a cell that waits for it, and nothing else."""
    if cell.state not in (CellState.APPROVAL, CellState.NEEDS_PERSON) or cell.phase != event.phase:
        return cell
    who = _text(event.data, "name") or _text(event.data, "user") or "a person"
    refused = event.kind is Kind.APPROVAL_REFUSED
    state, mark = CellState.PENDING, "pending"
    reason = f"approved by {who}, goes on with the next run"
    if refused:
        reason = f"refused by {who}: {_text(event.data, 'reason') or 'no reason given'}"
        if event.phase == Phase.PUBLISH:
            state, mark = CellState.NEEDS_PERSON, "failed"
    return replace(
        cell,
        state=state,
        phases=_with(cell.phases, {event.phase: mark}),
        reason=reason,
        hint=_text(event.data, "hint"),
    )


def _attempt(cell: CellView, event: Event) -> CellView:
    data = event.data
    plan = event.attempt < 0  # plans are counted downwards from -1
    cell = replace(
        _costed(cell, event), attempt=cell.attempt if plan else event.attempt or cell.attempt
    )
    match event.kind:
        case Kind.ATTEMPT_LIMITED:
            who = _text(data, "agent") or cell.agent or "the agent"
            return replace(
                cell,
                state=CellState.WAITING,
                reason=_text(data, "reason") or f"usage limit of {who}",
                waiting_until=_when(data, "until"),
            )
        case Kind.ATTEMPT_EXITED:
            seconds = _number(data, "seconds")
            seconds = cell.seconds if seconds is None or plan else seconds
            reader = _text(data, "reviewer")
            if _text(data, "part"):  # the author's time is another matter
                ended = {**cell.reviewers, reader: "has read"} if reader else cell.reviewers
                return replace(cell, reviewers=ended, slot="")
            return replace(cell, seconds=seconds, slot="")
        case Kind.ATTEMPT_CLOSED:
            # Closing only names the outcome: `forget` closes attempts of cells at rest, too.
            outcome = _text(data, "outcome")
            return replace(cell, outcome=None if plan and outcome == "done" else outcome)
        case _:
            part = _text(data, "part")
            named = None if part else _text(data, "agent")
            reviewer = _text(data, "reviewer")
            read = {**cell.reviewers, reviewer: READS} if part and reviewer else cell.reviewers
            return replace(
                cell,
                state=CellState.RUNNING,
                phase=event.phase or cell.phase or Phase.IMPLEMENT.value,
                slot="queued" if event.kind is Kind.ATTEMPT_OPENED else "working",
                doing="" if part else cell.doing or _again(data),
                reviewers=read,
                agent=named or cell.agent,
                model=_text(data, "model") or cell.model,
                outcome=None,
                reason=None,
                hint=None,
                finished_at=None,
                started_at=cell.started_at or event.ts,
                waiting_until=None,
            )


def _again(data: Mapping[str, Any]) -> str:
    """Of a repair that an earlier run had begun."""
    number = _number(data, "round")
    return f"repair {number:.0f}" if number else ""


def _costed(cell: CellView, event: Event) -> CellView:
    """Note what an attempt cost; an attempt that ended without a figure is unknown, never 0."""
    part = _text(event.data, "part")
    attempt: int | str = f"{event.attempt}/{part}" if part else event.attempt
    cost = _number(event.data, "cost_usd")
    if not event.attempt or (cost is None and event.kind is not Kind.ATTEMPT_EXITED):
        return cell
    known = _number(event.data, "cost_known_usd")
    if cost is None and attempt in cell.costs and known is None:
        return cell
    if known is not None:  # the whole attempt's, as of now
        cell = replace(cell, floors={**cell.floors, attempt: known})
    tokens = event.data.get("tokens")
    if isinstance(tokens, list | tuple) and len(tokens) == 3:
        counts = tuple(n for n in tokens if isinstance(n, int) and n >= 0)
        if len(counts) == 3:
            cell = replace(cell, tokens={**cell.tokens, attempt: counts})
    return replace(cell, costs={**cell.costs, attempt: cost})


def _left_behind(cell: CellView, ts: str, *, stopped: bool) -> CellView:
    """A cell that its run did not bring to an end: stopped by a person, or not asked to."""
    phases = _with(cell.phases, dict.fromkeys(_running(cell), "pending"))
    state = CellState.ABORTED if stopped else _at_rest(phases)
    reason = "stopped, goes on with the next run" if stopped else None
    return replace(
        cell,
        state=state,
        phases=phases,
        reason=reason,
        finished_at=ts,
        waiting_until=None,
        slot="",
    )


def _at_rest(phases: Mapping[str, str]) -> CellState:
    values = [phases.get(p) for p in _PHASES]
    if "failed" in values:
        return CellState.FAILED
    return CellState.DONE if all(v == "done" for v in values) else CellState.PENDING


def _running(cell: CellView) -> list[str]:
    return [p for p, value in cell.phases.items() if value == "running"]


def _before(phase: str) -> tuple[str, ...]:
    if phase == Phase.PLAN:
        return (Phase.WORKTREE.value,)
    return _PHASES[: _PHASES.index(phase)] if phase in _PHASES else ()


def _after(phase: str) -> tuple[str, ...]:
    if phase == Phase.PLAN:
        return _PHASES[1:]
    return _PHASES[_PHASES.index(phase) + 1 :] if phase in _PHASES else ()


def _with(phases: Mapping[str, str], marks: Mapping[str, str]) -> Mapping[str, str]:
    return {**phases, **marks} if marks else phases


def _when(data: Mapping[str, Any], key: str) -> str | None:
    """A time as ISO-8601 UTC, given so or as seconds since 1970."""
    seconds = _number(data, key)
    if seconds is None:
        return _text(data, key)
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return None


def _text(data: Mapping[str, Any], key: str) -> str | None:
    value = data.get(key)
    return value if isinstance(value, str) and value else None


def _number(data: Mapping[str, Any], key: str) -> float | None:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isfinite(value) else None
