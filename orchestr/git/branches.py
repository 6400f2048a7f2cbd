"""Give a branch another name, together with the worktrees that it is checked out in.

What survives a crash: `git branch -m` moves the ref first and HEAD of each worktree after it.
Called again, `rename_branch` finishes what a kill left between the two.
"""

from __future__ import annotations

from pathlib import Path

from orchestr.git.errors import git_failed
from orchestr.git.repo import Branch, Repo, branch_name
from orchestr.git.runner import repo_lock


def rename_branch(repo: Repo, old: Branch, new: Branch, *, locks: Path) -> None:
    """``old`` is called ``new`` from now on: its ref, its log, its settings, and every checkout.

    Nothing is overwritten. Safe to repeat. Raises GitError.
    """
    there = f"refs/heads/{branch_name(new)}"
    with repo_lock(repo, locks):
        if repo.resolve_commit(f"refs/heads/{old}") is not None:
            done = repo.run_with_retry("branch", "-m", old, new)
            if done.code != 0:
                raise git_failed(done, str(repo.path))
        if repo.resolve_commit(there) is None:
            return
        for entry in repo.list_worktrees():
            if entry.branch == old and entry.path.exists():
                repo.at_path(entry.path).run_git("symbolic-ref", "HEAD", there)
