"""The checks of `[repos.X]` in the settings: read by the specs' models, and kept compiled.

Every command reads the settings, and pydantic costs more than all the rest of a warm start: so the
records of good checks lie under ``<state>/cache/``, as compiled specs do. Nothing here is truth.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestr import __version__
from orchestr.files import read_file, write_atomic
from orchestr.spec.checks import CheckDef, check_from_row, check_to_row

SCHEMA = 1

Fault = tuple[tuple[str | int, ...], str, str | None, bool]  # path, message, hint, at the key


def read_repo_checks(
    raw: list[Any], cache: Path | None
) -> tuple[tuple[CheckDef, ...], list[Fault]]:
    """The checks, or everything that is wrong with them; paths start at the list."""
    file, key = None, ""
    with suppress(TypeError, ValueError):  # a date in TOML: the models will say so
        text = json.dumps([SCHEMA, __version__, raw])
        key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        file = None if cache is None else cache / f"checks-{key[:24]}.json"
    known = None if file is None else _load_checks(file, key)
    if known is not None:
        return known, []
    from orchestr.spec.check_models import read_checks

    checks, faults = read_checks(raw)
    if file is not None and not faults:
        _save_checks(file, key, checks)
    return checks, faults


def _load_checks(file: Path, key: str) -> tuple[CheckDef, ...] | None:
    try:
        head, _, body = read_file(file).partition(b"\n")
        if head.decode("ascii") != f"{key} {hashlib.sha256(body).hexdigest()}":
            return None
        return tuple(check_from_row(row) for row in json.loads(body))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _save_checks(file: Path, key: str, checks: tuple[CheckDef, ...]) -> None:
    body = json.dumps([check_to_row(check) for check in checks]).encode("ascii")
    head = f"{key} {hashlib.sha256(body).hexdigest()}\n".encode("ascii")
    with suppress(OSError):
        write_atomic(file, head + body)
