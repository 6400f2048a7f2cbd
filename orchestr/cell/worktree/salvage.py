"""What a failed attempt leaves behind is kept under `refs/orchestr/attempts/`.

Nothing dirty is ever thrown away before a ref holds it. Whoever takes something away from a
worktree goes through `orchestr.cell.worktree.discard`, which begins here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestr.cell.context import CellContext
from orchestr.errors import MachineFault, OrchestrError
from orchestr.git.repo import CommitId
from orchestr.git.snapshot import Snapshot, take_snapshot


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """A snapshot and the ref that holds it; no ref when there is nothing at all."""

    snapshot: Snapshot
    ref: str


def attempt_ref(ctx: CellContext, number: int) -> str:
    """The ref that keeps what an attempt left."""
    name = f"plan-{-number}" if number < 0 else str(number)
    return f"refs/orchestr/attempts/{ctx.run.feature.name}/{ctx.cell.name}/{name}"


def keep_worktree(ctx: CellContext, number: int) -> StoredSnapshot:
    """Store HEAD and everything uncommitted under the attempt's ref, as far as a commit can."""
    snapshot = _take_snapshot(ctx, number)
    if snapshot.commit is None:
        return StoredSnapshot(snapshot, "")
    first = attempt_ref(ctx, number)
    there = ctx.repo.resolve_commit(first)
    if there is not None and _is_same_work(ctx, there, snapshot.commit):
        return StoredSnapshot(replace(snapshot, commit=there), first)  # kept by an earlier call
    ref = find_free_ref(ctx, first, snapshot.commit)
    ctx.repo.update_ref(ref, snapshot.commit)
    return StoredSnapshot(snapshot, ref)


def salvage_worktree(ctx: CellContext, number: int) -> CommitId | None:
    """As `keep_worktree`; returns the commit, None only when there is nothing at all."""
    return keep_worktree(ctx, number).snapshot.commit


def make_snapshot_commit(ctx: CellContext, number: int) -> CommitId | None:
    """HEAD and everything uncommitted as one commit; no ref holds it yet."""
    return _take_snapshot(ctx, number).commit


def _is_same_work(ctx: CellContext, one: CommitId, other: CommitId) -> bool:
    """Whether two snapshots hold the same files, made from the same commits."""
    words = (f"{one}^{{tree}}", f"{other}^{{tree}}", f"{one}^@", "--not", f"{other}^@")
    lines = ctx.repo.run_readonly("rev-parse", *words).text.split()
    mine = sorted(line for line in lines[2:] if not line.startswith("^"))
    theirs = sorted(line[1:] for line in lines[2:] if line.startswith("^"))
    return lines[0] == lines[1] and mine == theirs


def _take_snapshot(ctx: CellContext, number: int) -> Snapshot:
    what = f"plan {-number}" if number < 0 else f"attempt {number}"
    return take_snapshot(ctx.worktree_repo, f"left by {what} of {ctx.name}")


def find_free_ref(ctx: CellContext, first: str, commit: CommitId) -> str:
    """The ref, or `<ref>.2`, `<ref>.3`, ... : what is kept is never moved off a commit
    that the new one does not contain (these refs have no reflog)."""
    ref, copy = first, 1
    while True:
        there = ctx.repo.resolve_commit(ref)
        if there is None or ctx.repo.is_ancestor(there, commit):
            return ref
        copy += 1
        ref = f"{first}.{copy}"


def is_same_repository(ctx: CellContext) -> bool:
    """Whether the worktree's `.git` still leads to the cell's repository."""
    try:
        return ctx.worktree_repo.common_dir().resolve() == ctx.repo.common_dir().resolve()
    except MachineFault:
        raise
    except OrchestrError:
        return False
