"""`FeaturePage` to HTML, with jinja2: one file that needs nothing else.

Autoescape is on and undefined names are errors. A content security policy in the page lets
nothing be loaded from anywhere and no script run but the board's own, so that text which somehow
got through could still do nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orchestr
from orchestr.cell.notes import ProofNotes
from orchestr.compiled_templates import open_code_cache
from orchestr.registry import substitute_program_name
from orchestr.spec.own_phases import merge_orders
from orchestr.spec.phases import Phase
from orchestr.state.states import CellState, FeatureState
from orchestr.state.timeline import SpanKind
from orchestr.views.html import audit, escape, history, sections
from orchestr.views.html import costs as money
from orchestr.views.html.model import CellEvidence, FeaturePage
from orchestr.views.html.section_records import CellRow, StateBadge
from orchestr.views.model import lock_lines, next_command
from orchestr.views.terminal.text import format_duration, format_size

if TYPE_CHECKING:
    from jinja2 import Environment

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
TEMPLATES = Path(__file__).with_name("templates")
FEATURE_LOOKS = {
    FeatureState.PENDING: CellState.PENDING,
    FeatureState.RUNNING: CellState.RUNNING,
    FeatureState.WAITING: CellState.WAITING,
    FeatureState.FAILED: CellState.FAILED,
    FeatureState.ABORTED: CellState.ABORTED,
    FeatureState.PARTIAL: CellState.PENDING,
    FeatureState.DONE: CellState.DONE,
    FeatureState.LANDED: CellState.LANDED,
    FeatureState.ROLLED_BACK: CellState.ROLLED_BACK,
}


@dataclass(frozen=True, slots=True)
class BoardControls:
    """What the board adds: the script's nonce, the token for actions, and which there are."""

    nonce: str
    token: str
    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CellDetail:
    """One cell in full."""

    row: CellRow
    evidence: CellEvidence
    title: str
    todo: tuple[str, ...]
    branch: str
    base: str
    head: str
    worktree: str
    upstreams: tuple[str, ...]
    dependents: tuple[str, ...]
    phases: tuple[tuple[str, str, str, str], ...]  # name, value, time, why
    notes: tuple[str, ...]
    tries: tuple[money.AttemptRow, ...]
    rounds: tuple[history.HistoryEntry, ...]
    gates: tuple[str, ...]
    checks: tuple[escape.PageVerdict, ...]
    reviews: tuple[escape.PageVerdict, ...]
    reason: str
    command: str
    log: tuple[str, ...]
    log_size: str
    bad: bool


def report_html(page: FeaturePage, live: BoardControls | None = None) -> str:
    """The whole page."""
    return jinja_environment().get_template("page.html.j2").render(**_template_context(page, live))


def body_html(page: FeaturePage, live: BoardControls) -> str:
    """What the board replaces when something happened."""
    return jinja_environment().get_template("body.html.j2").render(**_template_context(page, live))


def index_html(
    features: list[tuple[str, str, StateBadge, str]], live: BoardControls, problems: list[str]
) -> str:
    """The board's first page: name, title, state and counts of every feature."""
    template = jinja_environment().get_template("index.html.j2")
    return template.render(features=features, live=live, problems=problems, version=_version_text())


def security_policy(live: BoardControls | None) -> str:
    """The content security policy of a page."""
    if live is None:
        return POLICY
    return f"{POLICY}; script-src 'nonce-{live.nonce}'; connect-src 'self'"


