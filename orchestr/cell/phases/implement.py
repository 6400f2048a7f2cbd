"""Phase `implement`: prompt, agent under the supervisor, host-side commit and proof.

Done when `implement.toml` carries the current key. Otherwise the newest attempt, if it is open
and has the same key, is gone on with: a running supervisor is adopted, a finished one is only
committed and proved. Else attempt n+1 starts. `attempt.toml` is written before the agent
starts and closed after `implement.toml`, so a kill at any point pays for no agent twice:
the files decide, and a missing row in `.doit.db` means nothing (docs/design/cells.md).
"""

from __future__ import annotations

from functools import partial

from orchestr.agents import AgentVerdict
from orchestr.cell import amendment
from orchestr.cell.agent import write_plan
from orchestr.cell.agent.return_to_author import may_return_to_author, return_to_author
from orchestr.cell.agent.run_agent import author_work, drive_agent
from orchestr.cell.agent.stop_agent import (
    end_lost_agent,
    stop_attempt_agents,
    stop_unrecorded_agents,
)
from orchestr.cell.context import CellContext
from orchestr.cell.inputs import phase_digest
from orchestr.cell.ownership import PathsNotOwned, format_paths
from orchestr.cell.phases.run_phase import PhaseResult
from orchestr.cell.proof.commit_result import _cell_claims, _settle_fresh_head, commit_agent_work
from orchestr.cell.proof.person_commits import (
    TAKEN,
    find_person_commit,
    finish_taken_base,
    take_person_commit,
)
from orchestr.cell.proof.verify_commits import prove_head
from orchestr.cell.pull_request import adopt
from orchestr.cell.pull_request.foreign_commits import foreign_head
from orchestr.cell.worktree import clone_guard
from orchestr.cell.worktree.branch_guard import snapshot_branches
from orchestr.cell.worktree.branch_tip import find_branch_tip
from orchestr.cell.worktree.ensure import ensure_worktree, find_checkout
from orchestr.cell.worktree.ports import lease_cell_ports
from orchestr.cell.worktree.prepare_branch import follow_rewritten_remote, prepare_branch
from orchestr.cell.worktree.restore import restore_worktree
from orchestr.cell.worktree.salvage import salvage_worktree
from orchestr.cell.worktree.worktree_guard import recover_worktree
from orchestr.codec import replace
from orchestr.errors import Interrupted, OrchestrError
from orchestr.files import write_atomic
from orchestr.git.repo import CommitId
from orchestr.spec.phases import Action, Phase
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind
from orchestr.state.results import (
    TRANSCRIPT,
    ImplementOutcome,
    ImplementRecord,
    PlanRecord,
    WorktreeMarker,
    digest,
)

TAKEN_NEXT = "a person's commit {} is on its branch and becomes its head"


def attempt_key(ctx: CellContext, marker: WorktreeMarker) -> str:
    """What an attempt is for: the phase's own values and what the worktree was made from.

    The tree of an `action: push` cell is a person's, so its local head counts too.
    """
    extra = local_head(ctx) if ctx.cell.action is Action.PUSH else None
    if ctx.cell.has_plan_phase:
        planned = PlanRecord.read(ctx.dir)
        extra = (planned.digest or None) if planned else None  # the plan that it carries out
    return digest(phase_digest(ctx, Phase.IMPLEMENT), marker.content_digest(), extra)


def local_head(ctx: CellContext) -> str | None:
    """The head of a person's branch, None when repository or branch is not there."""
    try:
        return ctx.repo.resolve_commit(f"refs/heads/{ctx.cell.branch}")
    except OrchestrError:
        return None


def reason_to_run(ctx: CellContext) -> str | None:
    """Why an attempt would start or go on, or None. Starts nothing."""
    marker = WorktreeMarker.read(ctx.dir)
    if marker is None:
        return "its worktree is not made yet"
    done = ImplementRecord.read(ctx.dir)
    if done is not None and done.key == attempt_key(ctx, marker):
        if (tip := find_person_commit(ctx, marker, done.key)) is not None:
            return TAKEN_NEXT.format(tip[:12])
        return (
            "somebody else's commits are on its remote branch" if foreign_head(ctx, done) else None
        )
    newest = attempts.newest_attempt(ctx.dir)
    if newest is not None and newest.is_open:
        return f"attempt {newest.number} was interrupted and goes on"
    if done is None and (tip := find_person_commit(ctx, marker, attempt_key(ctx, marker))):
        return TAKEN_NEXT.format(tip[:12])
    if done is not None:
        return "its todo, agent, owned_paths or what it builds on changed"
    if (waits := amendment.pending_amendment(ctx, attempt_key(ctx, marker))) is not None:
        return f"it waits for {', '.join(i.owner for i in waits.items)} to amend a contract"
    if newest is not None and newest.outcome not in ("done", ""):
        return f"attempt {newest.number} ended as {newest.outcome}"
    return "it was not done yet" if newest is None else "its result was removed"


