"""Drive one agent to its end: slot, supervisor, adoption, usage limits, stopping.

What is driven is a `Work`: an attempt's author, also when it repairs, or a reviewer.

The supervisor owns the agent; this only starts it, waits, and reads `exit.json`. Whatever is
found on disk decides what comes next, so the same call goes on after a kill at any point.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestr.agents import Verdict
from orchestr.agents.usage import Meter, tally
from orchestr.cell.agent.launch import (
    begins_at,
    go_on,
    limit_of,
    secrets_of,
    session_to_go_on,
    write_launch,
)
from orchestr.cell.budget import Spent
from orchestr.cell.context import CellContext
from orchestr.errors import CorruptState, Interrupted
from orchestr.files import read_json
from orchestr.process.file_lock import FlockLock
from orchestr.process.redaction import redact
from orchestr.process.tree import kill_marked
from orchestr.spec.phases import Phase
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.events import Kind
from orchestr.state.results import TRANSCRIPT
from orchestr.supervisor import client
from orchestr.supervisor.client import Exit, Reason, State

LOST = (
    "its supervisor was killed or could not write how it ended (a full disk); "
    "what the agent had started was ended"
)
STOPPED_BEFORE = (
    "You were stopped in the middle of your work. Go on where you stopped: your task and its rules "
    "are the same, and what you had changed is still there (`git status` shows it).\n"
)
NEVER = "never started"
UNENDED = (State.RUNNING, State.LOST)
METER = 1.0  # s between two looks at what a running agent has taken
POLL = 0.2  # s, while waiting for the end of a usage limit


@dataclass(frozen=True, slots=True)
class Work:
    """One agent to drive. ``write`` makes its prompt and `launch.json` in ``folder``.

    ``part`` names what is not the author's work in an attempt (a review): its costs count apart.
    ``told`` goes into the journal with each of its events.
    """

    folder: Path
    marker: str
    agent: str
    attempt: int
    phase: Phase
    write: Callable[[], None]
    part: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> int | str:
        """What its costs are kept under, see `CellView.costs`."""
        return f"{self.attempt}/{self.part}" if self.part else self.attempt

    def said(self, reason: str) -> str:
        """A reason with the reviewer's name before it; the author is who is meant by itself."""
        return f"reviewer {self.told.get('reviewer')}: {reason}" if self.part else reason


def author(ctx: CellContext, attempt: Attempt, phase: Phase | None = None, **told: Any) -> Work:
    """The attempt's own agent: its first work, or a repair when `go_on` came before."""
    folder = attempts.folder(ctx.dir, attempt.number)
    return Work(
        folder,
        attempt.marker(ctx.key),
        attempt.agent,
        attempt.number,
        phase or attempt.phase,
        lambda: write_launch(ctx, attempt, folder),
        told=told,
    )


def drive(ctx: CellContext, work: Work) -> Verdict:
    """Wait for the agent's end, starting it when nobody has. Returns a good verdict.

    After a usage limit the same session goes on, and so it does when it is found stopped, or
    without its supervisor: that was before this run, and now the work is wanted. Raises
    PhaseFailed with the reason, Interrupted when the run or the cell is stopped.
    """
    folder = work.folder
    while True:
        _wait_for_limit(ctx, work)
        found = client.state(folder)
        if found is State.LOST:
            kill_marked(work.marker)
            _emit(ctx, Kind.ATTEMPT_ADOPTED, work, state=str(found))
            go_on(folder, _session(ctx, work), STOPPED_BEFORE)
        with ExitStack() as slot:
            end = _one_process(ctx, work, slot)
            if end is None:
                continue
            verdict = _judge(ctx, work, end)
            _note_exit(ctx, work, end, verdict)
            if verdict.limited:  # before the slot is free: the next one must see the pause
                _note_limit(ctx, work, verdict)
        if end.reason is Reason.STOPPED:
            if end.detail == LOST:
                raise ctx.fail(work.said(LOST), hint=f"orchestr run {ctx.name}")
            ctx.check_cancelled()
            ctx.check_budget(work.key)
            if found is State.EXITED:
                go_on(folder, verdict.session_id, STOPPED_BEFORE)
                continue
            raise Interrupted(f"{ctx.name}: aborted", hint=f"orchestr run {ctx.name}")
        if verdict.limited:
            continue
        if verdict.session_lost and session_to_go_on(folder) is not None:
            go_on(folder, None)  # nothing was done: the whole prompt again
        elif verdict.ok:
            ctx.pause_of(work.agent).clear()
            return verdict
        else:
            if "budget" in verdict.reason:  # claude keeps to ours itself: then our figure is told
                ctx.check_budget(work.key)
            logs = f"read {folder / TRANSCRIPT}" if work.part else f"orchestr logs {ctx.name}"
            raise ctx.fail(work.said(verdict.reason), hint=logs)


