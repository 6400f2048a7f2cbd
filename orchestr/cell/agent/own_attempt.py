"""A try at a phase of one's own, from its record to what it made.

An agent or a command works under the rules of an attempt at `implement`: recorded before it starts,
under the supervisor, adopted after a kill, proved by the host, behind the same wall and within the
same limits. A command is an agent of kind `command` that is declared by its phase alone
(`declare_commands`). Why work was refused, in the words for its agent, and how often, is kept in
its folder (`asked.N`: how many starts had ended then), so a kill costs no round and pays for none
twice.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestr.cell.agent import write_plan
from orchestr.cell.agent.attempt import close_attempt, try_salvage, write_start_files
from orchestr.cell.agent.launch import (
    GO_ON,
    SESSION,
    attempt_session,
    hide_secrets,
    launch_secrets,
    prepare_next_start,
)
from orchestr.cell.agent.run_agent import author_work, drive_agent
from orchestr.cell.agent.stop_agent import (
    end_lost_agent,
    stop_attempt_agents,
    stop_unrecorded_agents,
)
from orchestr.cell.agent.verdict import UnreadableAnswer, read_last_object
from orchestr.cell.context import CellContext
from orchestr.cell.ownership import format_paths
from orchestr.cell.proof.commit_result import commit_and_prove_repair
from orchestr.cell.worktree.branch_guard import restore_surroundings
from orchestr.cell.worktree.discard import put_worktree
from orchestr.cell.worktree.ensure import ensure_worktree
from orchestr.cell.worktree.harm_record import add_harm
from orchestr.cell.worktree.person_changes import record_left
from orchestr.cell.worktree.ports import lease_cell_ports
from orchestr.cell.worktree.readable_checkout import ensure_upstreams, put_back_upstreams
from orchestr.cell.worktree.restore import restore_worktree
from orchestr.cell.worktree.trespass import find_trespass, set_foreign_files_aside
from orchestr.cell.worktree.variables import output_file
from orchestr.errors import Interrupted, MachineFault, OrchestrError
from orchestr.files import encode_json, read_file, write_atomic
from orchestr.git.repo import CommitId
from orchestr.process.redaction import redact
from orchestr.spec.answer_schema import find_schema_fault
from orchestr.spec.own_phases import COMMAND, OwnPhase
from orchestr.spec.path_patterns import match_paths
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind
from orchestr.state.results import ImplementRecord, WorktreeMarker

ASKED = "asked"  # in an attempt's folder, with a number
LONGEST = 1 << 20  # bytes of an output


@dataclass(frozen=True, slots=True)
class OwnWork:
    """What a try came to: the head of the cell's branch, or the output's bytes."""

    attempt: int
    head: CommitId | None = None
    output: bytes | None = None


class WorkRefused(Exception):
    """What an agent did cannot be accepted; the message is for that agent."""


def choose_agent(ctx: CellContext, phase: OwnPhase) -> tuple[str, str | None]:
    """Who works in a phase: an agent's name, and the model that it is asked for."""
    if phase.run:
        return f"{COMMAND}{phase.name}", None
    author = _author_attempt(ctx) if phase.continues else None
    if author is not None:
        return author.agent, author.model or None
    mine = ctx.agent_settings.name
    name = phase.agent or mine
    of_cell = ctx.cell.model if name == mine else None
    usual = of_cell or ctx.run.settings.agents[name].model
    return name, ctx.run.overrides.model or phase.model or usual


def _author_attempt(ctx: CellContext) -> Attempt | None:
    done = ImplementRecord.read(ctx.dir)
    return attempts.read_attempt(ctx.dir, done.attempt) if done is not None else None


def begin_own_attempt(
    ctx: CellContext, phase: OwnPhase, newest: Attempt | None, marker: WorktreeMarker, key: str,
    start: CommitId,
) -> Attempt:  # fmt: skip
    """The open try to go on with, else a new one. Raises PhaseFailed when none may start."""
    attempt = _resume_attempt(ctx, phase, newest, marker, key)
    if attempt is None:
        ctx.check_cancelled()
        ctx.check_budget()
        ctx.check_disk_room()
        stop_unrecorded_agents(ctx)
        agent, model = choose_agent(ctx, phase)
        attempt = attempts.open_phase_attempt(
            ctx.dir, of=phase.name, key=key, agent=agent, model=model, start=start
        )
        ctx.emit(EventKind.ATTEMPT_OPENED, phase=phase.name, attempt=attempt.number, key=key,
                 agent=agent, model=attempt.model, start=start)  # fmt: skip
    if phase.budget_usd is not None:
        ctx.run.budget.limit_attempt(ctx.cell.name, attempt.number, phase.budget_usd, phase.name)
    if not (attempts.attempt_folder(ctx.dir, attempt.number) / "notes.txt").exists():
        ensure_worktree(ctx, marker)
        ensure_upstreams(ctx)
        _take_session_over(ctx, phase, attempt)
        if phase.output is not None:
            write_plan.snapshot_worktree(ctx, attempt)
        write_start_files(ctx, attempt, marker, "")
    return attempt


