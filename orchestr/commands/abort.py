"""`abort [FEATURE[:CELL]] [--cleanup]`: stop agents, keep worktrees (rows B1-B11).

A living run is asked to stop (SIGTERM to exactly its process: pid and create_time must fit) and
waited for; agents whose run died are stopped by their supervisors. One cell alone: its agent is
stopped and the run goes on with the others.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from orchestr.cell.agent import repair, run_reviewers
from orchestr.cell.agent.run_agent import UNENDED, is_alive, reviewer, stop_running, stop_work
from orchestr.cell.context import ABORT, CellContext
from orchestr.cell.phases import cross_checks
from orchestr.cell.phases.implement import keep_quietly
from orchestr.cell.worktree.worktree_guard import end_left
from orchestr.commands.base.options import flag
from orchestr.commands.base.verb import PlainVerb
from orchestr.commands.clean import clean_cell
from orchestr.files import write_atomic
from orchestr.process.lease import LeaseRecord, read_lease
from orchestr.process.run import alive
from orchestr.run.workspace import Session, Target
from orchestr.spec.phases import Phase
from orchestr.state import attempts
from orchestr.state.events import Kind
from orchestr.state.journal import now
from orchestr.state.layout import prepare
from orchestr.state.replay import replay
from orchestr.state.states import CellState
from orchestr.supervisor import client
from orchestr.views.terminal.output import say, tell

POLL = 0.1  # s


class Abort(PlainVerb):
    """Stops what runs; a no-op when nothing does."""

    doc_purpose = "stop running agents; worktrees stay"
    doc_usage = "[FEATURE[:CELL]]"
    cmd_options = (flag("cleanup", "also remove the worktrees that hold nothing unsaved"),)

    def act(self, session: Session, params: Any, args: list[str]) -> int:
        """Stop, report each cell with a clock, count them."""
        prepare(session.layout)
        words = args or list(session.specs.features)
        count = 0
        stopped: list[CellContext] = []
        for target in session.targets(words):
            lease = read_lease(session.layout.lease(target.feature))
            if target.cell is not None:
                cells = [ctx for ctx in session.cells([target]) if _stop_cell(ctx, lease)]
            else:
                cells = _stop_feature(session, target, lease)
            stopped += cells
            count += len(cells)
        if not count:
            tell("No feature is running: there was nothing to abort.\n")
            return 0
        for ctx in stopped:
            if params["cleanup"]:
                clean_cell(ctx, forced=False)
            elif ctx.worktree.exists():
                tell(f"kept: {ctx.worktree}\n")
        noun = "cell" if count == 1 else "cells"
        tell(f"Aborted {count} {noun}. Go on with: orchestr run {words[0]}")
        tell("\n" if params["cleanup"] else f"; tidy up: orchestr clean {words[0]}\n")
        return 0


def _stop_feature(session: Session, target: Target, lease: LeaseRecord | None) -> list[CellContext]:
    """Ask the run to stop, wait for it, then end what is left of its agents."""
    cells = session.cells([target])
    live = [ctx for ctx in cells if _agent_lives(ctx)]
    moving = [c for c in cells if c.run.past.cell(c.cell.name).state in BUSY] if lease else []
    if lease is not None and alive(lease.pid, lease.create_time):
        _say(target.feature, f"stopping the run (PID {lease.pid})")
        os.kill(lease.pid, signal.SIGTERM)
        patience = time.monotonic() + 2 * session.settings.limits.grace + 10
        while alive(lease.pid, lease.create_time) and time.monotonic() < patience:
            time.sleep(POLL)
        if alive(lease.pid, lease.create_time):
            _say(target.feature, f"PID {lease.pid} did not stop; ending it")
            os.kill(lease.pid, signal.SIGKILL)
    for ctx in cells:
        newest = attempts.current(ctx.dir)
        if newest is not None and newest.is_open:
            _end(ctx)
    if cells:
        cross_checks.end_left(cells[0].run)
    lonely = [ctx for ctx in cells if _end_lonely(ctx)]
    return list(dict.fromkeys([*live, *moving, *lonely]))


BUSY = (CellState.RUNNING, CellState.WAITING)


def _stop_cell(ctx: CellContext, lease: LeaseRecord | None) -> bool:
    """Stop one cell. With a living run, the run closes the attempt; else we do."""
    newest = attempts.current(ctx.dir)
    is_open = newest is not None and newest.is_open
    if lease is None:
        if is_open:
            _end(ctx)
        return _end_lonely(ctx) or is_open
    if not is_open and not _moves(ctx):
        return False
    write_atomic(ctx.dir / ABORT, f"{now()}\n".encode())
    _say(ctx.name, f"stopping {newest.words if newest and is_open else 'what it does'}")
    patience = time.monotonic() + 2 * ctx.run.settings.limits.grace + 10
    while time.monotonic() < patience:
        current = attempts.current(ctx.dir)
        if not (current is not None and current.is_open) and not _moves(ctx):
            _say(ctx.name, "stopped")
            return True
        time.sleep(POLL)
    if newest is not None and is_open:
        folder = attempts.folder(ctx.dir, newest.number)
        client.stop_attempt(folder, marker=newest.marker(ctx.key), grace=0, now=True)
    return True


def _moves(ctx: CellContext) -> bool:
    """Whether the cell is at work by the journal: its checks run without an open attempt."""
    view = replay(ctx.run.journal.read())
    cell = view.cell(ctx.cell.name)
    return cell.state in BUSY and cell.run == view.run  # else a run that was killed left it so


def _end_lonely(ctx: CellContext) -> bool:
    """Stop what belongs to no open attempt: checks that a killed run left, and reviewers of a
    person's commits. Whether there was anything."""
    folders = [f for f in attempts.supervised(ctx.dir, 0)[1:]
               if client.state(f) in UNENDED]  # fmt: skip
    for folder in folders:
        _say(ctx.name, f"stopping review {folder.name}")
        stop_work(ctx, reviewer(folder, 0))
    checks = end_left(ctx)
    if checks:
        _say(ctx.name, "stopping its checks")
    if folders:
        run_reviewers.stopped(ctx.dir, 0)
    if folders or checks:
        phase = Phase.REVIEW if folders else Phase.CHECK
        ctx.emit(Kind.PHASE_FAILED, phase=phase, reason="aborted", aborted=True,
                 hint=f"orchestr run {ctx.name}")  # fmt: skip
        _say(ctx.name, "stopped")
    return bool(folders or checks)


def _agent_lives(ctx: CellContext) -> bool:
    newest = attempts.current(ctx.dir)
    return newest is not None and newest.is_open and is_alive(ctx.dir, newest)


def _end(ctx: CellContext) -> None:
    """No run is there: stop the supervisor, keep what it left, close the attempt."""
    newest = attempts.current(ctx.dir)
    if newest is None or not newest.is_open:
        return
    _say(ctx.name, f"stopping {newest.words}")
    phase = newest.at_work
    stop_running(ctx, newest)
    keep_quietly(ctx, newest)
    repair.stopped(ctx, newest)
    run_reviewers.stopped(ctx.dir, newest.number)
    attempts.close(ctx.dir, newest, "aborted", "orchestr abort")
    ctx.emit(Kind.ATTEMPT_CLOSED, phase=phase, attempt=newest.number,
             outcome="aborted", reason="orchestr abort")  # fmt: skip
    ctx.emit(Kind.PHASE_FAILED, phase=phase, reason="aborted", aborted=True,
             hint=f"orchestr run {ctx.name}")  # fmt: skip
    _say(ctx.name, "stopped")


def _say(who: str, what: str) -> None:
    say(f"[{time.strftime('%H:%M:%S')}] {who}: {what}")
