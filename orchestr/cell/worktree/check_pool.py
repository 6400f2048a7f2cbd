"""The check worktrees of a workspace: how many there are, who has one now, and when they go.

A pool is a folder of numbered worktrees for each repository; whoever needs one takes the first that
is free and has it for itself (a flock, which ends with its holder). Cells and cross checks share
one pool, which is never larger than the number of checks that may run at once. The checkouts that
only show what another cell came to have a pool of their own, so that no holder of one of the first
waits for a second. A landing has its own: what a check of a cell left in a cache must not
make a landing green.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.worktree.check_worktree import (
    CheckWorktree,
    discard_check_worktree,
    show_commit,
)
from orchestr.errors import Interrupted
from orchestr.git.repo import CommitId, Repo
from orchestr.process.file_lock import FlockLock
from orchestr.settings.repo_paths import repo_path
from orchestr.state.layout import WorkspaceLayout

POLL = 0.15  # s; one that is given back is seen this late at the most


class CheckPool(StrEnum):
    """The folders of the state that hold check worktrees."""

    CELLS = "checkouts"  # of cells, and cross checks
    READING = "reading"  # shown to checks: what other cells came to
    LANDING = "landing"


@contextmanager
def lend_check_worktree(
    ctx: CellContext,
    commit: CommitId,
    pool: CheckPool = CheckPool.CELLS,
    *,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[CheckWorktree]:
    """A check worktree of the cell's repository that shows ``commit``, until the end of `with`.

    Waits for a free one where the pool has a bound. Raises Interrupted when ``cancelled`` (the
    cell itself) says so meanwhile, and as `show_commit`.
    """
    bound = ctx.run.settings.checks.jobs if pool is CheckPool.CELLS else None
    home = pool_folder(ctx.run.layout, pool, ctx.cell.repo)
    lock, path = _take_place(ctx.run.layout, home, bound, cancelled or ctx.is_cancelled)
    try:
        kind = "landing" if pool is CheckPool.LANDING else "checks"
        reads = pool is CheckPool.READING
        yield show_commit(ctx, path, commit, kind, runs_checks=not reads)
    finally:
        lock.release()


def pool_folder(layout: WorkspaceLayout, pool: CheckPool, repo: str) -> Path:
    """Where a pool's worktrees of a repository lie."""
    return layout.state / pool / repo


def locate_checkout_file(
    layout: WorkspaceLayout, repos: Iterable[str], cells: Iterable[CellContext], path: str
) -> tuple[str, str] | None:
    """The repository, and the path in it, of an absolute path in a check worktree of one of
    ``repos`` or in the worktree of one of ``cells``; None for other places of this machine."""
    for name in repos:
        for pool in CheckPool:
            folder = pool_folder(layout, pool, name)
            for root in dict.fromkeys((str(folder), str(folder.resolve()))):
                if found := re.match(rf"{re.escape(root)}/\d+/(.+)", path):
                    return name, found[1]
    for ctx in cells:
        for root in dict.fromkeys((str(ctx.worktree), str(ctx.worktree.resolve()))):
            if path.startswith(f"{root}/"):
                return ctx.cell.repo, path[len(root) + 1 :]
    return None


def _take_place(
    layout: WorkspaceLayout, home: Path, bound: int | None, cancelled: Callable[[], bool]
) -> tuple[FlockLock, Path]:
    while True:
        number = 1
        while bound is None or number <= bound:
            lock = _place_lock(layout, home, number)
            if lock.try_acquire():
                return lock, home / str(number)
            number += 1
        if cancelled():
            raise Interrupted("stopped while waiting for a check worktree")
        time.sleep(POLL)


def _place_lock(layout: WorkspaceLayout, home: Path, number: int) -> FlockLock:
    return FlockLock(layout.locks_dir / f"{home.parent.name}-{home.name}-{number}.lock")


def list_places(layout: WorkspaceLayout, pool: CheckPool, repo: str) -> list[Path]:
    """The worktrees of a pool that are there, or were begun."""
    home = pool_folder(layout, pool, repo)
    names = {path.name.partition(".")[0] for path in home.glob("[0-9]*")}
    return [home / name for name in sorted(filter(str.isdecimal, names), key=int)]


def remove_idle_worktrees(run: FeatureRun, repo: str, *pools: CheckPool) -> list[Path]:
    """Remove the check worktrees of a repository that no cell needs any more: none of its cells,
    of any feature, has a worktree. One that is in use stays. Returns what was removed."""
    if any(entry.repo == repo and entry.is_active for entry in run.registry.entries()):
        return []
    clone, removed = repo_path(run.settings, repo), []
    for pool in pools or tuple(CheckPool):
        for path in list_places(run.layout, pool, repo):
            lock = _place_lock(run.layout, path.parent, int(path.name))
            if not lock.try_acquire():
                continue
            try:
                discard_check_worktree(Repo(clone), path, locks=run.layout.locks_dir)
            finally:
                lock.release()
            removed.append(path)
    for path in run.layout.state.glob(f"cross/*/{repo}"):  # where earlier versions had them
        discard_check_worktree(Repo(clone), path, locks=run.layout.locks_dir)
    return removed
