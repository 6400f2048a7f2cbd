"""What a repository's set-up and teardown commands change outside of the worktree is put back.

They run what the worktree holds (`npm install` runs scripts of packages), so they are watched like
checks: the clone, the user's config of git, specs and settings, other cells' branches. What they
rightly do there (a hooks path, hooks) is put back with a warning; only what is shown to be harm, a
branch that was moved, is a failure. While agents or checks of the cell are at work, or were when a
run was killed, the picture of those is in force, and their own end compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.cell.worktree import branch_guard
from orchestr.cell.worktree.clone_snapshot import GUARD, SETTING_UP
from orchestr.files import write_json
from orchestr.state import attempts
from orchestr.state.events import EventKind


@contextmanager
def guard_setup(ctx: CellContext, what: str) -> Iterator[None]:
    """Watch the commands ``what`` (setup, teardown) of the cell. Raises PhaseFailed where they did
    harm and did not fail themselves."""
    newest = attempts.current_attempt(ctx.dir)
    if (newest is not None and newest.is_open) or (ctx.dir / GUARD).exists():
        yield
        return
    record = ctx.dir / SETTING_UP
    if record.exists():  # of a run that was killed meanwhile
        _warn_of_harm(ctx, what, _restore_surroundings(ctx, what))
    write_json(record, {"schema": 1, "commands": what})
    branch_guard.snapshot_for_guard(ctx)
    try:
        yield
    except BaseException:
        _warn_of_harm(ctx, what, _restore_surroundings(ctx, what))
        raise
    harm = _restore_surroundings(ctx, what)
    if harm:
        raise ctx.fail(
            f"while its {what} ran, {'; '.join(harm)}",
            hint=f"correct [repos.{ctx.cell.repo}] {what}; what it said: {ctx.dir}/{what}-*.log",
        )


def is_setup_guarded(ctx: CellContext, place: Path) -> bool:
    """Whether commands in the folder ``place`` are watched: those in the cell's own worktree."""
    return place == ctx.worktree and (ctx.dir / SETTING_UP).exists()


def _restore_surroundings(ctx: CellContext, what: str) -> list[str]:
    """Put back what they changed, with warnings; the harm."""
    report = branch_guard.restore_after_guard(ctx, f"its {what} ran", is_setup=True)
    (ctx.dir / SETTING_UP).unlink(missing_ok=True)
    return report.harm


def _warn_of_harm(ctx: CellContext, what: str, harm: list[str]) -> None:
    for text in harm:
        ctx.emit(EventKind.CELL_WARNED, reason=f"while its {what} ran, {text}")
