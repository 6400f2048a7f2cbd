"""Compiled specs, so that a warm start imports neither pydantic nor yaml.

One file for each spec under ``<state>/cache/``: a line with key and checksum, then the records
as JSON. The key covers everything that the result depends on: the bytes, our version, the
agents' names, the form of this file. A cache that cannot be read or written is as good as none:
nothing here raises, nothing here is truth, the folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestr import __version__
from orchestr.errors import Problem
from orchestr.files import write_atomic
from orchestr.spec.checks import (
    Contract,
    CrossCheck,
    check_from_row,
    check_to_row,
    proof_from_row,
    proof_to_row,
)
from orchestr.spec.phases import Action, Delivery, Phase
from orchestr.spec.records import Cell, Feature

SCHEMA = 2

Compiled = tuple[Feature, tuple[Problem, ...]]


def cache_key(name: str, digest: str, agents: Collection[str] | None) -> str:
    """What a compiled spec depends on; ``name`` is its path, which its problems show."""
    known = None if agents is None else sorted(agents)
    parts = json.dumps([SCHEMA, __version__, name, digest, known])
    return hashlib.sha256(parts.encode()).hexdigest()


def load(folder: Path, name: str, key: str) -> Compiled | None:
    """The feature and its warnings, or None when they must be read again."""
    try:
        head, _, body = _cache_file(folder, name).read_bytes().partition(b"\n")
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
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # as `store.prepare` makes it
        write_atomic(_cache_file(folder, name), head + body)


def encode_compiled(compiled: Compiled) -> dict[str, Any]:
    """Records as JSON values. `decode_compiled` gives exactly the same records back."""
    feature, problems = compiled
    return {
        "feature": {
            "name": feature.name,
            "key": feature.key,
            "title": feature.title,
            "jira": feature.jira,
            "created": feature.created,
            "scenarios": feature.scenarios,
            "delivery": feature.delivery,
            "cross_checks": [
                [cross.repo, check_to_row(cross.check)] for cross in feature.cross_checks
            ],
            "contracts": [[contract.path, contract.owner] for contract in feature.contracts],
            "path": feature.path,
            "digest": feature.digest,
        },
        "cells": [_encode_cell(cell) for cell in feature.cells],
        "problems": [
            [p.file, p.line, p.column, p.field, p.message, p.hint, p.severity] for p in problems
        ],
    }


def decode_compiled(value: dict[str, Any]) -> Compiled:
    """The records that `encode_compiled` wrote. Raises KeyError, TypeError or ValueError for
    others."""
    fields = value["feature"]
    feature = Feature(
        cells=tuple(_decode_cell(cell) for cell in value["cells"]),
        **{
            **fields,
            "scenarios": tuple(fields["scenarios"]),
            "delivery": Delivery(fields["delivery"]),
            "cross_checks": tuple(
                CrossCheck(repo, check_from_row(row)) for repo, row in fields["cross_checks"]
            ),
            "contracts": tuple(Contract(*row) for row in fields["contracts"]),
        },
    )
    return feature, tuple(Problem(*problem) for problem in value["problems"])


def _encode_cell(cell: Cell) -> list[Any]:
    row = [getattr(cell, name) for name in Cell.__slots__]
    row[_PROOF] = proof_to_row(cell.proof)
    return row


_AT = {name: index for index, name in enumerate(Cell.__slots__)}
_TUPLES = tuple(_AT[name] for name in ("todo", "depends_on", "owned_paths"))
_ACTION, _PHASES, _PROOF = _AT["action"], _AT["phases"], _AT["proof"]
_ACTIONS = {action.value: action for action in Action}
_PHASE = {phase.value: phase for phase in Phase}


def _decode_cell(fields: list[Any]) -> Cell:
    for index in _TUPLES:
        fields[index] = tuple(fields[index])
    fields[_ACTION] = _ACTIONS[fields[_ACTION]]
    fields[_PHASES] = tuple(_PHASE[phase] for phase in fields[_PHASES])
    fields[_PROOF] = proof_from_row(fields[_PROOF])
    return Cell(*fields)


def _cache_file(folder: Path, name: str) -> Path:
    return folder / f"spec-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:24]}.json"
