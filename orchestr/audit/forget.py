"""Put an audit aside, so that the next run makes it again, though nothing has changed."""

from __future__ import annotations

from contextlib import suppress

from orchestr.audit.auditors import ATTEMPT, AuditContext
from orchestr.audit.record import FILE
from orchestr.cell.agent.run_reviewers import forget_answers
from orchestr.cell.context import FeatureRun
from orchestr.cell.phases.cross_checks import FILE as CROSS_FILE
from orchestr.spec.records import AUDIT
from orchestr.state.events import EventKind


def forget_audit(run: FeatureRun, force_id: str) -> None:
    """Put the answers of auditors, the results of cross checks and the record aside, each beside
    itself. Safe to repeat after a kill; ``force_id``: the run whose `--force` it is.

    Repairs that are decided on and not opened yet go with the record: the audit finds their causes
    again.
    """
    ctx, folder = AuditContext(run), run.layout.feature_dir(run.feature.name)
    forget_answers(ctx.dir, ATTEMPT, lambda _row: True)
    moved = []
    for name in (CROSS_FILE, FILE):  # the record last: without it nothing counts any more
        with suppress(FileNotFoundError):
            (folder / name).replace(folder / f"former-{name}")
            moved.append(name)
    run.emit(EventKind.CELL_FORGOTTEN, cell=AUDIT, phases=[], moved=moved, force=force_id)
