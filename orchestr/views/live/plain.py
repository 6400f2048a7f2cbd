"""One short line an event, for pipes, CI logs and terminals that cannot draw.

Owns the wording; the same events in the same order give the same lines. The agents' output is not
shown here: the line of a failure names the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from orchestr.plan.dag import FeaturePlan
from orchestr.state.candidate_details import CandidatesJudged
from orchestr.state.cell_state import AMENDMENT
from orchestr.state.event_details import (
    AgentDetails,
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
from orchestr.state.landing_transitions import describe_resolved
from orchestr.state.phase_marks import is_own_phase
from orchestr.state.spec_details import SpecAmended, SpecChanged, SpecLocked
from orchestr.views.live.progress import CellLabels, CellText, LineWriter, Progress
from orchestr.views.terminal.text import clean_line, format_clock, format_duration, headline, pad

_PHASE_COLUMNS = len("implement")


class PlainProgress(Progress):
    """Writes `event_lines` as the events come."""

    def __init__(
        self, plans: Sequence[FeaturePlan], stream: TextIO, *, log: CellText | None = None
    ) -> None:
        self._labels = CellLabels(plans)
        self._out = LineWriter(stream)
        self._log = log

    def show_event(self, event: Event) -> None:
        self._out.write(event_lines(event, self._labels, self._log))


def event_lines(event: Event, labels: CellLabels, log: CellText | None = None) -> list[str]:
    """The lines for an event: none for book-keeping, more than one only for a failure."""
    said = _event_words(event)
    if not said:
        return []
    at = format_clock(event.ts)
    if not event.cell:
        return [f"{at} {line}" for line in said]
    failed = event.details
    if log is not None and isinstance(failed, PhaseStopped) and failed.gate is None:
        path = log(event.feature, event.cell)
        said += [f"log: {clean_line(path)}"] if path else []
    name = pad(labels(event.feature, event.cell), max(labels.width, 1))
    phase = pad(event.phase or _phase_of(event), _PHASE_COLUMNS)
    return [f"{at} {name}  {phase}  {line}".rstrip() for line in said]


_QUIET = ("plan", "check", "review")  # they follow from the head


def _phase_of(event: Event) -> str:
    group = event.kind.partition(".")[0]
    return {"attempt": "implement", "push": "publish", "pr": "publish"}.get(group, "")


def _event_words(event: Event) -> list[str]:
    details, number = event.details, event.attempt
    attempt = f"attempt {number}" if number >= 0 else f"plan {-number}"
    match details:
        case RunStarted():
            goals = details.goals
            named = " ".join(str(g) for g in goals or ())
            pid = f" (pid {details.pid})" if details.pid is not None else ""
            return [f"run {event.run} started{pid}{': ' if named else ''}{clean_line(named)}"]
        case RunForced():
            names = details.names
            named = ", ".join(str(n) for n in names or ())
            return [f"forced: {clean_line(named)}"]
        case RunFinished():
            return [f"run {event.run} finished (exit {_count(details.exit)})"]
        case SpecLocked():
            return [f"locked by {_text(details.path)}"]
        case SpecChanged():
            return [f"free fields differ from the lock: {_join_names(details.fields)}"]
        case SpecAmended():
            return [f"{_text(details.who)} amended {_join_names(details.fields)}: "
                    f"{headline(details.reason)}"]  # fmt: skip
        case CandidatesJudged():
            many = f"of {len(details.results or ())} attempts side by side"
            taken = f"{attempt} by {_text(details.agent)} is taken: " if details.agent else ""
            return [f"{many} {taken}{headline(details.why)}"]
        case CellIgnored():
            return ["ignored"]
        case CellUnignored():
            return ["no longer ignored"]
        case CellForgotten():
            phases = details.phases
            named = "all" if phases is None else ", ".join(str(p) for p in phases)
            return [f"forgotten: {clean_line(named)}"]
        case CellAdopted():
            return [f"adopted from {_text(details.url) or 'its pull request'}"]
        case CellStopped():
            upstream = _text(details.upstream)
            why = headline(details.reason) or (f"upstream {upstream} failed" if upstream else "")
            if details.state == "approval":
                return [why]
            if why.startswith(AMENDMENT):
                return [f"blocked: {why}"]
            return [f"skipped: {why}" if why else "skipped: upstream dependency failed"]
        case CellMoved():
            what, old, new = (_text(one) for one in (details.what, details.old, details.new))
            # Where a branch cannot be renamed with its pull request, a new one takes its place.
            word = "replaced by" if what == "pull request" else "renamed to"
            return [f"{what} {old} {word} {new}"] if details.done else []
        case CellRetired():
            ref = _text(details.ref)
            kept = f", its head is kept as {ref}" if ref else ""
            return [f"retired{kept}"] if details.done else []
        case CellAccepted():
            who = _text(details.name) or _text(details.user) or "a person"
            return [f"{who} accepted its result under the edited spec"]
        case CellWarned():
            return [f"warning: {headline(details.reason)}"]
        case CellWaiting():
            why = headline(details.reason)
            return [f"waits: {why}" if why else "goes on"]
        case CellAmended():
            return [f"amendment handed to {_text(details.owner)}"]
        case AttemptGivenBack():
            return [f"{attempt} given back to its agent: {headline(details.reason)}"]
        case PhaseStarted():
            # What a phase makes has an event of its own; why an old one runs again is printed.
            why = headline(details.why)
            first = why.endswith((" yet", "not done yet")) if why else True
            return [] if first or event.phase in _QUIET else [f"runs again: {why}"]
        case PhaseDone():
            if details.outcome == "skipped":
                return [f"passed over: {headline(details.reason)}"]
            shown = event.phase == "implement" or is_own_phase(event.phase)
            return [_done_words(details)] if shown else []
        case PhaseStopped() if details.state == "approval":
            return []  # it was asked for
        case ApprovalAsked():
            hint = _text(details.hint)
            return [_text(details.reason), *([f"hint: {hint}"] if hint else [])]
        case ApprovalGiven():
            who = _text(details.name) or _text(details.user) or "a person"
            return [f"{who} approved it"]
        case ApprovalRefused():
            who = _text(details.name) or _text(details.user) or "a person"
            return [f"{who} refused it: {headline(details.reason)}"]
        case PhaseStopped():
            hint = _text(details.hint)
            reason = headline(details.reason) or "no reason given"
            if details.aborted:
                return [f"stopped: {reason}"]
            return [
                f"FAILED: {reason}{_elapsed_words(details.seconds)}",
                *([f"hint: {hint}"] if hint else []),
            ]
        case WorktreeAdded():
            return [f"worktree {_text(details.path)} on {_text(details.branch)}"]
        case WorktreeRemoved():
            return [f"worktree {_text(details.path)} removed"]
        case AttemptOpened():
            # It may wait for a free slot now; what is told is the start.
            return []
        case AttemptStarted():
            agent, part = _text(details.agent), _agent_part(details)
            what = part or attempt
            what = f"{what} goes on" if details.round and not part else f"{what} started"
            agent = "" if part.endswith(f" {agent}") else agent
            return [what + (f" ({agent})" if agent else "")]
        case CheckDone():
            name, detail = (
                f"check {_text(details.name)}",
                headline(details.detail),
            )
            if not event.cell:  # of the feature's last step
                name = f"cross {name} in {_text(details.repo)}"
            if details.passed:
                return [f"{name}: passed" + (" (cached)" if details.cached else "")]
            return [f"{name}: {'not evaluated' if details.unavailable else 'RED'}: {detail}"]
        case RepairOpened():
            total = f" of {details.of}" if details.of else ""
            return [f"repair {_count(details.round)}{total}: {headline(details.why)}".rstrip(": ")]
        case RepairClosed():
            outcome, detail = _text(details.outcome), headline(details.detail)
            return [] if outcome == "changed" else [f"repair {outcome}: {detail}".rstrip(": ")]
        case ReviewDone():
            return [f"review by {_text(details.reviewer)}: {_text(details.verdict)}"]
        case AuditDone():
            line = f"audit: {_text(details.verdict)}: {_text(details.summary)}"
            owners = ", ".join(map(str, details.owners or ()))
            more = f"; repaired by {owners}" if owners else ""
            stop = _text(details.stop)
            return [f"{line}{more}{f' ({stop})' if stop else ''}"]
        case AttemptAdopted():
            return [f"{_agent_part(details) or attempt} adopted from an earlier run"]
        case AttemptLimited():
            wait = details.wait_s
            who = _text(details.agent) or "the agent"
            more = f", goes on in {format_duration(wait)}" if wait is not None else ""
            why = headline(details.reason) or f"usage limit of {who}"
            return [f"{why}{more}"]
        case AttemptExited():
            if details.code == 0 and details.reason in (None, "exited"):
                return []
            what = _agent_part(details) or attempt
            return [f"{what} ended: {_exit_words(details)}{_elapsed_words(details.seconds)}"]
        case PushDone():
            return [f"pushed {_text(details.branch)} at {_text(details.sha)[:10]}"]
        case PrOpened():
            return [f"pull request {_text(details.url)}"]
        case PrUpdated():
            return [f"pull request {_text(details.url)} updated"]
        case ForgeUnreachable():
            return [f"forge away for {_text(details.repo)}: {_text(details.reason)}"]
        case ForgeWaits():
            wait = details.wait_s
            more = f", goes on in {format_duration(wait)}" if wait else ""
            return [f"waiting for {_text(details.host)}: {_text(details.reason)}{more}"]
        case AttemptClosed() | PushIntended() | ResultWritten():
            return []
        case LandRepair():
            return [f"repair {_count(details.number)}: {headline(details.reason)}"]
        case LandAllowed():
            return [f"may land in spite of what is red: {headline(details.reason)}"]
        case LandDone():
            more = describe_resolved(details)
            return [f"landed on {_text(details.target)} at {_text(details.commit)[:10]}{more}"]
        case LandUndone():
            commit = _text(details.commit)[:10]
            return [f"rolled back on {_text(details.target)} at {commit}"]
        case LandParked():
            hint = _text(details.hint)
            told = f"NOT LANDED: {headline(details.reason)}"
            return [told, *([f"hint: {hint}"] if hint else [])]
        case LandWaits() | LandKept():
            return [headline(details.reason)]
        case FollowNoted():
            return [f"{headline(details.what)}: {headline(details.why or details.action)}"]
        case FollowParked():
            hint = _text(details.hint)
            line = f"NEEDS A PERSON: {headline(details.reason)}"
            return [line, *([f"hint: {hint}"] if hint else [])]
        case FollowAnswered():
            commit = _text(details.commit)[:10]
            return [f"answered a thread{f' with {commit}' if commit else ''}"]
        case FollowCleared() | PrIntended() | PrSeen() | LandQueue() | LandUpdate():
            return []


def _agent_part(details: AgentDetails) -> str:
    """An agent that is not the author: `review by eve`."""
    reviewer = _text(details.reviewer)
    return f"review by {reviewer}" if reviewer else _text(details.part)


def _done_words(details: PhaseDone) -> str:
    seconds = details.seconds
    line = f"done in {format_duration(seconds)}" if seconds is not None else "done"
    outcome = _text(details.outcome)
    return f"{line} ({outcome})" if outcome and outcome != "done" else line


def _exit_words(details: AttemptExited) -> str:
    reason = clean_line(details.reason or "exited")
    if reason != "exited":
        return reason.replace("_", " ")
    if details.code is not None:
        return f"exit {details.code}"
    return f"signal {details.signal}" if details.signal is not None else "without an exit code"


def _elapsed_words(seconds: float | None) -> str:
    return f" (after {format_duration(seconds)})" if seconds is not None else ""


def _text(value: str | None) -> str:
    return clean_line(value or "")


def _join_names(values: list[Any] | None) -> str:
    return clean_line(", ".join(map(str, values or ())))


def _count(value: float | None) -> str:
    return "?" if value is None else str(value)
