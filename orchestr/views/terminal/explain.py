"""``explain``: why a cell runs, waits, is skipped or failed, and the next command.

Pure. The chain of reasons follows blocked upstreams to the one that failed by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from orchestr.plan.dag import CellForecast, ForecastOutcome
from orchestr.spec.agent_options import ChosenOptions
from orchestr.state.cell_state import asks_for_approval, describe_cell
from orchestr.state.event_details import CellForgotten, LandRepair, PhaseStarted
from orchestr.state.events import Event
from orchestr.state.landing_transitions import FOLLOW, LAND
from orchestr.state.replay import CellState, CellView
from orchestr.views.model import FeatureStatus, next_command, word_for_now
from orchestr.views.terminal.agent_options import format_options
from orchestr.views.terminal.conflicts import conflict_lines
from orchestr.views.terminal.differences import Difference, difference_lines
from orchestr.views.terminal.text import (
    clean_line,
    format_clock,
    format_count,
    format_duration,
    headline,
    seconds_between,
)


@dataclass(frozen=True, slots=True)
class JournalSource:
    """A line of the journal, with its number; ``file`` as it is shown."""

    file: str
    number: int
    event: Event


@dataclass(frozen=True, slots=True)
class ExplainGrounds:
    """What is known beyond states: what differs now, what the last build was for, the journal."""

    differences: tuple[Difference, ...] = ()
    built: JournalSource | None = None
    last: JournalSource | None = None
    forgotten: JournalSource | None = None  # what made the last build: `forget`, --force
    ignored: str = ""  # of the repository's settings, by the newest attempt's agent
    changed_agent: str = ""  # why another of the cell's agents works than the first
    candidates: tuple[str, ...] = ()  # what several attempts side by side came to
    options: tuple[tuple[str, ChosenOptions], ...] = ()  # work -> what its agent is asked for


_NO_GROUNDS = ExplainGrounds()


def explain_text(
    status: FeatureStatus,
    name: str,
    now: datetime,
    forecasts: Mapping[str, CellForecast] | None = None,
    grounds: ExplainGrounds = _NO_GROUNDS,
    proof: Sequence[str] = (),
    accept: str | None = None,
) -> str:
    """The story of one cell, with what its checks and reviews came to. ``accept``: the command that
    lets its result stand, where only an edit of the spec made it stale.

    Raises KeyError for a cell that the plan does not have.
    """
    cell, view, state = status.plan.cell(name), status.view.cell(name), status.cell_state(name)
    feature = status.feature.name
    at_rest = state.is_good or state is CellState.PENDING
    where = f" in {view.phase}" if view.phase and not at_rest else ""
    attempt = f", attempt {view.attempt}" if view.attempt else ""
    agent = f" by {view.agent}" if view.agent and view.attempt else ""
    lines = [
        f"{feature}:{name} {_state_predicate(state, view)}{where}",
        f"  repository {cell.repo}, branch {cell.branch}{attempt}{agent}",
    ]
    seconds = seconds_between(
        view.started_at, view.finished_at or (now if state.is_moving else None)
    )
    if seconds is not None:
        lines.append(f"  started {format_clock(view.started_at)}, took {format_duration(seconds)}")
    values = status.phase_states(name)
    lines.append("  phases: " + ", ".join(f"{p} {v}" for p, v in values.items()))
    if grounds.ignored:
        lines.append(f"  its agent ignored: {clean_line(grounds.ignored)}"
                     f" (trust = true in [repos.{cell.repo}] turns it on)")  # fmt: skip
    if grounds.changed_agent:
        lines.append(f"  {clean_line(grounds.changed_agent)}")
    lines += [f"  {clean_line(line)}" for line in grounds.candidates]
    for work, chosen in grounds.options:
        words = format_options(chosen.options, chosen.sources)
        lines.append(f"  options of {clean_line(work)}: {words}")
    if proof:
        shown = (f"  {line}" if line.startswith("  ") else f"  - {line}" for line in proof)
        lines += ["", "proof", *shown]
    lines += ["", "because"]
    forecast = (forecasts or {}).get(name)
    lines += [
        f"  {reason}" if reason.startswith("  ") else f"  - {reason}"
        for reason in _reason_lines(status, name, forecast)
    ]
    lines += difference_lines(grounds.differences)
    lines += _last_build_lines(grounds, state)
    log = status.cell_facts(name).log
    if log and state.is_bad:
        lines.append(f"  log: {clean_line(log)}")
    if grounds.last is not None:
        lines.append(f"  journal: {_source_line(grounds.last)}")
    conflicts = conflict_lines(status.forecast, feature, name, indent="  ")
    lines += ["", "landing", *conflicts] if conflicts else []
    *ways, following = _next_step_lines(status, name, forecast)
    ways += [f"or:   {accept} lets its result stand"] if accept else []
    lines += ["", *ways, following]
    return "\n".join(lines).rstrip() + "\n"


def what_if_text(
    status: FeatureStatus, name: str, upstream: str, forecasts: Mapping[str, CellForecast]
) -> str:
    """What the next run would do with a cell if another one came out with another tree."""
    feature = status.feature.name
    chain = find_dependency_chain(status, upstream, name)
    if not chain:
        return (
            f"nothing happens to {feature}:{name} if {upstream} changes: "
            f"it does not build on it\n\nnext: orchestr graph {feature}\n"
        )
    found = forecasts[name]
    lines = [f"if {feature}:{upstream} comes out with another tree"]
    for above, below in itertools.pairwise(chain):
        same = status.plan.cell(above).repo == status.plan.cell(below).repo
        how = "its branch is stacked on it" if same else "its worktree and diff are in the prompt"
        lines.append(f"  - {below} builds on {above}: {how}")
    match found.would:
        case ForecastOutcome.BLOCKED:
            lines.append(f"  - {name} cannot start: {found.why}")
        case ForecastOutcome.UP_TO_DATE:
            lines.append(f"  - {name} stays as it is: {found.why}")
        case ForecastOutcome.RUN:
            phases = ", ".join(str(p) for p in found.phases)
            lines.append(f"  - {name} does {phases}: a new attempt on {_branch_of(status, name)}")
    if len(chain) > 2:
        lines.append(f"  - but an equal tree of {chain[-2]} leaves {name} up to date")
    others = [
        c.name
        for c in status.plan.cells
        if c.name not in (name, upstream) and find_dependency_chain(status, upstream, c.name)
    ]
    if others:
        lines.append(
            f"  - {format_count(len(others), 'other cell')} may run, too: {', '.join(others)}"
        )
    return "\n".join([*lines, "", f"next: orchestr plan {feature}"]) + "\n"


def find_dependency_chain(status: FeatureStatus, start: str, end: str) -> tuple[str, ...]:
    """The shortest chain of cells from an upstream down to a cell, both in it; else nothing."""
    chains: list[tuple[str, ...]] = [(start,)]
    seen = {start}
    for chain in chains:
        if chain[-1] == end:
            return chain
        for dependent in status.plan.cell(chain[-1]).dependents:
            if dependent not in seen:
                seen.add(dependent)
                chains.append((*chain, dependent))
    return ()


def _branch_of(status: FeatureStatus, name: str) -> str:
    return status.plan.cell(name).branch


def _last_build_lines(grounds: ExplainGrounds, state: CellState) -> list[str]:
    """Why it ran last, where nothing makes it run now."""
    if grounds.built is None or grounds.differences:
        return []
    event = grounds.built.event
    started = event.details
    changes = started.changes if isinstance(started, PhaseStarted) else None
    why = headline(started.why) if isinstance(started, PhaseStarted) else ""
    if grounds.forgotten is not None:
        match grounds.forgotten.event.details:
            case CellForgotten(force=str()) as forced:
                why = f"it was forced by `run {'--fresh' if forced.fresh else '--force'}`"
            case LandRepair() as repair:
                why = f"landing asked its agent to mend it: {headline(repair.reason)}"
            case _:
                at = format_clock(grounds.forgotten.event.ts)
                why = f"it was forgotten by `orchestr forget` at {at}"
    word = "runs now" if state.is_moving else "ran last"
    first = why == "it has no worktree marker yet"
    reason = "for the first time" if first else f"because: {why}"
    lines = [f"  - it {word} ({format_clock(event.ts)}) {reason}"] if why else []
    found = [c for c in changes or () if isinstance(c, dict)]
    return lines + difference_lines(
        [
            Difference(
                str(c.get("field")), _text_or_none(c.get("old")), _text_or_none(c.get("new"))
            )
            for c in found
        ]
    )


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)


def _source_line(source: JournalSource) -> str:
    event = source.event
    what = " ".join(p for p in (event.kind.value, event.phase) if p)
    attempt = f", attempt {event.attempt}" if event.attempt else ""
    return f"{source.file}:{source.number}  {format_clock(event.ts)} {what}{attempt}"


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


def _reason_lines(status: FeatureStatus, name: str, forecast: CellForecast | None) -> list[str]:
    view, state = status.view.cell(name), status.cell_state(name)
    told = headline(view.reason)
    reasons = []
    if state is CellState.BLOCKED:
        chain = blocked_chain(status, name)
        reasons = [] if len(chain) > 1 else [told or "an upstream failed"]
        for upstream in chain[1:]:
            why = headline(status.view.cell(upstream).reason)
            reasons.append(
                f"upstream {upstream} {_state_predicate(status.cell_state(upstream))}"
                + (f": {why}" if why else "")
            )
    elif state is CellState.WAITING:
        until = f", until {format_clock(view.waiting_until)}" if view.waiting_until else ""
        end = f"; {clean_line(view.hint)}" if view.hint else "; it goes on by itself"
        reasons = [f"{told or 'a usage limit'}{until}{end}"]
    elif state is CellState.RUNNING:
        alone = "its agent works on without a run; the next run adopts it"
        reasons = [f"the run {view.run} works on it" if status.live else alone]
    elif told:
        # The whole of it here: the tail of a failed program's output is what one asks for.
        reasons = [told, *_other_reason_lines(view.reason or "", told)]
    if view.outcome == "no_change_needed":
        reasons.append("the agent said, with a reason, that no change is needed")
    if state is CellState.PENDING:
        late = [u for u in status.plan.cell(name).upstreams if not status.cell_state(u).is_good]
        reasons += [f"upstream {u} {_state_predicate(status.cell_state(u))}" for u in late]
    parked = _find_parked_upstream(status, name)
    if parked is not None:
        reasons.append(
            f"it lands after {parked}, which {_state_predicate(status.cell_state(parked))}"
        )
    if forecast is not None and not state.is_moving and state is not CellState.APPROVAL:
        reasons += _forecast_lines(forecast, reasons)
    return reasons or [_state_sentence(state)]


def _find_parked_upstream(status: FeatureStatus, name: str) -> str | None:
    """The upstream that a finished cell's landing waits for; None when it waits for nobody."""
    if status.cell_state(name) is not CellState.DONE:
        return None
    todo = list(status.plan.cell(name).upstreams)
    for above in todo:
        bad = status.cell_state(above) in (CellState.MERGE_CONFLICT, CellState.NEEDS_PERSON)
        if bad and status.view.cell(above).phase == LAND:
            return above
        todo += [u for u in status.plan.cell(above).upstreams if u not in todo]
    return None