def _one_process(ctx: CellContext, work: Work, stack: ExitStack) -> Exit | None:
    """One process of the agent, from its start or from where it is, to its `exit.json`.

    Where there is none, because we or somebody ended the supervisor, it counts as stopped. The
    slot it takes is held by ``stack``. None: its provider was paused while it waited for one.
    """
    child, folder = None, work.folder
    state = client.state(folder)
    if state is State.NEVER_STARTED:
        pool = ctx.run.pool("agents")
        slot = stack.enter_context(pool.slot(ctx.priority, ctx.cancelled))
        ctx.check_cancelled()
        ctx.check_budget(work.key)
        ctx.check_room()
        if ctx.pause_of(work.agent).until() > 0:
            return None
        work.write()
        child = client.start(folder, hold=slot)
        _emit(ctx, Kind.ATTEMPT_STARTED, work, pid=child.pid, agent=work.agent)
    else:
        _emit(ctx, Kind.ATTEMPT_ADOPTED, work, state=str(state))
    stop = _Stop(ctx, work)
    end = client.wait(folder, child=child, stop=stop)
    if end is not None:
        return end
    marker = work.marker
    if not stop.is_set():
        kill_marked(marker)
        return Exit(None, None, Reason.STOPPED, LOST)
    grace, now = ctx.run.settings.limits.grace, ctx.run.kill.is_set()
    end = client.stop_attempt(folder, marker=marker, grace=grace, now=now, child=child)
    # If it had ended by itself before the stop came, its work is kept, not paid again.
    return end or Exit(None, None, Reason.STOPPED)


class _Stop(threading.Event):
    """What `supervisor.wait` looks at: the run's stop, this cell's alone, a reached budget."""

    def __init__(self, ctx: CellContext, work: Work) -> None:
        super().__init__()
        self._ctx = ctx
        self._work = work
        self._looked = 0.0
        self._meter: Meter | None = None
        if ctx.run.budget.asked:
            agent = ctx.run.agent(work.agent)
            since, transcript = begins_at(work.folder), work.folder / TRANSCRIPT
            self._meter = Meter(transcript, agent.parse, since=since, prices=agent.prices)

    def is_set(self) -> bool:
        return self._ctx.cancelled() or self._over()

    def wait(self, timeout: float | None = None) -> bool:
        """As `threading.Event.wait`, seeing a cell's own abort at the latest afterwards."""
        return self._ctx.run.stop.wait(timeout) or self.is_set()

    def _over(self) -> bool:
        """Read on what the agent has taken, and whether any budget is reached by now."""
        if self._meter is None:
            return False
        budget, name = self._ctx.run.budget, self._ctx.cell.name
        if time.monotonic() - self._looked >= METER:
            self._looked = time.monotonic()
            sums = self._meter.look()
            taken = Spent(sums.known_usd, sums.total.input + sums.total.output)
            budget.note(name, self._work.key, taken)
        return budget.reached(name, self._work.key) is not None


def _session(ctx: CellContext, work: Work) -> str | None:
    """The session of the work by its transcript, for one whose end nobody saw."""
    return tally(work.folder / TRANSCRIPT, ctx.run.agent(work.agent).parse).session_id


def _emit(ctx: CellContext, kind: Kind, work: Work, **data: Any) -> None:
    """Journal an event of the work; ``part`` is there for what is not the author's."""
    more = {"part": work.part} if work.part else {}
    told = {**work.told, **more, **data}
    ctx.run.emit(kind, cell=ctx.cell.name, phase=work.phase, attempt=work.attempt, **told)


def _note_exit(ctx: CellContext, work: Work, end: Exit, verdict: Verdict) -> None:
    """Journal how a start ended and what the attempt took: the ledger."""
    used = verdict.tokens
    tokens = None if used is None else [used.input, used.cached, used.output]
    _emit(ctx, Kind.ATTEMPT_EXITED, work, code=end.code, signal=end.signal, reason=end.reason,
          seconds=end.seconds, killed=end.killed, cost_usd=verdict.cost_usd,
          cost_known_usd=verdict.cost_known_usd, tokens=tokens,
          session=verdict.session_id)  # fmt: skip
    taken = Spent(verdict.cost_known_usd, 0 if used is None else used.input + used.output)
    ctx.run.budget.note(ctx.cell.name, work.key, taken)


def _judge(ctx: CellContext, work: Work, end: Exit) -> Verdict:
    """What the end means: the adapter's reading of the stream, our own stops before it."""
    folder = work.folder
    verdict = ctx.run.agent(work.agent).judge(end, folder / TRANSCRIPT, begins_at(folder))
    # What a provider says of a refused key may hold the key.
    verdict = replace(verdict, reason=redact(verdict.reason, secrets_of(folder)))
    match end.reason:
        case Reason.STOPPED:
            why = "stopped"
        case Reason.TIMEOUT:
            why = f"timed out after {limit_of(folder, 'timeout'):g} s; its output is kept"
        case Reason.IDLE:
            why = f"said nothing for {limit_of(folder, 'idle_timeout'):g} s and was stopped"
        case Reason.SPAWN_FAILED:
            why = f"could not be started: {end.detail}"
        case _:
            return verdict
    return replace(verdict, ok=False, limited=False, session_lost=False, reason=why)


