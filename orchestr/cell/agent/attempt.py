"""An attempt at a cell's `implement`, from its record to the proof of its commits.

`attempt.toml` is written before the agent starts and closed after the result is there. An open one
of the same key is gone on with: a running supervisor is adopted, a finished one is only committed
and proved. So a kill at any point pays for no agent twice.
"""

from __future__ import annotations

from contextlib import suppress

from orchestr.cell import amendment
from orchestr.cell.agent import write_plan
from orchestr.cell.agent.launch import (
    attempt_session,
    explain_missing_variables,
    prepare_next_start,
)
from orchestr.cell.agent.next_attempt import count_tries, decide_next, find_failure_kind
from orchestr.cell.agent.return_to_author import may_return_to_author, return_to_author
from orchestr.cell.agent.run_agent import STOPPED_BEFORE, UNENDED, author_work, drive_agent
from orchestr.cell.agent.stop_agent import (
    end_lost_agent,
    stop_attempt_agents,
    stop_unrecorded_agents,
)
from orchestr.cell.agent_chain import choose_author, list_authors
from orchestr.cell.agent_options import planned_options
from orchestr.cell.auto_amendment import bind_attempt
from orchestr.cell.context import CellContext
from orchestr.cell.ownership import PathsNotOwned
from orchestr.cell.proof.commit_result import prove_attempt
from orchestr.cell.worktree import clone_guard
from orchestr.cell.worktree.branch_guard import (
    restore_surroundings,
    snapshot_branches,
    snapshot_clone_again,
)
from orchestr.cell.worktree.branch_tip import find_branch_tip
from orchestr.cell.worktree.commit_style import refuse_bad_message
from orchestr.cell.worktree.ensure import ensure_worktree
from orchestr.cell.worktree.harm_record import add_harm
from orchestr.cell.worktree.person_changes import record_clean, record_left
from orchestr.cell.worktree.ports import lease_cell_ports
from orchestr.cell.worktree.prepare_branch import prepare_branch
from orchestr.cell.worktree.readable_checkout import ensure_upstreams, put_back_upstreams
from orchestr.cell.worktree.restore import restore_worktree
from orchestr.cell.worktree.salvage import salvage_worktree
from orchestr.cell.worktree.trespass import find_trespass, set_foreign_files_aside
from orchestr.cell.worktree.worktree_guard import recover_worktree
from orchestr.errors import (
    FinalFailure,
    Interrupted,
    MachineFault,
    NeedsAmendment,
    OrchestrError,
)
from orchestr.files import write_atomic
from orchestr.git.repo import CommitId
from orchestr.spec.agent_options import Role
from orchestr.spec.phases import Phase
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind
from orchestr.state.results import ImplementRecord, WorktreeMarker
from orchestr.supervisor import client


def begin_attempt(
    ctx: CellContext, newest: Attempt | None, marker: WorktreeMarker, key: str
) -> Attempt:
    """The attempt to go on with, open or stopped, else a new one. Raises PhaseFailed when none may
    start."""
    attempt = _resume_attempt(ctx, newest, marker, key)
    if attempt is None:
        _end_own_attempt(ctx, marker)
        ctx.check_cancelled()
        amendment.raise_if_pending(ctx, key)
        ctx.check_budget()
        ctx.check_disk_room()
        # Read again, since a lost one has just been closed; who is asked begins with the first.
        asked = attempts.is_rebuild_requested(ctx.dir)
        before = None if asked else attempts.newest_attempt_at(ctx.dir)
        agent = choose_author(list_authors(ctx), before, key)
        session = find_stopped_session(ctx, newest, key, agent)
        if newest is not None and session is not None:
            attempt = _reopen_attempt(ctx, newest, marker, session)
        else:
            attempt = _open_attempt(ctx, marker, key, agent)
    attempts.link_transcript(ctx.dir, attempt.number)
    return attempt


def _end_own_attempt(ctx: CellContext, marker: WorktreeMarker) -> None:
    """A try at a phase of one's own that a kill left open works on what is made again now."""
    newest = attempts.newest_attempt(ctx.dir) if ctx.cell.own_phases else None
    if newest is not None and newest.of and newest.is_open:
        stop_attempt_agents(ctx, newest)
        harm = restore_surroundings(ctx, newest, marker.base_ref)
        try_salvage(ctx, newest)
        close_attempt(ctx, newest, "superseded", add_harm("the work before it is done again", harm))


