"""A person's commit on a cell's branch is the cell's head, wherever it was made.

A commit is a person's when the branch stands on it and nothing of ours put it there: no result, no
repair, no attempt (`Attempt.tip`), no push and no landing. It is proved like an agent's commits and
becomes the result; then it is checked, reviewed, published and landed as any other, and the cell's
agent is asked only for what is red.

An attempt has precedence where a person asked for one (`forget`, `--force`, `--fresh`), where it is
open, and where the cell's todo or what it builds on has changed: it starts from that commit.
Finding one costs no process while the branch stands where we left it.

What survives a crash: the marker is moved (only when the person merged a newer base) after the
result that was made for it; `find_taken_base` says what a kill left out.
"""

from __future__ import annotations

from orchestr.cell.context import CellContext
from orchestr.cell.inputs import attempt_key
from orchestr.cell.proof.prove_cell_head import prove_cell_head
from orchestr.cell.pull_request.foreign_commits import pushed_commits
from orchestr.cell.record import CellRecord
from orchestr.cell.worktree.branch_tip import find_branch_tip
from orchestr.cell.worktree.ensure import base_branch, find_checkout
from orchestr.cell.worktree.salvage import attempt_ref, find_free_ref
from orchestr.cell.worktree.take_out_kit import kit_hint, take_out_kit
from orchestr.errors import MachineFault, OrchestrError
from orchestr.git.bases import list_base_tips
from orchestr.git.repo import CommitId
from orchestr.spec.phases import Action, Phase
from orchestr.state import attempts, repairs
from orchestr.state.events import EventKind
from orchestr.state.results import (
    HeadRecord,
    ImplementOutcome,
    ImplementRecord,
    WorktreeMarker,
)

TAKEN = "commit {} that a person made on its branch is its head now"


def find_person_commit(ctx: CellContext, record: CellRecord, key: str) -> CommitId | None:
    """The commit to take as the result for ``key``, or None. Starts a process only for a commit
    that no record names."""
    if ctx.cell.action is Action.PUSH:
        return None
    done = record.implemented
    tip = find_branch_tip(ctx)
    if tip is None or (done is not None and (done.key != key or tip == done.head)):
        return None
    agents = (record.newest_attempt, record.newest_plan, record.newest_own)
    if (
        any(one is not None and one.is_open for one in agents)
        or attempts.is_rebuild_requested(ctx.dir)
        or attempts.is_branch_in_preparation(ctx.dir)
    ):
        return None
    known = _read_known_heads(ctx, record, key)
    if known is None or tip in known or not _is_new_work(ctx, tip, known, done):
        return None
    return tip


def _read_known_heads(ctx: CellContext, record: CellRecord, key: str) -> set[str] | None:
    """Every commit that we left the branch on; None where an attempt decides instead."""
    done, newest, marker = record.implemented, record.newest_attempt, record.marker
    if marker is None:
        return None
    if done is None and newest is not None:
        if newest.key != key or not newest.tip or newest.outcome in ("done", "forgotten"):
            return None
        return {newest.tip, newest.start}
    if done is None:  # no agent has worked on it yet; a branch that is not ours has no claim
        claim = ctx.run.registry.lookup_active(ctx.key)
        if claim is None or claim.branch != ctx.cell.branch or not _is_untouched(ctx):
            return None
        return {marker.base, claim.base}
    head, evidence = record.head, (record.checks, record.review)
    rounds = repairs.read_rounds(ctx.dir, done.attempt) if done.attempt else []
    return {
        done.head,
        done.base,
        head.head if head is not None else "",
        newest.tip if newest is not None else "",
        record.newest_own.tip if record.newest_own is not None else "",
        *(one.head for one in evidence if one is not None),
        *(one.after for one in rounds),
    }


def _is_untouched(ctx: CellContext) -> bool:
    """Whether we made the worktree and started no agent in it, by the journal. A kill may come
    before the line about a worktree; with `adopt: true` the spec says whose the commits are."""
    names = {phase.name for phase in ctx.cell.own_phases}  # those before `implement` only read
    kinds = {
        e.kind for e in ctx.run.journal.read() if e.cell == ctx.cell.name and e.phase not in names
    }
    made = ctx.cell.adopt or EventKind.WORKTREE_ADDED in kinds
    return made and EventKind.ATTEMPT_OPENED not in kinds


