"""A repository's own settings of an agent: which are there, and which of them are not obeyed.

They can start programs, add tools and send the key elsewhere; and all who write to a repository
write them, the agent of an upstream cell, too. So they are off (each adapter says how) unless the
settings of the workspace trust the repository. A guide (`AGENTS.md`) is words: it counts as it is
in the base, not as this feature's agents have changed it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

GUIDES = ("AGENTS.md", "CLAUDE.md", "GEMINI.md")


def find_settings(worktree: Path, patterns: Iterable[str]) -> tuple[str, ...]:
    """The settings that are there, of the files and folders that an agent would read."""
    return tuple(name for name in patterns if (worktree / name).exists())


def find_trust_places(worktree: Path) -> tuple[Path, ...]:
    """The folders that trust is kept for: the worktree, and the clone that it is linked to."""
    places = [worktree]
    pointer = worktree / ".git"
    if pointer.is_file():
        git_dir = Path(pointer.read_text(encoding="utf-8").removeprefix("gitdir:").strip())
        if git_dir.parent.name == "worktrees":
            places.append(git_dir.parents[2])
    return tuple(dict.fromkeys(p.resolve() for p in places))
