"""Drive one agent to its end: slot, supervisor, adoption, usage limits, stopping.

What is driven is a `AgentWork`: an attempt's author, also when it repairs, or a reviewer.

The supervisor owns the agent; this only starts it, waits, and reads `exit.json`. Whatever is
found on disk decides what comes next, so the same call goes on after a kill at any point.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestr.agents import AgentVerdict
from orchestr.agents.usage import UsageMeter, tally_transcript
from orchestr.cell.agent.after_sandbox import raise_if_wall_broke, report_refused_hosts
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
from orchestr.cell.agent_options import attempt_options
from orchestr.cell.budget import Spending
from orchestr.cell.context import CellContext
from orchestr.cell.seal_results import close_seals
from orchestr.cell.worktree.person_changes import hand_over_worktree, record_left
from orchestr.errors import CorruptState, Interrupted, OrchestrError
from orchestr.files import read_file, read_json
from orchestr.git.worktrees import delete_tree
from orchestr.process.redaction import redact
from orchestr.spec.agent_options import AgentOptions
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
POLL = 0.2  # s, while waiting for the end of a usage limit


@dataclass(frozen=True, slots=True)
class AgentWork:
    """One agent to drive. ``write`` makes its prompt and `launch.json` in ``folder`` right before a
    start; ``leave`` writes down what it leaves when it is to start again later.

    ``part`` names what is not the author's work in an attempt (a review): its costs count apart.
    ``told`` goes into the journal with each of its events, ``options`` with its starts.
    """

    folder: Path
    marker: str
    agent: str
    attempt: int
    phase: str
    write: Callable[[], None]
    part: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)
    options: Callable[[], AgentOptions] = AgentOptions
    leave: Callable[[], None] = lambda: None

    @property
    def cost_key(self) -> int | str:
        """What its costs are kept under, see `CellView.costs`."""
        return f"{self.attempt}/{self.part}" if self.part else self.attempt

    def attribute_reason(self, reason: str) -> str:
        """The reason with the reviewer's name before it; an author's reason stays as it is."""
        return f"reviewer {self.told.get('reviewer')}: {reason}" if self.part else reason


def author_work(
    ctx: CellContext, attempt: Attempt, phase: str | None = None, **told: Any
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
        told=told,
        options=lambda: attempt_options(ctx, attempt),
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
        _wait_for_limit(ctx, work)
        found = client.read_attempt_state(folder)
        if found is AttemptState.LOST:
            client.end_leftovers(folder, work.marker)
            _emit_work_event(ctx, EventKind.ATTEMPT_ADOPTED, work, state=str(found))
            prepare_next_start(folder, _transcript_session(ctx, work), STOPPED_BEFORE)
        with ExitStack() as slot:
            end = _run_or_adopt_process(ctx, work, slot)
            if end is None:
                continue
            verdict = judge_exit(ctx, work, end)
            journal_exit(ctx, work, end, verdict)
            raise_if_wall_broke(ctx, folder, end)
            report_refused_hosts(ctx, folder, work.phase, work.attempt)
            with suppress(OrchestrError):  # what is left of it is named by `orchestr doctor`
                delete_tree(folder / "tmp")
            if verdict.limited:  # before the slot is free: the next one must see the pause
                work.leave()
                _pause_for_limit(ctx, work, verdict)
        if end.reason is ExitReason.STOPPED:
            if end.detail == LOST:
                raise ctx.fail(work.attribute_reason(LOST), hint=f"orchestr run {ctx.name}")
            ctx.check_cancelled()
            ctx.check_budget(work.cost_key)
            if found is AttemptState.EXITED:
                prepare_next_start(folder, verdict.session_id, STOPPED_BEFORE)
                continue
            raise Interrupted("aborted", hint=f"orchestr run {ctx.name}", cell=ctx.name)
        if verdict.limited:
            continue
        if verdict.session_lost and session_to_resume(folder) is not None:
            work.leave()
            prepare_next_start(folder, None)  # nothing was done: the whole prompt again
        elif verdict.ok:
            ctx.provider_pause(work.agent).reset_backoff()
            return verdict
        else:
            if "budget" in verdict.reason:  # claude keeps to ours itself: then our figure is told
                ctx.check_budget(work.cost_key)
            logs = f"read {folder / TRANSCRIPT}" if work.part else f"orchestr logs {ctx.name}"
            lacks = explain_missing_variables(folder, work.agent)
            reason = f"{verdict.reason}; {lacks}" if lacks else verdict.reason
            raise ctx.fail(work.attribute_reason(reason), hint=logs)


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
        _emit_work_event(ctx, EventKind.ATTEMPT_STARTED, work, pid=child.pid, agent=work.agent,
                         version=ctx.run.agent_adapter(work.agent).program_version(),
                         prompt=digest_prompt(folder), **_name_options(work))  # fmt: skip
    else:
        _emit_work_event(ctx, EventKind.ATTEMPT_ADOPTED, work, state=str(state))
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
            self._meter = UsageMeter(transcript, agent.parse_line, since=since, prices=agent.prices)

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


def _emit_work_event(ctx: CellContext, kind: EventKind, work: AgentWork, **data: Any) -> None:
    """Journal an event of the work; ``part`` is there for what is not the author's."""
    more = {"part": work.part} if work.part else {}
    told = {**work.told, **more, **data}
    ctx.run.emit(kind, cell=ctx.cell.name, phase=work.phase, attempt=work.attempt, **told)