def _is_new_work(
    ctx: CellContext, tip: CommitId, known: set[str], done: ImplementRecord | None
) -> bool:
    """Whether git and the journal agree that a person made ``tip``."""
    repo = ctx.repo
    there = [CommitId(one) for one in known if one and repo.resolve_commit(one) is not None]
    if any(repo.is_ancestor(tip, one) for one in there):
        return False  # an older state of ours: nothing new was committed
    adopted = done is not None and done.outcome is ImplementOutcome.ADOPTED
    if adopted and done is not None and not repo.is_ancestor(done.head, tip):
        return False  # an old local branch beside the pull request that was adopted
    if tip in pushed_commits(ctx.run.journal, ctx.cell.name):
        return False
    return not any(
        event.kind is EventKind.LAND_UPDATE
        and event.cell == ctx.cell.name
        and event.data.get("new") == tip
        for event in ctx.run.journal.read()
    )


def take_person_commit(ctx: CellContext, marker: WorktreeMarker, tip: CommitId) -> ImplementRecord:
    """Make the commit the cell's result. Raises PhaseFailed with what is wrong with it.

    The marker gets a newer base when the person merged one.
    """
    base = _find_merged_base(ctx, marker, tip)
    newer = marker.with_base(base)
    tip = take_out_kit(ctx, base, tip)
    proof = prove_cell_head(ctx, ctx.repo, base=base, start=base, head=tip)
    if not proof.ok:
        where = find_checkout(ctx) or ctx.repo_path
        raise ctx.fail(
            f"commit {tip[:12]} that a person made on {ctx.cell.branch} is not acceptable: "
            + "; ".join(proof.findings),
            hint=kit_hint(ctx, where, base)
            if proof.private
            else f"correct it on {ctx.cell.branch} and commit, then: orchestr run {ctx.name}; "
            f"or have its agent do it: orchestr run --force {ctx.name}",
        )
    done, newest = ImplementRecord.read(ctx.dir), attempts.newest_attempt(ctx.dir)
    number = done.attempt if done is not None else newest.number if newest is not None else 0
    record = ImplementRecord(
        attempt_key(ctx, newer),
        tip,
        ctx.repo.resolve_tree(tip),
        base,
        ImplementOutcome.PUSHED_BY_HAND,
        number,
        anchor=_keep_replaced_head(ctx, tip, number),
    )
    record.write(ctx.dir)
    if newer != marker:
        newer.write(ctx.dir)
    attempts.link_transcript(ctx.dir, number)
    ctx.emit(EventKind.CELL_WARNED, phase=Phase.IMPLEMENT, reason=TAKEN.format(tip[:12]))
    return record


def find_taken_base(ctx: CellContext, record: CellRecord) -> CommitId | None:
    """The base that the result was made for, when a kill came before the marker had it."""
    done, marker = record.implemented, record.marker
    if (
        done is None
        or marker is None
        or done.outcome is not ImplementOutcome.PUSHED_BY_HAND
        or done.base == marker.base
        or done.key != attempt_key(ctx, marker.with_base(done.base))
    ):
        return None
    base, former = CommitId(done.base), CommitId(marker.base)
    newer = ctx.repo.is_ancestor(former, base)
    rewritten = not newer and not ctx.repo.is_ancestor(former, CommitId(done.head))
    return base if newer or rewritten else None


def _find_merged_base(ctx: CellContext, marker: WorktreeMarker, tip: CommitId) -> CommitId:
    """The base of a person's commit: a newer one where the base branch was merged into it, or where
    it was rebased because that branch was rewritten."""
    repo, base = ctx.repo, CommitId(marker.base)
    branches = [marker.base_ref]
    try:
        branches.append(base_branch(ctx))
    except MachineFault:
        raise
    except OrchestrError:
        pass  # the repository has no default branch; the marker names the base
    for branch in dict.fromkeys(branches):
        for there in list_base_tips(repo, branch).values():
            common = repo.merge_base(there, tip)
            if common is None or common == base:
                continue
            gone = not repo.is_ancestor(base, tip) and not repo.is_ancestor(base, there)
            if gone or repo.is_ancestor(base, common):
                base = common
    return base


def _keep_replaced_head(ctx: CellContext, tip: CommitId, number: int) -> str:
    """The anchor of the new result. A head that the person's commit does not contain is kept."""
    old = HeadRecord.read(ctx.dir)
    if old is None or ctx.repo.resolve_commit(old.head) is None:
        return ""
    if ctx.repo.is_ancestor(old.head, tip):
        return old.anchor
    ref = find_free_ref(ctx, f"{attempt_ref(ctx, number)}-head", CommitId(old.head))
    ctx.repo.run_git("update-ref", ref, old.head)
    return tip
