"""What a spec says, as small frozen records. No clock, no disk, no git.

Reading and checking is `orchestr.spec.reader`'s job; past that door, code trusts these.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestr.spec.checks import NOTHING, Contract, CrossCheck, Gate, ProofRequirements
from orchestr.spec.phases import LISTED, Action, Delivery, Phase


@dataclass(frozen=True, slots=True)
class Cell:
    """The smallest unit of work: one repository, one branch, one worktree, one agent.

    ``timeout`` and ``idle_timeout`` are seconds; None means the settings' value. Agent and
    model None mean the same. ``phases`` are those that the spec lists (worktree always runs).
    ``proof`` is what must be shown: checks, reviews, gates. ``adopt``: a branch or pull request
    that names no cell is taken as this one's.
    """

    name: str
    repo: str
    branch: str
    todo: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    action: Action = Action.AGENT
    title: str | None = None
    base: str | None = None
    track_base: bool = False
    agent: str | None = None
    model: str | None = None
    timeout: float | None = None
    idle_timeout: float | None = None
    owned_paths: tuple[str, ...] = ()
    phases: tuple[Phase, ...] = (Phase.IMPLEMENT, Phase.CHECK, Phase.REVIEW, Phase.PUBLISH)
    proof: ProofRequirements = NOTHING
    adopt: bool = False

    @property
    def has_plan_phase(self) -> bool:
        """Whether an agent writes a plan that a person approves before the work starts."""
        works = self.action is Action.AGENT and Phase.IMPLEMENT in self.phases
        return works and Gate.PLAN in self.proof.approve

    @property
    def task_phases(self) -> tuple[Phase, ...]:
        """The phases that this cell has tasks for, in their order."""
        return tuple(Phase) if self.has_plan_phase else LISTED


@dataclass(frozen=True, slots=True)
class Feature:
    """What one spec file describes. ``key`` is the Jira key, else the name (row A7).

    ``cells`` stand in the order of the file. ``path`` is the spec file, relative to the
    workspace. ``digest`` is the sha256 of its bytes.
    """

    name: str
    key: str
    title: str
    cells: tuple[Cell, ...]
    jira: str | None = None
    created: str | None = None
    scenarios: tuple[str, ...] = ()
    delivery: Delivery = Delivery.PR
    cross_checks: tuple[CrossCheck, ...] = ()
    contracts: tuple[Contract, ...] = ()
    path: str = ""
    digest: str = ""

    def cell(self, name: str) -> Cell:
        """The cell of that name. Raises KeyError."""
        for cell in self.cells:
            if cell.name == name:
                return cell
        raise KeyError(name)
