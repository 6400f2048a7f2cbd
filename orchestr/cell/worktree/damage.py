"""A cell's worktree that was harmed from outside: moved, emptied, or without its `.git`.

Nothing is written over here: what is missing comes back, what is there stays as it is.
"""

from __future__ import annotations

from orchestr.cell.context import CellContext
from orchestr.cell.worktree.salvage import is_same_repository
from orchestr.errors import MachineFault, OrchestrError
from orchestr.git.checkout import add_deleted_files
from orchestr.git.runner import split_records
from orchestr.git.worktree_state import find_moved_entry
from orchestr.git.worktrees import repair_worktree
from orchestr.state.events import EventKind


def belongs_to_clone(ctx: CellContext) -> bool:
    """Whether the worktree is one of the cell's repository; one that was moved with its workspace
    is connected again first."""
    if is_same_repository(ctx):
        return True
    try:
        if find_moved_entry(ctx.repo, ctx.worktree) is not None:
            repair_worktree(ctx.repo, ctx.worktree)
    except MachineFault:
        raise
    except OrchestrError:
        pass  # it cannot be connected: the answer below
    return is_same_repository(ctx)


def record_place(ctx: CellContext) -> None:
    """Note in the registry where the worktree and its clone are, when they were moved."""
    known = ctx.run.registry.lookup_active(ctx.key)
    if known is not None and known.path != str(ctx.worktree):
        ctx.run.registry.relocate(ctx.key, str(ctx.worktree), str(ctx.repo.common_dir()))


def restore_missing_files(ctx: CellContext, *, wholesale: bool = True) -> int:
    """Bring back tracked files that are gone from the disk; how many there were.

    With ``wholesale`` only where more than half of all files are gone: then the folder was emptied
    (`rm -rf`, a clean-up job), and to commit that would delete the repository.
    """
    repo = ctx.worktree_repo
    gone = split_records(repo.run_readonly("ls-files", "--deleted", "-z").out)
    if not gone:
        return 0
    if wholesale:
        every = split_records(repo.run_readonly("ls-files", "--cached", "-z").out)
        if len(gone) * 2 <= len(every):
            return 0
    add_deleted_files(repo, gone)
    what = "file of its worktree was" if len(gone) == 1 else "files of its worktree were"
    ctx.emit(
        EventKind.CELL_WARNED,
        reason=f"{len(gone)} {what} missing, {gone[0]} first; restored from its branch",
    )
    return len(gone)
