"""One short line an event, for pipes, CI logs and terminals that cannot draw (rows B7, B67).

Owns the wording; the same events in the same order give the same lines. The agents' output is not
shown here: the line of a failure names the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from orchestr.plan.dag import Plan
from orchestr.state.events import Event, Kind
from orchestr.views.live.progress import CellText, Labels, LineWriter, Progress
from orchestr.views.terminal.text import clean, clock, headline, pad, took

_PHASE_COLUMNS = len("implement")


class PlainProgress(Progress):
    """Writes `event_lines` as the events come."""

    def __init__(
        self, plans: Sequence[Plan], stream: TextIO, *, log: CellText | None = None
    ) -> None:
        self._labels = Labels(plans)
        self._out = LineWriter(stream)
        self._log = log

    def feed(self, event: Event) -> None:
        self._out.write(event_lines(event, self._labels, self._log))


def event_lines(event: Event, labels: Labels, log: CellText | None = None) -> list[str]:
    """The lines for an event: none for book-keeping, more than one only for a failure."""
    said = _words(event)
    if not said:
        return []
    at = clock(event.ts)
    if not event.cell:
        return [f"{at} {line}" for line in said]
    if event.kind is Kind.PHASE_FAILED and log is not None and "gate" not in event.data:
        path = log(event.feature, event.cell)
        said += [f"log: {clean(path)}"] if path else []
    name = pad(labels(event.feature, event.cell), max(labels.width, 1))
    phase = pad(event.phase or _phase_of(event), _PHASE_COLUMNS)
    return [f"{at} {name}  {phase}  {line}".rstrip() for line in said]


_QUIET = ("plan", "check", "review")  # they follow from the head


def _phase_of(event: Event) -> str:
    group = event.kind.partition(".")[0]
    return {"attempt": "implement", "push": "publish", "pr": "publish"}.get(group, "")


def _words(event: Event) -> list[str]:
    data, number = event.data, event.attempt
    attempt = f"attempt {number}" if number >= 0 else f"plan {-number}"
    match event.kind:
        case Kind.RUN_STARTED:
            goals = data.get("goals")
            named = " ".join(str(g) for g in goals) if isinstance(goals, list | tuple) else ""
            pid = f" (pid {data['pid']})" if "pid" in data else ""
            return [f"run {event.run} started{pid}{': ' if named else ''}{clean(named)}"]
        case Kind.RUN_FORCED:
            names = data.get("names")
            named = ", ".join(str(n) for n in names) if isinstance(names, list | tuple) else ""
            return [f"forced: {clean(named)}"]
        case Kind.RUN_FINISHED:
            return [f"run {event.run} finished (exit {data.get('exit', '?')})"]
        case Kind.CELL_IGNORED:
            return ["ignored"]
        case Kind.CELL_UNIGNORED:
            return ["no longer ignored"]
        case Kind.CELL_FORGOTTEN:
            phases = data.get("phases")
            named = ", ".join(str(p) for p in phases) if isinstance(phases, list | tuple) else "all"
            return [f"forgotten: {clean(named)}"]
        case Kind.CELL_ADOPTED:
            return [f"adopted from {_said(data, 'url') or 'its pull request'}"]
        case Kind.CELL_BLOCKED:
            upstream = _said(data, "upstream")
            why = headline(_raw(data, "reason")) or (
                f"upstream {upstream} failed" if upstream else ""
            )
            if data.get("state") == "approval":
                return [why]
            return [f"skipped: {why}" if why else "skipped: upstream dependency failed"]
        case Kind.CELL_WARNED:
            return [f"warning: {headline(_raw(data, 'reason'))}"]
        case Kind.CELL_WAITING:
            why = headline(_raw(data, "reason"))
            return [f"waits: {why}" if why else "goes on"]
        case Kind.CELL_AMENDED:
            return [f"amendment handed to {_said(data, 'owner')}"]
        case Kind.ATTEMPT_GIVEN_BACK:
            return [f"{attempt} given back to its agent: {headline(_raw(data, 'reason'))}"]
        case Kind.PHASE_STARTED:
            # What a phase makes has an event of its own; why an old one runs again is told.
            why = headline(_raw(data, "why"))
            first = why.endswith((" yet", "not done yet")) if why else True
            return [] if first or event.phase in _QUIET else [f"runs again: {why}"]
        case Kind.PHASE_DONE:
            return [] if event.phase != "implement" else [_done(event)]
        case Kind.PHASE_FAILED if data.get("state") == "approval":
            return []  # it was asked for
        case Kind.APPROVAL_ASKED:
            hint = _said(data, "hint")
            return [_said(data, "reason"), *([f"hint: {hint}"] if hint else [])]
        case Kind.APPROVAL_GIVEN:
            return [f"{_said(data, 'name') or _said(data, 'user') or 'a person'} approved it"]
        case Kind.APPROVAL_REFUSED:
            who = _said(data, "name") or _said(data, "user") or "a person"
            return [f"{who} refused it: {headline(_raw(data, 'reason'))}"]
        case Kind.PHASE_FAILED:
            hint = _said(data, "hint")
            reason = headline(_raw(data, "reason")) or "no reason given"
            if data.get("aborted") is True:
                return [f"stopped: {reason}"]
            return [f"FAILED: {reason}{_after(data)}", *([f"hint: {hint}"] if hint else [])]
        case Kind.WORKTREE_ADDED:
            return [f"worktree {_said(data, 'path')} on {_said(data, 'branch')}"]
        case Kind.WORKTREE_REMOVED:
            return [f"worktree {_said(data, 'path')} removed"]
        case Kind.ATTEMPT_OPENED:
            # It may wait for a free slot now; what is told is the start.
            return []
        case Kind.ATTEMPT_STARTED:
            agent, part = _said(data, "agent"), _part(data)
            what = part or attempt
            what = f"{what} goes on" if data.get("round") and not part else f"{what} started"
            agent = "" if part.endswith(f" {agent}") else agent
            return [what + (f" ({agent})" if agent else "")]
        case Kind.CHECK_DONE:
            name, detail = f"check {_said(data, 'name')}", headline(_raw(data, "detail"))
            if not event.cell:  # of the feature's last step
                name = f"cross {name} in {_said(data, 'repo')}"
            if data.get("passed") is True:
                return [f"{name}: passed" + (" (cached)" if data.get("cached") else "")]
            return [f"{name}: RED: {detail}"]
        case Kind.REPAIR_OPENED:
            number, of, why = data.get("round", "?"), data.get("of"), headline(_raw(data, "why"))
            return [f"repair {number}{f' of {of}' if of else ''}: {why}".rstrip(": ")]
        case Kind.REPAIR_CLOSED:
            outcome, detail = _said(data, "outcome"), headline(_raw(data, "detail"))
            return [] if outcome == "changed" else [f"repair {outcome}: {detail}".rstrip(": ")]
        case Kind.REVIEW_DONE:
            return [f"review by {_said(data, 'reviewer')}: {_said(data, 'verdict')}"]
        case Kind.ATTEMPT_ADOPTED:
            return [f"{_part(data) or attempt} adopted from an earlier run"]
        case Kind.ATTEMPT_LIMITED:
            wait = data.get("wait_s")
            who = _said(data, "agent") or "the agent"
            more = f", goes on in {took(wait)}" if isinstance(wait, int | float) else ""
            why = headline(_raw(data, "reason")) or f"usage limit of {who}"
            return [f"{why}{more}"]
        case Kind.ATTEMPT_EXITED:
            if data.get("code") == 0 and data.get("reason", "exited") == "exited":
                return []
            what = _part(data) or attempt
            return [f"{what} ended: {_ended(data)}{_after(data)}"]
        case Kind.PUSH_DONE:
            return [f"pushed {_said(data, 'branch')} at {_said(data, 'sha')[:10]}"]
        case Kind.PR_OPENED:
            return [f"pull request {_said(data, 'url')}"]
        case Kind.PR_UPDATED:
            return [f"pull request {_said(data, 'url')} updated"]
        case Kind.FORGE_AWAY:
            return [f"forge away for {_said(data, 'repo')}: {_said(data, 'reason')}"]
        case Kind.FORGE_WAITS:
            wait = data.get("wait_s")
            more = f", goes on in {took(wait)}" if isinstance(wait, int | float) else ""
            return [f"waiting for {_said(data, 'host')}: {_said(data, 'reason')}{more}"]
        case Kind.ATTEMPT_CLOSED | Kind.PUSH_INTENDED:
            return []
        case Kind.LAND_REPAIR:
            return [f"repair {data.get('number', '?')}: {headline(_raw(data, 'reason'))}"]
        case Kind.LAND_DONE:
            return [f"landed on {_said(data, 'target')} at {_said(data, 'commit')[:10]}"]
        case Kind.LAND_UNDONE:
            return [f"rolled back on {_said(data, 'target')} at {_said(data, 'commit')[:10]}"]
        case Kind.LAND_PARKED:
            hint = _said(data, "hint")
            told = f"NOT LANDED: {headline(_raw(data, 'reason'))}"
            return [told, *([f"hint: {hint}"] if hint else [])]
        case Kind.PR_INTENDED | Kind.PR_SEEN | Kind.LAND_QUEUE | Kind.LAND_UPDATE:
            return []


def _part(data: Any) -> str:
    """An agent that is not the author: `review by eve`."""
    reviewer = _said(data, "reviewer")
    return f"review by {reviewer}" if reviewer else _said(data, "part")


def _done(event: Event) -> str:
    seconds = event.data.get("seconds")
    line = f"done in {took(seconds)}" if isinstance(seconds, int | float) else "done"
    outcome = _said(event.data, "outcome")
    return f"{line} ({outcome})" if outcome and outcome != "done" else line


def _ended(data: Any) -> str:
    reason = _said(data, "reason") or "exited"
    if reason != "exited":
        return reason.replace("_", " ")
    if data.get("code") is not None:
        return f"exit {data['code']}"
    return f"signal {data['signal']}" if data.get("signal") is not None else "without an exit code"


def _after(data: Any) -> str:
    seconds = data.get("seconds")
    return f" (after {took(seconds)})" if isinstance(seconds, int | float) else ""


def _said(data: Any, key: str) -> str:
    return clean(_raw(data, key))


def _raw(data: Any, key: str) -> str:
    value = data.get(key)
    return "" if value is None else str(value)
