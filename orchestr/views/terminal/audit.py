"""The last step of a feature in lines and JSON values: its cross checks and its audit."""

from __future__ import annotations

from typing import Any

from orchestr.views.audit import AuditFacts
from orchestr.views.model import FeatureStatus, cells_without_result, cross_lines
from orchestr.views.terminal.text import clean_line

SHOWN = 400  # characters of evidence in a list


def last_step_lines(status: FeatureStatus) -> list[str]:
    """The cross checks and the audit, see `cross_lines` and `audit_lines`."""
    unmade = status.audit is not None and not status.audit.verdict
    waits = ", ".join(cells_without_result(status, "")) if unmade else ""
    return [*cross_lines(status), *audit_lines(status.audit, status.feature.name, waits)]


def audit_lines(facts: AuditFacts | None, feature: str, waits: str = "") -> list[str]:
    """The audit in lines: its verdict, what did not pass, and what to do about it. ``waits``: the
    cells that it waits for."""
    if facts is None:
        return []
    if not facts.verdict:
        made = f"it waits for {waits}" if waits else f"orchestr run {feature}:audit makes it"
        return [f"· audit: not made{'' if waits else ' for these heads'}: {made}"]
    lines = [f"{'✗' if facts.is_red else '✓'} audit: {clean_line(facts.summary)}"]
    for one in facts.open_findings:
        lines.append(f"  {one.state}: {clean_line(one.statement)} ({clean_line(one.source)})")
        shown = [clean_line(one.detail or one.evidence.strip().partition("\n")[0])[:SHOWN]]
        shown += [", ".join(map(clean_line, one.places)), clean_line(one.outcome)]
        lines += [f"    {text}" for text in shown if text]
    if facts.is_red:
        lines.append(f"  next: orchestr run {feature}:audit; orchestr explain {feature}:audit")
    return lines


def audit_json(facts: AuditFacts) -> dict[str, Any]:
    """The audit as JSON values."""
    return {
        "verdict": facts.verdict or None,
        "summary": facts.summary or None,
        "capped_by": facts.cap or None,
        "stopped_by": facts.stop or None,
        "rounds": facts.rounds,
        "at": facts.at or None,
        "findings": [
            {
                "source": one.source,
                "statement": one.statement,
                "state": one.state,
                "detail": one.detail or None,
                "evidence": one.evidence or None,
                "places": list(one.places),
                "fate": one.fate,
                "owners": list(one.owners),
                "why": one.why or None,
            }
            for one in facts.findings
        ],
    }
