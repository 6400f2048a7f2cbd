"""What each kind of event says besides its envelope: one class a kind, tagged by the kind.

The fields of an event are declared here and nowhere else. `orchestr.state.events` reads them from
the ``data`` of a journal line. Every field may be missing. A concrete class has no subclass, so
that a reader can match on it.
"""

from __future__ import annotations

from typing import Any

from orchestr.state.candidate_details import CandidatesJudged
from orchestr.state.detail_fields import Details, Number, Text
from orchestr.state.follow_details import FollowAnswered, FollowCleared, FollowNoted, FollowParked
from orchestr.state.forge_details import ForgeUnreachable, ForgeWaits
from orchestr.state.identity_details import CellAccepted, CellMoved, CellRetired
from orchestr.state.landing_details import LandAllowed, LandKept, LandUpdate, LandWaits
from orchestr.state.spec_details import SpecAmended, SpecChanged, SpecLocked


class RunStarted(Details, frozen=True, tag="run.started"):
    goals: list[Any] | None = None
    pid: int | None = None
    cells: list[Any] | None = None
    force: bool = False
    fresh: bool = False
    options: dict[str, Any] | None = None
    command: Text = None


class RunForced(Details, frozen=True, tag="run.forced"):
    """The same run id forces nothing twice."""

    names: list[Any] | None = None
    fresh: bool = False
    id: Text = None


class RunFinished(Details, frozen=True, tag="run.finished"):
    """``forge``: requests, points and remaining quota of a forge that has one."""

    exit: Number = None
    forge: dict[str, Any] | None = None


class CellIgnored(Details, frozen=True, tag="cell.ignored"):
    reason: Text = None


class CellUnignored(Details, frozen=True, tag="cell.unignored"):
    pass


class CellForgotten(Details, frozen=True, tag="cell.forgotten"):
    """``force`` is the id of the run whose `--force` or `--fresh` it was."""

    phases: list[Any] | None = None
    moved: list[Any] | None = None
    fresh: bool = False
    force: Text = None


class CellAdopted(Details, frozen=True, tag="cell.adopted"):
    """Its result was made from an existing pull request."""

    url: Text = None
    head: Text = None
    state: Text = None


class CellStopped(Details, frozen=True, tag="cell.blocked"):
    """An upstream failed; with ``state`` approval the upstream only waits for a person."""

    upstream: Text = None
    reason: Text = None
    hint: Text = None
    state: Text = None


class CellAmended(Details, frozen=True, tag="cell.amended"):
    """Its amendment became work of the contract's owner."""

    owner: Text = None
    contract: Text = None
    todo: Text = None


class CellWaiting(Details, frozen=True, tag="cell.waiting"):
    """It waits for ports for this ``reason``; without one (``over``) it goes on. With a ``hint`` it
    waits for a person to do that."""

    reason: Text = None
    over: bool = False
    hint: Text = None


class CellWarned(Details, frozen=True, tag="cell.warned"):
    reason: Text = None


class ResultWritten(Details, frozen=True, tag="result.written"):
    """``files``: digests by name, before they are written; ``whole``: each file needs one now."""

    files: dict[str, Any] | None = None
    whole: bool = False


class PhaseStarted(Details, frozen=True, tag="phase.started"):
    """``changes``: rows of field, old, new. ``following``: of one's own phase, the next of ours."""

    why: Text = None
    changes: list[Any] | None = None
    following: Text = None


class PhaseDone(Details, frozen=True, tag="phase.done"):
    """What it made; ``changed``: those after it are void; ``files``: how many were touched."""

    seconds: Number = None
    made: bool = False
    changed: bool = False
    partial: bool | None = None
    reason: Text = None
    outcome: Text = None
    head: Text = None
    tree: Text = None
    branch: Text = None
    base: Text = None
    base_ref: Text = None
    url: Text = None
    path: Text = None
    checks: Text = None
    following: Text = None
    plan: int | None = None
    approved_by: Text = None
    attempt: int | None = None
    cost_usd: Number = None
    cost_known_usd: Number = None
    tokens: list[Any] | None = None
    part: Text = None
    files: int | None = None


class PhaseStopped(Details, frozen=True, tag="phase.failed"):
    """``state`` and ``gate`` where it stopped at a gate."""

    reason: Text = None
    hint: Text = None
    seconds: Number = None
    aborted: bool = False
    state: Text = None
    gate: Text = None


class ApprovalAsked(Details, frozen=True, tag="approval.asked"):
    gate: Text = None
    digest: Text = None
    reason: Text = None
    hint: Text = None


class AnswerDetails(Details, frozen=True):
    """A person's answer at a gate."""

    gate: Text = None
    digest: Text = None
    name: Text = None
    email: Text = None
    user: Text = None
    reason: Text = None
    hint: Text = None


class ApprovalGiven(AnswerDetails, frozen=True, tag="approval.given"):
    pass


class ApprovalRefused(AnswerDetails, frozen=True, tag="approval.refused"):
    pass


class WorktreeAdded(Details, frozen=True, tag="worktree.added"):
    path: Text = None
    branch: Text = None
    base: Text = None


class WorktreeRemoved(Details, frozen=True, tag="worktree.removed"):
    path: Text = None
    head: Text = None


class AgentDetails(Details, frozen=True):
    """Fields of every event about an agent. ``part`` names an agent that is not the author, a
    ``reviewer``; ``round`` is the repair that the author's agent is in."""

    part: Text = None
    reviewer: Text = None
    round: Number = None
    agent: Text = None
    model: Text = None
    session: Text = None
    cost_usd: Number = None
    cost_known_usd: Number = None
    tokens: list[Any] | None = None


