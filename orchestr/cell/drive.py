"""Drive one attempt's agent to its end: slot, supervisor, adoption, usage limits, stopping.

The supervisor owns the agent; this only starts it, waits, and reads `exit.json`. Whatever is
found on disk decides what comes next, so the same call goes on after a kill at any point.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from orchestr import supervisor
from orchestr.agents import Request, Verdict
from orchestr.cell import attempt as attempts
from orchestr.cell.attempt import Attempt
from orchestr.cell.context import CellContext
from orchestr.cell.prompt import build as build_prompt
from orchestr.cell.prompt import variables
from orchestr.cell.records import TRANSCRIPT
from orchestr.cell.worktree import ensure_upstreams
from orchestr.errors import Interrupted
from orchestr.events import Kind
from orchestr.files import write_atomic
from orchestr.gitenv import agent_git_env
from orchestr.locks import FlockLock
from orchestr.proctree import kill_marked
from orchestr.spec.records import Phase
from orchestr.supervisor import Exit, State

LOST = (
    "its supervisor was killed or could not write how it ended (a full disk); "
    "what the agent had started was ended"
)
UNENDED = (State.RUNNING, State.LOST)
POLL = 0.2  # s, while waiting for the end of a usage limit


def drive(ctx: CellContext, attempt: Attempt) -> Verdict:
    """Wait for the agent's end, starting it when nobody has. Returns a good verdict.

    Raises PhaseFailed with the reason, Interrupted when the run or the cell is stopped.
    """
    folder = attempts.folder(ctx.dir, attempt.number)
    while True:
        _wait_for_limit(ctx, attempt)
        end = _one_process(ctx, attempt, folder)
        verdict = _judge(ctx, attempt, folder, end)
        ctx.emit(Kind.ATTEMPT_EXITED, phase=Phase.IMPLEMENT, attempt=attempt.number,
                 code=end.code, signal=end.signal, reason=end.reason, seconds=end.seconds,
                 killed=end.killed, cost_usd=verdict.cost_usd)  # fmt: skip
        if not verdict.limited:
            if verdict.ok:
                ctx.pause.clear()
                return verdict
            raise ctx.fail(verdict.reason, hint=f"orchestr logs {ctx.name}")
        _note_limit(ctx, attempt, folder, verdict)


def _one_process(ctx: CellContext, attempt: Attempt, folder: Path) -> Exit:
    """One process of the agent, from its start or from where it is, to its `exit.json`."""
    with ExitStack() as stack:
        child = None
        state = supervisor.state(folder)
        if state is State.NEVER_STARTED:
            pool = ctx.run.pool("agents")
            slot = stack.enter_context(pool.slot(ctx.priority, ctx.cancelled))
            ctx.check_cancelled()
            _write_launch(ctx, attempt, folder)
            child = supervisor.start(folder, hold=slot)
            ctx.emit(Kind.ATTEMPT_STARTED, phase=Phase.IMPLEMENT, attempt=attempt.number,
                     pid=child.pid, agent=attempt.agent)  # fmt: skip
        else:
            ctx.emit(Kind.ATTEMPT_ADOPTED, phase=Phase.IMPLEMENT, attempt=attempt.number,
                     state=str(state))  # fmt: skip
        end = supervisor.wait(folder, child=child, stop=_Stop(ctx))
        if end is None and ctx.cancelled():
            marker = attempt.marker(ctx.key)
            grace = ctx.run.settings.limits.grace
            end = supervisor.stop_attempt(folder, marker=marker, grace=grace,
                                          now=ctx.run.kill.is_set())  # fmt: skip
            if end is None or end.reason is supervisor.Reason.STOPPED:
                ctx.check_cancelled()
                raise Interrupted(f"{ctx.name}: stopped")
            # It had ended by itself before the stop came: its work is kept, not paid again.
        elif end is None:
            kill_marked(attempt.marker(ctx.key))
            raise ctx.fail(LOST, hint=f"orchestr run {ctx.name}")
        return end


class _Stop(threading.Event):
    """What `supervisor.wait` looks at: the run's stop, or this cell's alone."""

    def __init__(self, ctx: CellContext) -> None:
        super().__init__()
        self._ctx = ctx

    def is_set(self) -> bool:
        return self._ctx.cancelled()

    def wait(self, timeout: float | None = None) -> bool:
        """As `threading.Event.wait`, seeing a cell's own abort at the latest afterwards."""
        return self._ctx.run.stop.wait(timeout) or self._ctx.cancelled()