def carry_out_attempt(
    ctx: CellContext, attempt: Attempt, marker: WorktreeMarker
) -> ImplementRecord:
    """Run the agent, prove what it did, write the result and close the attempt.

    Raises PhaseFailed with the reason, Interrupted when stopped; what was left is kept.
    """
    try:
        lease_cell_ports(ctx)  # waits here, without a slot, when none are free
        done = _drive_and_prove(ctx, attempt, marker)
    except Interrupted:
        restore_surroundings(ctx, attempt, marker.base_ref)
        with suppress(MachineFault):  # it stays in the worktree, where the next attempt finds it
            try_salvage(ctx, attempt)
        close_attempt(ctx, attempt, "aborted", "stopped")
        raise
    except OrchestrError as error:
        if error.repeatable:  # it stays open: the next run commits what the agent left
            raise
        harm = restore_surroundings(ctx, attempt, marker.base_ref)
        restored = restore_worktree(ctx, attempt)
        lacks = explain_missing_variables(
            attempts.attempt_folder(ctx.dir, attempt.number), attempt.agent
        )
        text = add_harm(error.reason, [*filter(None, [lacks]), *harm, *restored])
        _try_record_left(ctx, attempt)
        if isinstance(error, NeedsAmendment) and not harm:
            close_attempt(ctx, attempt, "blocked", error.reason)
            raise
        hint = error.hint or f"orchestr logs {ctx.name}"
        kind = FinalFailure if harm else find_failure_kind(error)
        failure = kind(text, hint=hint, cell=ctx.name)
        followed = decide_next(ctx, attempt, failure) is not None
        close_attempt(ctx, attempt, "failed", text, followed=followed)
        raise failure from error
    done.write(ctx.dir)
    amendment.archive_amendment(ctx, attempt)
    record_clean(ctx, done.head)
    close_attempt(ctx, attempt, "done", "")
    return done


def _drive_and_prove(ctx: CellContext, attempt: Attempt, marker: WorktreeMarker) -> ImplementRecord:
    """The agent, then the proof; what is not its own goes back to it once. Raises PhaseFailed."""
    while True:
        verdict = drive_agent(ctx, author_work(ctx, attempt))
        put_back_upstreams(ctx)
        harm = restore_surroundings(ctx, attempt, marker.base_ref)
        harm += find_trespass(ctx, attempt)
        if harm:
            raise FinalFailure(f"while its agent worked, {'; '.join(harm)}", cell=ctx.name)
        set_foreign_files_aside(ctx, attempt, CommitId(attempt.start))
        try:
            return prove_attempt(ctx, attempt, marker, verdict)
        except PathsNotOwned as refused:
            if not may_return_to_author(ctx, attempt):
                raise amendment.ownership_failure(ctx, attempt, refused) from None
            snapshot_clone_again(ctx, attempt, marker)
            return_to_author(ctx, attempt, refused)


def _resume_attempt(
    ctx: CellContext, newest: Attempt | None, marker: WorktreeMarker, key: str
) -> Attempt | None:
    """The open attempt of the same key to go on with, after ending what must not go on."""
    if newest is None or not newest.is_open:
        return None
    if newest.key != key:
        stop_attempt_agents(ctx, newest)
        harm = restore_surroundings(ctx, newest, marker.base_ref)
        try_salvage(ctx, newest)
        why = "its todo, plan or what it builds on changed"
        close_attempt(ctx, newest, "superseded", add_harm(why, harm))
        return None
    lost = end_lost_agent(ctx, newest)
    if lost is not None:
        harm = restore_surroundings(ctx, newest, marker.base_ref)
        restore_worktree(ctx, newest)
        _try_record_left(ctx, newest)
        close_attempt(ctx, newest, "failed", add_harm(lost, harm), followed=True)
        return None
    if not (attempts.attempt_folder(ctx.dir, newest.number) / "notes.txt").exists():
        ensure_worktree(ctx, marker)  # killed before the agent could start
        write_start_files(ctx, newest, marker, prepare_branch(ctx, marker)[1])
    return newest


