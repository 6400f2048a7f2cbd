"""The hooks that git would run in a worktree."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from orchestr.git.repo import Repo


def list_hooks(repo: Repo) -> Mapping[str, Path]:
    """Each hook of the clone, or of `core.hooksPath`, by its name; those that git ignores are left
    out."""
    words = ("rev-parse", "--path-format=absolute", "--git-path", "hooks")
    folder = Path(repo.run_readonly(*words).text.removesuffix("\n"))
    try:
        hooks = sorted(path for path in folder.iterdir() if path.suffix != ".sample")
    except OSError:
        return {}
    return {hook.name: hook for hook in hooks if hook.is_file() and os.access(hook, os.X_OK)}
