"""What is known of the origin of a cell's head and of its landings. Data only.

Everything here was recorded when it happened (result files, attempts, journals); nothing is taken
from specs or settings as they are now, so the same records give the same values at any later time.
Times are ISO-8601 in UTC, "" where unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestr.state.results import ImplementOutcome


@dataclass(frozen=True, slots=True)
class AgentStart:
    """One start of an agent. ``part``: "" for the author, else a reviewer's name; ``round`` is the
    repair that it was for, 0 for none. ``version`` (of the program) and ``prompt`` (SHA-256 of its
    task) are "" in journals of before."""

    attempt: int
    agent: str
    at: str
    part: str = ""
    round: int = 0
    model: str = ""
    version: str = ""
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class CheckVerdict:
    """One check; ``word`` is passed, RED or not evaluated."""

    name: str
    kind: str
    word: str


@dataclass(frozen=True, slots=True)
class ReviewVerdict:
    """One reviewer's word on the head; ``model`` "" where the agent chose it."""

    reviewer: str
    verdict: str
    model: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalFact:
    """A person's answer at a gate; ``digest`` names what was seen."""

    gate: str
    verdict: str
    who: str
    at: str
    digest: str


@dataclass(frozen=True, slots=True)
class RepairFact:
    """One repair between two heads; ``phase`` is the one that asked for it."""

    number: int
    phase: str
    before: str
    after: str
    why: str


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """A file that the facts were read from: its name in the cell's folder, its SHA-256. ``sealed``:
    it is as orchestr wrote it, by the journal; None for a file that has no seal."""

    name: str
    sha256: str
    sealed: bool | None = None


@dataclass(frozen=True, slots=True)
class LandingFact:
    """The target was moved to ``commit``. ``green``: the queue checked exactly this commit; None
    where its journal is gone. ``resolved``: `RUNG: PATHS` for conflicts that no agent resolved."""

    feature: str
    cell: str
    run: str
    at: str
    target: str
    before: str
    commit: str
    head: str
    resolved: tuple[str, ...] = ()
    green: bool | None = None
    undone: bool = False


@dataclass(frozen=True, slots=True)
class HeadFact:
    """A cell's head and all that made it. ``key`` is the digest of what the attempt was for (todo,
    agent, model, paths, base, upstreams); ``upstreams`` map each to the tree that it was built on.
    ``checked`` and ``reviewed`` are the heads that the verdicts are about. ``missing``: records
    that are gone, cannot be read, or contradict each other, in words."""

    feature: str
    cell: str
    repo: str
    branch: str
    head: str
    tree: str
    base: str
    outcome: str
    attempt: int
    key: str
    agent: str = ""
    model: str = ""
    opened_at: str = ""
    closed_at: str = ""
    runs: tuple[str, ...] = ()
    upstreams: tuple[tuple[str, str], ...] = ()
    starts: tuple[AgentStart, ...] = ()
    checked: str = ""
    reviewed: str = ""
    partial: bool = False
    checks: tuple[CheckVerdict, ...] = ()
    reviews: tuple[ReviewVerdict, ...] = ()
    approvals: tuple[ApprovalFact, ...] = ()
    repairs: tuple[RepairFact, ...] = ()
    files: tuple[EvidenceFile, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`FEATURE:CELL`."""
        return f"{self.feature}:{self.cell}"

    @property
    def by_agent(self) -> bool:
        """Whether all of it beyond the base is what agents of this cell made."""
        return self.outcome == ImplementOutcome.CHANGED

    @property
    def broken_seals(self) -> tuple[str, ...]:
        """The files whose content is none that orchestr wrote."""
        return tuple(one.name for one in self.files if one.sealed is False)

    @property
    def author(self) -> AgentStart | None:
        """The first start of the attempt's own agent."""
        return next((one for one in self.starts if not one.part), None)
