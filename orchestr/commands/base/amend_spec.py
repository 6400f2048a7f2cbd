"""`amend FEATURE --reason TEXT`: let what was changed in a locked spec count, and keep why.

The lock is written whole, by rename, before the journal has the amendment; the same command again
adds nothing to the lock, and the event only where a kill kept the journal from it.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestr.cell.context import FeatureRun
from orchestr.cell.worktree.workspace_guard import include_own_change
from orchestr.errors import OrchestrError, SpecError, UsageError
from orchestr.files import write_atomic
from orchestr.process.file_lock import FlockLock
from orchestr.run.check_lock import AMEND_LOCK, check_lock, journal_amendments, read_person
from orchestr.run.start import next_run_line
from orchestr.run.workspace import Session
from orchestr.spec.lock import (
    SpecLock,
    Tier,
    amend_lock,
    encode_spec_lock,
    find_chain_fault,
)
from orchestr.state.journal import utc_timestamp
from orchestr.state.layout import create_state_dirs
from orchestr.views.query.spec_lock import find_changes, has_lock, read_lock, show_value
from orchestr.views.terminal.output import write_stdout

LONGEST = 600  # characters of a value that is shown


def amend_specs(
    session: Session, names: Sequence[str], *, reason: str | None, dry_run: bool
) -> int:
    """Amend the locks of these features. Raises UsageError without a reason, OrchestrError for a
    feature without a lock or with a broken one."""
    words = " ".join((reason or "").split())
    if not words and not dry_run:
        raise UsageError("why? a locked field is changed with a reason",
                         hint=f"orchestr amend {names[0]} --reason TEXT")  # fmt: skip
    for name in names:
        _amend_spec(session.load_run(name), words, dry_run=dry_run)
    return 0


def _amend_spec(run: FeatureRun, reason: str, *, dry_run: bool) -> None:
    lock = _read_whole_lock(run)
    name, path = run.feature.name, run.feature.lock_path
    changes = find_changes(run, lock)
    for change in changes if dry_run else ():
        write_stdout(f"{change.tier}: {change.field}\n")
        if (change.before, change.after) != (None, None):
            write_stdout(f"  was  {show_value(change.before, LONGEST)}\n")
            write_stdout(f"  is   {show_value(change.after, LONGEST)}\n")
    if not changes:
        write_stdout(f"{name} is as its lock has it: nothing to amend\n")
    if dry_run:
        return
    create_state_dirs(run.layout)
    with FlockLock(run.layout.locks_dir / AMEND_LOCK):
        lock = _read_whole_lock(run)
        if any(change.needs_amendment for change in changes):
            who = read_person(run.layout.root)
            lock, made = amend_lock(lock, run.feature, at=utc_timestamp(), who=who, reason=reason)
            place = (run.layout.root / path).resolve()
            write_atomic(place, encode_spec_lock(lock), mode=place.stat().st_mode & 0o777)
            include_own_change(run.layout, run.layout.root / path)
            for entry in made:
                what = "locked now" if entry.tier is Tier.FREE else "amended"
                write_stdout(f"{path}: {what}: {entry.field}\n")
        elif changes:
            write_stdout(f"only free fields of {name} differ from its lock: nothing to amend\n")
        journal_amendments(run)
    write_stdout(next_run_line(run, f"orchestr run {name}"))


def _read_whole_lock(run: FeatureRun) -> SpecLock:
    """The lock, whose chain holds."""
    if not has_lock(run):
        gone = [problem for problem in check_lock(run) if problem.severity == "error"]
        if gone:
            raise SpecError(gone)
        hint = (
            f"orchestr run {run.feature.name} locks it"
            if run.feature.lock
            else (f"write `lock: true` in {run.feature.path}")
        )
        raise OrchestrError(f"{run.feature.name} is not locked", hint=hint)
    lock = read_lock(run)
    fault = find_chain_fault(lock)
    if fault is not None:
        raise OrchestrError(
            f"the chain of amendments in {run.feature.lock_path} is broken: {fault}",
            hint=f"git log -p -- {run.feature.lock_path} shows who changed it; "
            f"git checkout -- {run.feature.lock_path} takes the committed one",
        )
    return lock
