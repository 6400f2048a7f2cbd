"""The pull request of a cell whose branch was renamed: the old one is closed with a link.

Forges cannot give a pull request another head, so there is a new one. The branch of the old name is
deleted at the origin as soon as no open pull request is for it, and only while it holds nothing but
commits that the cell's head contains.

What survives a crash: nothing is recorded here that the forge does not show. The old pull request
is closed after the new one is open; a comment is made once, one that is closed stays closed.
"""

from __future__ import annotations

from orchestr.cell.context import CellContext
from orchestr.cell.pull_request.claim import is_own_open
from orchestr.cell.pull_request.foreign_commits import pushed_commits
from orchestr.errors import OrchestrError
from orchestr.forges.base import ClosingForge, PullRequest
from orchestr.git.repo import CommitId
from orchestr.spec.phases import Phase
from orchestr.state.events import EventKind
from orchestr.state.results import PublishRecord

MOVED = "The branch of this pull request was renamed: it goes on as {}."


def find_former_branches(ctx: CellContext) -> list[str]:
    """The names under which the cell was published before, but for those that others have now."""
    published = PublishRecord.read(ctx.dir)
    found = [published.branch] if published is not None and published.branch else []
    found += [
        str(event.data.get("branch"))
        for event in ctx.run.journal.read()
        if event.cell == ctx.cell.name
        and event.kind in (EventKind.PUSH_INTENDED, EventKind.PUSH_DONE)
    ]
    if all(name == ctx.cell.branch for name in found):
        return []
    taken = {cell.branch for cell in ctx.run.feature.cells if cell.repo == ctx.cell.repo}
    taken |= {e.branch for e in ctx.run.registry.entries() if e.key != ctx.key and e.is_active}
    return [name for name in dict.fromkeys(found) if name not in taken]


def read_former_prs(ctx: CellContext, branches: list[str]) -> list[PullRequest]:
    """The cell's own open pull requests of these branches."""
    if not branches:
        return []
    published = PublishRecord.read(ctx.dir)
    url = published.url if published is not None else None
    found = ctx.run.forge.find_pull_requests(ctx.repo_ref, branches)
    return [pr for prs in found.values() for pr in prs if is_own_open(ctx, pr, url)]


def refuse_unmerged_commits(ctx: CellContext, prs: list[PullRequest], head: str) -> None:
    """Raises PhaseFailed when an old pull request has commits that the head lacks."""
    known = pushed_commits(ctx.run.journal, ctx.cell.name)
    for pr in prs:
        if not _is_contained(ctx, pr.head_sha, head, known):
            where = ctx.worktree if ctx.worktree.exists() else ctx.repo_path
            raise ctx.fail(
                f"its branch was renamed, and commits that are not in it were pushed to {pr.head}: "
                f"{pr.url} is at {pr.head_sha[:12]}",
                hint=f"git -C {where} pull --no-rebase {ctx.repo.remotes.push} {pr.head}, then: "
                f"orchestr run {ctx.name}",
            )


def close_former_prs(ctx: CellContext, prs: list[PullRequest], new: PullRequest) -> None:
    """Close the old pull requests with a link to the new one."""
    forge = ctx.run.forge
    for pr in prs:
        forge.comment_once(ctx.repo_ref, pr.number, MOVED.format(new.url))
        if not isinstance(forge, ClosingForge):
            text = f"{pr.url} of its old branch is open: close it, it goes on as {new.url}"
            ctx.emit(EventKind.CELL_WARNED, phase=Phase.PUBLISH, reason=text)
            continue
        _note_move(ctx, pr, new, done=False)
        forge.close_pull_request(ctx.repo_ref, pr.number)
        _note_move(ctx, pr, new, done=True)


def _note_move(ctx: CellContext, old: PullRequest, new: PullRequest, *, done: bool) -> None:
    ctx.emit(EventKind.CELL_MOVED, phase=Phase.PUBLISH, what="pull request", old=old.url,
             new=new.url, done=done)  # fmt: skip


def delete_former_branches(ctx: CellContext) -> None:
    """Delete the branches of old names at the origin that nothing needs any more.

    A branch that has other commits, or that an open pull request is for, stays.
    """
    names, forge, head = find_former_branches(ctx), ctx.run.forge, ctx.read_head()
    if not names or head is None or not isinstance(forge, ClosingForge):
        return
    known = pushed_commits(ctx.run.journal, ctx.cell.name)
    try:
        remote = ctx.repo.remotes.push
        there = ctx.repo.ls_remote(remote, *(f"refs/heads/{name}" for name in names))
        for ref, sha in there.items():
            name = ref.removeprefix("refs/heads/")
            if _is_contained(ctx, sha, head.head, known) and not (
                read_former_prs(ctx, [name]) or forge.has_open_into(ctx.repo_ref, name)
            ):
                ctx.repo.delete_remote_branch(remote, name, CommitId(sha))
    except OrchestrError as error:
        text = f"a branch of its old name was kept at the origin: {error.reason}"
        ctx.emit(EventKind.CELL_WARNED, phase=Phase.PUBLISH, reason=text)


def _is_contained(ctx: CellContext, sha: str, head: str, known: set[str]) -> bool:
    """Whether a commit is in the head, or one that we pushed and replaced ourselves."""
    if sha in known or sha == head:
        return True
    return ctx.repo.resolve_commit(sha) is not None and ctx.repo.is_ancestor(sha, head)