def journal_exit(ctx: CellContext, work: AgentWork, end: ExitRecord, verdict: AgentVerdict) -> None:
    """Journal how a start ended and what the attempt took: the ledger."""
    used = verdict.tokens
    tokens = None if used is None else [used.input, used.cached, used.output]
    _emit_work_event(
        ctx,
        EventKind.ATTEMPT_EXITED,
        work,
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
        case ExitReason.IDLE:
            why = f"said nothing for {read_time_limit(folder, 'idle_timeout'):g} s and was stopped"
        case ExitReason.RESOURCES:
            why = f"{end.detail}, and was stopped"
        case ExitReason.SPAWN_FAILED:
            why = f"could not be started: {end.detail}"
        case _:
            return verdict
    return replace(verdict, ok=False, limited=False, session_lost=False, reason=why)


def _pause_for_limit(ctx: CellContext, work: AgentWork, verdict: AgentVerdict) -> None:
    """Pause the agent's pool; the attempt goes on with the same session afterwards."""
    refusal = f"{work.marker}/{len(list(work.folder.glob('exit.*.json'))) + 1}"
    until = verdict.limited_until
    if until is not None and until <= time.time():
        until = None  # a reset that is over already, and refused all the same
    until = ctx.provider_pause(work.agent).extend(until, refusal=refusal)
    ctx.run.waits[f"{ctx.cell.name}/{work.part}"] = until
    _emit_work_event(
        ctx,
        EventKind.ATTEMPT_LIMITED,
        work,
        until=until,
        wait_s=round(until - time.time(), 1),
        agent=work.agent,
    )
    prepare_next_start(work.folder, verdict.session_id)


def _wait_for_limit(ctx: CellContext, work: AgentWork) -> None:
    """Hold no slot while the provider says "not now"; an agent at work is not waited for.

    Where another cell was refused, this one is shown as waiting, too.
    """
    pause, who = ctx.provider_pause(work.agent), f"{ctx.cell.name}/{work.part}"
    until, told = pause.paused_until(), ctx.run.waits.get(who)
    if (
        until > 0
        and until != told
        and client.read_attempt_state(work.folder) is AttemptState.NEVER_STARTED
    ):
        ctx.run.waits[who] = until
        provider = ctx.run.settings.agents[work.agent].limit_pool
        _emit_work_event(
            ctx,
            EventKind.ATTEMPT_LIMITED,
            work,
            until=until,
            wait_s=round(until - time.time(), 1),
            agent=work.agent,
            reason=f"usage limit of {provider}",
        )
    while (
        pause.paused_until() > 0
        and client.read_attempt_state(work.folder) is AttemptState.NEVER_STARTED
    ):
        ctx.check_cancelled()
        ctx.run.stop.wait(min(POLL, max(0.01, pause.paused_until() - time.time())))


def reviewer_work(folder: Path, attempt: int) -> AgentWork:
    """The work in a reviewer's folder, to end it or to wait for it; it cannot be started by this.

    Its ``marker`` is empty when nothing was started there.
    """
    told: Any = None
    with suppress(CorruptState):
        told = read_json(folder / "request.json")
    agent, name = (str((told or {}).get(key) or "") for key in ("agent", "name"))
    return AgentWork(folder, read_marker(folder), agent, attempt, Phase.REVIEW, lambda: None,
                part=f"review-{folder.name}", told={"reviewer": name})  # fmt: skip


def read_marker(folder: Path) -> str:
    """The marker of what was started in a folder, empty when nobody knows it."""
    with suppress(OSError, ValueError):
        return client.read_launch(folder).marker
    return ""
