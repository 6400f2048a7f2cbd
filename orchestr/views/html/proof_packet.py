"""The proof packet: what `report` shows of a feature, for programs (`report FEATURE --json`).

The feature's object of `status --json`, and with it the evidence of each cell, what speaks of each
item of `done_means`, and what limits the proof. docs/json.md describes the fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orchestr
from orchestr.views.html.history import landing_entries
from orchestr.views.html.model import CellEvidence, FeaturePage
from orchestr.views.terminal.status import feature_json

FORM = 1  # raised when a field goes or means something else


def packet_json(page: FeaturePage) -> dict[str, Any]:
    """All of it as JSON values. Times are ISO-8601 UTC."""
    feature = feature_json(page.status)
    for cell in feature["cells"]:
        cell["evidence"] = _evidence_json(page.cell_evidence(cell["name"]))
    return {
        "form": FORM,
        "made_at": datetime.fromtimestamp(page.now, UTC).isoformat(timespec="seconds"),
        "version": orchestr.__version__,
        "spec": {"path": page.spec.path, "digest": page.spec.digest} if page.spec else None,
        **feature,
        "capabilities": [{**asdict(one), "state": one.state} for one in page.capabilities],
        "landings": [
            {"cell": one.cell, "target": one.target, "commit": one.commit, "why": one.why or None}
            for one in landing_entries(page)
        ],
        "limits": list(_list_limits(page)),
    }


def _evidence_json(found: CellEvidence) -> dict[str, Any]:
    changes = None
    if found.diff is not None:
        changes = {
            "files": len(found.diff.files) + found.diff.more,
            "added": found.diff.added,
            "removed": found.diff.removed,
            "command": found.compare,
        }
    return {
        "checks": [dict(item.fields) for item in found.checks],
        "reviews": [dict(item.fields) for item in found.reviews],
        "of_this_head": not found.void,
        "attempts": [asdict(one) for one in found.attempts],
        "changes": changes,
        "pictures": [one.path for one in found.pictures],
    }


def _list_limits(page: FeaturePage) -> Iterator[str]:
    """What the evidence does not show, in words."""
    status = page.status
    for cell in status.plan.cells:
        name, found = cell.name, page.cell_evidence(cell.name)
        state = status.cell_state(name)
        if state.is_bad:
            yield f"{name}: {state.label}: {status.view.cell(name).reason or 'no reason is known'}"
        if found.void:
            yield f"{name}: its checks and reviews are of an earlier head"
        for line in status.cell_facts(name).notes.lines():
            yield f"{name}: {line}"
    for cross in status.cross:
        if not cross.passed:
            yield f"cross checks in {cross.repo}: {cross.told or 'not made for these heads'}"
    for one in page.capabilities:
        if one.state != "shown":
            yield f"done_means: {one.statement}: {one.state}"
    if status.audit is not None:
        for finding in status.audit.findings:
            if finding.state != "passed":
                yield f"audit: {finding.statement}: {finding.state}"
    if status.lock is not None and status.lock.fault:
        yield f"spec lock: {status.lock.fault}"
