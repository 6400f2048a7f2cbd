"""Send red findings back: each repair becomes an open round of its owner's attempt.

The evidence of the owner's phases is void then, so the next pass over the tasks carries the round
out, checks, reviews and publishes it, rebuilds what depends on it and audits again. What survives
a crash: the repairs stand in `audit.json` before the first is opened, a round is found again by its
digest, and they are struck off when all are opened.
"""

from __future__ import annotations

from orchestr.audit.record import PendingRepair, read_audit, write_audit
from orchestr.cell.agent.repair import author_attempt, open_repair
from orchestr.cell.context import FeatureRun
from orchestr.cell.phases.forget import forget_phases
from orchestr.codec import replace
from orchestr.git.repo import CommitId
from orchestr.spec.phases import Phase
from orchestr.state import repairs
from orchestr.state.results import ImplementRecord


def open_pending_repairs(run: FeatureRun) -> None:
    """Open what the last audit decided on and a kill may have left. Safe to repeat."""
    record = read_audit(run)
    if record is None or not record.pending:
        return
    names = {cell.name for cell in run.feature.cells}
    for one in record.pending:
        if one.cell in names:
            _open_round(run, one)
    write_audit(run, replace(record, pending=()))


def _open_round(run: FeatureRun, wanted: PendingRepair) -> None:
    """The round of one repair; none where the cell's head has moved on since the audit."""
    ctx = run.cell_context(wanted.cell)
    done, head = ImplementRecord.read(ctx.dir), ctx.read_head()
    attempt = author_attempt(ctx, done) if done is not None else None
    if done is None or head is None or attempt is None:
        return
    rounds = repairs.read_rounds(ctx.dir, attempt.number)
    mine = next((r for r in reversed(rounds) if r.red == wanted.red), None)
    if mine is None:
        if head.head != wanted.head or repairs.find_open_round(rounds) is not None:
            return  # it is judged again by the next audit
        mine = open_repair(
            ctx, attempt, Phase.CHECK, done.origin, CommitId(head.head), red=wanted.red,
            why=wanted.why, words=wanted.words, of=run.feature.most_audit_rounds,
            asked_by=repairs.AUDIT,
        )  # fmt: skip
    if mine.outcome == repairs.OPEN:
        forget_phases(ctx, [Phase.CHECK, Phase.REVIEW])
