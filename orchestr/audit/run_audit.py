"""Make the audit of a feature: cross checks, auditors, a verdict, and repairs where it is red.

The last target of a feature. What survives a crash: answers of auditors and green cross checks are
kept where they are made; `audit.json` is written with the repairs that were decided on before any
of them is opened (`orchestr.audit.send_back`). So the same command goes on where it was killed.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestr.audit.answer import count_states
from orchestr.audit.auditors import forget_unevaluated, hear_auditors, recover_guarded_cells
from orchestr.audit.decide import AuditDecision, Fate, SeriesState, decide
from orchestr.audit.evidence import find_in_cross_checks
from orchestr.audit.findings import Finding, Verdict, red_digest
from orchestr.audit.prompt import format_repair_words, summarize_findings
from orchestr.audit.record import (
    AuditRecord,
    AuditRound,
    PendingRepair,
    audit_key,
    describe_audit,
    find_cap,
    read_audit,
    read_heads,
    write_audit,
)
from orchestr.audit.scope import FileFinder, describe_cells
from orchestr.cell.context import FeatureRun
from orchestr.cell.phases.cross_checks import check_merges, merge_cell_heads
from orchestr.codec import replace
from orchestr.errors import Interrupted, PhaseFailed, Unavailable
from orchestr.git.repo import CommitId
from orchestr.process.back_off import try_until_available
from orchestr.state.events import EventKind
from orchestr.state.journal import utc_timestamp
from orchestr.state.results import digest


class WorkSentBack(PhaseFailed):
    """The audit is red, and owners repair what it found: the tasks run once more."""


def make_audit(run: FeatureRun) -> None:
    """Audit the feature, unless that is done for these heads.

    Raises PhaseFailed for every verdict but `passed`, WorkSentBack where repairs come first,
    Interrupted.
    """
    name, old, key = run.feature.name, read_audit(run), audit_key(run)
    if old is not None and old.key == key and old.verdict is Verdict.PASSED:
        return
    bare = [c.name for c in run.feature.cells if run.cell_context(c.name).read_head() is None]
    if bare:
        raise PhaseFailed(
            f"{name} is not audited: {', '.join(bare)} has no result", hint=f"orchestr run {name}"
        )
    recover_guarded_cells(run)
    series = old if old is not None and old.is_open else None
    if series is None:
        forget_unevaluated(run)
    findings, files = gather_findings(run)
    cap = find_cap(run)
    decision = decide(
        findings,
        files.scopes,
        series.series if series is not None else SeriesState(),
        most_rounds=run.feature.most_audit_rounds,
        cap=cap,
    )
    record = make_record(run, key, findings, decision, series, cap)
    write_audit(run, replace(record, heads=read_heads(run), commits=dict(files.merges)))
    run.emit(
        EventKind.AUDIT_DONE, verdict=str(record.verdict), summary=count_states(findings),
        owners=list(decision.owners), stop=decision.stop,
    )  # fmt: skip
    if decision.owners:
        run.sent_back = True
        raise WorkSentBack(f"the audit of {name} is red; repaired by {', '.join(decision.owners)}")
    if record.verdict is not Verdict.PASSED:
        raise PhaseFailed(explain_red(name, record), hint=f"orchestr status {name} lists all")


def gather_findings(run: FeatureRun) -> tuple[list[Finding], FileFinder]:
    """What cross checks and auditors find, with the cells and the merges that were judged."""

    def pause(error: Unavailable, seconds: float) -> None:
        run.emit(EventKind.CELL_WARNED, reason=f"{error.reason}; tried again in {seconds:g} s")
        if run.stop.wait(seconds):
            raise Interrupted("stopped; the same command goes on")

    outcomes = try_until_available(
        lambda: check_merges(run), retries=run.settings.limits.retries, pause=pause
    )
    merges: dict[str, CommitId] = {}
    for repo in dict.fromkeys(cell.repo for cell in run.feature.cells):
        cells = [run.cell_context(c.name) for c in run.feature.cells if c.repo == repo]
        heads = [head for ctx in cells if (head := ctx.read_head()) is not None]
        merged = merge_cell_heads(cells[0], heads)
        if merged.commit is not None:
            merges[repo] = merged.commit
    files = FileFinder.of_merges(run, describe_cells(run), merges)
    crossed = find_in_cross_checks(outcomes, files)
    return [*crossed, *hear_auditors(run, files, crossed)], files


def make_record(
    run: FeatureRun, key: str, findings: Sequence[Finding], decision: AuditDecision,
    series: AuditRecord | None, cap: str,
) -> AuditRecord:  # fmt: skip
    """The record of an audit, with the repairs that are to be opened."""
    rounds = series.rounds if series is not None else ()
    pending: tuple[PendingRepair, ...] = ()
    if decision.owners:
        rounds = (
            *rounds,
            AuditRound(red=red_digest(findings), owners=decision.owners, at=utc_timestamp()),
        )
        pending = tuple(
            _plan_repair(run, owner, findings, decision, len(rounds)) for owner in decision.owners
        )
    return AuditRecord(
        key=key, verdict=decision.verdict, findings=tuple(findings), fates=decision.fates,
        stop=decision.stop, cap=cap, at=utc_timestamp(), rounds=rounds,
        is_open=bool(decision.owners), pending=pending,
    )  # fmt: skip


def _plan_repair(
    run: FeatureRun, owner: str, findings: Sequence[Finding], decision: AuditDecision, number: int
) -> PendingRepair:
    mine = [one for one, fate in zip(findings, decision.fates, strict=True)
            if fate.fate is Fate.REPAIR and owner in fate.owners]  # fmt: skip
    head = run.cell_context(owner).read_head()
    at = head.head if head is not None else ""
    red = digest("audit", utc_timestamp(), number, at, sorted(one.id for one in mine))
    return PendingRepair(owner, at, red, summarize_findings(mine), format_repair_words(at, mine))


def explain_red(name: str, record: AuditRecord) -> str:
    """Why the feature is not certified, in one paragraph."""
    lines = []
    for one, fate in zip(record.findings, record.fates, strict=True):
        if fate.fate is not Fate.NONE:
            why = f" ({fate.why})" if fate.why and fate.why != record.stop else ""
            lines.append(f"{one.source}: {one.statement}: {one.state}{why}")
    shown = "; ".join([*lines[:3], *([f"and {len(lines) - 3} more"] if len(lines) > 3 else [])])
    text = f"the audit of {name} is {describe_audit(record)}"
    text = f"{text}: {shown}" if shown else text
    return f"{text}; no further repair: {record.stop}" if record.stop else text
