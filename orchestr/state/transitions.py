"""How one event changes the view of a cell: the steps of `replay`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from math import isfinite
from typing import Any, assert_never

from orchestr.spec.phases import LISTED, Phase
from orchestr.state.events import Event, EventKind
from orchestr.state.states import CellState
from orchestr.state.view import NONE, READS, CellView

_PHASES = tuple(p.value for p in LISTED)  # `plan` has a mark only where it is a step


def _apply_to_cell(cell: CellView, event: Event) -> CellView:
    data, phase = event.data, event.phase
    match event.kind:
        case EventKind.PHASE_STARTED:
            return _apply_phase_started(cell, phase, event)
        case EventKind.PHASE_DONE:
            return _apply_phase_done(cell, phase, event)
        case EventKind.PHASE_FAILED:
            return _apply_phase_failed(cell, phase, event)
        case EventKind.CELL_BLOCKED:
            upstream = _get_text(data, "upstream")
            where = phase or next((p for p in _PHASES if cell.phases.get(p) != "done"), "")
            # Behind an upstream that only waits for a person nothing is wrong.
            waits = data.get("state") == CellState.APPROVAL
            mark = "pending" if waits else "blocked"
            return replace(
                cell,
                state=CellState.APPROVAL if waits else CellState.BLOCKED,
                phase=where or cell.phase,
                phases=_merge_marks(cell.phases, {where: mark} if where else {}),
                reason=_get_text(data, "reason") or f"upstream {upstream or 'cell'} failed",
                hint=_get_text(data, "hint"),
                # It did nothing in this run: the time of an earlier one is not this one's.
                started_at=cell.started_at if cell.run == event.run else None,
                finished_at=event.ts,
            )
        case EventKind.APPROVAL_ASKED:
            return replace(
                cell,
                state=CellState.APPROVAL,
                phase=phase or cell.phase,
                phases=_merge_marks(cell.phases, {phase: "approval"} if phase else {}),
                reason=_get_text(data, "reason") or "waits for an approval",
                hint=_get_text(data, "hint"),
                finished_at=event.ts,
                slot="",
            )
        case EventKind.APPROVAL_GIVEN | EventKind.APPROVAL_REFUSED:
            return _apply_approval(cell, event)
        case EventKind.CELL_IGNORED:
            reason = _get_text(data, "reason") or "ignored by a person"
            return replace(cell, state=CellState.IGNORED, ignored=True, reason=reason, hint=None)
        case EventKind.CELL_UNIGNORED:
            rest = _resting_state(cell.phases)
            return replace(cell, state=rest, ignored=False, reason=None, hint=None)
        case EventKind.CELL_WAITING:
            wait = _get_text(data, "reason")
            now = CellState.WAITING if wait else CellState.RUNNING
            return replace(cell, state=now, phase=phase or cell.phase, reason=wait)
        case EventKind.CELL_AMENDED:
            why = (
                f"goes on after {_get_text(data, 'owner') or 'its owner'} has amended the contract"
            )
            phases = _merge_marks(cell.phases, {"implement": "pending"})
            return replace(cell, state=CellState.PENDING, phases=phases, reason=why, hint=None)
        case EventKind.CELL_FORGOTTEN:
            named = data.get("phases")
            ignored = cell.ignored
            known = [str(p) for p in named] if isinstance(named, list | tuple) else _PHASES
            return replace(
                cell,
                state=CellState.IGNORED if ignored else CellState.PENDING,
                phases=_merge_marks(cell.phases, dict.fromkeys(known, "pending")),
                reason=cell.reason if ignored else "forgotten: runs again with the next run",
                hint=None,
                outcome=None,
                started_at=None,
                finished_at=None,
                waiting_until=None,
            )
        case EventKind.CELL_ADOPTED:
            url = _get_text(data, "url")
            return replace(
                cell,
                state=CellState.DONE,
                phases=_merge_marks(cell.phases, dict.fromkeys(_PHASES, "done")),
                reason=f"adopted from {url}" if url else "adopted from its pull request",
                hint=None,
                pr_url=url or cell.pr_url,
                pr_state=_get_text(data, "state") or cell.pr_state or "open",
                finished_at=event.ts,
            )
        case EventKind.WORKTREE_ADDED:
            return replace(
                cell,
                worktree=_get_text(data, "path"),
                branch=_get_text(data, "branch") or cell.branch,
                base=_get_text(data, "base") or cell.base,
            )
        case EventKind.WORKTREE_REMOVED:
            return replace(cell, worktree=None)
        case (
            EventKind.ATTEMPT_OPENED
            | EventKind.ATTEMPT_STARTED
            | EventKind.ATTEMPT_ADOPTED
            | EventKind.ATTEMPT_LIMITED
            | EventKind.ATTEMPT_EXITED
            | EventKind.ATTEMPT_CLOSED
        ):
            return _apply_attempt(cell, event)
        case EventKind.PR_OPENED | EventKind.PR_UPDATED | EventKind.PR_SEEN:
            draft = data.get("draft")
            state = _get_text(data, "state")
            if state is None:
                state = "open" if event.kind is EventKind.PR_OPENED else cell.pr_state or "open"
            seen = event.kind is EventKind.PR_SEEN  # only a look tells checks and reviews
            fresh = event.kind is EventKind.PR_OPENED
            return replace(
                cell,
                pr_url=_get_text(data, "url") or cell.pr_url,
                pr_state=state,
                pr_draft=draft if isinstance(draft, bool) else cell.pr_draft,
                pr_checks=_get_text(data, "checks") if seen or fresh else cell.pr_checks,
                pr_review=_get_text(data, "review") if seen or fresh else cell.pr_review,
            )
        case EventKind.LAND_DONE | EventKind.LAND_PARKED | EventKind.LAND_UNDONE:
            return _apply_landing(cell, event)
        case EventKind.PUSH_DONE:
            return replace(cell, pr_checks=None)  # they were of another head
        case EventKind.REPAIR_OPENED:
            of, number = int(_get_number(data, "of") or 0), int(_get_number(data, "round") or 0)
            total = f" of {of}" if of else ""
            return replace(cell, doing=f"repair {number}{total}", repairs=cell.repairs + 1,
                           round=number, rounds=of, reviewers=NONE)  # fmt: skip
        case EventKind.REPAIR_CLOSED if cell.state is CellState.RUNNING:
            return replace(cell, doing="")
        case EventKind.CHECK_DONE if cell.state is CellState.RUNNING:
            mark = "passed" if data.get("passed") is True else "red"
            return replace(cell, doing=f"check {_get_text(data, 'name') or '?'} {mark}")
        case EventKind.REVIEW_DONE if cell.state is CellState.RUNNING:
            who, said = (
                _get_text(data, "reviewer") or "a reviewer",
                _get_text(data, "verdict") or "?",
            )
            return replace(cell, doing="", reviewers={**cell.reviewers, who: said})
        case (
            EventKind.CHECK_DONE
            | EventKind.REPAIR_CLOSED
            | EventKind.REVIEW_DONE
            | EventKind.LAND_QUEUE
            | EventKind.LAND_REPAIR
            | EventKind.LAND_UPDATE
            | EventKind.RUN_STARTED
            | EventKind.RUN_FORCED
            | EventKind.RUN_FINISHED
            | EventKind.PUSH_INTENDED
            | EventKind.PR_INTENDED
            | EventKind.FORGE_AWAY
            | EventKind.FORGE_WAITS
            | EventKind.CELL_WARNED
            | EventKind.ATTEMPT_GIVEN_BACK
        ):
            return cell
        case _:
            assert_never(event.kind)


LAND = "land"  # where a cell is that was not landed; no phase of a spec


def _apply_landing(cell: CellView, event: Event) -> CellView:
    """Landed, left to a person, or rolled back."""
    if event.kind is EventKind.LAND_PARKED:
        told = event.data.get("state") == CellState.MERGE_CONFLICT
        return replace(
            cell,
            state=CellState.MERGE_CONFLICT if told else CellState.NEEDS_PERSON,
            phase=LAND,
            reason=_get_text(event.data, "reason"),
            hint=_get_text(event.data, "hint"),
            finished_at=event.ts,
        )
    where = f"{_get_text(event.data, 'target')} at {(_get_text(event.data, 'commit') or '')[:12]}"
    if event.kind is EventKind.LAND_DONE:
        state, reason = CellState.LANDED, f"landed on {where}"
    else:
        state, reason = CellState.DONE, f"rolled back on {where}"
    return replace(cell, state=state, reason=reason, hint=None)


def _apply_phase_started(cell: CellView, phase: str, event: Event) -> CellView:
    fresh = cell.run != event.run or not cell.state.is_moving
    repairs = 0 if phase in (Phase.WORKTREE, Phase.IMPLEMENT) else cell.repairs
    marks = dict.fromkeys(_phases_before(phase), "done")
    if phase == Phase.IMPLEMENT and Phase.PLAN in cell.phases:
        marks[Phase.PLAN.value] = "done"
    if phase == Phase.IMPLEMENT:
        # A new result makes the evidence and the pull request of the old one void.
        marks |= dict.fromkeys(_phases_after(phase), "pending")
    return replace(
        cell,
        state=CellState.RUNNING,
        phase=phase,
        attempt=event.attempt or cell.attempt,
        phases=_merge_marks(cell.phases, {**marks, phase: "running"}),
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


def _apply_phase_done(cell: CellView, phase: str, event: Event) -> CellView:
    marks = {**dict.fromkeys(_phases_before(phase), "done"), phase: "done"}
    if event.data.get("changed") is True:
        marks |= dict.fromkeys(_phases_after(phase), "pending")
    phases = _merge_marks(cell.phases, marks)
    done = all(phases.get(p) == "done" for p in _PHASES)
    return replace(
        _add_cost(cell, event),
        state=CellState.DONE if done else CellState.RUNNING,
        phase=phase,
        attempt=event.attempt or cell.attempt,
        phases=phases,
        reason=_get_text(event.data, "reason") if done else None,
        hint=None,
        outcome=_get_text(event.data, "outcome") or cell.outcome,
        slot="",
        with_red=event.data.get("partial", cell.with_red) is True,
        started_at=cell.started_at or event.ts,
        finished_at=event.ts if done else None,
        waiting_until=None,
    )


def _apply_phase_failed(cell: CellView, phase: str, event: Event) -> CellView:
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
        phases=_merge_marks(
            cell.phases, {phase: "approval" if state is CellState.APPROVAL else "failed"}
        ),
        reason=_get_text(event.data, "reason") or "failed without a reason",
        hint=_get_text(event.data, "hint"),
        finished_at=event.ts,
        waiting_until=None,
    )


def _apply_approval(cell: CellView, event: Event) -> CellView:
    """A person's answer; it moves a cell that waits for it, and nothing else."""
    if cell.state not in (CellState.APPROVAL, CellState.NEEDS_PERSON) or cell.phase != event.phase:
        return cell
    who = _get_text(event.data, "name") or _get_text(event.data, "user") or "a person"
    refused = event.kind is EventKind.APPROVAL_REFUSED
    state, mark = CellState.PENDING, "pending"
    reason = f"approved by {who}, goes on with the next run"
    if refused:
        reason = f"refused by {who}: {_get_text(event.data, 'reason') or 'no reason given'}"
        if event.phase == Phase.PUBLISH:
            state, mark = CellState.NEEDS_PERSON, "failed"
    return replace(
        cell,
        state=state,
        phases=_merge_marks(cell.phases, {event.phase: mark}),
        reason=reason,
        hint=_get_text(event.data, "hint"),
    )


