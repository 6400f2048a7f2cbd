"""What a spec asks to be shown before a pull request opens: checks, reviews, gates, ownership.

Small frozen records, as in `orchestr.spec.records`. A kind of check is a record derived from
`CheckBase` (see `orchestr.checks.kinds`). ``check_to_row`` and ``check_from_row`` turn checks into
JSON values and back, exactly: caches and digests are made from rows. No clock, no disk, no git.

Durations are seconds. Mappings are tuples of (name, value) in the order of the file, JSON values
(``json``) are JSON text: so everything can be hashed and compared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from orchestr.spec.check_kinds import find_kind
from orchestr.spec.check_record import CheckBase, Pairs
from orchestr.spec.phases import Gate

__all__ = [
    "NOTHING", "CheckBase", "CheckDef", "Contract", "CrossCheck", "Gate", "Pairs",
    "ProofRequirements", "RepairRounds", "ReviewRule", "Reviewer", "check_from_row",
    "check_to_row", "proof_from_row", "proof_to_row",
]  # fmt: skip


class ReviewRule(StrEnum):
    """How many reviewers must see a blocker for it to count."""

    ANY = "any"
    MAJORITY = "majority"
    ALL = "all"


CheckDef = CheckBase  # a check of any kind


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """A check on the merge of all cell heads of a repository."""

    repo: str
    check: CheckDef


@dataclass(frozen=True, slots=True)
class Contract:
    """A path (gitignore pattern) that only the cell ``owner`` may change."""

    path: str
    owner: str


@dataclass(frozen=True, slots=True)
class Reviewer:
    """One agent that reads and judges. Model and timeout None mean the agent's own."""

    agent: str
    name: str
    model: str | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class RepairRounds:
    """Rounds of repair; 0 means none."""

    checks: int = 4
    reviews: int = 3


@dataclass(frozen=True, slots=True)
class ProofRequirements:
    """All that one cell asks for. Everything is resolved: cell, then defaults, then feature."""

    checks: tuple[CheckDef, ...] = ()
    screenshots: tuple[CheckDef, ...] = ()
    reviewers: tuple[Reviewer, ...] = ()
    review_rule: ReviewRule = ReviewRule.ANY
    repair: RepairRounds = RepairRounds()
    approve: tuple[Gate, ...] = ()
    shared_paths: tuple[str, ...] = ()
    allow_partial: bool = False
    allow_skipped_tests: bool = False
    test_first: bool = False
    ports: bool = False


Row = list[Any]


def check_to_row(check: CheckDef) -> Row:
    """A check as JSON values: its kind, then its fields by position."""
    return [
        str(check.kind),
        *(_to_plain_value(getattr(check, name)) for name in _field_names(type(check))),
    ]


def check_from_row(row: Row) -> CheckDef:
    """The check that `check_to_row` wrote. Raises KeyError, TypeError or ValueError for others."""
    record = find_kind(row[0])
    key: Any = record  # mypy looks for `__hash__` in the instances of a class
    nested = _nested_records(key)
    values = {
        name: _freeze_value(value, nested.get(name))
        for name, value in zip(_field_names(record), row[1:], strict=True)
    }
    return record(**values)


def proof_to_row(proof: ProofRequirements) -> Row | None:
    """All that a cell asks for as JSON values; None when it asks for nothing."""
    if proof == NOTHING:
        return None
    return [
        [check_to_row(check) for check in proof.checks],
        [check_to_row(check) for check in proof.screenshots],
        [_to_plain_value(reviewer) for reviewer in proof.reviewers],
        str(proof.review_rule),
        _to_plain_value(proof.repair),
        [str(gate) for gate in proof.approve],
        list(proof.shared_paths),
        proof.allow_partial,
        proof.allow_skipped_tests,
        proof.test_first,
        proof.ports,
    ]


def proof_from_row(row: Row | None) -> ProofRequirements:
    """What `proof_to_row` wrote. Raises KeyError, TypeError or ValueError for others."""
    if row is None:
        return NOTHING
    checks, screenshots, reviewers, rule, repair, approve, shared, *flags = row
    return ProofRequirements(
        tuple(map(check_from_row, checks)),
        tuple(map(check_from_row, screenshots)),
        tuple(Reviewer(*fields) for fields in reviewers),
        ReviewRule(rule),
        RepairRounds(*repair),
        tuple(map(Gate, approve)),
        tuple(shared),
        *flags,
    )


NOTHING = ProofRequirements()


def _field_names(record: type[Any]) -> tuple[str, ...]:
    """Names of a record's fields, in their order."""
    return tuple(field.name for field in dataclasses.fields(record))


def _to_plain_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_to_plain_value(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return [_to_plain_value(getattr(value, name)) for name in _field_names(type(value))]
    return value


def _freeze_value(value: Any, nested: NestedField | None = None) -> Any:
    """JSON lists as tuples; where the field holds a record or several, as these."""
    if not isinstance(value, list):
        return value
    if nested is None:
        return tuple(map(_freeze_value, value))
    record, many = nested
    if many:
        return tuple(record(*map(_freeze_value, item)) for item in value)
    return record(*map(_freeze_value, value))


NestedField = tuple[type[Any], bool]  # the record, and whether the field holds a tuple of them


@cache
def _nested_records(record: Any) -> Mapping[str, NestedField]:
    """The fields of a kind that hold other records."""
    found = {}
    for name, hint in get_type_hints(record).items():
        many = get_origin(hint) is tuple
        inner = get_args(hint)[0] if many else hint
        if isinstance(inner, type) and dataclasses.is_dataclass(inner):
            found[name] = (inner, many)
    return found
