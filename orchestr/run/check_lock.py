"""A locked spec in a run: what differs from the lock, the first lock, and the journal of both.

What is locked is `orchestr.spec.lock`'s. A run goes by a spec only when nothing locked differs;
`--skip-preflight` does not lift that. The lock is written before the journal has it, under the
lock that `amend` takes, too; a run after a kill between the two only adds the event.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestr.cell.context import FeatureRun
from orchestr.cell.worktree.workspace_guard import include_own_change
from orchestr.errors import OrchestrError, Problem, SpecError
from orchestr.files import write_atomic
from orchestr.git.identity import read_identity
from orchestr.git.repo import Repo
from orchestr.process.file_lock import FlockLock
from orchestr.process.lease import LeaseRecord
from orchestr.spec.records import LOCK_SUFFIX
from orchestr.state.events import EventKind
from orchestr.state.journal import utc_timestamp
from orchestr.views.query.spec_lock import (
    find_changes,
    has_lock,
    read_lock,
    show_value,
    was_locked,
)

AMEND_LOCK = "amend.lock"
LONGEST = 160  # characters of a value in a message


def check_lock(run: FeatureRun) -> list[Problem]:
    """What the lock of a feature has against its spec as it is: errors stop a run, warnings do not.

    A lock that cannot be read is one of them. Empty for a feature that has none.
    """
    feature = run.feature
    if not has_lock(run):
        if not was_locked(run):
            return []
        back = f"git checkout -- {feature.lock_path}"
        if feature.was is not None:  # the spec's file may have been renamed with it
            former = Path(feature.lock_path).with_name(f"{feature.was}{LOCK_SUFFIX}")
            if (run.layout.root / former).exists():
                back = f"git mv {former} {feature.lock_path}"
        if feature.lock:
            what = f"is gone, and the journal says that {feature.path} was locked"
            return [Problem(feature.lock_path, 0, 0, "", what, back)]
        what = "was locked and is not any more: no change of it is compared"
        return [Problem(feature.path, 0, 0, "", what, back, "warning")]
    try:
        lock = read_lock(run)
        every = find_changes(run, lock)
    except SpecError as error:
        return list(error.problems)
    from orchestr.spec.locate import locate_locked_fields
    from orchestr.spec.lock import find_chain_fault

    found = []
    fault = find_chain_fault(lock)
    if fault is not None:
        what = f"its chain of amendments is broken: {fault}"
        hint = f"git log -p -- {feature.lock_path}"
        found.append(Problem(feature.lock_path, 0, 0, "", what, hint, "warning"))
    changes = [change for change in every if change.needs_amendment]
    places = locate_locked_fields(run.layout.root, feature, [change.field for change in changes])
    for change, place in zip(changes, places, strict=True):
        before, after = (show_value(v, LONGEST) for v in (change.before, change.after))
        what = f"{change.field} is locked; it was {before} and is {after}"
        spec = feature.path if place.file != feature.path else ""
        fix = f"orchestr amend {feature.name} --reason TEXT" if change is changes[-1] else None
        found.append(Problem(*place, "", what, fix, spec=spec))
    return found


def is_refused(run: FeatureRun) -> bool:
    """Whether a run of the feature is refused because of its lock."""
    return any(problem.severity == "error" for problem in check_lock(run))


def refuse_locked_changes(run: FeatureRun) -> None:
    """Raises SpecError (exit 2) while locked fields of the spec differ from its lock."""
    errors = [problem for problem in check_lock(run) if problem.severity == "error"]
    if errors:
        raise SpecError(errors)


def keep_lock(run: FeatureRun) -> None:
    """At the beginning of a run, under its lease: write the first lock where the spec asks for one,
    and journal what a lock lets pass. Safe to repeat.
    """
    if not has_lock(run):
        if not run.feature.lock:
            return
        refuse_locked_changes(run)  # it was locked before
        write_first_lock(run)
    lock = read_lock(run)
    if not was_locked(run):
        run.emit(EventKind.SPEC_LOCKED, path=run.feature.lock_path, locked=lock.digests.locked)
    journal_amendments(run)
    from orchestr.spec.lock_values import hash_value, list_free_digests

    free = [change for change in find_changes(run, lock) if not change.needs_amendment]
    if not free:
        return
    rows = [[change.field, change.before, change.after] for change in free]
    digest = hash_value([rows, list_free_digests(run.feature)])[:16]
    last: Any = None
    for event in run.journal.read_kind(EventKind.SPEC_CHANGED):
        last = event.data.get("digest")
    if last != digest:
        run.emit(EventKind.SPEC_CHANGED, fields=[change.field for change in free], digest=digest)


def write_first_lock(run: FeatureRun) -> None:
    """Lock a spec as it is, unless it is locked."""
    from orchestr.spec.lock import build_spec_lock, encode_spec_lock

    path = run.layout.root / run.feature.lock_path
    with FlockLock(run.layout.locks_dir / AMEND_LOCK):
        if path.exists():
            return
        lock = build_spec_lock(run.feature, at=utc_timestamp(), who=read_person(run.layout.root))
        write_atomic(path, encode_spec_lock(lock))
        include_own_change(run.layout, path)


def journal_amendments(run: FeatureRun) -> None:
    """Journal the newest amendments, unless the journal has them: a kill may have been between."""
    from orchestr.spec.lock import Tier

    lock = read_lock(run)
    known = {event.data.get("chain") for event in run.journal.read_kind(EventKind.SPEC_AMENDED)}
    if not lock.amendments or lock.digests.chain in known:
        return
    newest = lock.amendments[-1]
    batch = [entry for entry in lock.amendments if entry.at == newest.at]
    fields = [entry.field for entry in batch if entry.tier is not Tier.FREE]
    run.emit(EventKind.SPEC_AMENDED, fields=fields, who=newest.who, reason=newest.reason,
             chain=lock.digests.chain)  # fmt: skip


def read_person(root: Path) -> str:
    """Who answers for a change: the identity that git has in the workspace, else the login."""
    try:
        name, email = read_identity(Repo(root))
    except OrchestrError:
        name, email = "", ""
    if not name and not email:
        return LeaseRecord.for_this_process(command="", features=(), jobs=1).user
    return f"{name} <{email}>" if email else name
