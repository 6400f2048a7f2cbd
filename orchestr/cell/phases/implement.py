"""Phase `implement`: prompt, agent under the supervisor, host-side commit and proof.

Done when `implement.toml` carries the current key. Otherwise the newest attempt, if it is open
and has the same key, is gone on with: a running supervisor is adopted, a finished one is only
committed and proved. Else attempt n+1 starts. `attempt.toml` is written before the agent
starts and closed after `implement.toml`, so a kill at any point pays for no agent twice
(DESIGN, a missing row in `.doit.db` means nothing).
"""

from __future__ import annotations

from dataclasses import replace

from orchestr.agents import Verdict
from orchestr.cell import amendment
from orchestr.cell.agent import write_plan
from orchestr.cell.agent.return_to_author import give_back, may_give_back
from orchestr.cell.agent.run_agent import author, drive, settle_lost, stop_running, stop_unrecorded
from orchestr.cell.context import CellContext
from orchestr.cell.ownership import NotOwned, some
from orchestr.cell.phases.run_phase import Result
from orchestr.cell.proof.commit_result import _claims, _settle_fresh, committed
from orchestr.cell.proof.verify_commits import prove
from orchestr.cell.pull_request import adopt
from orchestr.cell.pull_request.foreign_commits import theirs
from orchestr.cell.worktree import clone_guard
from orchestr.cell.worktree.branch_guard import note_branches
from orchestr.cell.worktree.ensure import checked_out, ensure
from orchestr.cell.worktree.ports import ports_of
from orchestr.cell.worktree.prepare_branch import prepare
from orchestr.cell.worktree.salvage import keep, restore
from orchestr.cell.worktree.worktree_guard import recover
from orchestr.errors import Interrupted, OrchestrError, PhaseFailed
from orchestr.files import write_atomic
from orchestr.git.repo import CommitId
from orchestr.spec.phases import Action, Phase
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.events import Kind
from orchestr.state.results import TRANSCRIPT, Implemented, Marker, Outcome, Planned, digest


def key_of(ctx: CellContext, marker: Marker) -> str:
    """What an attempt is for: the phase's own values and what the worktree was made from.

    The tree of an `action: push` cell is a person's, so its local head counts too.
    """
    extra = local_head(ctx) if ctx.cell.action is Action.PUSH else None
    if ctx.cell.plans:
        planned = Planned.read(ctx.dir)
        extra = (planned.digest or None) if planned else None  # the plan that it carries out
    return digest(ctx.digest_of(Phase.IMPLEMENT), marker.content(), extra)


def local_head(ctx: CellContext) -> str | None:
    """The head of a person's branch, None when repository or branch is not there."""
    try:
        return ctx.repo.resolve(f"refs/heads/{ctx.cell.branch}")
    except OrchestrError:
        return None


def reason(ctx: CellContext) -> str | None:
    """Why an attempt would start or go on, or None. Starts nothing."""
    marker = Marker.read(ctx.dir)
    if marker is None:
        return "its worktree is not made yet"
    done = Implemented.read(ctx.dir)
    if done is not None and done.key == key_of(ctx, marker):
        return "somebody else's commits are on its remote branch" if theirs(ctx, done) else None
    newest = attempts.newest(ctx.dir)
    if newest is not None and newest.is_open:
        return f"attempt {newest.number} was interrupted and goes on"
    if done is not None:
        return "its todo, agent, owned_paths or what it builds on changed"
    if (waits := amendment.pending(ctx, key_of(ctx, marker))) is not None:
        return f"it waits for {', '.join(i.owner for i in waits.items)} to amend a contract"
    if newest is not None and newest.outcome not in ("done", ""):
        return f"attempt {newest.number} ended as {newest.outcome}"
    return "it was not done yet" if newest is None else "its result was removed"


