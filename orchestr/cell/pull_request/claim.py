"""Whose a branch is, asked before a cell works on it for the first time.

A branch, its worktree and its pull request belong to one cell of one feature. Who that is stands in
the registry (released entries count: `clean` removes a worktree, not the work) and in the markers
of the pull request's body. A branch with commits that belongs to another cell is refused, and so is
one that names no cell at all, unless the cell says `adopt: true`: then its commits are taken as a
person's work (`orchestr.cell.proof.person_commits`).

Safe to repeat after a kill: nothing is recorded here but the local branch, which is made only where
there is none or moved forward.
"""

from __future__ import annotations

import time

from orchestr.cell.context import CellContext
from orchestr.cell.origin_looks import RemoteHeads
from orchestr.errors import MachineFault, OrchestrError
from orchestr.forges.base import PRState, PullRequest
from orchestr.forges.body_markers import is_owned_by_other, read_owner
from orchestr.git.repo import CommitId
from orchestr.spec.phases import Phase
from orchestr.state import attempts
from orchestr.state.results import WorktreeMarker

LOOK_AGE = 60.0  # s for which a look at the origin counts within a run: cells begin many at once


def is_foreign(ctx: CellContext, pr: PullRequest) -> bool:
    """Whether the markers in a pull request's body name another cell."""
    feature, cell = ctx.run.feature.name, ctx.cell.name
    foreign = is_owned_by_other(pr.body, feature, cell)
    return foreign and is_owned_by_other(pr.body, feature, cell, former_keys(ctx))


def is_own_open(ctx: CellContext, pr: PullRequest, url: str | None) -> bool:
    """Whether a pull request is open and this cell's own: its markers say so, or it has the address
    ``url`` that the cell's records name."""
    if pr.state is not PRState.OPEN or is_foreign(ctx, pr):
        return False
    return pr.url == url or read_owner(pr.body) is not None


def former_keys(ctx: CellContext) -> tuple[str, ...]:
    """The names that the cell had before, as ``feature/cell``."""
    known = ctx.run.registry.lookup(ctx.key)
    return (ctx.key, *(known.former_keys if known is not None else ()))


def refuse_foreign_pr(ctx: CellContext, pr: PullRequest) -> OrchestrError:
    """The error for a pull request that belongs to another cell."""
    owner = read_owner(pr.body) or ("?", "?")
    return ctx.fail(
        f"branch {ctx.cell.branch} belongs to cell {':'.join(owner)}: {pr.url} is its pull request",
        hint=other_branch_hint(ctx),
    )


def other_branch_hint(ctx: CellContext) -> str:
    """What to do about a branch that belongs to another cell."""
    return f"set another `branch` for cell {ctx.cell.name} in {ctx.run.feature.path}"


def claim_branch(ctx: CellContext, old: WorktreeMarker | None, base: CommitId) -> CommitId:
    """Make sure that the cell may work on its branch; the commit that its work starts from.

    Raises PhaseFailed, which names the owner, when it may not.
    """
    if _is_claimed(ctx, old):
        return base
    repo, ref = ctx.repo, f"refs/heads/{ctx.cell.branch}"
    local, remote = repo.resolve_commit(ref), read_remote_tip(ctx)
    local = None if local is not None and repo.is_ancestor(local, base) else local
    if remote is not None and repo.resolve_commit(remote) and repo.is_ancestor(remote, base):
        remote = None
    if local is None and remote is None:
        return base  # nothing is there that could be a person's work
    if not _is_own(ctx):
        _refuse_unless_adopted(ctx, local, remote)
    else:
        attempts.request_rebuild(ctx.dir)  # an earlier attempt's work: an attempt goes on from it
    tip = _bring_branch_here(ctx, local, remote)
    return repo.merge_base(base, tip) or base


def _is_claimed(ctx: CellContext, old: WorktreeMarker | None) -> bool:
    """Whether this cell has worked on its branch before, by what is recorded here."""
    if old is not None:
        return old.branch == ctx.cell.branch
    claim = ctx.run.registry.lookup_active(ctx.key)
    return (claim is not None and claim.branch == ctx.cell.branch) or bool(
        attempts.attempt_numbers(ctx.dir)
    )


def _is_own(ctx: CellContext) -> bool:
    """Whether registry or pull request name this cell as the owner of its branch."""
    known = ctx.run.registry.lookup(ctx.key)
    if known is not None and known.branch == ctx.cell.branch:
        return True
    seen = ctx.run.seen.get(f"{ctx.cell.repo}:{ctx.cell.branch}", ())
    return any(read_owner(pr.body) is not None for pr in seen)  # others' are not among them


