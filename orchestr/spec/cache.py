"""Compiled specs, so that a warm start imports neither pydantic nor yaml.

One file for each spec under ``<state>/cache/``: a line with key and checksum, then the records
as JSON. The key covers everything that the result depends on: the bytes, our version, the
agents' names, the settings' phases, the form of this file. A cache that cannot be read or written
is as good as none: nothing here raises, nothing here is truth, the folder may be deleted at any
time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestr import __version__
from orchestr.errors import Problem
from orchestr.files import read_file, write_atomic
from orchestr.spec.own_phases import OwnPhase
from orchestr.spec.records import Cell, Feature
from orchestr.spec.rows import record_from_row, record_to_row, to_plain_value, values_from_dict

SCHEMA = 6  # raised when a spec of the same bytes is read or judged in another way

Compiled = tuple[Feature, tuple[Problem, ...]]


def cache_key(
    name: str, digest: str, agents: Collection[str] | None, phases: Mapping[str, OwnPhase]
) -> str:
    """What a compiled spec depends on; ``name`` is its path, which its problems show."""
    known = None if agents is None else sorted(agents)
    named = {word: record_to_row(phase) for word, phase in sorted(phases.items())}
    parts = json.dumps([SCHEMA, __version__, name, digest, known, named])
    return hashlib.sha256(parts.encode()).hexdigest()


def load(folder: Path, name: str, key: str) -> Compiled | None:
    """The feature and its warnings, or None when they must be read again."""
    try:
        head, _, body = read_file(_cache_file(folder, name)).partition(b"\n")
        if head.decode("ascii") != f"{key} {hashlib.sha256(body).hexdigest()}":
            return None
        return decode_compiled(json.loads(body))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def save(folder: Path, name: str, key: str, compiled: Compiled) -> None:
    """Keep a result. A full or read-only disk costs time at the next start, nothing else."""
    body = json.dumps(encode_compiled(compiled), separators=(",", ":")).encode("ascii")
    head = f"{key} {hashlib.sha256(body).hexdigest()}\n".encode("ascii")
    with suppress(OSError):
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # for the user alone
        write_atomic(_cache_file(folder, name), head + body)


def encode_compiled(compiled: Compiled) -> dict[str, Any]:
    """Records as JSON values. `decode_compiled` gives exactly the same records back."""
    feature, problems = compiled
    names = (name for name in Feature.__slots__ if name != "cells")
    return {
        "feature": {name: to_plain_value(getattr(feature, name)) for name in names},
        "cells": [record_to_row(cell) for cell in feature.cells],
        "problems": [
            [p.file, p.line, p.column, p.field, p.message, p.hint, p.severity, p.spec]
            for p in problems
        ],
    }


def decode_compiled(value: dict[str, Any]) -> Compiled:
    """The records that `encode_compiled` wrote. Raises KeyError, TypeError or ValueError for
    others."""
    feature = Feature(
        cells=tuple(record_from_row(Cell, row) for row in value["cells"]),
        **values_from_dict(Feature, value["feature"]),
    )
    return feature, tuple(Problem(*problem) for problem in value["problems"])


def _cache_file(folder: Path, name: str) -> Path:
    return folder / f"spec-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:24]}.json"
