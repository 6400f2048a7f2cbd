"""What a run came to: a table, what went wrong with the next command, and the counts (row A84).

Pure text for stdout. Written once, after the progress is closed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from orchestr.state.replay import CellState, CellView
from orchestr.views.model import FeatureStatus, spent, state_words
from orchestr.views.terminal.text import (
    clean,
    count,
    fitting,
    headline,
    pad,
    paint,
    span,
    took,
    tries,
)

_COUNTED = (
    (CellState.BLOCKED, "blocked"),
    (CellState.RUNNING, "still running"),
    (CellState.WAITING, "waiting"),
    (CellState.APPROVAL, "waiting for approval"),
    (CellState.ABORTED, "aborted"),
    (CellState.IGNORED, "ignored"),
    (CellState.PENDING, "pending"),
)
_FAILED = (CellState.FAILED, CellState.MERGE_CONFLICT, CellState.NEEDS_PERSON)
_STATE_COLUMNS = len("merge conflict") + 2


def summary_text(
    features: Sequence[FeatureStatus],
    *,
    selected: Collection[tuple[str, str]] | None = None,
    now: datetime | None = None,
    colour: bool = False,
    columns: int = 0,
) -> str:
    """The end of a run. ``selected``: (feature, cell) pairs the run was about; None means all.

    A run that touched no cell and found all of them done says so in one line.
    """
    shown = [
        (status, cell.name)
        for status in features
        for cell in status.plan.cells
        if selected is None or (status.feature.name, cell.name) in selected
    ]
    if not any(_touched(s, n) for s, n in shown) and all(s.cell_state(n).is_good for s, n in shown):
        ready = [n for s, n in shown if s.cell_state(n) is not CellState.IGNORED]
        left = len(shown) - len(ready)
        note = f", {left} ignored" if left else ""
        return f"nothing to be done: {count(len(ready), 'cell')} up to date{note}\n"
    lines = _table(shown, many=len(features) > 1, now=now, colour=colour, columns=columns)
    for status, name in shown:
        lines += _trouble(status, name)
    lines += to_sign(shown)
    lines += ["", _counts(shown)]
    lines += _again(shown)
    return "\n".join(lines) + "\n"


def _touched(status: FeatureStatus, name: str) -> bool:
    view = status.view
    return bool(view.run) and view.cell(name).run == view.run


def _table(
    shown: Sequence[tuple[FeatureStatus, str]],
    *,
    many: bool,
    now: datetime | None,
    colour: bool,
    columns: int,
) -> list[str]:
    rows, styles = [], []
    for status, name in shown:
        view, state = status.view.cell(name), status.cell_state(name)
        words = state_words(state, view)
        if state is CellState.DONE and not _touched(status, name):
            words = words.replace(state.words, "up to date")
        link = status.pull_request(name)
        end = link[0] if link else ("no change needed" if _unchanged(view) else "")
        fresh = _touched(status, name)
        seconds = span(view.started_at, view.finished_at or now) if fresh else None
        rows.append(
            (
                f"{status.feature.name}:{name}" if many else name,
                pad(f"{state.symbol} {words}", _STATE_COLUMNS).rstrip(),
                tries(view.attempt, view.repairs),
                took(seconds),
                status.plan.cell(name).branch,
                clean(end),
            )
        )
        styles.append((f"{state.symbol} {words}", state.style))
    header = ("CELL", "STATE", "TRY", "TIME", "BRANCH", "PULL REQUEST")
    lines = fitting(header, rows, columns, ("BRANCH",))
    return [lines[0]] + [
        line.replace(words, paint(words, style, colour), 1)
        for line, (words, style) in zip(lines[1:], styles, strict=True)
    ]


def _unchanged(view: CellView) -> bool:
    return view.outcome == "no_change_needed"


def _trouble(status: FeatureStatus, name: str) -> list[str]:
    """For a cell that ended badly by itself: the reason, the log and what to look at next."""
    state, view = status.cell_state(name), status.view.cell(name)
    if state is CellState.APPROVAL:
        return _to_approve(status, name)
    if state not in _FAILED:
        return []
    cell = f"{status.feature.name}:{name}"
    phase = f" in {view.phase}" if view.phase else ""
    reason = headline(view.reason) or "no reason given"
    lines = ["", f"{state.symbol} {cell} {state.words}{phase}: {reason}"]
    log = status.of(name).log
    lines += [f"    log:   {clean(log)}", f"    next:  orchestr logs {cell}"] if log else []
    hint = clean(view.hint or "")
    return [*lines, f"    hint:  {hint}"] if hint and hint != f"orchestr logs {cell}" else lines


def _to_approve(status: FeatureStatus, name: str) -> list[str]:
    """For a cell that asks a person: the command. Those behind it wait without words."""
    view, cell = status.view.cell(name), f"{status.feature.name}:{name}"
    if not asks(view):
        return []
    lines = ["", f"{CellState.APPROVAL.symbol} {cell}: {headline(view.reason)}"]
    return [*lines, f"    next:  orchestr approve {cell}"]


def asks(view: CellView) -> bool:
    """Whether a cell in the state approval is one that asks, not one behind it."""
    return "approval" in view.phases.values()


def _counts(shown: Sequence[tuple[FeatureStatus, str]]) -> str:
    """`6 done, 0 failed; cost $0.03; 10k tokens`."""
    states = [s.cell_state(n) for s, n in shown]
    done = sum(s in (CellState.DONE, CellState.LANDED) for s in states)
    parts = [f"{done} done", f"{sum(s in _FAILED for s in states)} failed"]
    parts += [f"{states.count(s)} {words}" for s, words in _COUNTED if s in states]
    line = ", ".join(parts)
    return line + spent([s.view.cell(n) for s, n in shown if _touched(s, n)])


def to_sign(shown: Sequence[tuple[FeatureStatus, str]]) -> list[str]:
    """The commands that sign afterwards what the settings left unsigned (rows A32, A33)."""
    found = [command for status, name in shown if (command := status.of(name).sign)]
    if not found:
        return []
    return ["", "unsigned, as the settings ask; to sign before they are merged:",
            *(f"  {clean(command)}" for command in found)]  # fmt: skip


def _again(shown: Sequence[tuple[FeatureStatus, str]]) -> list[str]:
    lines = []
    for status in {id(s): s for s, _ in shown}.values():
        states = [s.cell_state(n) for s, n in shown if s is status]
        name = status.feature.name
        if any(s in _FAILED for s in states):
            lines.append(f"next: orchestr run {name} --failed")
        elif any(s in (CellState.ABORTED, CellState.PENDING, CellState.BLOCKED) for s in states):
            lines.append(f"next: orchestr run {name}")
        waits = [n for s, n in shown if s is status and s.cell_state(n) is CellState.APPROVAL]
        asking = [n for n in waits if asks(status.view.cell(n))]
        if asking:
            more = f" and {len(asking) - 1} more" if len(asking) > 1 else ""
            lines.append(
                f"next: orchestr approve {name}:{asking[0]}{more}, then orchestr run {name}"
            )
    return lines
