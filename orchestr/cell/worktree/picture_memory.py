"""Pictures on disk, and in the memory of the process that has a cell at work under them.

Without a sandbox an agent can remove a picture: then nothing would be compared or
reported. The process that took it, or adopted its cell, remembers it until that cell has been
compared; a picture that is gone is read from there.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestr.errors import OrchestrError
from orchestr.files import read_json, write_if_changed

_lock = threading.Lock()
_remembered: dict[str, bytes] = {}
_ours: dict[str, frozenset[str]] = {}  # the cells of this process that are at work under a picture


def write_picture(path: Path, row: Mapping[str, Any], *, starts: str = "", ends: str = "") -> None:
    """Write a picture; ``starts`` or ``ends`` is the cell of this process that is at work under it
    from now on, or no longer."""
    data = (json.dumps(row, indent=1, sort_keys=True) + "\n").encode()
    write_if_changed(path, data)
    _remember_picture(str(path), data, starts, ends)


def remove_picture(path: Path) -> None:
    """Remove a picture under which no cell is at work."""
    path.unlink(missing_ok=True)
    forget_picture(path)


def forget_picture(path: Path) -> None:
    """Forget a picture that was compared."""
    with _lock:
        _remembered.pop(str(path), None)
        _ours.pop(str(path), None)


def read_picture(path: Path) -> Any:
    """A picture as JSON has it; where it is gone or cannot be read, as it is remembered."""
    raw = read_picture_file(path)
    return recall_picture(path) if raw is None else raw


def read_picture_file(path: Path) -> Any:
    """A picture as it is on disk; None when it is gone, or cannot be read."""
    try:
        return read_json(path)
    except (OrchestrError, OSError):
        return None


def recall_picture(path: Path) -> Any:
    """A picture as this process wrote it; None where no cell of it is at work under it."""
    with _lock:
        data = _remembered.get(str(path))
    return None if data is None else json.loads(data)


def _remember_picture(path: str, data: bytes, starts: str, ends: str) -> None:
    with _lock:
        ours = (_ours.get(path, frozenset()) | ({starts} if starts else frozenset())) - {ends}
        if ours:
            _ours[path], _remembered[path] = ours, data
        else:
            _ours.pop(path, None)
            _remembered.pop(path, None)