def run(ctx: CellContext) -> Result:
    """Make `implement.toml`. Raises PhaseFailed with the reason, Interrupted when stopped."""
    marker = Marker.read(ctx.dir)
    if marker is None:
        raise ctx.fail("its worktree marker is missing", hint=f"orchestr run {ctx.name}")
    key = key_of(ctx, marker)
    done = Implemented.read(ctx.dir)
    if done is not None and done.key == key:
        return _merge_theirs(ctx, marker, done) or _restore_files(ctx, done)
    if Phase.IMPLEMENT not in ctx.cell.phases or ctx.cell.action is Action.PUSH:
        return _by_hand(ctx, marker, key)
    why = reason(ctx) or ""
    pr = adopt.candidate(ctx)
    if pr is not None:
        adopted = adopt.implemented_for(ctx, pr, marker, key)
        adopted.write(ctx.dir)
        attempts.link_transcript(ctx.dir, 0)
        return Result.built("its branch has a pull request already", head=adopted.head, url=pr.url)
    attempt = _take_over(ctx, key)
    if attempt is None:
        ctx.check_cancelled()
        amendment.check(ctx, key)
        ctx.check_budget()
        ctx.check_room()
        attempt = _open(ctx, marker, key)
    attempts.link_transcript(ctx.dir, attempt.number)
    try:
        ports_of(ctx)  # waits here, without a slot, when none are free
        implemented = _work(ctx, attempt, marker)
    except Interrupted:
        clone_guard.leave(ctx, attempt, marker.base_ref)
        keep_quietly(ctx, attempt)
        close(ctx, attempt, "aborted", "stopped")
        raise
    except OrchestrError as error:
        harm = clone_guard.leave(ctx, attempt, marker.base_ref)
        mended = restore(ctx, attempt)
        text = "; ".join([error.message, *harm, *mended])
        close(ctx, attempt, "failed", text)
        raise PhaseFailed(text, hint=error.hint or f"orchestr logs {ctx.name}") from error
    implemented.write(ctx.dir)
    amendment.settle(ctx, attempt)
    close(ctx, attempt, "done", "")
    return Result.built(
        why, attempt=attempt.number, head=implemented.head, outcome=implemented.outcome
    )


def _work(ctx: CellContext, attempt: Attempt, marker: Marker) -> Implemented:
    """The agent, then the proof; what is not its own goes back to it once. Raises PhaseFailed."""
    while True:
        verdict = drive(ctx, author(ctx, attempt))
        harm = clone_guard.leave(ctx, attempt, marker.base_ref)
        if harm:
            raise ctx.fail(f"while its agent worked, {'; '.join(harm)}")
        try:
            return _finish(ctx, attempt, marker, verdict)
        except NotOwned as refused:
            if not may_give_back(ctx, attempt):
                raise amendment.refused(ctx, attempt, refused) from None
            clone_guard.enter(ctx, marker.base_ref)
            give_back(ctx, attempt, refused)


def _restore_files(ctx: CellContext, done: Implemented) -> Result:
    """The result is there: close what a kill left open, bring back a deleted transcript."""
    newest = attempts.newest(ctx.dir)
    if newest is not None and newest.state == "open" and newest.key == done.key:
        close(ctx, newest, "done", "")
    if ctx.cell.action is not Action.PUSH and not (ctx.dir / TRANSCRIPT).exists():
        attempts.link_transcript(ctx.dir, done.attempt)
    return Result.kept()


def _merge_theirs(ctx: CellContext, marker: Marker, done: Implemented) -> Result | None:
    """Merge what somebody pushed to the branch, without an agent; the phases run again.

    Returns None when there is nothing of the kind. A conflict is a failure for a person.
    """
    if ctx.cell.action is Action.PUSH or theirs(ctx, done) is None:
        return None
    ensure(ctx, marker)
    recover(ctx, ctx.dir / clone_guard.GUARD)
    dirty = ctx.tree_repo.dirty()
    if dirty:
        raise ctx.fail(
            "somebody pushed to its branch, and its worktree has uncommitted changes: "
            + some(dirty),
            hint=f"commit or stash them: git -C {ctx.worktree} status",
        )
    start, notes = prepare(ctx, marker)
    if notes:
        ctx.tree_repo.run("merge", "--abort", check=False)
        raise ctx.fail(
            f"commits that somebody pushed to {ctx.cell.branch} conflict with ours",
            hint=f"git -C {ctx.worktree} pull --no-rebase origin {ctx.cell.branch}, "
            f"or let the agent do it: orchestr run --force {ctx.name}",
        )
    if start == done.head:
        return None
    base = CommitId(marker.base)
    proof = prove(ctx.tree_repo, base=base, start=base, head=start, claims=_claims(ctx))
    if not proof.ok:
        raise ctx.fail(
            f"with what somebody pushed to its branch: {'; '.join(proof.findings)}",
            hint=f"mend it in {ctx.worktree}, or orchestr run --force {ctx.name}",
        )
    merged = replace(done, head=start, tree=ctx.repo.tree(start))
    merged.write(ctx.dir)
    return Result.built("merged what somebody pushed to its branch", head=start)