def _apply_attempt(cell: CellView, event: Event) -> CellView:
    data = event.data
    plan = event.attempt < 0  # plans are counted downwards from -1
    cell = replace(
        _add_cost(cell, event), attempt=cell.attempt if plan else event.attempt or cell.attempt
    )
    match event.kind:
        case EventKind.ATTEMPT_LIMITED:
            who = _get_text(data, "agent") or cell.agent or "the agent"
            return replace(
                cell,
                state=CellState.WAITING,
                reason=_get_text(data, "reason") or f"usage limit of {who}",
                waiting_until=_get_time(data, "until"),
            )
        case EventKind.ATTEMPT_EXITED:
            seconds = _get_number(data, "seconds")
            seconds = cell.seconds if seconds is None or plan else seconds
            reader = _get_text(data, "reviewer")
            if _get_text(data, "part"):  # the author's time is another matter
                ended = {**cell.reviewers, reader: "has read"} if reader else cell.reviewers
                return replace(cell, reviewers=ended, slot="")
            return replace(cell, seconds=seconds, slot="")
        case EventKind.ATTEMPT_CLOSED:
            # Closing only names the outcome: `forget` closes attempts of cells at rest, too.
            outcome = _get_text(data, "outcome")
            return replace(cell, outcome=None if plan and outcome == "done" else outcome)
        case _:
            part = _get_text(data, "part")
            named = None if part else _get_text(data, "agent")
            reviewer = _get_text(data, "reviewer")
            read = {**cell.reviewers, reviewer: READS} if part and reviewer else cell.reviewers
            return replace(
                cell,
                state=CellState.RUNNING,
                phase=event.phase or cell.phase or Phase.IMPLEMENT.value,
                slot="queued" if event.kind is EventKind.ATTEMPT_OPENED else "working",
                doing="" if part else cell.doing or _resumed_repair_text(data),
                reviewers=read,
                agent=named or cell.agent,
                model=_get_text(data, "model") or cell.model,
                outcome=None,
                reason=None,
                hint=None,
                finished_at=None,
                started_at=cell.started_at or event.ts,
                waiting_until=None,
            )


