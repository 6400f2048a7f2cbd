"""`abort [FEATURE[:CELL]] [--cleanup]`: stop agents, keep worktrees.

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
from orchestr.cell.agent.attempt import try_salvage
from orchestr.cell.agent.run_agent import UNENDED, reviewer_work
from orchestr.cell.agent.stop_agent import has_running_agent, stop_agent, stop_attempt_agents
from orchestr.cell.candidate import with_candidates
from orchestr.cell.context import ABORT, CellContext
from orchestr.cell.phases import cross_checks
from orchestr.cell.worktree.branch_tip import find_branch_tip
from orchestr.cell.worktree.worktree_guard import kill_leftover_checks
from orchestr.commands.base.options import flag_option
from orchestr.commands.base.verb import PlainVerb
from orchestr.commands.clean import clean_cell
from orchestr.files import write_atomic
from orchestr.process.lease import LeaseRecord, read_lease
from orchestr.process.run import is_process_alive
from orchestr.run.workspace import Session, Target
from orchestr.spec.phases import Phase
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind
from orchestr.state.journal import utc_timestamp
from orchestr.state.layout import create_state_dirs
from orchestr.state.replay import replay
from orchestr.state.states import CellState
from orchestr.supervisor import client
from orchestr.views.model import word_for_now
from orchestr.views.terminal.output import print_stderr, write_stdout

POLL = 0.1  # s


class Abort(PlainVerb):
    """Stops what runs; a no-op when nothing does."""

    doc_purpose = "stop running agents; worktrees stay"
    doc_usage = "[FEATURE[:CELL]]"
    help_group = "build"
    examples = (
        ("abort mlkem:java-sdk", "stop one agent; the run goes on"),
        ("abort mlkem", "stop the whole run; worktrees stay"),
    )
    cmd_options = (flag_option("cleanup", "also remove the worktrees that hold nothing unsaved"),)

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Stop, report each cell with a clock, count them."""
        create_state_dirs(session.layout)
        words = args or list(session.specs.features)
        count = 0
        stopped: list[CellContext] = []
        commands: dict[str, str] = {}  # feature -> the command that was at work on it
        for target in session.parse_targets(words):
            lease = read_lease(session.layout.lease_file(target.feature))
            if target.cell is not None:
                cells = [ctx for ctx in session.select_cells([target]) if _stop_cell(ctx, lease)]
            else:
                if lease is not None and is_process_alive(lease.pid, lease.create_time):
                    commands[target.feature] = lease.command
                cells = _stop_feature(session, target, lease)
            stopped += cells
            count += len(cells)
        for feature, command in commands.items():
            if not any(ctx.run.feature.name == feature for ctx in stopped):
                write_stdout(f"Stopped `{command}` ({feature}); the same command goes on.\n")
        if not count and commands:
            return 0
        if not count:
            write_stdout("No feature is running: there was nothing to abort.\n")
            return 0
        for ctx in stopped:
            if params["cleanup"] and ctx.cell in ctx.run.feature.cells:
                clean_cell(ctx)
            elif ctx.worktree.exists():
                write_stdout(f"kept: {ctx.worktree}\n")
        noun = "cell" if count == 1 else "cells"
        alive = any(
            read_lease(session.layout.lease_file(ctx.run.feature.name)) is not None
            for ctx in stopped
        )
        again = word_for_now(f"orchestr run {words[0]}", alive=alive)
        write_stdout(f"Aborted {count} {noun}. Go on with: {again}")
        write_stdout("\n" if params["cleanup"] else f"; tidy up: orchestr clean {words[0]}\n")
        return 0


def _stop_feature(session: Session, target: Target, lease: LeaseRecord | None) -> list[CellContext]:
    """Ask the run to stop, wait for it, then end what is left of its agents."""
    cells = session.select_cells([target])
    live = [ctx for ctx in cells if _is_agent_alive(ctx)]
    moving = [c for c in cells if c.run.past.cell(c.cell.name).state in BUSY] if lease else []
    if lease is not None and is_process_alive(lease.pid, lease.create_time):
        _print_progress(target.feature, f"stopping `{lease.command}` (PID {lease.pid})")
        os.kill(lease.pid, signal.SIGTERM)
        patience = time.monotonic() + 2 * session.settings.limits.grace + 10
        while is_process_alive(lease.pid, lease.create_time) and time.monotonic() < patience:
            time.sleep(POLL)
        if is_process_alive(lease.pid, lease.create_time):
            _print_progress(target.feature, f"PID {lease.pid} did not stop; ending it")
            os.kill(lease.pid, signal.SIGKILL)
    for ctx in cells:
        _abort_attempts(ctx)
    if cells:
        cross_checks.kill_leftover_cross_checks(cells[0].run)
    lonely = [ctx for ctx in cells if _stop_orphans(ctx)]
    if cells and cells[0].run.feature.auditors:
        from orchestr.audit.auditors import AuditContext

        auditors = AuditContext(cells[0].run)
        lonely += [auditors] if _stop_orphans(auditors) else []
    return list(dict.fromkeys([*live, *moving, *lonely]))