def _by_hand(ctx: CellContext, marker: Marker, key: str) -> Result:
    """No agent: the commits are a person's (`action: push`), or implement is not listed."""
    head = ctx.repo.resolve(f"refs/heads/{ctx.cell.branch}")
    if head is None:
        raise ctx.fail(f"branch {ctx.cell.branch} is gone", hint="make the branch again")
    base = CommitId(marker.base)
    proof = prove(ctx.repo, base=base, start=base, head=head, claims=_claims(ctx))
    if not proof.ok:
        where = checked_out(ctx) or ctx.repo_path
        raise ctx.fail("; ".join(proof.findings), hint=f"commit the work in {where}")
    tree = ctx.repo.tree(head)
    Implemented(key, head, tree, marker.base, Outcome.PUSHED_BY_HAND).write(ctx.dir)
    if ctx.cell.action is not Action.PUSH:
        attempts.link_transcript(ctx.dir, 0)
    return Result.built("the commits are a person's", head=head)


def _take_over(ctx: CellContext, key: str) -> Attempt | None:
    """The open attempt of the same key to go on with, after ending what must not go on."""
    newest = attempts.newest(ctx.dir)
    if newest is None or not newest.is_open:
        return None
    if newest.key != key:
        stop_running(ctx, newest)
        keep_quietly(ctx, newest)
        close(ctx, newest, "superseded", "its todo, plan or what it builds on changed")
        return None
    lost = settle_lost(ctx, newest)
    if lost is not None:
        restore(ctx, newest)
        close(ctx, newest, "failed", lost)
        return None
    if not (attempts.folder(ctx.dir, newest.number) / "notes.txt").exists():
        marker = Marker.read(ctx.dir)
        if marker is not None:  # killed before the agent could start
            ensure(ctx, marker)
            note(ctx, newest, marker, prepare(ctx, marker)[1])
    return newest


def _open(ctx: CellContext, marker: Marker, key: str) -> Attempt:
    """Make the worktree ready, then record the attempt."""
    write_plan.check_approved(ctx)
    stop_unrecorded(ctx)
    ensure(ctx, marker)
    recover(ctx, ctx.dir / clone_guard.GUARD)  # of a killed check; later it undoes our work
    start, notes = prepare(ctx, marker)
    attempt = attempts.open_next(
        ctx.dir, key=key, agent=ctx.agent_settings.name, model=ctx.model, start=start
    )
    note(ctx, attempt, marker, notes)
    ctx.emit(Kind.ATTEMPT_OPENED, phase=Phase.IMPLEMENT, attempt=attempt.number, key=key,
             agent=attempt.agent, model=attempt.model, start=start)  # fmt: skip
    return attempt


def note(ctx: CellContext, attempt: Attempt, marker: Marker, notes: str) -> None:
    """What must be on disk before the agent starts; written again when a kill came between."""
    note_branches(ctx, attempt, marker)
    write_atomic(attempts.folder(ctx.dir, attempt.number) / "notes.txt", notes.encode())


def close(ctx: CellContext, attempt: Attempt, outcome: str, why: str) -> None:
    attempts.close(ctx.dir, attempt, outcome, why)
    ctx.emit(Kind.ATTEMPT_CLOSED, phase=Phase.IMPLEMENT, attempt=attempt.number,
             outcome=outcome, reason=why)  # fmt: skip


def keep_quietly(ctx: CellContext, attempt: Attempt) -> None:
    """Keep what is in the worktree under the attempt's ref, if that can be done."""
    try:
        keep(ctx, attempt.number)
    except OrchestrError:
        return  # a damaged worktree is put right by whoever needs it next


def _finish(ctx: CellContext, attempt: Attempt, marker: Marker, verdict: Verdict) -> Implemented:
    """Commit what was left, prove the head, and say what came out. Safe to repeat.

    Raises NotOwned when nothing but the ownership of paths is in the way.
    """
    claim = verdict.no_change
    repo, base, start = ctx.tree_repo, CommitId(marker.base), CommitId(attempt.start)
    head = committed(ctx, attempt)
    if claim is not None and repo.tree(head) == repo.tree(base) and repo.is_ancestor(start, head):
        return Implemented(attempt.key, base, repo.tree(base), base, Outcome.NO_CHANGE_NEEDED,
                           attempt.number, claim)  # fmt: skip
    if verdict.amend is not None:
        raise amendment.asked(ctx, attempt, verdict.amend)
    proof = prove(repo, base=base, start=start, head=head, claims=_claims(ctx))
    if not proof.ok and not proof.faults:
        raise NotOwned(proof.ownership, head)
    if not proof.ok:
        raise ctx.fail("; ".join(proof.findings))
    head, anchor = _settle_fresh(ctx, attempt, base, head)
    return Implemented(attempt.key, head, repo.tree(head), base, Outcome.CHANGED,
                       attempt.number, anchor=anchor)  # fmt: skip
