"""The worktree of a cell is there, whatever happened to it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.cell.worktree.damage import record_place, restore_missing_files
from orchestr.cell.worktree.misplaced import describe_misplaced, suggest_return
from orchestr.cell.worktree.person_changes import record_new_worktree
from orchestr.cell.worktree.setup import (
    has_setup_failed,
    is_setup_pending,
    mark_setup_pending,
    set_up_worktree,
)
from orchestr.errors import OrchestrError
from orchestr.git.repo import Branch, CommitId
from orchestr.git.worktree_state import WorktreeFinding, validate_worktree
from orchestr.git.worktrees import add_worktree, repair_worktree
from orchestr.spec.phases import Phase
from orchestr.state import attempts
from orchestr.state.events import EventKind
from orchestr.state.journal import utc_timestamp
from orchestr.state.registry import RegistryEntry
from orchestr.state.results import WorktreeMarker


def find_checkout(ctx: CellContext) -> Path | None:
    """Where the cell's branch is checked out: the main clone first, then its worktrees."""
    for entry in ctx.repo.list_worktrees():
        if entry.branch == ctx.cell.branch:
            return entry.path
    return None


def base_branch(ctx: CellContext) -> str:
    """The branch a pull request of this cell is for, when it is not stacked."""
    named = ctx.cell.base or ctx.repo_settings.base
    if named:
        return named
    default = ctx.repo.default_branch()
    if default is None:
        raise ctx.fail(
            f"no base branch can be found in {ctx.repo_path}",
            hint=f'set [repos.{ctx.cell.repo}] base = "main"',
        )
    return default


def ensure_worktree(ctx: CellContext, marker: WorktreeMarker) -> bool:
    """The cell's worktree, on its branch; added, completed or repaired when it must be.

    Returns whether it was made anew, or had to be set up again: then it is set up as well.
    """
    registry, locks = ctx.run.registry, ctx.run.layout.locks_dir
    repo, path, branch = ctx.repo, ctx.worktree, Branch(ctx.cell.branch)
    known = registry.lookup(ctx.key)
    verdict = validate_worktree(repo, path, branch)
    if verdict.finding is WorktreeFinding.DAMAGED and known is not None:
        repair_worktree(repo, path)
        verdict = validate_worktree(repo, path, branch)
        if verdict.finding is WorktreeFinding.OK:
            restore_missing_files(ctx, wholesale=False)
    if known is not None:
        record_place(ctx)
    match verdict.finding:
        case WorktreeFinding.OK if known is not None and not is_setup_pending(ctx):
            return False
        case WorktreeFinding.OK if known is not None:
            _set_up_new_worktree(ctx, marker.base)
            return True
        case WorktreeFinding.WRONG_BRANCH | WorktreeFinding.DETACHED if known is not None:
            raise ctx.fail(
                f"its worktree {path} is {describe_misplaced(verdict)}, not on {branch}",
                hint=suggest_return(repo, path, branch, verdict),
            )
        case WorktreeFinding.FOREIGN:
            raise ctx.fail(
                f"{path} exists and is not a worktree of {ctx.repo_path}",
                hint=f"look into it, then: mv {path} {path}.old",
            )
        case _:
            pass
    check_branch(ctx, CommitId(marker.base))
    if known is None or not known.is_active:
        registry.reserve(
            RegistryEntry(
                key=ctx.key,
                repo=ctx.cell.repo,
                common_dir=str(repo.common_dir()),
                path=str(path),
                branch=branch,
                base=marker.base,
                created_at=utc_timestamp(),
            )
        )
    if verdict.finding is not WorktreeFinding.OK:
        mark_setup_pending(ctx)
        try:
            add_worktree(ctx.worktree_owner, path, branch, CommitId(marker.base), locks=locks)
        except OrchestrError:
            if known is None:
                registry.release(ctx.key)
            raise
        ctx.emit(EventKind.WORKTREE_ADDED, phase=Phase.WORKTREE, path=str(path), branch=branch,
                 base=marker.base)  # fmt: skip
        _set_up_new_worktree(ctx, marker.base)
    registry.touch_phase(ctx.key, Phase.WORKTREE)
    return verdict.finding is not WorktreeFinding.OK


def _set_up_new_worktree(ctx: CellContext, base: str) -> None:
    """Set up a worktree that no agent has worked in, and write down how we left it: what differs
    after a set-up that failed is a person's, who looked into it."""
    if has_setup_failed(ctx):
        set_up_worktree(ctx)
        return
    try:
        set_up_worktree(ctx)
    except OrchestrError:
        with suppress(OrchestrError):
            record_new_worktree(ctx, base)
        raise
    record_new_worktree(ctx, base)


def check_branch(ctx: CellContext, base: CommitId) -> None:
    """Refuse a branch that is there already and is not ours to use."""
    repo, branch = ctx.repo, ctx.cell.branch
    if ctx.run.registry.lookup(ctx.key) is not None or attempts.attempt_numbers(ctx.dir):
        return  # registered, or the registry was lost: an attempt of this cell made it
    local = repo.resolve_commit(f"refs/heads/{branch}")
    if local is None:
        return
    marker = WorktreeMarker.read(ctx.dir)
    known = marker is not None and marker.branch == branch  # an adopted one: what moved is merged
    if not known and not repo.is_ancestor(base, local):
        raise ctx.fail(
            f"branch {branch} exists and is not based on {base[:12]}",
            hint=f"git -C {ctx.repo_path} branch -m {branch} {branch}-old, or set another branch",
        )
    for entry in repo.list_worktrees():
        if entry.branch == branch and entry.path != ctx.worktree:
            raise ctx.fail(
                f"branch {branch} is checked out at {entry.path}",
                hint=f"git -C {entry.path} switch --detach, or finish the work there",
            )
