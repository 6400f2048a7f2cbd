"""How one event changes the view of a cell: the steps of `replay`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from orchestr.spec.phases import Phase
from orchestr.state.attempt_transitions import add_cost, apply_attempt
from orchestr.state.candidate_details import CandidatesJudged
from orchestr.state.event_details import (
    ApprovalAsked,
    ApprovalGiven,
    ApprovalRefused,
    AttemptAdopted,
    AttemptClosed,
    AttemptExited,
    AttemptGivenBack,
    AttemptLimited,
    AttemptOpened,
    AttemptStarted,
    AuditDone,
    CellAdopted,
    CellAmended,
    CellForgotten,
    CellIgnored,
    CellStopped,
    CellUnignored,
    CellWaiting,
    CellWarned,
    CheckDone,
    LandDone,
    LandParked,
    LandQueue,
    LandRepair,
    LandUndone,
    PhaseDone,
    PhaseStarted,
    PhaseStopped,
    PrIntended,
    PrOpened,
    PrSeen,
    PrUpdated,
    PushDone,
    PushIntended,
    RepairClosed,
    RepairOpened,
    ResultWritten,
    ReviewDone,
    RunFinished,
    RunForced,
    RunStarted,
    WorktreeAdded,
    WorktreeRemoved,
)
from orchestr.state.events import Event
from orchestr.state.follow_details import FollowAnswered, FollowCleared, FollowNoted, FollowParked
from orchestr.state.forge_details import ForgeUnreachable, ForgeWaits
from orchestr.state.identity_details import CellAccepted, CellMoved, CellRetired
from orchestr.state.landing_details import LandAllowed, LandKept, LandUpdate, LandWaits
from orchestr.state.landing_transitions import apply_follow, apply_landing
from orchestr.state.phase_marks import (
    PHASES,
    is_own_phase,
    merge_marks,
    phases_after,
    phases_before,
    resting_state,
    running_phases,
)
from orchestr.state.spec_details import SpecAmended, SpecChanged, SpecLocked
from orchestr.state.states import CellState
from orchestr.state.view import NONE, CellView


def _apply_to_cell(cell: CellView, event: Event) -> CellView:
    details, phase = event.details, event.phase
    match details:
        case PhaseStarted():
            return _apply_phase_started(cell, phase, event, details.following)
        case PhaseDone():
            return _apply_phase_done(cell, details, event)
        case PhaseStopped():
            return _apply_phase_failed(cell, details, event)
        case CellStopped():
            upstream = details.upstream
            where = phase or next((p for p in PHASES if cell.phases.get(p) != "done"), "")
            # Behind an upstream that only waits for a person nothing is wrong.
            waits = details.state == CellState.APPROVAL
            mark = "pending" if waits else "blocked"
            return replace(
                cell,
                state=CellState.APPROVAL if waits else CellState.BLOCKED,
                phase=where or cell.phase,
                phases=merge_marks(cell.phases, {where: mark} if where else {}),
                reason=details.reason or f"upstream {upstream or 'cell'} failed",
                hint=details.hint,
                # It did nothing in this run: the time of an earlier one is not this one's; but a
                # built cell that only waits for a person keeps the time that it took.
                started_at=cell.started_at if waits or cell.run == event.run else None,
                finished_at=cell.finished_at
                if waits and cell.started_at and cell.run != event.run
                else event.ts,
            )
        case ApprovalAsked():
            return replace(
                cell,
                state=CellState.APPROVAL,
                phase=phase or cell.phase,
                phases=merge_marks(cell.phases, {phase: "approval"} if phase else {}),
                reason=details.reason or "waits for an approval",
                hint=details.hint,
                finished_at=event.ts,
                slot="",
            )
        case ApprovalGiven() | ApprovalRefused():
            return _apply_approval(cell, details, event)
        case CellIgnored():
            reason = details.reason or "ignored by a person"
            return replace(cell, state=CellState.IGNORED, ignored=True, reason=reason, hint=None)
        case CellUnignored():
            rest = _resting_state(cell, cell.phases)
            return replace(cell, state=rest, ignored=False, reason=None, hint=None)
        case CellWaiting():
            wait = details.reason
            now = CellState.WAITING if wait else CellState.RUNNING
            hint = details.hint
            return replace(cell, state=now, phase=phase or cell.phase, reason=wait, hint=hint)
        case CellAmended():
            why = f"goes on after {details.owner or 'its owner'} has amended the contract"
            phases = merge_marks(cell.phases, {"implement": "pending"})
            return replace(cell, state=CellState.PENDING, phases=phases, reason=why, hint=None)
        case CellForgotten():
            named = details.phases
            ignored = cell.ignored
            known = PHASES if named is None else [str(p) for p in named]
            return replace(
                cell,
                state=CellState.IGNORED if ignored else CellState.PENDING,
                phases=merge_marks(cell.phases, dict.fromkeys(known, "pending")),
                reason=cell.reason if ignored else "forgotten: runs again with the next run",
                hint=None,
                outcome=None,
                started_at=None,
                finished_at=None,
                waiting_until=None,
            )
        case CellAdopted():
            url = details.url
            return replace(
                cell,
                state=CellState.DONE,
                phases=merge_marks(cell.phases, dict.fromkeys(PHASES, "done")),
                reason=f"adopted from {url}" if url else "adopted from its pull request",
                hint=None,
                pr_url=url or cell.pr_url,
                pr_state=details.state or cell.pr_state or "open",
                finished_at=event.ts,
            )
        case WorktreeAdded():
            return replace(
                cell,
                worktree=details.path,
                branch=details.branch or cell.branch,
                base=details.base or cell.base,
            )
        case WorktreeRemoved() | CellRetired(done=True):
            return replace(cell, worktree=None)
        case CellMoved(what="branch", done=True):
            return replace(cell, branch=details.new or cell.branch)
        case CellAccepted():
            marks = dict.fromkeys((str(p) for p in details.phases or ()), "done")
            phases = merge_marks(cell.phases, marks)
            rest = CellState.IGNORED if cell.ignored else _resting_state(cell, phases)
            return replace(cell, state=rest, phases=phases, reason=None, hint=None)
        case (
            AttemptOpened()
            | AttemptStarted()
            | AttemptAdopted()
            | AttemptLimited()
            | AttemptExited()
            | AttemptClosed()
        ):
            return apply_attempt(cell, details, event)
        case PrOpened() | PrUpdated() | PrSeen():
            draft = details.draft
            state = details.state
            if state is None:
                state = "open" if isinstance(details, PrOpened) else cell.pr_state or "open"
            seen = isinstance(details, PrSeen)  # only a look tells checks and reviews
            fresh = isinstance(details, PrOpened)
            return replace(
                cell,
                pr_url=details.url or cell.pr_url,
                pr_state=state,
                pr_draft=cell.pr_draft if draft is None else draft,
                pr_checks=details.checks if seen or fresh else cell.pr_checks,
                pr_review=details.review if seen or fresh else cell.pr_review,
            )
        case LandDone() | LandKept() | LandParked() | LandUndone() | LandWaits():
            return apply_landing(cell, details, event)
        case FollowParked() | FollowCleared():
            return apply_follow(cell, details, event)
        case PushDone():
            return replace(cell, pr_checks=None)  # they were of another head
        case CandidatesJudged():
            agent, attempt = details.agent or cell.agent, event.attempt or cell.attempt
            return replace(cell, agent=agent, attempt=attempt)
        case RepairOpened():
            of, number = int(details.of or 0), int(details.round or 0)
            total = f" of {of}" if of else ""
            return replace(cell, doing=f"repair {number}{total}", repairs=cell.repairs + 1,
                           round=number, rounds=of, reviewers=NONE)  # fmt: skip
        case RepairClosed() if cell.state is CellState.RUNNING:
            return replace(cell, doing="")
        case CheckDone() if cell.state is CellState.RUNNING:
            mark = "passed" if details.passed is True else "red"
            mark = "not evaluated" if details.unavailable else mark
            return replace(cell, doing=f"check {details.name or '?'} {mark}")
        case ReviewDone() if cell.state is CellState.RUNNING:
            who, said = (
                details.reviewer or "a reviewer",
                details.verdict or "?",
            )
            return replace(cell, doing="", reviewers={**cell.reviewers, who: said})
        case (
            CheckDone()
            | RepairClosed()
            | ReviewDone()
            | AuditDone()
            | LandQueue()
            | LandRepair()
            | LandAllowed()
            | SpecLocked()
            | SpecChanged()
            | SpecAmended()
            | LandUpdate()
            | RunStarted()
            | RunForced()
            | RunFinished()
            | PushIntended()
            | PrIntended()
            | ForgeUnreachable()
            | ForgeWaits()
            | CellWarned()
            | ResultWritten()
            | CellMoved()
            | CellRetired()
            | AttemptGivenBack()
            | FollowNoted()
            | FollowAnswered()
        ):
            return cell
        case _:
            assert_never(details)


def _resting_state(cell: CellView, phases: Mapping[str, str]) -> CellState:
    """The state of a cell that no run works on: built again at the head that landed, it is where
    the landing left it."""
    rest = resting_state(phases)
    return cell.landing or rest if rest is CellState.DONE else rest


def _attempt_of(cell: CellView, event: Event) -> int:
    """The number of the cell's attempt; tries at phases of one's own are none."""
    return cell.attempt if is_own_phase(event.phase) else event.attempt or cell.attempt


def _apply_phase_started(
    cell: CellView, phase: str, event: Event, following: str | None
) -> CellView:
    fresh = cell.run != event.run or not cell.state.is_moving
    repairs = 0 if phase in (Phase.WORKTREE, Phase.IMPLEMENT) else cell.repairs
    marks = dict.fromkeys(phases_before(phase, following), "done")
    if phase == Phase.IMPLEMENT and Phase.PLAN in cell.phases:
        marks[Phase.PLAN.value] = "done"
    if phase == Phase.IMPLEMENT:
        # A new result makes the evidence and the pull request of the old one void.
        own = [p for p in cell.phases if p not in PHASES and p != Phase.PLAN]
        marks |= dict.fromkeys([*phases_after(phase), *own], "pending")
    return replace(
        cell,
        state=CellState.RUNNING,
        phase=phase,
        attempt=_attempt_of(cell, event),
        phases=merge_marks(cell.phases, {**marks, phase: "running"}),
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


def _apply_phase_done(cell: CellView, details: PhaseDone, event: Event) -> CellView:
    phase = event.phase
    marks = {**dict.fromkeys(phases_before(phase, details.following), "done"), phase: "done"}
    if details.changed is True:
        marks |= dict.fromkeys(phases_after(phase, details.following), "pending")
    phases = merge_marks(cell.phases, marks)
    done = all(phases.get(p) == "done" for p in PHASES)
    if phase == Phase.IMPLEMENT and details.head != cell.landed_head:
        cell = replace(cell, landing=None)
    return replace(
        add_cost(cell, details, event),
        state=cell.landing or CellState.DONE if done else CellState.RUNNING,
        phase=phase,
        attempt=_attempt_of(cell, event),
        phases=phases,
        reason=details.reason if done else None,
        hint=None,
        outcome=details.outcome or cell.outcome,
        slot="",
        with_red=cell.with_red if details.partial is None else details.partial,
        started_at=cell.started_at or event.ts,
        finished_at=event.ts if done else None,
        waiting_until=None,
    )


def _apply_phase_failed(cell: CellView, details: PhaseStopped, event: Event) -> CellView:
    phase = event.phase
    state = CellState.FAILED
    told = next((s for s in CellState if s == details.state), None)
    if told is not None and (told.is_bad or told is CellState.APPROVAL):
        state = told
    elif details.aborted and cell.state is CellState.APPROVAL and cell.phase == phase:
        # The run was stopped while a person was asked: the question stands.
        return replace(cell, finished_at=event.ts)
    elif details.aborted or cell.outcome == "aborted":
        state = CellState.ABORTED
    return replace(
        cell,
        state=state,
        phase=phase,
        attempt=_attempt_of(cell, event),
        phases=merge_marks(
            cell.phases, {phase: "approval" if state is CellState.APPROVAL else "failed"}
        ),
        reason=details.reason or "failed without a reason",
        hint=details.hint,
        finished_at=event.ts,
        waiting_until=None,
    )


def _apply_approval(
    cell: CellView, details: ApprovalGiven | ApprovalRefused, event: Event
) -> CellView:
    """A person's answer; it moves a cell that waits for it, and nothing else."""
    if cell.state not in (CellState.APPROVAL, CellState.NEEDS_PERSON) or cell.phase != event.phase:
        return cell
    who = details.name or details.user or "a person"
    refused = isinstance(details, ApprovalRefused)
    state, mark = CellState.PENDING, "pending"
    reason = f"approved by {who}, goes on with the next run"
    if refused:
        reason = f"refused by {who}: {details.reason or 'no reason given'}"
        if event.phase == Phase.PUBLISH:
            state, mark = CellState.NEEDS_PERSON, "failed"
    return replace(
        cell,
        state=state,
        phases=merge_marks(cell.phases, {event.phase: mark}),
        reason=reason,
        hint=details.hint,
    )


def _end_unfinished_cell(cell: CellView, ts: str, *, stopped: bool) -> CellView:
    """A cell that its run did not bring to an end: stopped by a person, or not asked to."""
    phases = merge_marks(cell.phases, dict.fromkeys(running_phases(cell.phases), "pending"))
    state = CellState.ABORTED if stopped else _resting_state(cell, phases)
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
