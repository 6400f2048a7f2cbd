"""A worktree that is not on its cell's branch: what a person types to bring it back.

A person who detached it, switched it, renamed its branch or is in the middle of a rebase may have
commits there that are on no branch of the cell; no hint may lose these.
"""

from __future__ import annotations

from pathlib import Path

from orchestr.cell.worktree.operations import unfinished_operation
from orchestr.git.repo import Repo
from orchestr.git.worktree_state import WorktreeFinding, WorktreeVerdict

ENDINGS = {  # how a person ends an operation, or gives it up
    "rebase": ("rebase --continue", "rebase --abort"),
    "merge": ("merge --continue", "merge --abort"),
    "cherry-pick": ("cherry-pick --continue", "cherry-pick --abort"),
    "revert": ("revert --continue", "revert --abort"),
    "bisect": ("bisect reset", ""),
}


def describe_misplaced(verdict: WorktreeVerdict) -> str:
    """Where the worktree is instead: `on branch mine`, `on a detached head 0123456789ab`."""
    detached = verdict.finding is WorktreeFinding.DETACHED
    return f"on {'a detached head' if detached else 'branch'} {verdict.detail}"


def suggest_return(repo: Repo, path: Path, branch: str, verdict: WorktreeVerdict) -> str:
    """The commands that bring the worktree to ``branch`` with what was committed there."""
    git, tree = f"git -C {path}", repo.at_path(path)
    operation = unfinished_operation(tree)
    if operation in ENDINGS:
        end, give_up = ENDINGS[operation]
        otherwise = f", or give it up: {git} {give_up}" if give_up else ""
        return f"end the {operation} there: {git} {end}{otherwise}"
    found = verdict.detail
    tip, here = repo.resolve_commit(f"refs/heads/{branch}"), tree.resolve_commit("HEAD")
    if tip is None:
        renamed = verdict.finding is WorktreeFinding.WRONG_BRANCH
        return f"{git} branch -m {found} {branch}" if renamed else f"{git} switch -c {branch}"
    back = f"{git} switch {branch}"
    if here is None or repo.is_ancestor(here, tip):
        return back
    return f"{back} && {git} merge {found}, where these commits belong to the cell"
