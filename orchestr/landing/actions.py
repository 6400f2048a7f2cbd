"""What the merge queue wants done; each action may be done twice, and has exactly one answer.

Pure data, decided by `orchestr.landing.decide`; the answers are `orchestr.landing.events`.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestr.landing.causes import Blamed
from orchestr.landing.events import CandidateSpec, GroupClosed, GroupOpened, Parked, Split, Trouble
from orchestr.landing.rung import Rung


@dataclass(frozen=True, slots=True)
class MakeCandidate:
    """Answer: Made, Conflicted. ``above``: by rungs above this one, which was red (``red``)."""

    spec: CandidateSpec
    above: Rung | None = None
    red: str = ""


@dataclass(frozen=True, slots=True)
class Generate:
    """Let the generators of a candidate's files write them. Answer: Made, Conflicted."""

    spec: CandidateSpec
    commit: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UpdateBranch:
    """Give the branch of a change the merge that was checked: the forge's merge button can only
    make git's own. Answer: HeadMoved, Parked.
    """

    spec: CandidateSpec
    commit: str


@dataclass(frozen=True, slots=True)
class CheckCandidate:
    """Answer: Checked. ``again``: the first verdict came too early."""

    spec: CandidateSpec
    commit: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class LandCandidate:
    """Move the target from ``spec.base`` to ``commit`` by compare-and-swap.

    Answer: LandIntended first unless ``intended``, then Landed or NotLanded.
    """

    spec: CandidateSpec
    commit: str
    intended: bool = False


@dataclass(frozen=True, slots=True)
class RepairChange:
    """Let the change's own agent repair it. Answer: RepairStarted first unless ``started``, then
    Repaired, Parked, or RepairStarted with the next number where its agent failed.
    """

    key: str
    trouble: Trouble
    number: int
    detail: str = ""
    started: bool = False


@dataclass(frozen=True, slots=True)
class Retarget:
    """Answer: Retargeted."""

    key: str


@dataclass(frozen=True, slots=True)
class Verify:
    """Answer: Verified."""

    key: str


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """Only the event is to be journalled: GroupOpened, GroupClosed, Split, Blamed, Parked."""

    event: GroupOpened | GroupClosed | Split | Blamed | Parked


Action = (
    MakeCandidate | Generate | UpdateBranch | CheckCandidate | LandCandidate | RepairChange
    | Retarget | Verify | RecordEvent
)  # fmt: skip
