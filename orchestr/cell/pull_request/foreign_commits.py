"""What this workspace pushed: by the journal, so that an older head of ours is never taken for
commits of others."""

from __future__ import annotations

from orchestr.cell.context import CellContext, observed_prs
from orchestr.forges.base import PRState
from orchestr.git.repo import CommitId
from orchestr.state.events import EventKind
from orchestr.state.journal import Journal
from orchestr.state.results import ImplementRecord


def pushed_commits(journal: Journal, cell: str) -> set[str]:
    """Every commit that this workspace pushed, or meant to push, for a cell."""
    return {
        str(event.data.get("sha"))
        for event in journal.read()
        if event.cell == cell and event.kind in (EventKind.PUSH_INTENDED, EventKind.PUSH_DONE)
    } | {
        str(event.data.get("head"))
        for event in journal.read()
        if event.cell == cell and event.kind is EventKind.CELL_ADOPTED
    }


def foreign_head(ctx: CellContext, done: ImplementRecord) -> CommitId | None:
    """A head at the forge that is not ours and not contained in ours, as seen at the start."""
    for pr in observed_prs(ctx.run, ctx.cell):
        if pr.state is not PRState.OPEN or pr.head_sha == done.head:
            continue
        if pr.head != ctx.cell.branch:
            continue  # of a branch that was renamed: publish compares it before it is closed
        if pr.head_sha in pushed_commits(ctx.run.journal, ctx.cell.name):
            continue  # an older head of ours: publish brings it up to date
        sha, head = CommitId(pr.head_sha), CommitId(done.head)
        if ctx.repo.resolve_commit(sha) is not None and ctx.repo.is_ancestor(sha, head):
            continue  # merged already, by an attempt or by hand
        return sha
    return None


def has_foreign_head(ctx: CellContext) -> bool:
    """Whether the forge showed, at the start of this run, a head that is not ours."""
    if not observed_prs(ctx.run, ctx.cell):
        return False
    done = ImplementRecord.read(ctx.dir)
    return done is not None and foreign_head(ctx, done) is not None
