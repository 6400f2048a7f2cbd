"""The words of the merge queue: changes, candidates, what happened.

Pure data. `orchestr.landing.queue` folds events, `orchestr.landing.decide` returns the
`orchestr.landing.actions` that should be under way, `orchestr.landing.land` performs them,
`orchestr.landing.journal` keeps the events. Commits are opaque strings here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from orchestr.landing.causes import Blamed, Cause
from orchestr.landing.lane import Lane
from orchestr.landing.rung import Rung


class Stage(StrEnum):
    """Where a change stands."""

    WAITING = "waiting"  # not eligible: something it needs is not landed and not in the queue
    QUEUED = "queued"
    REPAIRING = "repairing"  # its agent works on a conflict or on what was red
    LANDED = "landed"
    PARKED = "parked"  # a person has to look


class Trouble(StrEnum):
    """Why a change cannot land as it is; the words are those of the cell's states."""

    CONFLICT = "merge_conflict"
    RED = "needs_person"
    APPROVAL = "approval"  # it was repaired, and the repaired head is not approved


@dataclass(frozen=True, slots=True)
class LandingChange:
    """What may land: one cell's head, or the undoing of one (``reverts`` names the landing).

    ``order`` is the place in the plan; every change stands behind all that it ``needs``.
    ``group`` is the feature. ``hold`` says why it must not land by itself (a phase is not done, an
    approval is missing); "" when nothing speaks against it. ``paths`` are those it changes, None
    when unknown; they count only with `QueueRules.disjoint`. ``risk`` is the probability that it is
    red on its target by itself (`orchestr.landing.likelihood`), None when unknown.
    """

    key: str
    lane: Lane
    head: str
    order: int
    group: str
    needs: tuple[str, ...] = ()
    hold: str = ""
    paths: frozenset[str] | None = None
    reverts: str = ""
    risk: float | None = None


@dataclass(frozen=True, slots=True)
class QueueRules:
    """``window``: candidates at once in a lane at the start, ``floor`` its least; ``batch``: the
    most changes in one candidate; ``adapt``: fewer, by what the landing shows; ``repairs``: how
    often a change's own agent may try again; ``disjoint``: changes of different paths are not
    checked on top of each other; ``machines``: checks at once, 0 when unknown; ``buttons``: the
    repositories whose forge makes the merge.
    """

    window: int = 20
    floor: int = 3
    ceiling: int = 64
    batch: int = 1
    repairs: int = 2
    disjoint: bool = False
    machines: int = 0
    adapt: bool = False
    buttons: frozenset[str] = frozenset()


Part = tuple[str, str]  # a change's key and the head of it that is meant


@dataclass(frozen=True, slots=True)
class CandidateSpec:
    """What a candidate is made of: these heads, in this order, on top of exactly this commit."""

    lane: Lane
    parts: tuple[Part, ...]
    base: str

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(key for key, _ in self.parts)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A made candidate. ``commit`` "" means conflict, in ``conflicts``; a commit equal to the
    base means that there is nothing left to land. ``early``: something it needs in another
    repository had not landed when it was checked, so red does not count yet. ``causes``: see
    `Checked`. ``rung``: the highest that a file in ``resolved`` needed, each of which has its own.
    ``generating``: files that a generator has to write yet; until then ``commit`` has the target's,
    and nothing stands on it. ``steps``: the target before and after each part.
    """

    spec: CandidateSpec
    commit: str
    tree: str = ""
    conflicts: tuple[str, ...] = ()
    green: bool | None = None
    early: bool = False
    detail: str = ""
    rung: Rung = Rung.GIT
    resolved: tuple[tuple[Rung, str], ...] = ()
    generating: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()
    steps: tuple[tuple[str, str], ...] = ()

    @property
    def failed(self) -> bool:
        return not self.commit or self.green is False

    @property
    def is_empty(self) -> bool:
        return self.commit == self.spec.base

    @property
    def is_landable(self) -> bool:
        return bool(self.commit) and (self.is_empty or self.green is True)


# --- what happened: each is journalled before it counts ----------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """A landing process began, for these groups; others' changes stand still in it."""

    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offered:
    """A change as it is now; a new head makes it a new try (of a person's)."""

    change: LandingChange
    landed: bool = False  # nothing of it is left to land