def _template_context(page: FeaturePage, live: BoardControls | None) -> dict[str, Any]:
    status = page.status
    costs = money.sum_costs(page)
    pulls = sections.pull_request_rows(page)
    rows = sections.cell_rows(page, costs["cell"], pulls)
    whole = money.total_cost(costs["cell"])
    state = FEATURE_LOOKS[status.state]
    return {
        "feature": status.feature,
        "state": StateBadge(status.state.value, state.symbol, sections.state_badge(state).look),
        "running": status.live,
        "made_at": page.now,
        "tiles": sections.make_tiles(page, whole),
        "notices": sections.make_notices(page),
        "rows": rows,
        "picture": sections.make_picture(page),
        "chart": sections.make_chart(page),
        "critical": page.timeline.critical,
        "costs": costs,
        "whole": whole,
        "pulls": pulls,
        "cells": [_cell_detail(page, row) for row in rows],
        "runs": sections.run_rows(page),
        "spec": page.spec,
        "surprises": status.view.surprises,
        "away": status.view.forge_away,
        "cross": history.cross_check_entries(page),
        "capabilities": page.capabilities,
        "audit": audit.audit_entry(page.status.audit),
        "lock": lock_lines(status),
        "landings": history.landing_entries(page),
        "conflicts": history.conflict_entries(page),
        "forecast_notes": status.forecast.notes if status.forecast else (),
        "live": live,
        "policy": security_policy(live),
        "version": _version_text(),
        "phases": [
            p
            for p in merge_orders(c.steps for c in status.plan.cells)
            if p != Phase.PLAN or any(p in c.steps for c in status.plan.cells)
        ],
    }


def _cell_detail(page: FeaturePage, row: CellRow) -> CellDetail:
    status, name = page.status, row.name
    view, state = status.view.cell(name), status.cell_state(name)
    plan, cell, facts = status.plan.cell(name), status.feature.cell(name), status.cell_facts(name)
    evidence = page.cell_evidence(name)
    newest = {s.phase: s for s in page.timeline.select_spans(SpanKind.PHASE, cell=name)}
    values = status.phase_states(name)
    phases = []
    for phase in values:
        seen = newest.get(phase)
        time = format_duration(seen.seconds(page.now)) if seen else ""
        phases.append((phase, values.get(phase, "pending"), time, seen.note if seen else ""))
    command = next_command(status.feature.name, view, state)
    failing = state.is_bad or state in (CellState.WAITING, CellState.APPROVAL)
    return CellDetail(
        row=row,
        evidence=evidence,
        title=cell.title or "",
        todo=cell.todo,
        branch=cell.branch,
        base=facts.base or view.base or plan.base or "",
        head=facts.head or "",
        worktree=facts.worktree or "",
        upstreams=plan.upstreams,
        dependents=plan.dependents,
        phases=tuple(phases),
        notes=_note_lines(facts.notes),
        tries=tuple(money.attempt_rows(page, name)),
        rounds=tuple(history.history_entries(page, name)),
        gates=tuple(history.gate_words(gate) for gate in facts.approvals),
        checks=tuple(escape.parse_verdict(i.fields, i.log) for i in evidence.checks),
        reviews=tuple(escape.parse_verdict(i.fields, i.log) for i in evidence.reviews),
        reason=view.reason or "" if failing else "",
        command=substitute_program_name(command) if command else "",
        log=evidence.log,
        log_size=format_size(evidence.log_bytes),
        bad=state.is_bad,
    )


def _note_lines(notes: ProofNotes) -> tuple[str, ...]:
    """What a reader has to know beside green and red; with what the agent said of it."""
    said = notes.deviation.explanation if notes.deviation is not None else ""
    return (*notes.lines(), *((f"its agent's last message: {said}",) if said else ()))


@cache
def jinja_environment() -> Environment:
    """The templates' surroundings, the same for every page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_make_visible,
        auto_reload=False,
        bytecode_cache=open_code_cache(
            "html", {path.name: path for path in TEMPLATES.glob("*.j2")}
        ),
    )
    made.filters |= {
        "took": format_duration,
        "moment": format_local_time,
        "typed": substitute_program_name,
        "short": _short_commit,
        "http": escape.safe_link,
    }
    return made


def _make_visible(value: object) -> object:
    """Every text that is put into a page passes here, before it is escaped."""
    if type(value) is str:
        return escape.make_visible(value)
    return value


def format_local_time(time: float | None) -> str:
    """A time in this machine's zone, which is named."""
    if time is None:
        return "-"
    return datetime.fromtimestamp(time).astimezone().strftime("%d %b %Y %H:%M:%S %Z")


def _short_commit(commit: str) -> str:
    return commit[:10]


def _version_text() -> str:
    return f"orchestr {orchestr.__version__}"