def _refuse_unless_adopted(
    ctx: CellContext, local: CommitId | None, remote: CommitId | None
) -> None:
    branch = ctx.cell.branch
    where = f"in {ctx.repo_path}" if local is not None else "at the origin"
    common = f"branch {branch} exists {where} ({(local or remote or '')[:12]})"
    owner = find_other_owner(ctx)
    if owner is not None:
        raise ctx.fail(f"{common} and belongs to {owner}", hint=other_branch_hint(ctx))
    if not ctx.cell.adopt:
        take = f"to go on from these commits, set `adopt: true` for cell {ctx.cell.name}"
        rename = f"git -C {ctx.repo_path} branch -m {branch} {branch}-old"
        leave = rename if remote is None else "set another `branch` there"
        raise ctx.fail(
            f"{common} with commits, and no cell is known to own it",
            hint=f"{take} in {ctx.run.feature.path}; else: {leave}",
        )


def find_other_owner(ctx: CellContext) -> str | None:
    """The other cell that registry or pull requests name as the owner of the branch, or None."""
    common = str(ctx.repo.common_dir())
    for entry in ctx.run.registry.entries():
        same = entry.branch == ctx.cell.branch and entry.common_dir == common
        if same and entry.key != ctx.key:
            return f"cell {entry.key.replace('/', ':', 1)} of this workspace"
    for pr in ctx.run.foreign_prs.get(f"{ctx.cell.repo}:{ctx.cell.branch}", ()):
        owner = read_owner(pr.body)
        if owner is not None and pr.state is not PRState.CLOSED:
            return f"cell {':'.join(owner)} ({pr.url})"
    return None


def read_remote_tip(ctx: CellContext) -> CommitId | None:
    """Where the branch is at the origin, for a cell that publishes; None when it is not there.

    Asked once for all cells of a repository that begin together. An origin that cannot be reached
    is reported by the fetch of the base.
    """
    if Phase.PUBLISH not in ctx.cell.phases or not ctx.repo.has_remote():
        return None
    cells = [cell for cell in ctx.run.feature.cells if cell.repo == ctx.cell.repo]
    known = ctx.run.origins.setdefault(ctx.cell.repo, RemoteHeads())
    with known.lock:
        if known.at is None or time.monotonic() - known.at > LOOK_AGE:
            try:
                known.heads = ctx.repo.ls_remote(
                    ctx.repo.remotes.push, *(f"refs/heads/{cell.branch}" for cell in cells)
                )
            except MachineFault:
                raise
            except OrchestrError:
                known.heads = {}
            known.at = time.monotonic()
        found = known.heads.get(f"refs/heads/{ctx.cell.branch}")
    return CommitId(found) if found is not None else None


def _bring_branch_here(
    ctx: CellContext, local: CommitId | None, remote: CommitId | None
) -> CommitId:
    """The local branch, made from the origin's or moved forward to it."""
    repo, ref = ctx.repo, f"refs/heads/{ctx.cell.branch}"
    if remote is not None and repo.resolve_commit(remote) is None:
        repo.fetch(repo.remotes.push, ref, locks=ctx.run.layout.locks_dir)
    if remote is None or (local is not None and repo.is_ancestor(remote, local)):
        assert local is not None
        return local
    if local is not None and not repo.is_ancestor(local, remote):
        raise ctx.fail(
            f"branch {ctx.cell.branch} is at {local[:12]} in {ctx.repo_path} and at {remote[:12]} "
            "at the origin, and neither contains the other",
            hint=f"git -C {ctx.repo_path} switch {ctx.cell.branch} && git -C {ctx.repo_path} pull "
            f"--no-rebase {repo.remotes.push} {ctx.cell.branch}",
        )
    there = repo.resolve_commit(ref)  # behind the base perhaps, so that it holds nothing new
    checkout = next((w.path for w in repo.list_worktrees() if w.branch == ctx.cell.branch), None)
    if there is None or checkout is None:
        repo.update_ref(ref, remote, there)
        return remote
    raise ctx.fail(
        f"branch {ctx.cell.branch} is checked out in {checkout}, and the origin has newer commits "
        f"({remote[:12]})",
        hint=f"git -C {checkout} pull --ff-only {repo.remotes.push} {ctx.cell.branch}",
    )