def _write_launch(ctx: CellContext, attempt: Attempt, folder: Path) -> None:
    """`prompt.md` and `launch.json`: all that the supervisor is told."""
    ensure_upstreams(ctx)
    notes_file = folder / "notes.txt"
    notes = notes_file.read_text(encoding="utf-8") if notes_file.exists() else ""
    prompt = folder / "prompt.md"
    write_atomic(prompt, build_prompt(ctx, attempt, notes).encode())
    marker = attempt.marker(ctx.key)
    names = variables(ctx, attempt, prompt)
    launch = ctx.run.agent(attempt.agent).launch(
        Request(ctx.worktree, prompt, names, attempt.model or None)
    )
    git = agent_git_env(
        ctx.repo, ctx.worktree, ctx.run.layout.excludes, patterns=ctx.linked_patterns
    )
    # The user's login at the forge lies in gh's config: an agent's gh finds an empty folder.
    no_gh = str(ctx.run.layout.state / "no-gh")
    limits = ctx.run.settings.limits
    supervisor.Launch(
        argv=launch.argv,
        cwd=str(ctx.worktree),
        env={"GH_CONFIG_DIR": no_gh, **launch.env, **git, "ORCHESTR_ATTEMPT_ID": marker},
        marker=marker,
        stdin=str(launch.stdin) if launch.stdin else None,
        format=launch.format,
        timeout=ctx.timeout,
        idle_timeout=ctx.cell.idle_timeout or limits.idle_timeout,
        after_result=limits.after_result,
        grace=limits.grace,
    ).write(folder)


def _judge(ctx: CellContext, attempt: Attempt, folder: Path, end: Exit) -> Verdict:
    """What the end means: our own stops first, then the adapter's reading of the stream."""
    match end.reason:
        case "stopped":
            raise Interrupted(f"{ctx.name}: aborted", hint=f"orchestr run {ctx.name}")
        case "timeout":
            return Verdict(False, f"timed out after {ctx.timeout:g} s; its output is kept")
        case "idle":
            limit = ctx.cell.idle_timeout or ctx.run.settings.limits.idle_timeout
            return Verdict(False, f"said nothing for {limit:g} s and was stopped")
        case "spawn_failed":
            return Verdict(False, f"could not be started: {end.detail}")
        case _:
            return ctx.run.agent(attempt.agent).judge(end, folder / TRANSCRIPT)


def _note_limit(ctx: CellContext, attempt: Attempt, folder: Path, verdict: Verdict) -> None:
    """Pause the agent's pool, and put `exit.json` aside so that the attempt can go on."""
    number = len(list(folder.glob("exit.*.json"))) + 1
    refusal = f"{attempt.marker(ctx.key)}/{number}"
    until = ctx.pause.extend(verdict.limited_until, refusal=refusal)
    ctx.emit(Kind.ATTEMPT_LIMITED, phase=Phase.IMPLEMENT, attempt=attempt.number,
             until=until, wait_s=round(until - time.time(), 1), agent=attempt.agent)  # fmt: skip
    (folder / "supervisor.json").unlink(missing_ok=True)
    (folder / "exit.json").rename(folder / f"exit.{number}.json")


def _wait_for_limit(ctx: CellContext, attempt: Attempt) -> None:
    """Hold no slot while the provider says "not now"; an agent at work is not waited for."""
    folder = attempts.folder(ctx.dir, attempt.number)
    while ctx.pause.until() > 0 and supervisor.state(folder) is State.NEVER_STARTED:
        ctx.check_cancelled()
        ctx.run.stop.wait(min(POLL, max(0.01, ctx.pause.until() - time.time())))


def settle_lost(ctx: CellContext, attempt: Attempt) -> str | None:
    """For an open attempt found at the start: why it cannot go on, else None.

    Its supervisor vanished without `exit.json`: everything that carries the attempt's marker
    is killed before anything else starts in its worktree.
    """
    folder = attempts.folder(ctx.dir, attempt.number)
    if supervisor.state(folder) is not State.LOST:
        return None
    kill_marked(attempt.marker(ctx.key))
    return LOST


def stop_unrecorded(ctx: CellContext) -> None:
    """End agents whose `attempt.toml` is gone or could not be read: nobody can go on with them,
    and nothing may work beside the next attempt."""
    for number in attempts.numbers(ctx.dir):
        folder = attempts.folder(ctx.dir, number)
        if attempts.read(ctx.dir, number) is None and supervisor.state(folder) in UNENDED:
            marker = ""
            with suppress(OSError, ValueError):
                marker = supervisor.read_launch(folder).marker
            grace = ctx.run.settings.limits.grace
            supervisor.stop_attempt(folder, marker=marker, grace=grace)


def stop_running(ctx: CellContext, attempt: Attempt) -> None:
    """End an agent that must not go on, if it lives; keeps what it wrote."""
    folder = attempts.folder(ctx.dir, attempt.number)
    marker = attempt.marker(ctx.key)
    if supervisor.state(folder) is not State.EXITED:
        grace = ctx.run.settings.limits.grace
        _bar(folder)
        supervisor.stop_attempt(folder, marker=marker, grace=grace)
    kill_marked(marker)


def _bar(folder: Path) -> None:
    """A supervisor that was spawned but has not locked its attempt yet must find it ended."""
    lock = FlockLock(folder / supervisor.LOCK)
    if lock.try_acquire():
        try:
            if supervisor.read_exit(folder) is None:
                stopped = supervisor.Exit(None, None, supervisor.Reason.STOPPED, "never started")
                stopped.write(folder)
        finally:
            lock.release()


def is_alive(cell_dir: Path, attempt: Attempt) -> bool:
    """Whether an attempt's agent works right now."""
    return supervisor.state(attempts.folder(cell_dir, attempt.number)) is State.RUNNING
