"""The hooks of a repository, run behind the wall when our own git commits and pushes.

A hook runs what lies in the worktree: the commands of `.pre-commit-config.yaml`, a `.husky` folder.
So an agent writes what a hook does, and our git, which is outside, would do it with everything that
a user has. git is given a folder of stand-ins instead, each of which enters the sandbox and becomes
the hook. Whether a hook refuses, and what it changes in worktree and index, is as before.
git-lfs' own hooks stay outside: they carry files to the forge.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from orchestr.agents.environment import agent_env
from orchestr.cell.context import CellContext
from orchestr.cell.worktree.wall import is_walled, wall_hook
from orchestr.files import write_if_changed
from orchestr.git.hooks import list_hooks
from orchestr.git.repo import Repo
from orchestr.spec.phases import Action

FOLDER = "hooks"  # in a cell's folder
ALLOWED = ("GIT_", "HUSKY", "PRE_COMMIT", "SKIP", "LEFTHOOK")  # beside what agents get


def wall_hooks(ctx: CellContext, repo: Repo) -> Repo:
    """The same repository with stand-ins for its hooks; itself where there is no wall or no hook.

    A person's own checkout (`action: push`) is theirs, and so are its hooks.
    """
    if ctx.cell.action is Action.PUSH or not is_walled(ctx.run):
        return repo
    found = list_hooks(repo)
    if not found:
        return repo
    folder = ctx.dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    words = wall_hook(ctx, _hook_environment(), place=repo.path, folder=folder)
    for old in folder.iterdir():
        if old.is_file() and old.name not in found and "." not in old.name:
            old.unlink()
    for name, hook in found.items():
        _write_stand_in(folder / name, hook, words)
    return repo.with_config({"core.hooksPath": str(folder)})


def _write_stand_in(path: Path, hook: Path, words: tuple[str, ...]) -> None:
    inner = [str(hook)] if _is_of_lfs(hook) else [*words, str(hook)]
    write_if_changed(path, f'#!/bin/sh\nexec {shlex.join(inner)} "$@"\n'.encode())
    path.chmod(0o755)


def _is_of_lfs(hook: Path) -> bool:
    """Whether a hook is what `git lfs install` writes, and nothing else."""
    try:
        text = hook.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return bool(lines) and lines[-1].startswith("git lfs ") and len(lines) <= 2


def _hook_environment() -> dict[str, str]:
    """What of our environment a hook sees; git adds its own."""
    git = {name: value for name, value in os.environ.items() if name.startswith(ALLOWED)}
    return {**agent_env(os.environ, ()), **git}
