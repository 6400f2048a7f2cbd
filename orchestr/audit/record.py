"""`audit.json`: what the last audit of a feature found, for exactly these heads, and its series.

A series is the audits of one loop: red, repaired, audited again. It is open from the first round
that sends work back until the audit is green or no round is tried any more; the next run then
begins another one. ``pending`` are the repairs that were decided on and are not all opened yet: the
record is written first, `orchestr.audit.send_back` opens them, also after a kill.

The record is under a seal (`orchestr.state.seals`): one that our processes did not write is set
aside, and the audit is made again, from the answers that are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from orchestr.audit.decide import FindingFate, SeriesState
from orchestr.audit.findings import Finding, Verdict
from orchestr.cell.agent.goal import describe_goal, list_structure
from orchestr.cell.agent_options import declared_reviewer_options
from orchestr.cell.context import FeatureRun
from orchestr.cell.inputs import reviewer_model_of
from orchestr.cell.option_inputs import count_options
from orchestr.cell.phases.cross_checks import cross_check_digest
from orchestr.cell.seal_results import seal_results
from orchestr.codec import ExtensibleRecord, Record
from orchestr.errors import SpecError
from orchestr.spec.checks import Reviewer
from orchestr.spec.lock import find_chain_fault, read_spec_lock
from orchestr.spec.records import AUDIT, Feature
from orchestr.state.results import digest
from orchestr.state.seals import read_sealed, write_sealed

FILE = "audit.json"  # beside the cells


class PendingRepair(Record, frozen=True):
    """A repair to open: of which cell, for which head, for which findings (``why``: one line).
    ``red`` is a digest of its own, by which the round is found again."""

    cell: str
    head: str
    red: str
    why: str
    words: str


class AuditRound(Record, frozen=True, kw_only=True):
    """One round of the series: what was red, and who was asked to repair it."""

    red: str
    owners: tuple[str, ...]
    at: str = ""


class AuditRecord(ExtensibleRecord, frozen=True, kw_only=True):
    """One audit. ``fates`` are those of the findings, in their order; ``stop`` says why the series
    ended red, ``cap`` why it is partial at best. ``heads``: cell -> its head and tree,
    ``commits``: repository -> the merge that was judged."""

    key: str
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    fates: tuple[FindingFate, ...] = ()
    stop: str = ""
    cap: str = ""
    heads: Mapping[str, tuple[str, str]] = {}
    commits: Mapping[str, str] = {}
    at: str = ""
    rounds: tuple[AuditRound, ...] = ()
    is_open: bool = False
    pending: tuple[PendingRepair, ...] = ()

    @property
    def is_green(self) -> bool:
        """Whether the feature is certified."""
        return self.verdict is Verdict.PASSED

    @property
    def series(self) -> SeriesState:
        """What the series has done; nothing where it is over."""
        if not self.is_open or not self.rounds:
            return SeriesState()
        repairs = sum(len(one.owners) for one in self.rounds)
        return SeriesState(len(self.rounds), repairs, self.rounds[-1].red)


def audit_file(run: FeatureRun) -> Path:
    """Where the record of a feature is."""
    return run.layout.feature_dir(run.feature.name) / FILE


def read_audit(run: FeatureRun) -> AuditRecord | None:
    """The record; None when there is none, or none that can be read."""
    return read_sealed(_seal_folder(run), FILE, AuditRecord)


def write_audit(run: FeatureRun, record: AuditRecord) -> None:
    """Write the record, durably, its digest first."""
    write_sealed(_seal_folder(run), FILE, record)


def _seal_folder(run: FeatureRun) -> Path:
    """The folder of the record, under the seals of the step `audit`."""
    folder = audit_file(run).parent
    emit = partial(run.emit, cell=AUDIT)
    seal_results(folder, run.journal, AUDIT, emit, lambda: bool(run.id), strict=True)
    return folder


def read_current_audit(run: FeatureRun) -> AuditRecord | None:
    """The record, if it is of the heads as they are now and of the same audit."""
    record = read_audit(run)
    return record if record is not None and record.key == audit_key(run) else None


def read_heads(run: FeatureRun) -> dict[str, tuple[str, str]]:
    """Cell -> its head and tree; cells without a result are left out."""
    found = ((cell.name, run.cell_context(cell.name).read_head()) for cell in run.feature.cells)
    return {name: (head.head, head.tree) for name, head in found if head is not None}


def audit_key(run: FeatureRun, instead: Mapping[str, tuple[str, str]] | None = None) -> str:
    """What an audit is valid for: every cell's head and tree, and all that it judges by.
    ``instead``: heads that count in place of those that cells have."""
    feature = run.feature
    heads = read_heads(run) | dict(instead or {})
    auditors = [
        [one.agent, one.name, reviewer_model_of(run, one), *_list_counted(run, one)]
        for one in feature.auditors
    ]
    return digest(
        [[cell.name, *heads.get(cell.name, (None, None))] for cell in feature.cells],
        cross_check_digest(run),
        auditors,
        describe_goal(feature),
        list(feature.scenarios),
        find_cap(run),
    )


def _list_counted(run: FeatureRun, auditor: Reviewer) -> list[dict[str, Any]]:
    """The options of an auditor that change what it says; nothing where none is given."""
    found = count_options(declared_reviewer_options(run, auditor))
    return [found] if found else []


def list_statements(feature: Feature) -> tuple[str, ...]:
    """What auditors judge, one by one: `done_means` and the parts of `structure`; where the spec
    has neither, its scenarios, else the whole."""
    found = [text.strip() for text in feature.done_means]
    if feature.structure is not None:
        found += [f"from outside, it has {line}" for line in list_structure(feature.structure)]
    found = found or [text.strip() for text in feature.scenarios]
    return tuple(dict.fromkeys(found)) or ("what the cells were asked for is done, and fits",)


def find_cap(run: FeatureRun) -> str:
    """Why the verdict is partial at best: the chain of the spec's lock is broken, or it cannot be
    read. "" for a whole chain, and for a spec without a lock."""
    path = run.layout.root / run.feature.lock_path
    if not path.exists():
        return ""
    try:
        lock = read_spec_lock(path)
    except SpecError as error:
        return f"the lock of the spec cannot be read: {error.message}"
    fault = find_chain_fault(lock) if lock is not None else None
    return f"the chain of the spec's lock is broken: {fault}" if fault else ""


def explain_missing_audit(run: FeatureRun) -> str:
    """Why the next run would make the audit; "" when it would not, or there is none."""
    if not run.feature.has_audit:
        return ""
    record = read_current_audit(run)
    if record is None:
        return "audit: not made for these heads"
    if record.is_green:
        return ""
    return f"audit: {describe_audit(record)}"


def describe_audit(record: AuditRecord) -> str:
    """`failed: 3 passed, 1 failed`; the reason of the cap where that is the cause."""
    states = [str(one.state) for one in record.findings]
    counts = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
    why = f" ({record.cap})" if record.cap and record.verdict is Verdict.PARTIAL else ""
    return f"{record.verdict}: {counts or 'nothing was evaluated'}{why}"