def _note_limit(ctx: CellContext, work: Work, verdict: Verdict) -> None:
    """Pause the agent's pool; the attempt goes on with the same session afterwards."""
    refusal = f"{work.marker}/{len(list(work.folder.glob('exit.*.json'))) + 1}"
    until = verdict.limited_until
    if until is not None and until <= time.time():
        until = None  # a reset that is over already, and refused all the same
    until = ctx.pause_of(work.agent).extend(until, refusal=refusal)
    ctx.run.waits[f"{ctx.cell.name}/{work.part}"] = until
    _emit(ctx, Kind.ATTEMPT_LIMITED, work, until=until, wait_s=round(until - time.time(), 1),
          agent=work.agent)  # fmt: skip
    go_on(work.folder, verdict.session_id)


def _wait_for_limit(ctx: CellContext, work: Work) -> None:
    """Hold no slot while the provider says "not now"; an agent at work is not waited for.

    Where another cell was refused, this one is shown as waiting, too.
    """
    pause, who = ctx.pause_of(work.agent), f"{ctx.cell.name}/{work.part}"
    until, told = pause.until(), ctx.run.waits.get(who)
    if until > 0 and until != told and client.state(work.folder) is State.NEVER_STARTED:
        ctx.run.waits[who] = until
        provider = ctx.run.settings.agents[work.agent].pool
        _emit(ctx, Kind.ATTEMPT_LIMITED, work, until=until, wait_s=round(until - time.time(), 1),
              agent=work.agent, reason=f"usage limit of {provider}")  # fmt: skip
    while pause.until() > 0 and client.state(work.folder) is State.NEVER_STARTED:
        ctx.check_cancelled()
        ctx.run.stop.wait(min(POLL, max(0.01, pause.until() - time.time())))


def settle_lost(ctx: CellContext, attempt: Attempt) -> str | None:
    """For an open attempt found at the start: why it cannot go on, else None.

    Its supervisor vanished without `exit.json`: everything that carries the attempt's marker
    is killed before anything else starts in its worktree.
    """
    folder = attempts.folder(ctx.dir, attempt.number)
    if client.state(folder) is not State.LOST:
        return None
    kill_marked(attempt.marker(ctx.key))
    return LOST


def stop_unrecorded(ctx: CellContext) -> None:
    """End agents whose `attempt.toml` is gone or could not be read: nobody can go on with them,
    and nothing may work beside the next attempt."""
    for number in (*attempts.numbers(ctx.dir), *attempts.plans(ctx.dir)):
        folder = attempts.folder(ctx.dir, number)
        if attempts.read(ctx.dir, number) is None and client.state(folder) in UNENDED:
            grace = ctx.run.settings.limits.grace
            client.stop_attempt(folder, marker=_marker_in(folder), grace=grace)


def stop_running(ctx: CellContext, attempt: Attempt) -> None:
    """End the agents of an attempt that must not go on, if they live; keeps what they wrote."""
    stop_work(ctx, author(ctx, attempt))
    for folder in attempts.supervised(ctx.dir, attempt.number)[1:]:
        stop_work(ctx, reviewer(folder, attempt.number))


def stop_work(ctx: CellContext, work: Work) -> None:
    """End an agent that must not go on, if it lives. What it took is journalled all the same."""
    if client.state(work.folder) is not State.EXITED:
        _bar(work.folder)
        grace = ctx.run.settings.limits.grace
        end = client.stop_attempt(work.folder, marker=work.marker, grace=grace)
        end = end or Exit(None, None, Reason.STOPPED, LOST)
        if end.detail != NEVER and work.agent in ctx.run.settings.agents:
            _note_exit(ctx, work, end, _judge(ctx, work, end))
    if work.marker:
        kill_marked(work.marker)


def reviewer(folder: Path, attempt: int) -> Work:
    """The work in a reviewer's folder, to end it or to wait for it; it cannot be started by this.

    Its ``marker`` is empty when nothing was started there.
    """
    told: Any = None
    with suppress(CorruptState):
        told = read_json(folder / "request.json")
    agent, name = (str((told or {}).get(key) or "") for key in ("agent", "name"))
    return Work(folder, _marker_in(folder), agent, attempt, Phase.REVIEW, lambda: None,
                part=f"review-{folder.name}", told={"reviewer": name})  # fmt: skip


def _marker_in(folder: Path) -> str:
    """The marker of what was started in a folder, empty when nobody knows it."""
    with suppress(OSError, ValueError):
        return client.read_launch(folder).marker
    return ""


def _bar(folder: Path) -> None:
    """A supervisor that was spawned but has not locked its attempt yet must find it ended."""
    lock = FlockLock(folder / client.LOCK)
    if lock.try_acquire():
        try:
            if client.read_exit(folder) is None:
                stopped = client.Exit(None, None, client.Reason.STOPPED, NEVER)
                stopped.write(folder)
        finally:
            lock.release()


def is_alive(cell_dir: Path, attempt: Attempt) -> bool:
    """Whether an agent of an attempt works right now: its author, or a reviewer."""
    folders = attempts.supervised(cell_dir, attempt.number)
    return any(client.state(folder) is State.RUNNING for folder in folders)
