"""``status``: cells, phases, attempts, costs and pull requests, for people and as JSON.

Pure. docs/json.md describes the JSON (``status --json``); fields are added, never renamed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from orchestr.state.cell_state import describe_cell
from orchestr.state.landing_transitions import LAND
from orchestr.state.replay import CellState, CellView
from orchestr.state.results import PlanDeviation
from orchestr.views.model import (
    FeatureStatus,
    describe_activity,
    lock_lines,
    next_command,
    pr_words,
    proof_lines,
    spending_words,
    word_for_now,
)
from orchestr.views.terminal.audit import audit_json, last_step_lines
from orchestr.views.terminal.conflicts import conflict_lines, conflicts_json
from orchestr.views.terminal.text import (
    clean_line,
    format_clock,
    format_count,
    format_dollars,
    format_duration,
    format_fitting_table,
    format_tokens,
    format_tries,
    headline,
    paint,
    seconds_between,
)

# One letter a phase: capital when done, so that progress reads at a glance.
_MARKS = {
    "done": "✓",
    "running": "▶",
    "failed": "✗",
    "blocked": "⊘",
    "approval": "?",
    "pending": "·",
}
_REASON_COLUMNS = 4


def status_json(features: Sequence[FeatureStatus]) -> dict[str, Any]:
    """The whole state. Times are ISO-8601 UTC, costs USD and null when any part is unknown."""
    return {"features": [feature_json(status) for status in features]}


def feature_json(status: FeatureStatus) -> dict[str, Any]:
    """One feature's object of `status_json`."""
    feature = status.feature
    return {
        "name": feature.name,
        "state": status.state.value,
        "cells": [_cell_json(status, cell.name) for cell in status.plan.cells],
        "run": status.view.run or None,
        "live": status.live is not None,
        "cross_checks": [
            {"repo": c.repo, "passed": c.passed, "told": c.told or None, "commit": c.commit or None}
            for c in status.cross
        ],
        **({"audit": audit_json(status.audit)} if status.audit is not None else {}),
        "lock": None if status.lock is None else asdict(status.lock),
        "conflicts": conflicts_json(status.forecast),
        "removed": [
            {"name": c.name, "repo": c.repo or None, "branch": c.branch or None, "pr": c.url,
             "worktree": c.worktree}
            for c in status.removed
        ],
        "product": feature.product.value if feature.product else None,
        "intent": feature.intent,
        "done_means": list(feature.done_means),
        "non_goals": list(feature.non_goals),
    }  # fmt: skip


def _cell_json(status: FeatureStatus, name: str) -> dict[str, Any]:
    cell, view, facts = status.plan.cell(name), status.view.cell(name), status.cell_facts(name)
    link = status.pull_request(name)
    return {
        "name": name,
        "repo": cell.repo,
        "branch": cell.branch,
        "base": facts.base or cell.base,
        "head": facts.head,
        "tree": facts.tree,
        "worktree": facts.worktree or view.worktree,
        "state": status.cell_state(name).value,
        "attempt": view.attempt,
        "repairs": view.repairs,
        "doing": describe_activity(view) or None,
        "upstreams": list(cell.upstreams),
        "phases": status.phase_states(name),
        "pr": _pr_json(link, view) if link else None,
        "cost_usd": view.cost_usd,
        "started_at": view.started_at,
        "finished_at": view.finished_at,
        "reason": view.reason,
        "hint": view.hint,
        "outcome": view.outcome,
        "partial": view.is_partial,
        "with_red": view.with_red,
        "waiting_until": view.waiting_until,
        "agent": view.agent,
        "model": view.model,
        "cost_known_usd": view.cost_known_usd,
        "tokens": dict(zip(("input", "cached", "output"), view.tokens_total, strict=True))
        if view.tokens_total
        else None,
        "unchecked": facts.notes.unchecked or None,
        "test_first": facts.notes.test_first or None,
        "outvoted": list(facts.notes.outvoted),
        "beside_plan": _deviation_json(facts.notes.deviation),
        "sign": facts.sign,
        "approvals": [dict(approval) for approval in facts.approvals],
    }


def _deviation_json(deviation: PlanDeviation | None) -> dict[str, Any] | None:
    if deviation is None:
        return None
    return {
        "files": list(deviation.files),
        "plan_names_files": deviation.plan_names_files,
        "explanation": deviation.explanation or None,
    }


def _pr_json(link: tuple[str, str, bool | None], view: CellView) -> dict[str, Any]:
    url, state, draft = link
    known = view.pr_url == url  # else they are of another pull request
    return {
        "url": url,
        "state": state,
        "draft": draft,
        "checks": view.pr_checks if known else None,
        "review": view.pr_review if known else None,
    }


def status_text(
    features: Sequence[FeatureStatus], now: datetime, *, colour: bool = False, columns: int = 0
) -> str:
    """A table a feature, then what needs a person, with the next command.

    ``columns`` is the terminal's width; 0 where nothing is to be left out.
    """
    if not features:
        return "no features yet: orchestr init writes an example, orchestr validate checks specs\n"
    lines: list[str] = []
    for status in features:
        lines += ([""] if lines else []) + _feature_text(status, now, colour, columns)
    return "\n".join(lines) + "\n"


