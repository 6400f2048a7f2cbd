"""What git is in the middle of in a worktree: a merge, a rebase, a series of commits."""

from __future__ import annotations

from orchestr.git.repo import Repo
from orchestr.git.runner import ANY_EXIT

UNDER_WAY = {
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "sequencer": "series of commits",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "MERGE_HEAD": "merge",
    "BISECT_LOG": "bisect",
}


def unfinished_operation(repo: Repo) -> str | None:
    """What git is in the middle of in this worktree, if it is."""
    at = repo.git_dir()
    return next((what for name, what in UNDER_WAY.items() if (at / name).exists()), None)


def abort_operations(repo: Repo) -> None:
    """End a half-done merge, rebase or cherry-pick; there may be none. Keep its files first."""
    if unfinished_operation(repo) is None:
        return
    for operation in ("merge", "rebase", "cherry-pick", "revert", "am"):
        repo.run_git(operation, "--abort", answers=ANY_EXIT)