def run(ctx: CellContext) -> PhaseResult:
    """Make `implement.toml`. Raises PhaseFailed with the reason, Interrupted when stopped."""
    marker = WorktreeMarker.read(ctx.dir)
    if marker is None:
        raise ctx.fail("its worktree marker is missing", hint=f"orchestr run {ctx.name}")
    marker = finish_taken_base(ctx, marker, partial(attempt_key, ctx))
    key = attempt_key(ctx, marker)
    done = ImplementRecord.read(ctx.dir)
    if (tip := find_person_commit(ctx, marker, key)) is not None:
        taken = take_person_commit(ctx, marker, tip, partial(attempt_key, ctx))
        pushed = _merge_foreign_head(ctx, WorktreeMarker.read(ctx.dir) or marker, taken)
        return pushed or PhaseResult.built(TAKEN.format(tip[:12]), head=taken.head)
    if done is not None and done.key == key:
        return _merge_foreign_head(ctx, marker, done) or _restore_files(ctx, done)
    if Phase.IMPLEMENT not in ctx.cell.phases or ctx.cell.action is Action.PUSH:
        return _record_manual_commits(ctx, marker, key)
    why = reason_to_run(ctx) or ""
    pr = adopt.find_adoptable_pr(ctx)
    if pr is not None:
        adopted = adopt.adopt_pr_head(ctx, pr, marker, key)
        adopted.write(ctx.dir)
        attempts.link_transcript(ctx.dir, 0)
        return PhaseResult.built(
            "its branch has a pull request already", head=adopted.head, url=pr.url
        )
    attempt = _resume_attempt(ctx, key)
    if attempt is None:
        ctx.check_cancelled()
        amendment.raise_if_pending(ctx, key)
        ctx.check_budget()
        ctx.check_disk_room()
        attempt = _open_attempt(ctx, marker, key)
    attempts.link_transcript(ctx.dir, attempt.number)
    try:
        lease_cell_ports(ctx)  # waits here, without a slot, when none are free
        implemented = _run_attempt(ctx, attempt, marker)
    except Interrupted:
        clone_guard.restore_clone(ctx, attempt, marker.base_ref)
        try_salvage(ctx, attempt)
        close_attempt(ctx, attempt, "aborted", "stopped")
        raise
    except OrchestrError as error:
        harm = clone_guard.restore_clone(ctx, attempt, marker.base_ref)
        mended = restore_worktree(ctx, attempt)
        text = "; ".join([error.reason, *harm, *mended])
        close_attempt(ctx, attempt, "failed", text)
        raise ctx.fail(text, hint=error.hint or f"orchestr logs {ctx.name}") from error
    implemented.write(ctx.dir)
    amendment.archive_amendment(ctx, attempt)
    close_attempt(ctx, attempt, "done", "")
    return PhaseResult.built(
        why, attempt=attempt.number, head=implemented.head, outcome=implemented.outcome
    )


def _run_attempt(ctx: CellContext, attempt: Attempt, marker: WorktreeMarker) -> ImplementRecord:
    """The agent, then the proof; what is not its own goes back to it once. Raises PhaseFailed."""
    while True:
        verdict = drive_agent(ctx, author_work(ctx, attempt))
        harm = clone_guard.restore_clone(ctx, attempt, marker.base_ref)
        if harm:
            raise ctx.fail(f"while its agent worked, {'; '.join(harm)}")
        try:
            return _commit_and_prove(ctx, attempt, marker, verdict)
        except PathsNotOwned as refused:
            if not may_return_to_author(ctx, attempt):
                raise amendment.ownership_failure(ctx, attempt, refused) from None
            clone_guard.snapshot_clone(ctx, marker.base_ref)
            return_to_author(ctx, attempt, refused)


