"""``explain``: why a cell runs, waits, is skipped or failed, and the next command.

Pure. The chain of reasons follows blocked upstreams to the one that failed by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from orchestr.lifecycle import CellState
from orchestr.plan import Forecast, Would
from orchestr.render.facts import FeatureStatus, next_command
from orchestr.render.text import clean, clock, headline, span, took


def explain_text(
    status: FeatureStatus,
    name: str,
    now: datetime,
    forecasts: Mapping[str, Forecast] | None = None,
) -> str:
    """The story of one cell. Raises KeyError for a cell that the plan does not have."""
    cell, view, state = status.plan.cell(name), status.view.cell(name), status.cell_state(name)
    feature = status.feature.name
    at_rest = state.is_good or state is CellState.PENDING
    where = f" in {view.phase}" if view.phase and not at_rest else ""
    attempt = f", attempt {view.attempt}" if view.attempt else ""
    agent = f" by {view.agent}" if view.agent and view.attempt else ""
    lines = [
        f"{feature}:{name} {_is(state)}{where}",
        f"  repository {cell.repo}, branch {cell.branch}{attempt}{agent}",
    ]
    seconds = span(view.started_at, view.finished_at or (now if state.is_moving else None))
    if seconds is not None:
        lines.append(f"  started {clock(view.started_at)}, took {took(seconds)}")
    values = status.phases(name)
    lines.append("  phases: " + ", ".join(f"{p} {v}" for p, v in values.items()))
    lines += ["", "because"]
    forecast = (forecasts or {}).get(name)
    lines += [
        f"  {reason}" if reason.startswith("  ") else f"  - {reason}"
        for reason in _reasons(status, name, forecast)
    ]
    log = status.of(name).log
    if log and state.is_bad:
        lines.append(f"  log: {clean(log)}")
    lines += ["", *_next(status, name, forecast)]
    return "\n".join(lines).rstrip() + "\n"


def blocked_chain(status: FeatureStatus, name: str) -> tuple[str, ...]:
    """From the cell to the upstream that stopped it: each one blocked by the next."""
    chain = [name]
    while status.cell_state(chain[-1]) is CellState.BLOCKED:
        above = status.plan.cell(chain[-1]).upstreams
        stopped = [u for u in above if status.cell_state(u).is_bad]
        # A failed upstream is the cause; another blocked one is only on the way to it.
        stopped.sort(key=lambda u: status.cell_state(u) is CellState.BLOCKED)
        if not stopped:
            break
        chain.append(stopped[0])
    return tuple(chain)


def _reasons(status: FeatureStatus, name: str, forecast: Forecast | None) -> list[str]:
    view, state = status.view.cell(name), status.cell_state(name)
    told = headline(view.reason)
    reasons = []
    if state is CellState.BLOCKED:
        chain = blocked_chain(status, name)
        reasons = [] if len(chain) > 1 else [told or "an upstream failed"]
        for upstream in chain[1:]:
            why = headline(status.view.cell(upstream).reason)
            reasons.append(
                f"upstream {upstream} {_is(status.cell_state(upstream))}"
                + (f": {why}" if why else "")
            )
    elif state is CellState.WAITING:
        until = f", until {clock(view.waiting_until)}" if view.waiting_until else ""
        reasons = [f"{told or 'a usage limit'}{until}; it goes on by itself"]
    elif state is CellState.RUNNING:
        alone = "its agent works on without a run; the next run adopts it"
        reasons = [f"the run {view.run} works on it" if status.live else alone]
    elif told:
        # The whole of it here: the tail of a failed program's output is what one asks for.
        reasons = [told, *_more(view.reason or "", told)]
    if view.outcome == "no_change_needed":
        reasons.append("the agent said, with a reason, that no change is needed")
    if state is CellState.PENDING:
        late = [u for u in status.plan.cell(name).upstreams if not status.cell_state(u).is_good]
        reasons += [f"upstream {u} {_is(status.cell_state(u))}" for u in late]
    if forecast is not None and not state.is_moving and state is not CellState.APPROVAL:
        reasons += _foretold(forecast, reasons)
    return reasons or [_plainly(state)]


def _more(reason: str, told: str) -> list[str]:
    lines = [line for text in reason.splitlines() if (line := clean(text))]
    return [f"  {line}" for line in lines[1:]] if lines[:1] == [told] else lines


def _foretold(forecast: Forecast, said: list[str]) -> list[str]:
    match forecast.would:
        case Would.RUN:
            phases = ", ".join(p.value for p in forecast.phases)
            word = "may do" if forecast.may else "does"
            return [f"the next run {word} {phases}: {forecast.why}"]
        case Would.UP_TO_DATE:
            return ["nothing has changed since: it is up to date"]
        case Would.BLOCKED:
            return [] if said else [f"the next run cannot start it: {forecast.why}"]


def _plainly(state: CellState) -> str:
    if state.is_good:
        return "all its phases are done"
    return "it has not run yet" if state is CellState.PENDING else f"it {_is(state)}"


def _is(state: CellState) -> str:
    """`is failed`, `needs approval`."""
    return state.words if state.words.startswith("needs ") else f"is {state.words}"


def _next(status: FeatureStatus, name: str, forecast: Forecast | None) -> list[str]:
    feature = status.feature.name
    cause = blocked_chain(status, name)[-1]
    view, state = status.view.cell(cause), status.cell_state(cause)
    lines = []
    logs = f"orchestr logs {feature}:{cause}"
    if view.hint and view.hint != logs:
        lines.append(f"hint: {clean(view.hint)}")
    if state is CellState.FAILED:
        again = f"orchestr run {feature} --failed"
        told = [f"next: {logs}", f"then: {again}"] if view.attempt else [f"next: {again}"]
        return [*lines, *told]
    command: str | None
    if state is CellState.APPROVAL:  # its hint is the command: its own gate's, or an upstream's
        return lines
    if state in (CellState.MERGE_CONFLICT, CellState.NEEDS_PERSON):
        worktree = status.of(cause).worktree or view.worktree
        lines += [f"look: {worktree}"] if worktree else []
        command = f"orchestr run {feature}:{cause}"
    elif state.is_good and forecast is not None and forecast.would is Would.RUN:
        command = f"orchestr run {feature}:{name}"
    else:
        command = next_command(feature, view, state)
    return [*lines, f"next: {command}"] if command else [*lines, "next: nothing to be done"]