def _feature_text(status: FeatureStatus, now: datetime, colour: bool, columns: int) -> list[str]:
    title = f"  {clean_line(status.feature.title)}" if status.feature.title else ""
    lines = [f"{status.feature.name}: {status.state.label}{title}"]
    if status.live:
        lines.append(f"  run {status.view.run} is alive: {clean_line(status.live)}")
    rows: list[tuple[str, ...]] = []
    styles = []
    for cell in status.plan.cells:
        view, state = status.view.cell(cell.name), status.cell_state(cell.name)
        link = status.pull_request(cell.name)
        phases = status.phase_states(cell.name)
        words = describe_cell(state, view)
        shown = f"{words.symbol} {words.label}"
        end = now if state.is_moving else None
        cost = "-"
        if view.costs:
            cost = format_dollars(view.cost_known_usd, view.cost_usd is not None)
        used = view.tokens_total
        rows.append(
            (
                cell.name,
                shown,
                "".join(_MARKS.get(value, "?") for value in phases.values()),
                format_tries(view.attempt, view.repairs),
                format_duration(seconds_between(view.started_at, view.finished_at or end)),
                cost,
                format_tokens(used[0] + used[2]).removesuffix(" tokens") if used else "-",
                f"{clean_line(link[0])} ({pr_words(link, view)})"
                if link
                else _words_without_link(view.outcome),
            )
        )
        styles.append((shown, words.style))
    header: tuple[str, ...] = (
        "CELL", "STATE", "PHASE", "TRY", "TIME", "COST", "TOKENS", "PULL REQUEST"
    )  # fmt: skip
    if not any(status.view.cell(c.name).tokens for c in status.plan.cells):
        at = header.index("TOKENS")  # no agent told any
        header, rows = header[:at] + header[at + 1 :], [r[:at] + r[at + 1 :] for r in rows]
    spare = (
        () if any(status.view.cell(c.name).cost_known_usd for c in status.plan.cells) else ("COST",)
    )
    drawn = format_fitting_table(header, rows, columns, (*spare, "TOKENS", "PHASE"), indent="  ")
    lines.append(drawn[0])
    for line, (shown, style) in zip(drawn[1:], styles, strict=True):
        lines.append(line.replace(shown, paint(shown, style, colour), 1))
    for cell in status.plan.cells:
        lines += _note_lines(status, cell.name)
    lines += [f"  {line}" for line in proof_lines(status, [c.name for c in status.plan.cells])]
    lines += [f"  {line}" for line in (*last_step_lines(status), *lock_lines(status))]
    lines += conflict_lines(status.forecast, status.feature.name, indent="  ")
    for gone in status.removed:
        lines.append(f"  {clean_line(gone.description)}")
        lines.append(f"{' ' * _REASON_COLUMNS}hint: {clean_line(gone.remedy)}")
    signs = [c for cell in status.plan.cells if (c := status.cell_facts(cell.name).sign)]
    lines += [f"  unsigned: {clean_line(command)}" for command in signs]
    return [*lines, f"  {_counts_line(status)}"]


def _words_without_link(outcome: str | None) -> str:
    return "no change needed" if outcome == "no_change_needed" else ""


def _note_lines(status: FeatureStatus, name: str) -> list[str]:
    """Why a cell does not go on by itself, and the command that helps."""
    state, view = status.cell_state(name), status.view.cell(name)
    why = clean_line(status.cell_facts(name).outdated or "") or headline(view.reason)
    if state is CellState.RUNNING:
        doing = describe_activity(view)
        return [f"  {state.symbol} {name}: {view.phase}, {doing}"] if doing else []
    if state is CellState.WAITING:
        until = f", goes on at {format_clock(view.waiting_until)}" if view.waiting_until else ""
        return [f"  {describe_cell(state, view).symbol} {name}: {why}{until}"]
    waits = state is CellState.DONE and view.phase == LAND
    if why and (state is CellState.PENDING or waits):
        return [f"  {state.symbol} {name}: {why}"]
    if not state.is_bad and state is not CellState.APPROVAL:
        return []
    lines = [f"  {state.symbol} {name}: {why or state.label}"]
    pad = " " * _REASON_COLUMNS
    log = status.cell_facts(name).log
    if log and state is CellState.FAILED:
        lines.append(f"{pad}log:  {clean_line(log)}")
    # A blocked cell is mended at its upstream, whose own note says how.
    if state is not CellState.BLOCKED:
        command = next_command(status.feature.name, view, state)
        hint, alive = clean_line(view.hint or ""), status.live is not None
        lines += [f"{pad}hint: {word_for_now(hint, alive=alive)}"] if hint else []
        lines += [f"{pad}next: {word_for_now(command, alive=alive)}"] if command else []
    return lines


def _counts_line(status: FeatureStatus) -> str:
    states = [status.cell_state(c.name) for c in status.plan.cells]
    parts = [f"{states.count(s)} {s.label}" for s in CellState if s in states]
    names = [*(c.name for c in status.plan.cells), *status.plan.steps]
    sums = spending_words(status.view.cell(name) for name in names)
    return (
        f"{format_count(len(states), 'cell')}: {', '.join(parts)}{sums}" if states else "no cells"
    )