def _restore_files(ctx: CellContext, done: ImplementRecord) -> PhaseResult:
    """The result is there: close what a kill left open, bring back a deleted transcript."""
    newest = attempts.newest_attempt(ctx.dir)
    if newest is not None and newest.state == "open" and newest.key == done.key:
        close_attempt(ctx, newest, "done", "")
    if ctx.cell.action is not Action.PUSH and not (ctx.dir / TRANSCRIPT).exists():
        attempts.link_transcript(ctx.dir, done.attempt)
    return PhaseResult.up_to_date()


def _merge_foreign_head(
    ctx: CellContext, marker: WorktreeMarker, done: ImplementRecord
) -> PhaseResult | None:
    """Merge what somebody pushed to the branch, without an agent; the phases run again.

    Returns None when there is nothing of the kind. A conflict is a failure for a person.
    """
    theirs = foreign_head(ctx, done) if ctx.cell.action is not Action.PUSH else None
    if theirs is None:
        return None
    ensure_worktree(ctx, marker)
    recover_worktree(ctx, ctx.dir / clone_guard.GUARD)
    dirty = ctx.worktree_repo.dirty_paths()
    if dirty:
        raise ctx.fail(
            "somebody pushed to its branch, and its worktree has uncommitted changes: "
            + format_paths(dirty),
            hint=f"commit or stash them: git -C {ctx.worktree} status",
        )
    if ctx.repo.resolve_commit(theirs) is None:
        ctx.repo.fetch("origin", f"refs/heads/{ctx.cell.branch}", locks=ctx.run.layout.locks_dir)
    if ctx.repo.resolve_commit(theirs) and follow_rewritten_remote(ctx, theirs):
        taken = take_person_commit(ctx, marker, theirs, partial(attempt_key, ctx))
        return PhaseResult.built(TAKEN.format(theirs[:12]), head=taken.head)
    start, notes = prepare_branch(ctx, marker)
    if notes:
        ctx.worktree_repo.run_git("merge", "--abort", check=False)
        raise ctx.fail(
            f"commits that somebody pushed to {ctx.cell.branch} conflict with ours",
            hint=f"git -C {ctx.worktree} pull --no-rebase origin {ctx.cell.branch}, "
            f"or let the agent do it: orchestr run --force {ctx.name}",
        )
    if start == done.head:
        return None
    base = CommitId(marker.base)
    proof = prove_head(
        ctx.worktree_repo, base=base, start=base, head=start, claims=_cell_claims(ctx)
    )
    if not proof.ok:
        raise ctx.fail(
            f"with what somebody pushed to its branch: {'; '.join(proof.findings)}",
            hint=f"mend it in {ctx.worktree}, or orchestr run --force {ctx.name}",
        )
    merged = replace(done, head=start, tree=ctx.repo.resolve_tree(start))
    merged.write(ctx.dir)
    attempts.end_preparation(ctx.dir)
    return PhaseResult.built("merged what somebody pushed to its branch", head=start)


def _record_manual_commits(ctx: CellContext, marker: WorktreeMarker, key: str) -> PhaseResult:
    """No agent: the commits are a person's (`action: push`), or implement is not listed."""
    head = ctx.repo.resolve_commit(f"refs/heads/{ctx.cell.branch}")
    if head is None:
        raise ctx.fail(f"branch {ctx.cell.branch} is gone", hint="make the branch again")
    base = CommitId(marker.base)
    proof = prove_head(ctx.repo, base=base, start=base, head=head, claims=_cell_claims(ctx))
    if not proof.ok:
        where = find_checkout(ctx) or ctx.repo_path
        raise ctx.fail("; ".join(proof.findings), hint=f"commit the work in {where}")
    tree = ctx.repo.resolve_tree(head)
    ImplementRecord(key, head, tree, marker.base, ImplementOutcome.PUSHED_BY_HAND).write(ctx.dir)
    if ctx.cell.action is not Action.PUSH:
        attempts.link_transcript(ctx.dir, 0)
    return PhaseResult.built("the commits are a person's", head=head)


