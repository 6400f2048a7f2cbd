"""What a run came to: a table, what went wrong with the next command, and the counts.

Pure text for stdout. Written once, after the progress is closed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from orchestr.state.cell_state import asks_for_approval, describe_cell
from orchestr.state.replay import CellState, CellView
from orchestr.views.model import FeatureStatus, proof_lines, spending_words
from orchestr.views.terminal.audit import last_step_lines
from orchestr.views.terminal.text import (
    clean_line,
    format_count,
    format_duration,
    format_fitting_table,
    format_tries,
    headline,
    pad,
    paint,
    seconds_between,
)

_COUNTED = (
    (CellState.BLOCKED, "blocked"),
    (CellState.RUNNING, "still running"),
    (CellState.WAITING, "waiting"),
    (CellState.APPROVAL, "waiting for approval"),
    (CellState.ABORTED, "aborted"),
    (CellState.IGNORED, "ignored"),
    (CellState.PENDING, "pending"),
    (CellState.ROLLED_BACK, "rolled back"),
)
_FAILED = (CellState.FAILED, CellState.MERGE_CONFLICT, CellState.NEEDS_PERSON)
_STATE_COLUMNS = len("merge conflict") + 2


def _was_audited(status: FeatureStatus) -> bool:
    """Whether the newest run made the audit of the feature."""
    started = status.view.run_started_at
    return bool(started and status.audit is not None and status.audit.at >= started)


def summary_text(
    features: Sequence[FeatureStatus],
    *,
    selected: Collection[tuple[str, str]] | None = None,
    now: datetime | None = None,
    colour: bool = False,
    columns: int = 0,
) -> str:
    """The end of a run. ``selected``: (feature, cell) pairs the run was about; None means all.

    A run that touched no cell, audited nothing and found all of them done says so in one line.
    """
    shown = [
        (status, cell.name)
        for status in features
        for cell in status.plan.cells
        if selected is None or (status.feature.name, cell.name) in selected
    ]
    moved = any(_was_touched(s, n) for s, n in shown) or any(map(_was_audited, features))
    if not moved and all(s.cell_state(n).is_good and not s.is_red_together for s, n in shown):
        ready = [n for s, n in shown if s.cell_state(n) is not CellState.IGNORED]
        left = len(shown) - len(ready)
        note = f", {left} ignored" if left else ""
        return f"nothing to be done: {format_count(len(ready), 'cell')} up to date{note}\n"
    lines = _table_lines(shown, many=len(features) > 1, now=now, colour=colour, columns=columns)
    for status, name in shown:
        lines += _trouble_lines(status, name)
    for status in {id(s): s for s, _ in shown}.values():
        waits = [one for one in status.cross if one.passed is None]
        if status.is_red_together or waits or status.audit is not None:
            lines += ["", *last_step_lines(status)]
    for status in {id(s): s for s, _ in shown}.values():
        notes = proof_lines(status, [name for one, name in shown if one is status])
        lines += ["", *notes] if notes else []
    lines += signing_lines(shown)
    lines += ["", _counts_line(shown)]
    lines += _next_command_lines(shown)
    return "\n".join(lines) + "\n"


def _was_touched(status: FeatureStatus, name: str) -> bool:
    view = status.view
    return bool(view.run) and view.cell(name).run == view.run


def _table_lines(
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
        shown_as = describe_cell(state, view)
        words = shown_as.label
        if state is CellState.DONE and not _was_touched(status, name):
            words = words.replace(state.label, "up to date")
        link = status.pull_request(name)
        end = link[0] if link else ("no change needed" if _needed_no_change(view) else "")
        fresh = _was_touched(status, name)
        seconds = seconds_between(view.started_at, view.finished_at or now) if fresh else None
        rows.append(
            (
                f"{status.feature.name}:{name}" if many else name,
                pad(f"{shown_as.symbol} {words}", _STATE_COLUMNS).rstrip(),
                format_tries(view.attempt, view.repairs),
                format_duration(seconds),
                status.plan.cell(name).branch,
                clean_line(end),
            )
        )
        styles.append((f"{shown_as.symbol} {words}", shown_as.style))
    header = ("CELL", "STATE", "TRY", "TIME", "BRANCH", "PULL REQUEST")
    lines = format_fitting_table(header, rows, columns, ("BRANCH",))
    return [lines[0]] + [
        line.replace(words, paint(words, style, colour), 1)
        for line, (words, style) in zip(lines[1:], styles, strict=True)
    ]


def _needed_no_change(view: CellView) -> bool:
    return view.outcome == "no_change_needed"


def _trouble_lines(status: FeatureStatus, name: str) -> list[str]:
    """For a cell that ended badly by itself: the reason, the log and what to look at next."""
    state, view = status.cell_state(name), status.view.cell(name)
    if state is CellState.APPROVAL:
        return _approval_lines(status, name)
    if state not in _FAILED:
        return []
    cell = f"{status.feature.name}:{name}"
    phase = f" in {view.phase}" if view.phase else ""
    reason = headline(view.reason) or "no reason given"
    lines = ["", f"{state.symbol} {cell} {state.label}{phase}: {reason}"]
    log = status.cell_facts(name).log
    lines += [f"    log:   {clean_line(log)}", f"    next:  orchestr logs {cell}"] if log else []
    hint = clean_line(view.hint or "")
    return [*lines, f"    hint:  {hint}"] if hint and hint != f"orchestr logs {cell}" else lines


def _approval_lines(status: FeatureStatus, name: str) -> list[str]:
    """For a cell that asks a person: the command. Those behind it wait without words."""
    view, cell = status.view.cell(name), f"{status.feature.name}:{name}"
    if not asks_for_approval(view):
        return []
    lines = ["", f"{CellState.APPROVAL.symbol} {cell}: {headline(view.reason)}"]
    return [*lines, f"    next:  orchestr approve {cell}"]


def _counts_line(shown: Sequence[tuple[FeatureStatus, str]]) -> str:
    """`6 done, 0 failed; cost $0.03; 10k tokens`."""
    states = [s.cell_state(n) for s, n in shown]
    done = sum(s in (CellState.DONE, CellState.LANDED) for s in states)
    parts = [f"{done} done", f"{sum(s in _FAILED for s in states)} failed"]
    parts += [f"{states.count(s)} {words}" for s, words in _COUNTED if s in states]
    line = ", ".join(parts)
    features = {id(status): status for status, _ in shown}.values()
    every = [*shown, *((status, step) for status in features for step in status.plan.steps)]
    return line + spending_words([s.view.cell(n) for s, n in every if _was_touched(s, n)])


def signing_lines(shown: Sequence[tuple[FeatureStatus, str]]) -> list[str]:
    """The commands that sign afterwards what the settings left unsigned."""
    found = [command for status, name in shown if (command := status.cell_facts(name).sign)]
    if not found:
        return []
    return ["", "unsigned, as the settings ask; to sign before they are merged:",
            *(f"  {clean_line(command)}" for command in found)]  # fmt: skip


def _next_command_lines(shown: Sequence[tuple[FeatureStatus, str]]) -> list[str]:
    lines = []
    for status in {id(s): s for s, _ in shown}.values():
        states = [s.cell_state(n) for s, n in shown if s is status]
        name = status.feature.name
        if any(s in _FAILED for s in states):
            lines.append(f"next: orchestr run {name} --failed")
        elif any(s in (CellState.ABORTED, CellState.PENDING, CellState.BLOCKED) for s in states):
            lines.append(f"next: orchestr run {name}")
        waits = [n for s, n in shown if s is status and s.cell_state(n) is CellState.APPROVAL]
        asking = [n for n in waits if asks_for_approval(status.view.cell(n))]
        if asking:
            more = f" and {len(asking) - 1} more" if len(asking) > 1 else ""
            lines.append(
                f"next: orchestr approve {name}:{asking[0]}{more}, then orchestr run {name}"
            )
    return lines
