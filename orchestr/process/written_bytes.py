"""How much a process and all that it started have written so far: evidence of who wrote a file.

Linux counts the bytes of every write in `/proc/PID/io` and adds those of a child to its parent when
the child is collected. A supervisor collects all that its agent leaves (it is a subreaper), so the
sum over its tree only grows. What the supervisor itself writes does not count: its one thread has a
count of its own. Elsewhere, and where a process cannot be read, there is no answer.
"""

from __future__ import annotations

import os
from pathlib import Path

from orchestr.process.tree import LINUX


def read_written_bytes(root: int) -> int | None:
    """The bytes written by all that the process ``root`` started, not by its main thread itself;
    None when that is not known."""
    if not LINUX:
        return None
    total, todo = 0, [root]
    while todo:
        pid = todo.pop()
        try:
            total += _read_count(f"{pid}")
            if pid == root:
                total -= _read_count(f"{pid}/task/{pid}")
            for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
                children = Path(f"/proc/{pid}/task/{thread}/children").read_bytes()
                todo += map(int, children.split())
        except (FileNotFoundError, ProcessLookupError):
            if pid == root:
                return None  # what ended meanwhile was added to its parent
        except (OSError, ValueError):
            return None
    return total


def _read_count(process: str) -> int:
    for line in Path(f"/proc/{process}/io").read_bytes().splitlines():
        if line.startswith(b"wchar: "):
            return int(line[7:])
    raise ValueError(process)