BUSY = (CellState.RUNNING, CellState.WAITING)


def _stop_cell(ctx: CellContext, lease: LeaseRecord | None) -> bool:
    """Stop one cell. With a living run, the run closes the attempt; else we do."""
    opened = _list_open(ctx)
    if lease is None:
        _abort_attempts(ctx)
        return _stop_orphans(ctx) or bool(opened)
    if not opened and not _is_at_work(ctx):
        return False
    write_atomic(ctx.dir / ABORT, f"{utc_timestamp()}\n".encode())
    named = " and ".join(one.label for _, one in opened)
    _print_progress(ctx.name, f"stopping {named or 'what it does'}")
    patience = time.monotonic() + 2 * ctx.run.settings.limits.grace + 10
    while time.monotonic() < patience:
        if not _list_open(ctx) and not _is_at_work(ctx):
            _print_progress(ctx.name, "stopped")
            return True
        time.sleep(POLL)
    for one, newest in opened:
        folder = attempts.attempt_folder(one.dir, newest.number)
        client.stop_attempt(folder, marker=newest.process_marker(one.key), grace=0, now=True)
    return True


def _list_open(ctx: CellContext) -> list[tuple[CellContext, Attempt]]:
    """The open attempts of a cell and of its candidates, each with what it works in."""
    found = ((one, attempts.current_attempt(one.dir)) for one in with_candidates(ctx))
    return [(one, newest) for one, newest in found if newest is not None and newest.is_open]


def _abort_attempts(ctx: CellContext) -> None:
    for one, _ in _list_open(ctx):
        _abort_attempt(one)


def _is_at_work(ctx: CellContext) -> bool:
    """Whether the cell is at work by the journal: its checks run without an open attempt."""
    view = replay(ctx.run.journal.read())
    cell = view.cell(ctx.cell.name)
    return cell.state in BUSY and cell.run == view.run  # else a run that was killed left it so


def _stop_orphans(ctx: CellContext) -> bool:
    """Stop what belongs to no open attempt: checks that a killed run left, and reviewers of a
    person's commits. Whether there was anything."""
    folders = [f for f in attempts.agent_folders(ctx.dir, 0)[1:]
               if client.read_attempt_state(f) in UNENDED]  # fmt: skip
    for folder in folders:
        _print_progress(ctx.name, f"stopping review {folder.name}")
        stop_agent(ctx, reviewer_work(folder, 0))
    checks = sum(kill_leftover_checks(one) for one in with_candidates(ctx))
    if checks:
        _print_progress(ctx.name, "stopping its checks")
    if folders:
        run_reviewers.mark_reviewers_stopped(ctx.dir, 0)
    if folders or checks:
        phase = Phase.REVIEW if folders else Phase.CHECK
        ctx.emit(EventKind.PHASE_FAILED, phase=phase, reason="aborted", aborted=True,
                 hint=f"orchestr run {ctx.name}")  # fmt: skip
        _print_progress(ctx.name, "stopped")
    return bool(folders or checks)


def _is_agent_alive(ctx: CellContext) -> bool:
    return any(has_running_agent(one.dir, newest) for one, newest in _list_open(ctx))


def _abort_attempt(ctx: CellContext) -> None:
    """No run is there: stop the supervisor, keep what it left, close the attempt."""
    newest = attempts.current_attempt(ctx.dir)
    if newest is None or not newest.is_open:
        return
    _print_progress(ctx.name, f"stopping {newest.label}")
    phase = newest.active_phase
    stop_attempt_agents(ctx, newest)
    try_salvage(ctx, newest)
    repair.end_stopped_repair(ctx, newest)
    run_reviewers.mark_reviewers_stopped(ctx.dir, newest.number)
    attempts.close(ctx.dir, newest, "aborted", "orchestr abort", tip=find_branch_tip(ctx))
    ctx.emit(EventKind.ATTEMPT_CLOSED, phase=phase, attempt=newest.number,
             outcome="aborted", reason="orchestr abort")  # fmt: skip
    ctx.emit(EventKind.PHASE_FAILED, phase=phase, reason="aborted", aborted=True,
             hint=f"orchestr run {ctx.name}")  # fmt: skip
    _print_progress(ctx.name, "stopped")


def _print_progress(who: str, what: str) -> None:
    print_stderr(f"[{time.strftime('%H:%M:%S')}] {who}: {what}")