def _resume_attempt(
    ctx: CellContext, phase: OwnPhase, newest: Attempt | None, marker: WorktreeMarker, key: str
) -> Attempt | None:
    if newest is None or not newest.is_open:
        return None
    if newest.of != phase.name or newest.key != key:
        end_own_attempt(ctx, newest, marker, "what it works on changed")
        return None
    lost = end_lost_agent(ctx, newest)
    if lost is not None:
        harm = _put_back(ctx, phase, newest, marker)
        close_attempt(ctx, newest, "failed", add_harm(lost, harm))
        return None
    return newest


def end_own_attempt(
    ctx: CellContext, attempt: Attempt | None, marker: WorktreeMarker, why: str
) -> None:
    """End an open try that the spec asks for no more; what it left is kept under its ref."""
    if attempt is None or not attempt.of or not attempt.is_open:
        return
    stop_attempt_agents(ctx, attempt)
    harm = _put_back(ctx, None, attempt, marker)
    close_attempt(ctx, attempt, "superseded", add_harm(why, harm))


def clear_leftovers(ctx: CellContext, newest: Attempt | None) -> None:
    """What a try left that ended outside of a run (`orchestr abort`) is kept under its ref, and
    the worktree stands as the try found it. The worktree must be there."""
    if newest is None or not newest.of or newest.is_open or newest.outcome == "done":
        return
    head = ctx.worktree_repo.resolve_commit("HEAD")
    if head is None:
        return
    target = CommitId(newest.start) if head == newest.tip else head
    if head != target or ctx.worktree_repo.dirty_paths():
        put_worktree(ctx, newest.number, target, clean=True)


def _take_session_over(ctx: CellContext, phase: OwnPhase, attempt: Attempt) -> None:
    """With `continues`, the first start goes on with the author's session: its settings folder in
    a sandbox, which holds the session, is copied."""
    author = _author_attempt(ctx) if phase.continues else None
    session = attempt_session(ctx, author) if author is not None else None
    if author is None or not session:
        return
    from orchestr.cell.agent.prompt import build_own_prompt

    folder = attempts.attempt_folder(ctx.dir, attempt.number)
    for place in attempts.attempt_folder(ctx.dir, author.number).glob("config-*"):
        if place.is_dir() and not (folder / place.name).exists():
            shutil.copytree(place, folder / place.name, symlinks=True)
    words = hide_secrets(ctx, build_own_prompt(ctx, attempt, ""))
    write_atomic(folder / GO_ON, words.encode())
    write_atomic(folder / SESSION, session.encode())


def carry_out_own(
    ctx: CellContext, phase: OwnPhase, attempt: Attempt, marker: WorktreeMarker
) -> OwnWork:
    """Run it to its end, and take what it made; the attempt stays open until the caller has
    written that down. Raises PhaseFailed with the reason, Interrupted when stopped."""
    try:
        lease_cell_ports(ctx)
        while True:
            drive_agent(ctx, author_work(ctx, attempt))
            try:
                return _take_work(ctx, phase, attempt, marker)
            except WorkRefused as refused:
                _ask_again(ctx, phase, attempt, str(refused))
    except Interrupted:
        _put_back(ctx, phase, attempt, marker)
        close_attempt(ctx, attempt, "aborted", "stopped")
        raise
    except OrchestrError as error:
        if error.repeatable:  # it stays open: the next run takes what was left
            raise
        text = add_harm(error.reason, _put_back(ctx, phase, attempt, marker))
        close_attempt(ctx, attempt, "failed", text)
        hint = error.hint or f"orchestr logs {ctx.name} --attempt {attempt.number}"
        raise ctx.fail(text, hint=hint) from error


