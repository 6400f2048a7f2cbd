"""One short line an event, for pipes, CI logs and terminals that cannot draw (rows B7, B67).

Owns the wording; the same events in the same order give the same lines. The agents' output is not
shown here: the line of a failure names the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from orchestr.plan.dag import FeaturePlan
from orchestr.state.events import Event, EventKind
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
    if event.kind is EventKind.PHASE_FAILED and log is not None and "gate" not in event.data:
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
    data, number = event.data, event.attempt
    attempt = f"attempt {number}" if number >= 0 else f"plan {-number}"
    match event.kind:
        case EventKind.RUN_STARTED:
            goals = data.get("goals")
            named = " ".join(str(g) for g in goals) if isinstance(goals, list | tuple) else ""
            pid = f" (pid {data['pid']})" if "pid" in data else ""
            return [f"run {event.run} started{pid}{': ' if named else ''}{clean_line(named)}"]
        case EventKind.RUN_FORCED:
            names = data.get("names")
            named = ", ".join(str(n) for n in names) if isinstance(names, list | tuple) else ""
            return [f"forced: {clean_line(named)}"]
        case EventKind.RUN_FINISHED:
            return [f"run {event.run} finished (exit {data.get('exit', '?')})"]
        case EventKind.CELL_IGNORED:
            return ["ignored"]
        case EventKind.CELL_UNIGNORED:
            return ["no longer ignored"]
        case EventKind.CELL_FORGOTTEN:
            phases = data.get("phases")
            named = ", ".join(str(p) for p in phases) if isinstance(phases, list | tuple) else "all"
            return [f"forgotten: {clean_line(named)}"]
        case EventKind.CELL_ADOPTED:
            return [f"adopted from {_clean_field(data, 'url') or 'its pull request'}"]
        case EventKind.CELL_BLOCKED:
            upstream = _clean_field(data, "upstream")
            why = headline(_raw_field(data, "reason")) or (
                f"upstream {upstream} failed" if upstream else ""
            )
            if data.get("state") == "approval":
                return [why]
            return [f"skipped: {why}" if why else "skipped: upstream dependency failed"]
        case EventKind.CELL_WARNED:
            return [f"warning: {headline(_raw_field(data, 'reason'))}"]
        case EventKind.CELL_WAITING:
            why = headline(_raw_field(data, "reason"))
            return [f"waits: {why}" if why else "goes on"]
        case EventKind.CELL_AMENDED:
            return [f"amendment handed to {_clean_field(data, 'owner')}"]
        case EventKind.ATTEMPT_GIVEN_BACK:
            return [f"{attempt} given back to its agent: {headline(_raw_field(data, 'reason'))}"]
        case EventKind.PHASE_STARTED:
            # What a phase makes has an event of its own; why an old one runs again is told.
            why = headline(_raw_field(data, "why"))
            first = why.endswith((" yet", "not done yet")) if why else True
            return [] if first or event.phase in _QUIET else [f"runs again: {why}"]
        case EventKind.PHASE_DONE:
            return [] if event.phase != "implement" else [_done_words(event)]
        case EventKind.PHASE_FAILED if data.get("state") == "approval":
            return []  # it was asked for
        case EventKind.APPROVAL_ASKED:
            hint = _clean_field(data, "hint")
            return [_clean_field(data, "reason"), *([f"hint: {hint}"] if hint else [])]
        case EventKind.APPROVAL_GIVEN:
            who = _clean_field(data, "name") or _clean_field(data, "user") or "a person"
            return [f"{who} approved it"]
        case EventKind.APPROVAL_REFUSED:
            who = _clean_field(data, "name") or _clean_field(data, "user") or "a person"
            return [f"{who} refused it: {headline(_raw_field(data, 'reason'))}"]
        case EventKind.PHASE_FAILED:
            hint = _clean_field(data, "hint")
            reason = headline(_raw_field(data, "reason")) or "no reason given"
            if data.get("aborted") is True:
                return [f"stopped: {reason}"]
            return [f"FAILED: {reason}{_elapsed_words(data)}", *([f"hint: {hint}"] if hint else [])]
        case EventKind.WORKTREE_ADDED:
            return [f"worktree {_clean_field(data, 'path')} on {_clean_field(data, 'branch')}"]
        case EventKind.WORKTREE_REMOVED:
            return [f"worktree {_clean_field(data, 'path')} removed"]
        case EventKind.ATTEMPT_OPENED:
            # It may wait for a free slot now; what is told is the start.
            return []
        case EventKind.ATTEMPT_STARTED:
            agent, part = _clean_field(data, "agent"), _agent_part(data)
            what = part or attempt
            what = f"{what} goes on" if data.get("round") and not part else f"{what} started"
            agent = "" if part.endswith(f" {agent}") else agent
            return [what + (f" ({agent})" if agent else "")]
        case EventKind.CHECK_DONE:
            name, detail = (
                f"check {_clean_field(data, 'name')}",
                headline(_raw_field(data, "detail")),
            )
            if not event.cell:  # of the feature's last step
                name = f"cross {name} in {_clean_field(data, 'repo')}"
            if data.get("passed") is True:
                return [f"{name}: passed" + (" (cached)" if data.get("cached") else "")]
            return [f"{name}: RED: {detail}"]
        case EventKind.REPAIR_OPENED:
            number, of, why = (
                data.get("round", "?"),
                data.get("of"),
                headline(_raw_field(data, "why")),
            )
            return [f"repair {number}{f' of {of}' if of else ''}: {why}".rstrip(": ")]
        case EventKind.REPAIR_CLOSED:
            outcome, detail = _clean_field(data, "outcome"), headline(_raw_field(data, "detail"))
            return [] if outcome == "changed" else [f"repair {outcome}: {detail}".rstrip(": ")]
        case EventKind.REVIEW_DONE:
            return [f"review by {_clean_field(data, 'reviewer')}: {_clean_field(data, 'verdict')}"]
        case EventKind.ATTEMPT_ADOPTED:
            return [f"{_agent_part(data) or attempt} adopted from an earlier run"]
        case EventKind.ATTEMPT_LIMITED:
            wait = data.get("wait_s")
            who = _clean_field(data, "agent") or "the agent"
            more = f", goes on in {format_duration(wait)}" if isinstance(wait, int | float) else ""
            why = headline(_raw_field(data, "reason")) or f"usage limit of {who}"
            return [f"{why}{more}"]
        case EventKind.ATTEMPT_EXITED:
            if data.get("code") == 0 and data.get("reason", "exited") == "exited":
                return []
            what = _agent_part(data) or attempt
            return [f"{what} ended: {_exit_words(data)}{_elapsed_words(data)}"]
        case EventKind.PUSH_DONE:
            return [f"pushed {_clean_field(data, 'branch')} at {_clean_field(data, 'sha')[:10]}"]
        case EventKind.PR_OPENED:
            return [f"pull request {_clean_field(data, 'url')}"]
        case EventKind.PR_UPDATED:
            return [f"pull request {_clean_field(data, 'url')} updated"]
        case EventKind.FORGE_AWAY:
            return [f"forge away for {_clean_field(data, 'repo')}: {_clean_field(data, 'reason')}"]
        case EventKind.FORGE_WAITS:
            wait = data.get("wait_s")
            more = f", goes on in {format_duration(wait)}" if isinstance(wait, int | float) else ""
            return [
                f"waiting for {_clean_field(data, 'host')}: {_clean_field(data, 'reason')}{more}"
            ]
        case EventKind.ATTEMPT_CLOSED | EventKind.PUSH_INTENDED:
            return []
        case EventKind.LAND_REPAIR:
            return [f"repair {data.get('number', '?')}: {headline(_raw_field(data, 'reason'))}"]
        case EventKind.LAND_DONE:
            return [
                f"landed on {_clean_field(data, 'target')} at {_clean_field(data, 'commit')[:10]}"
            ]
        case EventKind.LAND_UNDONE:
            commit = _clean_field(data, "commit")[:10]
            return [f"rolled back on {_clean_field(data, 'target')} at {commit}"]
        case EventKind.LAND_PARKED:
            hint = _clean_field(data, "hint")
            told = f"NOT LANDED: {headline(_raw_field(data, 'reason'))}"
            return [told, *([f"hint: {hint}"] if hint else [])]
        case (
            EventKind.PR_INTENDED | EventKind.PR_SEEN | EventKind.LAND_QUEUE | EventKind.LAND_UPDATE
        ):
            return []


def _agent_part(data: Any) -> str:
    """An agent that is not the author: `review by eve`."""
    reviewer = _clean_field(data, "reviewer")
    return f"review by {reviewer}" if reviewer else _clean_field(data, "part")


def _done_words(event: Event) -> str:
    seconds = event.data.get("seconds")
    line = f"done in {format_duration(seconds)}" if isinstance(seconds, int | float) else "done"
    outcome = _clean_field(event.data, "outcome")
    return f"{line} ({outcome})" if outcome and outcome != "done" else line


def _exit_words(data: Any) -> str:
    reason = _clean_field(data, "reason") or "exited"
    if reason != "exited":
        return reason.replace("_", " ")
    if data.get("code") is not None:
        return f"exit {data['code']}"
    return f"signal {data['signal']}" if data.get("signal") is not None else "without an exit code"


def _elapsed_words(data: Any) -> str:
    seconds = data.get("seconds")
    return f" (after {format_duration(seconds)})" if isinstance(seconds, int | float) else ""


def _clean_field(data: Any, key: str) -> str:
    return clean_line(_raw_field(data, key))


def _raw_field(data: Any, key: str) -> str:
    value = data.get(key)
    return "" if value is None else str(value)
