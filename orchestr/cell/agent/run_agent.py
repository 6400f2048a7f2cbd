"""Drive one agent to its end: slot, supervisor, adoption, usage limits, stopping.

What is driven is a `AgentWork`: an attempt's author, also when it repairs, or a reviewer.

The supervisor owns the agent; this only starts it, waits, and reads `exit.json`. Whatever is
found on disk decides what comes next, so the same call goes on after a kill at any point.
"""

from __future__ import annotations

import hashlib
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestr.agents import AgentVerdict
from orchestr.agents.session_records import measure_sessions
from orchestr.agents.usage import UsageMeter, tally_transcript
from orchestr.cell.agent.after_sandbox import raise_if_wall_broke, report_refused_hosts
from orchestr.cell.agent.agent_work import AgentWork
from orchestr.cell.agent.launch import (
    explain_missing_variables,
    last_start_offset,
    launch_secrets,
    prepare_next_start,
    read_time_limit,
    session_to_resume,
    start_offsets,
    write_launch,
)
from orchestr.cell.agent.pauses import (
    end_trouble,
    pause_for_limit,
    pause_for_trouble,
    refuse_long_wait,
    wait_for_provider,
)
from orchestr.cell.agent.refused_commands import warn_of_refused
from orchestr.cell.agent_chain import find_max_wait
from orchestr.cell.agent_options import attempt_options
from orchestr.cell.budget import Spending
from orchestr.cell.context import CellContext
from orchestr.cell.seal_results import close_seals
from orchestr.cell.worktree.person_changes import hand_over_worktree, record_left
from orchestr.errors import AgentUnusable, CorruptState, Interrupted, OrchestrError
from orchestr.files import read_file, read_json
from orchestr.git.worktrees import delete_tree
from orchestr.process.redaction import redact
from orchestr.spec.own_phases import COMMAND
from orchestr.spec.phases import Phase
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind
from orchestr.state.results import TRANSCRIPT
from orchestr.supervisor import client
from orchestr.supervisor.client import AttemptState, ExitReason, ExitRecord

LOST = (
    "its supervisor was killed or could not write how it ended (a full disk); "
    "what the agent had started was ended"
)
STOPPED_BEFORE = (
    "You were stopped in the middle of your work. Go on where you stopped: your task and its rules "
    "are the same, and what you had changed is still there (`git status` shows it).\n"
)
NEVER = "never started"
PROMPT = "prompt.md"  # in an agent's folder: its whole task
UNENDED = (AttemptState.RUNNING, AttemptState.LOST)
METER = 1.0  # s between two looks at what a running agent has taken


def author_work(
    ctx: CellContext, attempt: Attempt, phase: str | None = None, **event_data: Any
) -> AgentWork:
    """The attempt's own agent: its first work, or a repair when `go_on` came before."""
    folder = attempts.attempt_folder(ctx.dir, attempt.number)

    def write() -> None:
        hand_over_worktree(ctx, attempt, again=bool(start_offsets(folder)))
        write_launch(ctx, attempt, folder)

    return AgentWork(
        folder,
        attempt.process_marker(ctx.key),
        attempt.agent,
        attempt.number,
        phase or attempt.phase,
        write,
        event_data=event_data,
        options=lambda: attempt_options(ctx, attempt),
        max_wait=find_max_wait(ctx, attempt) if phase is None else None,
        leave=lambda: record_left(ctx, attempt.number, goes_on=True),
    )