def find_stopped_session(
    ctx: CellContext, newest: Attempt | None, key: str, agent: str
) -> str | None:
    """The session of an attempt for the same work that was stopped, when its agent can go on with
    it; None where a new attempt begins."""
    if newest is None or (newest.outcome, newest.of, newest.key) != ("aborted", "", key):
        return None
    model = planned_options(ctx, Role.IMPLEMENT, agent=agent).options.model
    if (newest.agent, newest.model) != (agent, model or ""):
        return None
    state = client.read_attempt_state(attempts.attempt_folder(ctx.dir, newest.number))
    if state in UNENDED or attempts.is_rebuild_requested(ctx.dir):
        return None
    return attempt_session(ctx, newest)


def _reopen_attempt(
    ctx: CellContext, stopped: Attempt, marker: WorktreeMarker, session: str
) -> Attempt:
    """Make the worktree ready, then record that the attempt goes on with its session."""
    start, notes = prepare_worktree(ctx, marker)
    attempt = attempts.reopen_stopped(ctx.dir, stopped, start)
    write_start_files(ctx, attempt, marker, notes)
    folder = attempts.attempt_folder(ctx.dir, attempt.number)
    prepare_next_start(folder, session, STOPPED_BEFORE + notes)
    ctx.emit(EventKind.ATTEMPT_ADOPTED, phase=Phase.IMPLEMENT, attempt=attempt.number,
             agent=attempt.agent, state="stopped")  # fmt: skip
    return attempt


def _open_attempt(ctx: CellContext, marker: WorktreeMarker, key: str, agent: str) -> Attempt:
    """Make the worktree ready, then record the attempt."""
    start, notes = prepare_worktree(ctx, marker)
    asked = attempts.is_rebuild_requested(ctx.dir)
    tries = 0 if asked else count_tries(attempts.newest_attempt_at(ctx.dir), key, agent)
    attempt = attempts.open_attempt(
        ctx.dir,
        key=key,
        agent=agent,
        model=planned_options(ctx, Role.IMPLEMENT, agent=agent).options.model,
        start=start,
        tries=tries,
    )
    write_start_files(ctx, attempt, marker, notes)
    ctx.emit(EventKind.ATTEMPT_OPENED, phase=Phase.IMPLEMENT, attempt=attempt.number, key=key,
             agent=attempt.agent, model=attempt.model, start=start, repo=ctx.cell.repo,
             todo=sum(map(len, ctx.cell.todo)))  # fmt: skip
    return attempt


def prepare_worktree(ctx: CellContext, marker: WorktreeMarker) -> tuple[CommitId, str]:
    """The commit that the work starts from, and notes for the prompt."""
    write_plan.check_plan_approved(ctx)
    stop_unrecorded_agents(ctx)
    ensure_worktree(ctx, marker)
    ensure_upstreams(ctx)
    # What a killed check left is put right first: later that would undo our own work.
    recover_worktree(ctx, ctx.dir / clone_guard.GUARD)
    start, notes = prepare_branch(ctx, marker)
    refuse_bad_message(ctx)
    return start, notes


def write_start_files(
    ctx: CellContext, attempt: Attempt, marker: WorktreeMarker, notes: str
) -> None:
    """What must be on disk before the agent starts; written again when a kill came between."""
    snapshot_branches(ctx, attempt, marker)
    bind_attempt(ctx, attempt, marker)
    write_atomic(attempts.attempt_folder(ctx.dir, attempt.number) / "notes.txt", notes.encode())


def close_attempt(
    ctx: CellContext, attempt: Attempt, outcome: str, why: str, *, followed: bool = False
) -> None:
    ours = outcome == "done" and not attempt.of
    done = ImplementRecord.read(ctx.dir) if ours else None
    tip = done.head if done is not None else find_branch_tip(ctx)
    attempts.close(ctx.dir, attempt, outcome, why, tip=tip, followed=followed)
    ctx.emit(EventKind.ATTEMPT_CLOSED, phase=attempt.phase, attempt=attempt.number,
             outcome=outcome, reason=why)  # fmt: skip


def try_salvage(ctx: CellContext, attempt: Attempt) -> None:
    """Keep what is in the worktree under the attempt's ref, if that can be done."""
    try:
        salvage_worktree(ctx, attempt.number)
        record_left(ctx, attempt.number)
    except MachineFault:
        raise
    except OrchestrError:
        return  # a damaged worktree is put right by whoever needs it next


def _try_record_left(ctx: CellContext, attempt: Attempt) -> None:
    with suppress(OrchestrError):  # as above: a worktree that is gone has nothing left in it
        record_left(ctx, attempt.number)
