"""The audit on the page of a feature: its verdict and every finding."""

from __future__ import annotations

from dataclasses import dataclass

from orchestr.views.audit import AuditFacts
from orchestr.views.html import escape

COLOURS = {"passed": "yes", "not evaluated": "open"}


@dataclass(frozen=True, slots=True)
class FindingEntry:
    """One finding, its texts fit to be shown; ``colour`` is a class of the page's style."""

    state: str
    colour: str
    statement: str
    source: str
    places: str
    evidence: str
    outcome: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """The audit. ``words`` say what it came to."""

    words: str
    bad: bool
    findings: tuple[FindingEntry, ...]


def audit_entry(facts: AuditFacts | None) -> AuditEntry | None:
    """The audit of the heads as they are now; None for a feature without one."""
    if facts is None:
        return None
    words = facts.summary if facts.verdict else "Not made yet for the heads as they are now."
    if facts.stop:
        words = f"{words}; no further repair: {facts.stop}"
    show = escape.make_visible
    found = tuple(
        FindingEntry(
            one.state, COLOURS.get(one.state, "no"), show(one.statement), show(one.source),
            show(", ".join(one.places)), show(one.evidence or one.detail), show(one.outcome),
        )
        for one in facts.findings
    )  # fmt: skip
    return AuditEntry(show(words), facts.is_red, found)