def drive_agent(ctx: CellContext, work: AgentWork) -> AgentVerdict:
    """Wait for the agent's end, starting it when it was not started yet. Returns a good verdict.

    After a usage limit the same session goes on, and so it does when it is found stopped, or
    without its supervisor: that was before this run, and now the work is wanted. Raises
    PhaseFailed with the reason, Interrupted when the run or the cell is stopped.
    """
    folder = work.folder
    while True:
        refuse_long_wait(ctx, work)
        wait_for_provider(ctx, work)
        found = client.read_attempt_state(folder)
        if found is AttemptState.LOST:
            client.end_leftovers(folder, work.marker)
            work.emit(ctx, EventKind.ATTEMPT_ADOPTED, state=str(found))
            prepare_next_start(folder, _transcript_session(ctx, work), STOPPED_BEFORE)
        with ExitStack() as slot:
            end = _run_or_adopt_process(ctx, work, slot)
            if end is None:
                continue
            verdict = judge_exit(ctx, work, end)
            journal_exit(ctx, work, end, verdict)
            raise_if_wall_broke(ctx, folder, end)
            report_refused_hosts(ctx, folder, work.phase, work.attempt)
            warn_of_refused(ctx, work, verdict.refused)
            with suppress(OrchestrError):  # what is left of it is named by `orchestr doctor`
                delete_tree(folder / "tmp")
            waits, gives_up = False, None
            if verdict.limited:  # before the slot is free: the next one must see the pause
                work.leave()
                pause_for_limit(ctx, work, verdict)
                waits = True
            elif verdict.passing:
                work.leave()
                gives_up = pause_for_trouble(ctx, work, verdict)
                waits = gives_up is None
        if end.reason is ExitReason.STOPPED:
            if end.detail == LOST:
                raise ctx.fail(work.attribute_reason(LOST), hint=f"orchestr run {ctx.name}")
            ctx.check_cancelled()
            ctx.check_budget(work.cost_key)
            if found is AttemptState.EXITED:
                prepare_next_start(folder, verdict.session_id, STOPPED_BEFORE)
                continue
            raise Interrupted("aborted", hint=f"orchestr run {ctx.name}", cell=ctx.name)
        if waits:
            continue
        if verdict.session_lost and session_to_resume(folder) is not None:
            work.leave()
            prepare_next_start(folder, None)  # nothing was done: the whole prompt again
        elif verdict.ok:
            end_trouble(ctx, work)
            _warn_of_reached_budget(ctx, work)
            return verdict
        else:
            if "budget" in verdict.reason:  # claude keeps to ours itself: then our figure is told
                ctx.check_budget(work.cost_key)
            logs = f"read {folder / TRANSCRIPT}" if work.part else f"orchestr logs {ctx.name}"
            lacks = explain_missing_variables(folder, work.agent)
            reason = gives_up or verdict.reason
            reason = work.attribute_reason(f"{reason}; {lacks}" if lacks else reason)
            if verdict.final or end.reason is ExitReason.SPAWN_FAILED:
                raise AgentUnusable(reason, hint=logs, cell=ctx.name)
            raise ctx.fail(reason, hint=logs)


def _run_or_adopt_process(ctx: CellContext, work: AgentWork, stack: ExitStack) -> ExitRecord | None:
    """One process of the agent, from its start or from where it is, to its `exit.json`.

    Where there is none, because the supervisor was ended by us or from outside, it counts as
    stopped. The slot it takes is held by ``stack``. None: its provider was paused while it
    waited for one.
    """
    child, folder = None, work.folder
    state = client.read_attempt_state(folder)
    if state is AttemptState.NEVER_STARTED:
        pool = ctx.run.slot_pool("agents")
        slot = stack.enter_context(pool.hold_slot(ctx.priority, ctx.is_cancelled))
        ctx.check_cancelled()
        ctx.check_budget(work.cost_key)
        ctx.check_disk_room()
        if ctx.provider_pause(work.agent).paused_until() > 0:
            return None
        close_seals(ctx.dir)
        work.write()
        child = client.start_supervisor(folder, hold=slot)
        work.emit(ctx, EventKind.ATTEMPT_STARTED, pid=child.pid, agent=work.agent,
                         version=ctx.run.agent_adapter(work.agent).program_version(),
                         prompt=digest_prompt(folder), **_name_options(work))  # fmt: skip
    else:
        work.emit(ctx, EventKind.ATTEMPT_ADOPTED, state=str(state))
    stop = _AgentStopEvent(ctx, work)
    end = client.wait_for_exit(folder, child=child, stop=stop)
    if end is not None:
        return end
    marker = work.marker
    if not stop.is_set():
        client.end_leftovers(folder, marker)
        return ExitRecord(None, None, ExitReason.STOPPED, LOST)
    grace, now = ctx.run.settings.limits.grace, ctx.run.kill.is_set()
    end = client.stop_attempt(folder, marker=marker, grace=grace, now=now, child=child)
    # If it had ended by itself before the stop came, its work is kept, not paid again.
    return end or ExitRecord(None, None, ExitReason.STOPPED)


class _AgentStopEvent(threading.Event):
    """What `client.wait_for_exit` looks at: the run's stop, this cell's alone, a reached budget."""

    def __init__(self, ctx: CellContext, work: AgentWork) -> None:
        super().__init__()
        self._ctx = ctx
        self._work = work
        self._looked = 0.0
        self._meter: UsageMeter | None = None
        if ctx.run.budget.has_limit:
            agent = ctx.run.agent_adapter(work.agent)
            since, transcript = last_start_offset(work.folder), work.folder / TRANSCRIPT
            self._meter = UsageMeter(
                transcript, agent.parse_line, since=since, prices=agent.prices,
                files=measure_sessions(agent, work.folder),
            )  # fmt: skip

    def is_set(self) -> bool:
        return self._ctx.is_cancelled() or self._is_over_budget()

    def wait(self, timeout: float | None = None) -> bool:
        """As `threading.Event.wait`, seeing a cell's own abort at the latest afterwards."""
        return self._ctx.run.stop.wait(timeout) or self.is_set()

    def _is_over_budget(self) -> bool:
        """Read on what the agent has taken, and whether any budget is reached by now."""
        if self._meter is None:
            return False
        budget, name = self._ctx.run.budget, self._ctx.cell.name
        if time.monotonic() - self._looked >= METER:
            self._looked = time.monotonic()
            sums = self._meter.read_new_lines()
            taken = Spending(sums.known_usd, sums.total_usage.input + sums.total_usage.output)
            budget.record_spending(name, self._work.cost_key, taken)
        return budget.reached_reason(name, self._work.cost_key) is not None