def _resume_attempt(ctx: CellContext, key: str) -> Attempt | None:
    """The open attempt of the same key to go on with, after ending what must not go on."""
    newest = attempts.newest_attempt(ctx.dir)
    if newest is None or not newest.is_open:
        return None
    if newest.key != key:
        stop_attempt_agents(ctx, newest)
        try_salvage(ctx, newest)
        close_attempt(ctx, newest, "superseded", "its todo, plan or what it builds on changed")
        return None
    lost = end_lost_agent(ctx, newest)
    if lost is not None:
        restore_worktree(ctx, newest)
        close_attempt(ctx, newest, "failed", lost)
        return None
    if not (attempts.attempt_folder(ctx.dir, newest.number) / "notes.txt").exists():
        marker = WorktreeMarker.read(ctx.dir)
        if marker is not None:  # killed before the agent could start
            ensure_worktree(ctx, marker)
            write_start_files(ctx, newest, marker, prepare_branch(ctx, marker)[1])
    return newest


def _open_attempt(ctx: CellContext, marker: WorktreeMarker, key: str) -> Attempt:
    """Make the worktree ready, then record the attempt."""
    write_plan.check_plan_approved(ctx)
    stop_unrecorded_agents(ctx)
    ensure_worktree(ctx, marker)
    recover_worktree(
        ctx, ctx.dir / clone_guard.GUARD
    )  # of a killed check; later it undoes our work
    start, notes = prepare_branch(ctx, marker)
    attempt = attempts.open_attempt(
        ctx.dir, key=key, agent=ctx.agent_settings.name, model=ctx.model, start=start
    )
    write_start_files(ctx, attempt, marker, notes)
    ctx.emit(EventKind.ATTEMPT_OPENED, phase=Phase.IMPLEMENT, attempt=attempt.number, key=key,
             agent=attempt.agent, model=attempt.model, start=start)  # fmt: skip
    return attempt


def write_start_files(
    ctx: CellContext, attempt: Attempt, marker: WorktreeMarker, notes: str
) -> None:
    """What must be on disk before the agent starts; written again when a kill came between."""
    snapshot_branches(ctx, attempt, marker)
    write_atomic(attempts.attempt_folder(ctx.dir, attempt.number) / "notes.txt", notes.encode())


def close_attempt(ctx: CellContext, attempt: Attempt, outcome: str, why: str) -> None:
    done = ImplementRecord.read(ctx.dir) if outcome == "done" else None
    tip = done.head if done is not None else find_branch_tip(ctx)
    attempts.close(ctx.dir, attempt, outcome, why, tip=tip)
    ctx.emit(EventKind.ATTEMPT_CLOSED, phase=Phase.IMPLEMENT, attempt=attempt.number,
             outcome=outcome, reason=why)  # fmt: skip


def try_salvage(ctx: CellContext, attempt: Attempt) -> None:
    """Keep what is in the worktree under the attempt's ref, if that can be done."""
    try:
        salvage_worktree(ctx, attempt.number)
    except OrchestrError:
        return  # a damaged worktree is put right by whoever needs it next


def _commit_and_prove(
    ctx: CellContext, attempt: Attempt, marker: WorktreeMarker, verdict: AgentVerdict
) -> ImplementRecord:
    """Commit what was left, prove the head, and say what came out. Safe to repeat.

    Raises PathsNotOwned when nothing but the ownership of paths is in the way.
    """
    claim = verdict.no_change
    repo, base, start = ctx.worktree_repo, CommitId(marker.base), CommitId(attempt.start)
    head = commit_agent_work(ctx, attempt)
    if (
        claim is not None
        and repo.resolve_tree(head) == repo.resolve_tree(base)
        and repo.is_ancestor(start, head)
    ):
        return ImplementRecord(
            attempt.key,
            base,
            repo.resolve_tree(base),
            base,
            ImplementOutcome.NO_CHANGE_NEEDED,
            attempt.number,
            claim,
        )
    if verdict.amend is not None:
        raise amendment.amend_request_failure(ctx, attempt, verdict.amend)
    proof = prove_head(
        repo, base=base, start=start, head=head, claims=_cell_claims(ctx), by_agent=True
    )
    if not proof.ok and not proof.faults:
        raise PathsNotOwned(proof.ownership, head)
    if not proof.ok:
        raise ctx.fail("; ".join(proof.findings))
    head, anchor = _settle_fresh_head(ctx, attempt, base, head)
    return ImplementRecord(
        attempt.key,
        head,
        repo.resolve_tree(head),
        base,
        ImplementOutcome.CHANGED,
        attempt.number,
        anchor=anchor,
    )
