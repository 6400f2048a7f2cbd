"""The agent's requests for files (`fs/read_text_file`, `fs/write_text_file`), by our rules.

What is read or written is the file that the path leads to when it is judged: opened without
following a link in the last place, so a link put there in between is an error.
"""

from __future__ import annotations

import errno
import os
import stat
from itertools import islice
from pathlib import Path
from typing import Any

from orchestr.agents.acp.permission_rules import Decision, judge_path, resolve_in
from orchestr.agents.acp.request import ClientRequest
from orchestr.files import write_atomic

LARGEST = 16 << 20  # bytes of a file that is handed out


class FileRefused(Exception):
    """A file that the agent may not have; ``decision`` says why."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(f"{decision.what}: {decision.why}")
        self.decision = decision


def read_text_file(asked: ClientRequest, path: str, line: Any, limit: Any) -> str:
    """The text of a file, from ``line`` (1 is the first) on, ``limit`` lines of it.

    Raises FileRefused, OSError, and ValueError for what is no UTF-8: an agent that got a part of a
    file, or other characters, would write that back as the whole.
    """
    resolved = _resolve_allowed(asked, path, write=False)
    first = line - 1 if isinstance(line, int) and line > 1 else 0
    end = first + limit if isinstance(limit, int) else None
    with os.fdopen(_open_file(resolved, os.O_RDONLY), "rb") as stream:
        found = bytearray()
        for one in islice(iter(lambda: stream.readline(LARGEST + 1), b""), first, end):
            found += one
            if len(found) > LARGEST:
                why = f"more than {LARGEST >> 20} MiB: ask for some lines of it"
                raise OSError(errno.EFBIG, why, path)
    try:
        return found.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None


def write_text_file(asked: ClientRequest, path: str, text: str) -> None:
    """Write a file, and the folders it lies in. Raises FileRefused, OSError, ValueError.

    A file that has other names, too (a package manager's store), is replaced by one of its own, so
    that what lies elsewhere stays as it is.
    """
    resolved = _resolve_allowed(asked, path, write=True)
    content = text.encode()
    resolved.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(_open_file(resolved, os.O_WRONLY | os.O_CREAT), "wb") as stream:
        found = os.fstat(stream.fileno())
        if found.st_nlink == 1:
            stream.truncate(0)
            stream.write(content)
            return
    write_atomic(resolved, content, mode=stat.S_IMODE(found.st_mode))


def _open_file(path: Path, flags: int) -> int:
    """Open what must be a file: a pipe or a device could be waited for without an end."""
    number = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    if stat.S_ISREG(os.fstat(number).st_mode):
        return number
    os.close(number)
    raise OSError(errno.EINVAL, "not a regular file", str(path))


def _resolve_allowed(asked: ClientRequest, path: str, *, write: bool) -> Path:
    decision = judge_path(path, asked, write=write)
    if not decision.allowed:
        raise FileRefused(decision)
    return resolve_in(asked.worktree, path)
