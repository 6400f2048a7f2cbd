"""The agent's requests for files (`fs/read_text_file`, `fs/write_text_file`), by our rules.

What is read or written is the file that the path leads to when it is judged: opened without
following a link in the last place, so a link put there in between is an error.
"""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from orchestr.agents.acp.permission_rules import Decision, judge_path, resolve_in
from orchestr.agents.acp.request import ClientRequest

LARGEST = 16 << 20  # bytes of a file that is handed out


class FileRefused(Exception):
    """A file that the agent may not have; ``decision`` says why."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(f"{decision.what}: {decision.why}")
        self.decision = decision


def read_text_file(asked: ClientRequest, path: str, line: int | None, limit: int | None) -> str:
    """The text of a file, from ``line`` (1 is the first) on, ``limit`` lines of it.

    Raises FileRefused, OSError. What is not UTF-8 becomes U+FFFD.
    """
    resolved = _resolve_allowed(asked, path, write=False)
    with os.fdopen(os.open(resolved, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
        text = stream.read(LARGEST).decode("utf-8", "replace")
    if line is None and limit is None:
        return text
    first = max(0, (line or 1) - 1)
    end = None if limit is None else first + limit
    return "".join(islice(text.splitlines(keepends=True), first, end))


def write_text_file(asked: ClientRequest, path: str, text: str) -> None:
    """Write a file, and the folders it lies in. Raises FileRefused, OSError."""
    resolved = _resolve_allowed(asked, path, write=True)
    resolved.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(resolved, flags, 0o666), "wb") as stream:
        stream.write(text.encode("utf-8", "surrogateescape"))


def _resolve_allowed(asked: ClientRequest, path: str, *, write: bool) -> Path:
    decision = judge_path(path, asked, write=write)
    if not decision.allowed:
        raise FileRefused(decision)
    return resolve_in(asked.worktree, path)