def _other_reason_lines(reason: str, told: str) -> list[str]:
    lines = [line for text in reason.splitlines() if (line := clean_line(text))]
    return [f"  {line}" for line in lines[1:]] if lines[:1] == [told] else lines


def _forecast_lines(forecast: CellForecast, said: list[str]) -> list[str]:
    match forecast.would:
        case ForecastOutcome.RUN:
            phases = ", ".join(str(p) for p in forecast.phases)
            word = "may do" if forecast.may else "does"
            return [f"the next run {word} {phases}: {forecast.why}"]
        case ForecastOutcome.UP_TO_DATE:
            return ["nothing has changed since: it is up to date"]
        case ForecastOutcome.BLOCKED:
            return [] if said else [f"the next run cannot start it: {forecast.why}"]


def _state_sentence(state: CellState) -> str:
    if state.is_good and state is not CellState.ROLLED_BACK:
        return "all its phases are done"
    return "it has not run yet" if state is CellState.PENDING else f"it {_state_predicate(state)}"


def _state_predicate(state: CellState, view: CellView | None = None) -> str:
    """`failed`, `is blocked`, `needs approval`, `has a merge conflict`."""
    if state is CellState.MERGE_CONFLICT:
        return "has a merge conflict"
    label = state.label if view is None else describe_cell(state, view).label
    plain = state is CellState.FAILED or label.startswith("needs ")
    return label if plain else f"is {label}"