def _take_work(
    ctx: CellContext, phase: OwnPhase, attempt: Attempt, marker: WorktreeMarker
) -> OwnWork:
    """What a try made, after what it may not do was undone. Safe to repeat. Raises WorkRefused for
    what its agent can put right."""
    if phase.output is not None:
        harm = write_plan.undo_changes(ctx, attempt, marker)
        if harm:
            raise ctx.fail(f"while phase `{phase.name}` worked, {'; '.join(harm)}")
        return OwnWork(attempt.number, output=_read_answer(ctx, phase, attempt))
    put_back_upstreams(ctx)
    harm = restore_surroundings(ctx, attempt, marker.base_ref)
    harm += find_trespass(ctx, attempt)
    if harm:
        raise ctx.fail(f"while phase `{phase.name}` worked, {'; '.join(harm)}")
    start = CommitId(attempt.start)
    set_foreign_files_aside(ctx, attempt, start)
    head, findings = commit_and_prove_repair(ctx, attempt, marker, start)
    if phase.owned_paths and head != start:
        is_owned = match_paths(phase.owned_paths)
        outside = [p for p in ctx.worktree_repo.changed_paths(start, head) if not is_owned(p)]
        if outside:
            where = f"changed outside owned_paths of phase `{phase.name}`"
            findings = (*findings, f"{where}: {format_paths(outside)}")
    if findings:
        raise WorkRefused("; ".join(findings))
    return OwnWork(attempt.number, head=head)


def _read_answer(ctx: CellContext, phase: OwnPhase, attempt: Attempt) -> bytes:
    """The JSON that was given out: from its file, else the last answer."""
    place, text = output_file(ctx, attempt), ""
    if place.is_file() and not place.is_symlink():
        if place.stat().st_size > LONGEST:
            raise WorkRefused(f"the output is longer than {LONGEST >> 20} MiB")
        text = place.read_text(encoding="utf-8", errors="replace")
    folder = attempts.attempt_folder(ctx.dir, attempt.number)
    text = redact(text.strip() or write_plan.read_last_answer(ctx, attempt), launch_secrets(folder))
    try:
        value = read_last_object(text)
    except UnreadableAnswer as error:
        raise WorkRefused(f"the answer is no JSON: {error}") from None
    schema: Mapping[str, Any] = json.loads(phase.schema) if phase.schema else {}
    fault = find_schema_fault(schema, value)
    if fault is not None:
        raise WorkRefused(f"the answer does not fit its schema: {fault}")
    return encode_json(value)


def _ask_again(ctx: CellContext, phase: OwnPhase, attempt: Attempt, why: str) -> None:
    """Have the agent start again with what is wrong. Safe to repeat. Raises PhaseFailed where it
    was asked often enough, and for a command."""
    folder = attempts.attempt_folder(ctx.dir, attempt.number)
    ended = str(len(list(folder.glob("exit.*.json"))))
    marks = sorted(folder.glob(f"{ASKED}.*"))
    if ended not in [read_file(mark).decode() for mark in marks]:
        if phase.run or len(marks) >= phase.repair:
            raise ctx.fail(why)
        write_atomic(folder / f"{ASKED}.{len(marks) + 1}", ended.encode())
        ctx.emit(EventKind.ATTEMPT_GIVEN_BACK, phase=phase.name, attempt=attempt.number, reason=why)
    words = f"{why}\n\nPut exactly that right, and keep everything else.\n"
    session = attempt_session(ctx, attempt)
    if phase.output is None:
        record_left(ctx, attempt.number, goes_on=True)
    else:
        _remove_output(output_file(ctx, attempt))
    write_atomic(folder / "notes.txt", words.encode())
    prepare_next_start(folder, session, words)


def _remove_output(place: Path) -> None:
    """Whatever an agent left where its output belongs, a folder, too, is out of the next answer's
    way."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


def _put_back(
    ctx: CellContext, phase: OwnPhase | None, attempt: Attempt, marker: WorktreeMarker
) -> list[str]:
    """The worktree as the try found it; what was there is kept under its ref. What went wrong."""
    if phase is not None and phase.output is not None:
        return write_plan.undo_changes(ctx, attempt, marker)
    harm = restore_surroundings(ctx, attempt, marker.base_ref)
    try:
        harm += restore_worktree(ctx, attempt)
        try_salvage(ctx, attempt)
        put_worktree(ctx, attempt.number, CommitId(attempt.start), clean=True)
    except MachineFault:
        raise
    except OrchestrError as error:
        harm.append(f"its worktree could not be put back: {error.reason}")
    with suppress(OrchestrError):
        record_left(ctx, attempt.number)
    return harm
