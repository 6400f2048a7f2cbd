"""What is kept of a feature's audit, for those who show it."""

from __future__ import annotations

from orchestr.cell.context import FeatureRun
from orchestr.views.audit import AuditFacts, FindingLine


def audit_facts(run: FeatureRun) -> AuditFacts | None:
    """The audit of the heads as they are now; None for a feature without one."""
    if not run.feature.has_audit:
        return None
    from orchestr.audit.record import describe_audit, read_current_audit

    record = read_current_audit(run)
    if record is None:
        return AuditFacts()
    return AuditFacts(
        str(record.verdict),
        describe_audit(record),
        record.cap,
        record.stop,
        len(record.rounds),
        record.at,
        tuple(
            FindingLine(
                one.source, one.statement, str(one.state), one.detail, one.evidence,
                tuple(map(str, one.places)), str(fate.fate), fate.owners, fate.why,
            )
            for one, fate in zip(record.findings, record.fates, strict=False)
        ),
    )  # fmt: skip