class AttemptOpened(AgentDetails, frozen=True, tag="attempt.opened"):
    """``repo`` and ``todo`` (its characters) are missing in events of before."""

    key: Text = None
    start: Text = None
    repo: Text = None
    todo: int | None = None


class AttemptStarted(AgentDetails, frozen=True, tag="attempt.started"):
    """The supervisor runs, with this ``pid``. ``version`` is its program's, ``prompt`` the SHA-256
    of the task that it was given (`prompt.md`); both are missing in events of before. ``options``
    is what this start was asked for (`orchestr.spec.agent_options`), where anything is."""

    pid: int | None = None
    options: dict[str, Any] | None = None
    version: Text = None
    prompt: Text = None


class AttemptAdopted(AgentDetails, frozen=True, tag="attempt.adopted"):
    """A running or finished agent of an earlier run."""

    state: Text = None


class AttemptLimited(AgentDetails, frozen=True, tag="attempt.limited"):
    """A usage limit, until a time as ISO-8601 text or as seconds since 1970."""

    until: float | str | None = None
    wait_s: Number = None
    reason: Text = None


class AttemptExited(AgentDetails, frozen=True, tag="attempt.exited"):
    """How one start ended. Costs and tokens are sums over all starts of the attempt."""

    code: int | None = None
    signal: int | None = None
    reason: Text = None
    seconds: Number = None
    killed: int | None = None


class AttemptGivenBack(AgentDetails, frozen=True, tag="attempt.given-back"):
    """To its agent, once."""

    reason: Text = None


class AttemptClosed(AgentDetails, frozen=True, tag="attempt.closed"):
    outcome: Text = None
    reason: Text = None


class CheckDone(Details, frozen=True, tag="check.done"):
    """``check`` is the kind; ``repo`` is there for a cross check. ``unavailable``: it could not be
    run; ``passed`` is false then."""

    name: Text = None
    check: Text = None
    passed: bool = False
    detail: Text = None
    seconds: Number = None
    cached: bool = False
    log: Text = None
    repo: Text = None
    unavailable: bool = False


class RepairOpened(Details, frozen=True, tag="repair.opened"):
    round: Number = None
    of: Number = None
    why: Text = None


class RepairClosed(Details, frozen=True, tag="repair.closed"):
    round: Number = None
    outcome: Text = None
    head: Text = None
    detail: Text = None


class ReviewDone(Details, frozen=True, tag="review.done"):
    reviewer: Text = None
    round: Number = None
    verdict: Text = None
    blockers: Number = None
    others: Number = None


class AuditDone(Details, frozen=True, tag="audit.done"):
    """``summary`` counts the findings; ``owners`` are the cells that repair now, ``stop`` says why
    no further repair is tried."""

    verdict: Text = None
    summary: Text = None
    owners: list[Any] | None = None
    stop: Text = None


class PushIntended(Details, frozen=True, tag="push.intended"):
    branch: Text = None
    sha: Text = None
    expected: Text = None


class PushDone(Details, frozen=True, tag="push.done"):
    branch: Text = None
    sha: Text = None


class PrIntended(Details, frozen=True, tag="pr.intended"):
    head: Text = None
    base: Text = None


class PullRequestDetails(Details, frozen=True):
    url: Text = None
    state: Text = None
    draft: bool | None = None
    checks: Text = None
    review: Text = None


class PrOpened(PullRequestDetails, frozen=True, tag="pr.opened"):
    pass


class PrUpdated(PullRequestDetails, frozen=True, tag="pr.updated"):
    pass


class PrSeen(PullRequestDetails, frozen=True, tag="pr.seen"):
    """Only a look at the forge tells checks and reviews."""


class LandQueue(Details, frozen=True, tag="land.queue"):
    """A line of the merge queue's own journal; `orchestr.landing.journal` reads its fields."""

    event: Text = None


class LandRepair(Details, frozen=True, tag="land.repair"):
    """Landing returns the cell to its agent."""

    number: Number = None
    trouble: Text = None
    reason: Text = None


class LandingDetails(Details, frozen=True):
    """``resolved``: how conflicts on the way were resolved without an agent, `RUNG: PATH, ...`."""

    target: Text = None
    before: Text = None
    commit: Text = None
    tree: Text = None
    head: Text = None
    strategy: Text = None
    reverts: Text = None
    resolved: list[Any] | None = None


class LandDone(LandingDetails, frozen=True, tag="land.done"):
    pass


class LandUndone(LandingDetails, frozen=True, tag="land.undone"):
    """Rolled back."""


class LandParked(Details, frozen=True, tag="land.parked"):
    """``state`` is merge_conflict or needs_person."""

    state: Text = None
    reason: Text = None
    hint: Text = None


EventDetails = (
    RunStarted | RunForced | RunFinished | CellIgnored | CellUnignored | CellForgotten
    | CellAdopted | CellStopped | CellAmended | CellWaiting | CellWarned | PhaseStarted
    | PhaseDone | PhaseStopped | ApprovalAsked | ApprovalGiven | ApprovalRefused | WorktreeAdded
    | WorktreeRemoved | AttemptOpened | AttemptStarted | AttemptAdopted | AttemptLimited
    | AttemptExited | AttemptGivenBack | AttemptClosed | CheckDone | RepairOpened | RepairClosed
    | ReviewDone | AuditDone | PushIntended | PushDone | PrIntended | PrOpened | PrUpdated | PrSeen
    | LandQueue | LandRepair | LandAllowed | LandDone | LandParked | LandWaits | LandKept
    | LandUpdate | LandUndone
    | ForgeUnreachable | ForgeWaits | ResultWritten | CellMoved | CellRetired | CellAccepted
    | FollowNoted | FollowParked | FollowCleared | FollowAnswered
    | SpecLocked | SpecChanged | SpecAmended | CandidatesJudged
)  # fmt: skip
