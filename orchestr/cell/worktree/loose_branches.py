"""Branches beside a cell's own, as files of their own before its agent starts.

In the sandbox the folder of the cell's branch can be written, since git makes a lock there. The
files of the other branches in it are mounted read-only one by one. A branch that lies in
`packed-refs` only has no file yet: a new one would count instead of the packed one. So it gets its
file first, with the same content, as git writes it at the branch's next move.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

MOST = 500  # branches in one folder; of more the rest is left to the guard of the clone


def unpack_sibling_branches(common: Path, branch: str) -> None:
    """Give the packed branches in the folder of ``branch`` their files."""
    folder = f"refs/heads/{branch}".rpartition("/")[0]
    try:
        packed = (common / "packed-refs").read_bytes()
    except OSError:
        return
    count = 0
    for line in packed.splitlines():
        commit, _, name = line.partition(b" ")
        text = os.fsdecode(name)
        if line.startswith((b"#", b"^")) or text.rpartition("/")[0] != folder:
            continue
        path = common / text
        if text == f"refs/heads/{branch}" or path.exists() or count >= MOST:
            continue
        count += 1
        with suppress(OSError):
            _write_ref(path, commit)


def _write_ref(path: Path, commit: bytes) -> None:
    """As git does: under its lock, which keeps others away."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f"{path.name}.lock")
    fd = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        os.write(fd, commit + b"\n")
    finally:
        os.close(fd)
    if path.exists():
        lock.unlink()
    else:
        lock.rename(path)