def _warn_of_reached_budget(ctx: CellContext, work: AgentWork) -> None:
    """Of an agent that had ended before a look at what it took could stop it."""
    why = ctx.run.budget.reached_reason(ctx.cell.name, work.cost_key)
    if why is not None:
        ctx.emit(EventKind.CELL_WARNED, phase=work.phase, attempt=work.attempt,
                 reason=f"{why}; its agent had ended by then: its work is kept")  # fmt: skip


def _transcript_session(ctx: CellContext, work: AgentWork) -> str | None:
    """The session of the work by its transcript, for one whose end nobody saw."""
    return tally_transcript(
        work.folder / TRANSCRIPT, ctx.run.agent_adapter(work.agent).parse_line
    ).session_id


def _name_options(work: AgentWork) -> dict[str, Any]:
    """What its start is asked for, where that is anything."""
    found = work.options().stated
    return {"options": found} if found else {}


def digest_prompt(folder: Path) -> str | None:
    """The SHA-256 of the task that an agent was given in ``folder``; None without one."""
    try:
        return hashlib.sha256(read_file(folder / PROMPT)).hexdigest()
    except OSError:
        return None


def journal_exit(ctx: CellContext, work: AgentWork, end: ExitRecord, verdict: AgentVerdict) -> None:
    """Journal how a start ended and what the attempt took: the ledger."""
    used = verdict.tokens
    tokens = None if used is None else [used.input, used.cached, used.output]
    work.emit(
        ctx,
        EventKind.ATTEMPT_EXITED,
        code=end.code,
        signal=end.signal,
        reason=end.reason,
        seconds=end.seconds,
        killed=end.killed,
        cost_usd=verdict.cost_usd,
        cost_known_usd=verdict.cost_known_usd,
        tokens=tokens,
        session=verdict.session_id,
    )
    taken = Spending(verdict.cost_known_usd, 0 if used is None else used.input + used.output)
    ctx.run.budget.record_spending(ctx.cell.name, work.cost_key, taken)


def judge_exit(ctx: CellContext, work: AgentWork, end: ExitRecord) -> AgentVerdict:
    """What the end means: the adapter's reading of the stream, our own stops before it."""
    folder = work.folder
    verdict = ctx.run.agent_adapter(work.agent).judge_end(
        end, folder / TRANSCRIPT, last_start_offset(folder)
    )
    if work.agent.startswith(COMMAND):  # as a check or the set-up: no model works in it
        verdict = replace(verdict, cost_usd=0.0)
    # What a provider says of a refused key may hold the key.
    verdict = replace(verdict, reason=redact(verdict.reason, launch_secrets(folder)))
    match end.reason:
        case ExitReason.STOPPED:
            why = "stopped"
        case ExitReason.TIMEOUT:
            why = f"timed out after {read_time_limit(folder, 'timeout'):g} s; its output is kept"
        case ExitReason.IDLE if verdict.limited or verdict.passing:
            return verdict  # it waited for its provider, without a word
        case ExitReason.IDLE:
            why = f"said nothing for {read_time_limit(folder, 'idle_timeout'):g} s and was stopped"
        case ExitReason.RESOURCES:
            why = f"{end.detail}, and was stopped"
        case ExitReason.SPAWN_FAILED:
            why = f"could not be started: {end.detail}"
        case _:
            return verdict
    return replace(verdict, ok=False, limited=False, passing=False, session_lost=False, reason=why)


def reviewer_work(folder: Path, attempt: int) -> AgentWork:
    """The work in a reviewer's folder, to end it or to wait for it; it cannot be started by this.

    Its ``marker`` is empty when nothing was started there.
    """
    told: Any = None
    with suppress(CorruptState):
        told = read_json(folder / "request.json")
    agent, name = (str((told or {}).get(key) or "") for key in ("agent", "name"))
    return AgentWork(folder, read_marker(folder), agent, attempt, Phase.REVIEW, lambda: None,
                part=f"review-{folder.name}", event_data={"reviewer": name})  # fmt: skip


def read_marker(folder: Path) -> str:
    """The marker of what was started in a folder, empty when nobody knows it."""
    with suppress(OSError, ValueError):
        return client.read_launch(folder).marker
    return ""