def _resumed_repair_text(data: Mapping[str, Any]) -> str:
    """Of a repair that an earlier run had begun."""
    number = _get_number(data, "round")
    return f"repair {number:.0f}" if number else ""


def _add_cost(cell: CellView, event: Event) -> CellView:
    """Note what an attempt cost; an attempt that ended without a figure is unknown, never 0."""
    part = _get_text(event.data, "part")
    attempt: int | str = f"{event.attempt}/{part}" if part else event.attempt
    cost = _get_number(event.data, "cost_usd")
    if not event.attempt or (cost is None and event.kind is not EventKind.ATTEMPT_EXITED):
        return cell
    known = _get_number(event.data, "cost_known_usd")
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


def _end_unfinished_cell(cell: CellView, ts: str, *, stopped: bool) -> CellView:
    """A cell that its run did not bring to an end: stopped by a person, or not asked to."""
    phases = _merge_marks(cell.phases, dict.fromkeys(_running_phases(cell), "pending"))
    state = CellState.ABORTED if stopped else _resting_state(phases)
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


def _resting_state(phases: Mapping[str, str]) -> CellState:
    values = [phases.get(p) for p in _PHASES]
    if "failed" in values:
        return CellState.FAILED
    return CellState.DONE if all(v == "done" for v in values) else CellState.PENDING


def _running_phases(cell: CellView) -> list[str]:
    return [p for p, value in cell.phases.items() if value == "running"]


def _phases_before(phase: str) -> tuple[str, ...]:
    if phase == Phase.PLAN:
        return (Phase.WORKTREE.value,)
    return _PHASES[: _PHASES.index(phase)] if phase in _PHASES else ()


def _phases_after(phase: str) -> tuple[str, ...]:
    if phase == Phase.PLAN:
        return _PHASES[1:]
    return _PHASES[_PHASES.index(phase) + 1 :] if phase in _PHASES else ()


def _merge_marks(phases: Mapping[str, str], marks: Mapping[str, str]) -> Mapping[str, str]:
    return {**phases, **marks} if marks else phases


def _get_time(data: Mapping[str, Any], key: str) -> str | None:
    """A time as ISO-8601 UTC, given so or as seconds since 1970."""
    seconds = _get_number(data, key)
    if seconds is None:
        return _get_text(data, key)
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return None


def _get_text(data: Mapping[str, Any], key: str) -> str | None:
    value = data.get(key)
    return value if isinstance(value, str) and value else None


def _get_number(data: Mapping[str, Any], key: str) -> float | None:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isfinite(value) else None
