"""After `--fresh`, where the origin forbids force pushes: the published head joins the new one.

A fresh start leaves the commits behind that were published before. Where the branch may not be
forced, the new head becomes the first parent of a merge that takes nothing of the old one's content
(as `git merge -s ours` does). Its tree is the checked one, so checks, verdicts and a person's yes
count for it as they are.

What survives a crash: the merge is the same commit when it is made again, and it is pushed before
anything here names it. A later run finds it at the origin (`is_joined_head`), or pushes it again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from orchestr.cell import approval
from orchestr.cell.context import CellContext
from orchestr.codec import replace
from orchestr.git.errors import RefMoved
from orchestr.git.lasting_commit import LastingCommit, make_lasting_commit
from orchestr.git.merge import newest_commit_date
from orchestr.git.repo import CommitId
from orchestr.spec.checks import Gate
from orchestr.spec.phases import Phase
from orchestr.state.events import EventKind
from orchestr.state.results import CHECKS, REVIEW, Evidence, HeadRecord, ImplementRecord


def make_joined_head(ctx: CellContext, head: CommitId, published: CommitId) -> CommitId:
    """The head, with the published one as its second parent and nothing of its content."""
    repo = ctx.repo.with_config(ctx.sign_config)
    text = f"Merge the earlier head of {ctx.cell.branch}, without its content\n"
    both = (head, published)
    date = newest_commit_date(repo, both)
    return make_lasting_commit(repo, LastingCommit(repo.resolve_tree(head), both, text, date))


def is_joined_head(ctx: CellContext, there: CommitId, head: CommitId) -> bool:
    """Whether a commit of ours at the origin is the head with an earlier one joined to it."""
    repo = ctx.repo
    return (
        repo.resolve_commit(there) is not None
        and repo.is_ancestor(head, there)
        and repo.resolve_tree(there) == repo.resolve_tree(head)
    )


def adopt_joined_head(
    ctx: CellContext,
    head: HeadRecord,
    joined: CommitId,
    approved_value: Callable[[HeadRecord], str],
) -> HeadRecord:
    """Make the joined commit the cell's head in all that names the head; safe to repeat.

    The worktree's files are those of the head, so only its branch moves. A branch on which a person
    committed meanwhile stays: their commit is the next head.
    """
    approved = approved_value(head)
    with suppress(RefMoved):
        ctx.repo.update_ref(f"refs/heads/{ctx.cell.branch}", joined, CommitId(head.head))
    done = ImplementRecord.read(ctx.dir)
    if done is not None and done.head == head.head:
        replace(done, head=joined).write(ctx.dir)
    for name in (CHECKS, REVIEW):
        evidence = Evidence.read(ctx.dir / name)
        if evidence is not None:
            moved = {key: joined for key in ("head", "origin")
                     if getattr(evidence, key) == head.head}  # fmt: skip
            replace(evidence, **moved).write(ctx.dir / name)
    new = replace(head, head=joined)
    new.write(ctx.dir)
    if Gate.PUBLISH in ctx.cell.proof.approve:
        approval.carry_approval(ctx, Gate.PUBLISH, [approved], approved_value(new))
    ctx.emit(
        EventKind.CELL_WARNED,
        phase=Phase.PUBLISH,
        reason=f"{ctx.cell.branch} may not be forced at the origin: its earlier head is part of "
        "its history, without its content",
    )
    return new
