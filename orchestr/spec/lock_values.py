"""What of a feature is locked, as plain values, and which changes of it ask for more than before.

Pure. The values are those of a TOML file: texts, numbers, booleans, lists and tables, never None.
They are made from the expanded feature, so `vars:`, matrices and files that are taken in count as
what they come to. Defaults are left out: a field of a later version changes no lock.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from orchestr.spec.check_kinds import UnknownKind, find_kind
from orchestr.spec.check_record import CheckBase
from orchestr.spec.checks import ProofRequirements, ReviewRule
from orchestr.spec.phases import Phase
from orchestr.spec.records import Cell, Feature

Values = dict[str, Any]
INTENT = "intent"
CELLS = "cells"
AUDITORS = "auditors"  # one more is stricter, as with reviewers
# The key of the audit: every change of these is locked, also one that adds.
WHOLE = ("product", "structure", "done_means", "non_goals", "cross_checks")
# Fields of a feature that are in the lock by other means, or say nothing about the work.
_NOT_FREE = {"name", "key", "path", "digest", "parts", "lock", INTENT, CELLS, AUDITORS, *WHOLE}
_LISTS = ("checks", "screenshots", "reviewers")  # of a cell's proof, each entry with a name
_REQUIRED = ("approve", "review_rule", "allow_partial", "allow_skipped_tests", "test_first")
_USUAL_COVERAGE = 80  # per cent; the default of `least` of `diff_coverage`
# Conditions of our own kinds: one more is stricter, and so is one where there was none.
_MORE_IS_STRICTER = {("browser_journey", "evidence"), ("type_check", "paths"), ("exports", "names")}
_ANY_IS_STRICTER = {
    ("command", "output"), ("api_probe", "json"), ("import_check", "version"),
}  # fmt: skip


def hash_value(value: Any) -> str:
    """Sha256 of a value as canonical JSON: keys sorted, no spaces. What JSON has not, and only a
    file that was edited by hand can hold, is its text."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def list_locked_values(feature: Feature) -> Values:
    """What the lock holds of a feature: ``intent``, the key of the audit, and each cell with what
    it must show. A field without a value is left out."""
    found: Values = {}
    for name in (INTENT, *WHOLE):
        value = describe_value(getattr(feature, name))
        if value not in (None, [], {}):
            found[name] = value
    if feature.auditors:
        found[AUDITORS] = sorted(auditor.agent for auditor in feature.auditors)
    found[CELLS] = {cell.name: _describe_cell(cell) for cell in feature.cells}
    return found


def list_free_digests(feature: Feature) -> dict[str, str]:
    """The other fields, each with the first 16 hex digits of its value's digest."""
    found = _digest_fields(feature, "", _NOT_FREE)
    for cell in feature.cells:
        here = f"{CELLS}.{cell.name}."
        found |= _digest_fields(cell, here, {"name", "proof"})
        found |= _digest_fields(cell.proof, here, {*_LISTS, *_REQUIRED})
    return found


def describe_value(value: Any) -> Any:
    """A value of a spec in TOML's types; records as tables of what differs from the defaults."""
    if isinstance(value, CheckBase):
        return describe_check(value)
    if dataclasses.is_dataclass(value):
        return {
            field.name: describe_value(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if not _is_default(field, getattr(value, field.name))
        }
    if isinstance(value, tuple | list):
        return ["" if item is None else describe_value(item) for item in value]
    return str(value) if isinstance(value, StrEnum) else value


def describe_check(check: CheckBase) -> Values:
    """A check without its name: that stands beside it."""
    found: Values = {"kind": str(check.kind)}
    for field in dataclasses.fields(check):
        value = getattr(check, field.name)
        usual = field.name == "timeout" and value == check.usual_timeout
        if field.name != "name" and not usual and not _is_default(field, value):
            found[field.name] = describe_value(value)
    return found


def is_stricter(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a changed check asks for all that it asked for: any change counts as weaker, unless
    it only adds a condition or shortens the time. A reviewer is none."""
    if "kind" not in before:
        return False
    kind = before["kind"]
    if after.get("kind") != kind:
        return False
    for name in {*before, *after}:
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if name == "timeout":
            usual = _usual_timeout(kind)
            fine = (new or usual) <= (old or usual)
        elif name == "exclusive":
            fine = True  # when it runs, not what it asks for
        elif name == "shows":
            fine = set(old or ()) <= set(new or ())
        elif (kind, name) == ("diff_coverage", "least"):
            fine = (new or _USUAL_COVERAGE) >= (old or _USUAL_COVERAGE)
        elif (kind, name) in _MORE_IS_STRICTER:
            fine = bool(old) and set(old or ()) <= set(new or ())
        else:
            fine = (kind, name) in _ANY_IS_STRICTER and old is None
        if not fine:
            return False
    return True


def _usual_timeout(kind: str) -> float:
    try:
        return find_kind(kind).usual_timeout
    except UnknownKind:
        return CheckBase.usual_timeout


def _describe_cell(cell: Cell) -> Values:
    found: Values = {"requires": _list_requirements(cell)}
    for part in _LISTS:
        entries = getattr(cell.proof, part)
        if entries:
            found[part] = {
                entry.name: describe_check(entry)
                if isinstance(entry, CheckBase)
                else {"agent": entry.agent}
                for entry in entries
            }
    return found


def _list_requirements(cell: Cell) -> list[str]:
    """What must be shown besides checks, in words; each word more is stricter."""
    proof: ProofRequirements = cell.proof
    found = [str(phase) for phase in (Phase.CHECK, Phase.REVIEW) if phase in cell.phases]
    found += [f"approve {gate}" for gate in proof.approve]
    if proof.reviewers:
        rules = list(ReviewRule)  # the strictest first: it holds the others
        found += [f"review_rule {rule}" for rule in rules[rules.index(proof.review_rule) :]]
    found += ["test_first"] if proof.test_first else []
    found += [] if proof.allow_partial else ["nothing red"]
    found += [] if proof.allow_skipped_tests else ["no skipped tests"]
    return sorted(found)


def _digest_fields(record: Any, prefix: str, without: set[str]) -> dict[str, str]:
    return {
        f"{prefix}{field.name}": hash_value(describe_value(getattr(record, field.name)))[:16]
        for field in dataclasses.fields(record)
        if field.name not in without and not _is_default(field, getattr(record, field.name))
    }


def _is_default(field: dataclasses.Field[Any], value: Any) -> bool:
    return value is None or value == field.default
