"""What a page is told besides `FeatureStatus`: records that a command fills in.

All text in them is raw but redacted: `orchestr.views.html.page` makes it fit to be shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestr.git.diff import CommitDiff
from orchestr.state.timeline import Timeline
from orchestr.views.model import FeatureStatus


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """One attempt, by its record."""

    number: int
    agent: str
    model: str = ""
    state: str = "open"
    outcome: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """One verdict of `checks.json` or `review.json` as it stands there, and the end of its log."""

    fields: Mapping[str, Any]
    log: str = ""


@dataclass(frozen=True, slots=True)
class PagePicture:
    """A picture of a cell. ``source`` is its data as an address, empty where ``why`` says why, or
    on a board; ``path`` is where it lies in the state folder; ``issues`` name it."""

    name: str
    path: str
    source: str = ""
    why: str = ""
    issues: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CellEvidence:
    """What can be shown of one cell's work. ``diff`` None: ``why`` says why there is none.

    ``compare`` is the command that shows all of the difference. ``void``: the verdicts are of
    another head.
    """

    diff: CommitDiff | None = None
    why: str = ""
    compare: str = ""
    checks: tuple[ItemFacts, ...] = ()
    reviews: tuple[ItemFacts, ...] = ()
    void: bool = False
    attempts: tuple[AttemptFacts, ...] = ()
    log: tuple[str, ...] = ()
    log_bytes: int = 0
    plan: str = ""  # what its agent means to do, at the gate `plan`
    reasons: Mapping[str, str] = field(default_factory=dict)  # phase -> why it would run again
    pictures: tuple[PagePicture, ...] = ()


@dataclass(frozen=True, slots=True)
class Witness:
    """What speaks of an item of `done_means`. ``state``: passed, failed, partial, not evaluated."""

    name: str
    state: str


@dataclass(frozen=True, slots=True)
class CapabilityLine:
    """One item of `done_means`, and all that speaks of it for the heads as they are now."""

    statement: str
    witnesses: tuple[Witness, ...] = ()

    @property
    def state(self) -> str:
        """`shown` where all that speaks of it passed, `red` where one says no, else `open`."""
        states = {one.state for one in self.witnesses}
        if states & {"failed", "partial"}:
            return "red"
        return "shown" if states == {"passed"} else "open"


@dataclass(frozen=True, slots=True)
class SpecText:
    """The spec file as it is now. ``text`` is cut where ``cut`` says so."""

    path: str
    digest: str
    text: str
    cut: bool = False


@dataclass(frozen=True, slots=True)
class FeaturePage:
    """All that is on the page of one feature. ``now`` is seconds since 1970."""

    status: FeatureStatus
    timeline: Timeline
    now: float
    evidence: Mapping[str, CellEvidence] = field(default_factory=dict)
    spec: SpecText | None = None
    capabilities: tuple[CapabilityLine, ...] = ()

    def cell_evidence(self, cell: str) -> CellEvidence:
        return self.evidence.get(cell, _NOTHING)


_NOTHING = CellEvidence()
