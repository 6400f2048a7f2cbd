"""What the lock of a spec says of it now, for whoever shows or compares it. Reads only.

A feature without a lock costs one look at the disk; nothing is imported for it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from orchestr.cell.context import FeatureRun
from orchestr.errors import Problem, SpecError
from orchestr.state.events import EventKind
from orchestr.views.model import LockFacts
from orchestr.views.terminal.text import clean_line

if TYPE_CHECKING:  # `status` of a feature without a lock starts without them
    from orchestr.spec.lock import SpecChange, SpecLock


def has_lock(run: FeatureRun) -> bool:
    """Whether a lock is beside the spec, readable or not."""
    path = run.feature.lock_path
    return bool(run.feature.path) and (run.layout.root / path).exists()


def was_locked(run: FeatureRun) -> bool:
    """Whether the journal has a lock of the feature."""
    return next(iter(run.journal.read_kind(EventKind.SPEC_LOCKED)), None) is not None


def read_lock(run: FeatureRun) -> SpecLock:
    """The lock of a feature that has one. Raises SpecError, also for another feature's."""
    from orchestr.spec.lock import read_spec_lock

    feature = run.feature
    lock = read_spec_lock(run.layout.root / feature.lock_path, feature.lock_path)
    if lock is None:
        raise SpecError([Problem(feature.lock_path, 0, 0, "", "is gone", None)])
    if lock.feature not in (feature.name, feature.was):
        what = f"it is the lock of feature {lock.feature}, not of {feature.name}"
        hint = f"write `was: {lock.feature}` in {feature.path}, or move the lock to its spec"
        raise SpecError([Problem(feature.lock_path, 0, 0, "feature", what, hint)])
    return lock


def find_changes(run: FeatureRun, lock: SpecLock) -> tuple[SpecChange, ...]:
    """What differs from the lock of the feature. Raises SpecError."""
    from orchestr.spec.lock import compare_spec_to_lock

    path = run.feature.lock_path
    try:
        return compare_spec_to_lock(lock, run.feature)
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # edited by hand
        what = f"its values are none of a spec: {error}"
        raise SpecError([Problem(path, 0, 0, "values", what, f"git checkout -- {path}")]) from error


def show_value(value: Any, longest: int) -> str:
    """A locked value in one line, cut to ``longest`` characters."""
    if value is None:
        return "not there"
    text = clean_line(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def lock_facts(run: FeatureRun) -> LockFacts | None:
    """The lock of a feature for people; None when it has none."""
    if not has_lock(run):
        return None
    path = run.feature.lock_path
    try:
        lock = read_lock(run)
        changes = find_changes(run, lock)
    except SpecError as error:
        return LockFacts(path, fault="; ".join(problem.message for problem in error.problems))
    from orchestr.spec.lock import find_chain_fault

    return LockFacts(
        path,
        len(lock.amendments),
        find_chain_fault(lock),
        tuple(change.field for change in changes if change.needs_amendment),
        tuple(change.field for change in changes if not change.needs_amendment),
    )
