"""Files as they were, so that they can be compared and put back: content, mode, or where a link
leads. What is too large to be kept is known by its size and its time of change.
"""

from __future__ import annotations

import base64
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestr.files import write_atomic

BIGGEST = 1 << 20  # bytes of a file that are kept; larger ones are programs of a person's
LINK, LARGE = -1, -2  # in place of a mode

Entry = tuple[int, str]  # mode, and the content in base64
Files = Mapping[str, Entry]


def read_entry(path: Path) -> Entry | None:
    """The file or link at ``path`` as it is now; None for anything else."""
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            return LINK, _encode_content(os.fsencode(path.readlink()))
        if not stat.S_ISREG(found.st_mode):
            return None
        if found.st_size > BIGGEST:
            return LARGE, f"{found.st_size} {found.st_ctime_ns}"
        return stat.S_IMODE(found.st_mode) & 0o777, _encode_content(path.read_bytes())
    except OSError:
        return None


def read_files(places: Mapping[str, Path]) -> dict[str, Entry]:
    """Those of the named files that are there."""
    entries = ((name, read_entry(path)) for name, path in places.items())
    return {name: entry for name, entry in entries if entry is not None}


def is_plain(entry: Entry | None) -> bool:
    """Whether it is a file whose content is known."""
    return entry is not None and entry[0] >= 0


def entry_content(entry: Entry | None) -> bytes | None:
    """What is in a file; None for one that is not there, or not kept."""
    return None if entry is None or entry[0] == LARGE else base64.b64decode(entry[1])


def keep_entry(path: Path, copy: Path) -> None:
    """Keep what is at ``path`` as ``copy``, whatever it is."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.unlink(missing_ok=True)
    if path.is_symlink():
        copy.symlink_to(path.readlink())
    elif path.is_file():
        shutil.copy2(path, copy)


def remove_file(path: Path) -> None:
    """Remove a file or a link."""
    path.unlink(missing_ok=True)


def write_entry(path: Path, entry: Entry) -> None:
    """Make ``path`` what it was; one that was too large to be kept stays away."""
    mode, data = entry[0], entry_content(entry)
    if path.is_symlink() or mode in (LINK, LARGE):
        path.unlink(missing_ok=True)
    if data is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == LINK:
        path.symlink_to(os.fsdecode(data))
        return
    write_atomic(path, data, mode=mode)
    path.chmod(mode)  # whatever the umask is


def parse_files(raw: Mapping[str, Any]) -> dict[str, Entry]:
    """Files as JSON has them. Raises TypeError, ValueError."""
    return {str(name): (int(mode), str(data)) for name, (mode, data) in raw.items()}


def _encode_content(data: bytes) -> str:
    return base64.b64encode(data).decode()
