"""When a file was made: the kernel knows it (`statx`), Python does not ask."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

from orchestr.process.tree import LINUX

_HERE, _NOFOLLOW, _BIRTH = -100, 0x100, 0x800  # AT_FDCWD, AT_SYMLINK_NOFOLLOW, STATX_BTIME
_PLACE = 80  # of stx_btime in struct statx: seconds (64 bits), nanoseconds (32)


def read_birth_time(path: Path) -> float | None:
    """Seconds since the epoch; None where the system or the file system does not say."""
    call = _find_statx()
    if call is None:
        return None
    found = ctypes.create_string_buffer(256)
    if call(_HERE, os.fsencode(path), _NOFOLLOW, _BIRTH, found) != 0:
        return None
    if not int.from_bytes(found.raw[:4], sys.byteorder) & _BIRTH:
        return None
    seconds = int.from_bytes(found.raw[_PLACE : _PLACE + 8], sys.byteorder, signed=True)
    return seconds + int.from_bytes(found.raw[_PLACE + 8 : _PLACE + 12], sys.byteorder) / 1e9


@cache
def _find_statx() -> Any:
    if not LINUX:
        return None
    try:
        return ctypes.CDLL(None).statx
    except (OSError, AttributeError):
        return None
