"""What speaks of each item of `done_means`: checks that say so (`shows`), cross checks, the audit.

Only what the spec connects is counted, and only for the heads as they are now: no text is matched
with the name of a test. An item of which nothing speaks is named as such.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from orchestr.spec.checks import CheckDef
from orchestr.spec.records import Feature
from orchestr.views.html.model import CapabilityLine, CellEvidence, Witness
from orchestr.views.model import FeatureStatus

OPEN = "not evaluated"


def list_capabilities(
    feature: Feature, status: FeatureStatus, evidence: Mapping[str, CellEvidence]
) -> tuple[CapabilityLine, ...]:
    """A line for each item, in the order of the spec; none where nothing is connected to any."""
    lines = [
        CapabilityLine(
            text.strip(), tuple(_list_witnesses(text.strip(), feature, status, evidence))
        )
        for text in feature.done_means
    ]
    return tuple(lines) if any(line.witnesses for line in lines) else ()


def _list_witnesses(
    item: str, feature: Feature, status: FeatureStatus, evidence: Mapping[str, CellEvidence]
) -> Iterator[Witness]:
    for cell in feature.cells:
        found = evidence.get(cell.name)
        rows = {} if found is None or found.void else _by_name(i.fields for i in found.checks)
        for check in cell.proof.checks:
            if shows_item(check, item):
                yield Witness(f"{cell.name}: check {check.name}", _judge_row(rows.get(check.name)))
    made = {one.repo: one for one in status.cross if one.passed is not None}
    for cross in feature.cross_checks:
        if shows_item(cross.check, item):
            one = made.get(cross.repo)
            rows = _by_name(one.rows) if one is not None else {}
            name = f"{cross.repo}: cross check {cross.check.name}"
            yield Witness(name, _judge_row(rows.get(cross.check.name)))
    for finding in status.audit.findings if status.audit is not None else ():
        if finding.statement.strip() == item:
            yield Witness(finding.source, finding.state)


def shows_item(check: CheckDef, item: str) -> bool:
    """Whether the spec says that a check shows this item."""
    return any(text.strip() == item for text in check.shows)


def _by_name(rows: Iterable[Mapping[str, object]]) -> dict[str, Mapping[str, object]]:
    return {str(row.get("name")): row for row in rows}


def _judge_row(row: Mapping[str, object] | None) -> str:
    if row is None or row.get("unavailable") is True:
        return OPEN
    return "passed" if row.get("passed") is True else "failed"
