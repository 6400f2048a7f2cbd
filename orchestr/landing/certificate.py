"""Whether features may land as a whole: their cross checks, and the audit of what would land.

A feature with auditors does not land without a green audit of its heads; neither does one whose
last audit by the journal was red, whatever became of `audit.json`. Heads that the landing itself
makes after the audit, by taking the target in or by a repair, are another matter: they are checked
and reviewed, and the cross checks are made for what lands. If each of them were audited, a busy
target could hold a feature up for ever. Such a head counts as the one that was audited. The landing
says in the journal what it makes: a `land.update` names the commit, after a `land.repair` the same
process writes the head. What a run or a person makes of the cell later counts as itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestr.audit.record import audit_key, describe_audit, read_audit, read_heads
from orchestr.cell.context import FeatureRun
from orchestr.cell.phases.cross_checks import red_cross_checks
from orchestr.errors import OrchestrError
from orchestr.landing.changes import LANDED_ONCE
from orchestr.state.event_details import AuditDone, LandRepair, ResultWritten
from orchestr.state.events import Event
from orchestr.state.landing_details import LandUpdate
from orchestr.state.replay import replay
from orchestr.state.results import HEAD
from orchestr.state.seals import digest_bytes


class Standing(StrEnum):
    """How what would land stands to the audit."""

    CERTIFIED = "certified"  # or the feature has no audit
    MOVED = "moved"  # certified, but for heads that the landing has made since
    UNPROVEN = "unproven"  # there is none, of cross checks alone: the landing makes them
    MISSING = "missing"  # there is none of these heads
    RED = "red"


MAY_LAND = (Standing.CERTIFIED, Standing.MOVED, Standing.UNPROVEN)


@dataclass(frozen=True, slots=True)
class Certificate:
    """The standing of a feature; ``why`` is for people, "" where it is certified."""

    standing: Standing
    why: str = ""


def read_certificate(run: FeatureRun) -> Certificate:
    """What the audit says of the heads that would land."""
    if not run.feature.has_audit:
        return Certificate(Standing.CERTIFIED)
    record, key = read_audit(run), audit_key(run)
    if record is not None and record.key == key:
        if record.is_green:
            return Certificate(Standing.CERTIFIED)
        return Certificate(Standing.RED, f"audit {describe_audit(record)}")
    events = list(run.journal.read())
    if record is not None and record.is_green:
        moved = {name: head for name, head in record.heads.items()
                 if name in _list_settled(run, events)}  # fmt: skip
        if moved and record.key == audit_key(run, moved):
            heads = read_heads(run)
            names = ", ".join(name for name in moved if moved[name] != heads.get(name))
            return Certificate(Standing.MOVED, f"audit: passed before the landing changed {names}")
    last = next((e.details for e in reversed(events) if isinstance(e.details, AuditDone)), None)
    if last is not None and last.verdict != "passed":
        why = f"audit: not made for these heads; the last one was {last.verdict}"
        return Certificate(Standing.MISSING, why)
    standing = Standing.MISSING if run.feature.auditors else Standing.UNPROVEN
    return Certificate(standing, "audit: not made for these heads")


def _list_settled(run: FeatureRun, events: Sequence[Event]) -> set[str]:
    """The cells that have landed, and those whose head the landing has made."""
    past, found = replay(events), set()
    for cell in run.feature.cells:
        ctx = run.cell_context(cell.name)
        head, file = ctx.read_head(), ctx.dir / HEAD
        mine = [event for event in events if event.cell == cell.name]
        if past.cell(cell.name).state in LANDED_ONCE or (
            head is not None and made_by_landing(mine, head.head, digest_bytes(file.read_bytes()))
        ):
            found.add(cell.name)
    return found


def made_by_landing(events: Sequence[Event], head: str, content: str) -> bool:
    """Whether a landing has made a cell's head, by the cell's events. ``content`` is the digest of
    its result file. Pure."""
    repairing: set[str] = set()  # the processes that have repaired the cell by now
    for event in events:
        match event.details:
            case LandUpdate(new=new) if new == head:
                return True
            case LandRepair():
                repairing.add(event.run)
            case ResultWritten(files=dict() as files) if files.get(HEAD) == content:
                return event.run in repairing
            case _:
                pass
    return False


def read_certificates(runs: Sequence[FeatureRun]) -> dict[str, Certificate]:
    """Feature -> what its audit says of the heads that would land."""
    return {run.feature.name: read_certificate(run) for run in runs}


def find_red_together(
    runs: Sequence[FeatureRun], certificates: Mapping[str, Certificate]
) -> dict[str, str]:
    """Feature -> why it may not land as a whole: red cross checks, a red or a missing audit."""
    found = {}
    for run in runs:
        red, certificate = red_cross_checks(run), certificates[run.feature.name]
        lines = [f"cross checks are red: {'; '.join(red)}"] if red else []
        lines += [certificate.why] if certificate.standing not in MAY_LAND else []
        if lines:
            found[run.feature.name] = "; ".join(lines)
    return found


def warn_of_audits(certificates: Mapping[str, Certificate]) -> list[str]:
    """What a person has to know of audits that do not stand in the way, a line for each."""
    return [f"{name}: {one.why}" for name, one in certificates.items()
            if one.why and one.standing in MAY_LAND]  # fmt: skip


def refuse_red_together(red: Mapping[str, str]) -> OrchestrError:
    """The refusal to land features whose cells are not green together."""
    names = " ".join(red)
    reasons = "; ".join(f"{name}: {lines}" for name, lines in red.items())
    missing = all(why.startswith("audit: not made") for why in red.values())
    first = "audit it" if missing else "change a cell, then"
    return OrchestrError(
        reasons,
        hint=f"{first}: orchestr run {names}; "
        f"to land in spite of it: orchestr land {names} --allow-red",
    )