def _next_step_lines(status: FeatureStatus, name: str, forecast: CellForecast | None) -> list[str]:
    """What helps to understand it, and as the last line the command to run next."""
    feature = status.feature.name
    cause = _find_parked_upstream(status, name) or blocked_chain(status, name)[-1]
    view, state = status.view.cell(cause), status.cell_state(cause)
    cell, hint = f"{feature}:{cause}", clean_line(view.hint or "")
    logs = f"orchestr logs {cell}"
    lines = [f"hint: {hint}"] if hint and hint != logs else []
    if state is CellState.FAILED:
        look = [f"look: {logs}"] if view.attempt else []
        # One cell alone where others wait behind it, too: they come with --failed.
        again = f"orchestr run {cell}" if cause == name else f"orchestr run {feature} --failed"
        return [*lines, *look, f"next: {word_for_now(again, alive=status.live is not None)}"]
    command: str | None
    if state is CellState.APPROVAL:
        return [f"next: {_approve_command(status, cause)}, then orchestr run {feature}"]
    if state in (CellState.MERGE_CONFLICT, CellState.NEEDS_PERSON):
        worktree = status.cell_facts(cause).worktree or view.worktree
        lines += [f"look: {worktree}"] if worktree else []
        command = f"orchestr run {cell}"
        command += f" && orchestr land {feature}" if view.phase == LAND else ""
        if view.phase == FOLLOW:
            command = f"orchestr follow {feature} --once"
    elif state.is_good and forecast is not None and forecast.would is ForecastOutcome.RUN:
        command = f"orchestr run {feature}:{name}"
    else:
        command = next_command(feature, view, state)
    if not command:
        return [*lines, "next: nothing to be done"]
    return [*lines, f"next: {word_for_now(command, alive=status.live is not None)}"]


def find_next_command(status: FeatureStatus, name: str) -> str:
    """The command that brings a cell on, once no run is at work; empty when there is none."""
    if status.cell_state(name) is CellState.IGNORED:
        return ""  # it was left as it is on purpose
    last = _next_step_lines(replace(status, live=None), name, None)[-1].removeprefix("next: ")
    return "" if last == "nothing to be done" else last


def _approve_command(status: FeatureStatus, name: str) -> str:
    """The command that answers the gate: the cell's own, or that of the upstream it waits for."""
    seen, todo = {name}, [name]
    for cell in todo:
        if asks_for_approval(status.view.cell(cell)):
            return f"orchestr approve {status.feature.name}:{cell}"
        above = [u for u in status.plan.cell(cell).upstreams if u not in seen]
        seen.update(above)
        todo += above
    return f"orchestr approve {status.feature.name}:{name}"
