"""What ``git worktree list`` says, as records. Pure text."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from orchestr.git.config import Branch, CommitId


@dataclass(frozen=True, slots=True)
class WorktreeEntry:
    """One block of ``git worktree list``; ``locked``/``prunable`` hold the reason, else None."""

    path: Path
    head: CommitId | None
    branch: Branch | None
    detached: bool = False
    locked: str | None = None
    prunable: str | None = None
    bare: bool = False
    is_main: bool = False


def parse_worktrees(data: bytes) -> list[WorktreeEntry]:
    """The entries of ``git worktree list --porcelain -z``."""
    entries: list[WorktreeEntry] = []
    for block in data.split(b"\0\0"):
        words: dict[str, str] = {}
        for line in block.strip(b"\0").split(b"\0"):
            key, _, value = os.fsdecode(line).partition(" ")
            words[key] = value
        if "worktree" not in words:
            continue
        entries.append(
            WorktreeEntry(
                path=Path(words["worktree"]),
                head=CommitId(words["HEAD"]) if words.get("HEAD", "0").strip("0") else None,
                branch=branch_from_ref(words["branch"]) if "branch" in words else None,
                detached="detached" in words,
                locked=words.get("locked"),
                prunable=words.get("prunable"),
                bare="bare" in words,
                is_main=not entries,
            )
        )
    return entries


def branch_from_ref(ref: str) -> Branch | None:
    """The branch of a full ref name; None for other refs."""
    return Branch(ref.removeprefix("refs/heads/")) if ref.startswith("refs/heads/") else None