@dataclass(frozen=True, slots=True)
class TargetSeen:
    """The target's commit at the origin, looked at just now."""

    lane: Lane
    tip: str


@dataclass(frozen=True, slots=True)
class LaneStopped:
    """Nothing can land there in this process: the origin does not answer, its branch is gone or was
    replaced. The changes of other lanes go on; the next process looks again."""

    lane: Lane
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """A candidate was made; nothing holds it but our knowledge of it. For ``rung``, ``resolved``
    and ``generating`` see `Candidate`; ``steps``: the target before and after each part.
    """

    spec: CandidateSpec
    commit: str
    tree: str
    rung: Rung = Rung.GIT
    resolved: tuple[tuple[Rung, str], ...] = ()
    generating: tuple[str, ...] = ()
    steps: tuple[tuple[str, str], ...] = ()


GENERATOR_FAILED = "its generator failed"  # what `Conflicted.red` begins with where that is so


@dataclass(frozen=True, slots=True)
class Conflicted:
    """It could not be made: ``key`` conflicts with what is below it, in ``paths``. ``red``: what
    was red of it as a lower rung had resolved it, or why its generator failed.
    """

    spec: CandidateSpec
    key: str
    paths: tuple[str, ...]
    red: str = ""


@dataclass(frozen=True, slots=True)
class HeadMoved:
    """The target was merged into a change's branch without an agent, and all phases agreed."""

    key: str
    head: str
    paths: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdict on exactly this commit; ``seconds``: what it took, 0 when unknown. ``causes``:
    the changes that the output of what is red names, as `choose_causes` has them.
    """

    spec: CandidateSpec
    commit: str
    green: bool
    detail: str = ""
    seconds: float = 0.0
    causes: tuple[Cause, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupOpened:
    """The first push of a group is about to happen; these are to follow each other."""

    group: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GroupClosed:
    """Nothing of the group can move any more; ``left`` did not land."""

    group: str
    landed: tuple[str, ...]
    left: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LandIntended:
    """The target is about to be moved from the base to ``commit``."""

    spec: CandidateSpec
    commit: str


@dataclass(frozen=True, slots=True)
class Landed:
    """The target contains ``commit``; ``tip`` is where it is now. ``commits`` are, for each part,
    the commits that the target was at before and after it.
    """

    spec: CandidateSpec
    commit: str
    tip: str
    steps: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class NotLanded:
    """The target was not moved: it is at ``tip``; ``refused`` is the origin's reason, "" when
    somebody else moved it.
    """

    spec: CandidateSpec
    tip: str
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Split:
    """A batch failed; its changes are tried in halves."""

    spec: CandidateSpec


@dataclass(frozen=True, slots=True)
class RepairStarted:
    key: str
    trouble: Trouble
    number: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Repaired:
    """All phases agreed on a new head."""

    key: str
    head: str
    paths: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Parked:
    """It is left to a person; ``cause``: the change that made it red, where that is another one."""

    key: str
    trouble: Trouble
    reason: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Retargeted:
    """The dependents of a landed change know their new base."""

    key: str


@dataclass(frozen=True, slots=True)
class Verified:
    """Its pull request says merged, what was to be tidied is tidied."""

    key: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """A landed change is not in its target any more (the target was rewound)."""

    key: str


@dataclass(frozen=True, slots=True)
class LandAgain:
    """A person asks to land these once more, with the heads that were rolled back."""

    parts: tuple[Part, ...]


Event = (
    Started | Offered | LandAgain | TargetSeen | LaneStopped | Made | Conflicted | HeadMoved
    | Checked | GroupOpened | GroupClosed | LandIntended | Landed | NotLanded | Split
    | RepairStarted | Blamed | Repaired | Parked | Retargeted | Verified | Lost
)  # fmt: skip
