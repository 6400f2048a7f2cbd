"""Gates: where a person must say yes before a cell goes on (`approve: plan`, `approve: publish`).

A decision is one file a gate, `approvals/<gate>.toml`, written by `orchestr approve` by rename; it
names the digest of exactly what the person saw, so whatever changed since asks again. Waiting
holds no agent slot and no state but that file: a run ends at a closed gate, the next one looks
again. While other cells of the run work, it waits in place and goes on at once.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.codec import Record, replace
from orchestr.errors import NeedsApproval
from orchestr.files import read_file
from orchestr.spec.checks import Gate
from orchestr.spec.phases import Phase
from orchestr.state.events import EventKind
from orchestr.state.journal import DECISIONS
from orchestr.state.results import CHECKS, REVIEW, digest
from orchestr.state.seals import read_sealed, write_sealed
from orchestr.state.states import CellState

APPROVED, REFUSED = "approved", "refused"
POLL = 0.3  # s between two looks for an answer
ALONE = 1.5  # s without another cell at work, after which a run does not wait any longer
PHASES = {Gate.PLAN: Phase.PLAN, Gate.PUBLISH: Phase.PUBLISH}


class ApprovalDecision(Record, frozen=True):
    """What a person said, about what, when. Name and email are git's, ``user`` the system's."""

    gate: str
    verdict: str
    digest: str
    at: str
    name: str = ""
    email: str = ""
    user: str = ""
    reason: str = ""

    @property
    def display_name(self) -> str:
        """For people."""
        return self.name or self.user or "a person"

    def approves(self, value: str) -> bool:
        """Whether it is a yes to exactly this."""
        return self.verdict == APPROVED and self.digest == value

    def write(self, cell_dir: Path) -> None:
        write_sealed(cell_dir, f"{DECISIONS}{self.gate}.toml", self)


def decision_path(cell_dir: Path, gate: Gate) -> Path:
    """Where the decision at a gate is kept."""
    return cell_dir / f"{DECISIONS}{gate}.toml"


def read_decision(cell_dir: Path, gate: Gate) -> ApprovalDecision | None:
    """The last decision at a gate, or None."""
    return read_sealed(cell_dir, f"{DECISIONS}{gate}.toml", ApprovalDecision)


def plan_digest(text: str, todo: Sequence[str]) -> str:
    """What is approved of a plan: its text and the todo that it is for."""
    return digest("plan", text, list(todo))


def publish_digest(cell_dir: Path, *, head: str, title: str, base: str) -> str:
    """What is approved of a pull request: its commit, title, base and evidence."""
    proofs = [_hash_file(cell_dir / name) for name in (CHECKS, REVIEW)]
    return digest("publish", head, title, base, proofs)


def _hash_file(file: Path) -> str:
    try:
        return hashlib.sha256(read_file(file)).hexdigest()
    except FileNotFoundError:
        return ""


WORDS = {Gate.PLAN: "its plan", Gate.PUBLISH: "what it would publish"}


def require_approval(ctx: CellContext, gate: Gate, value: str) -> ApprovalDecision:
    """The yes to ``value``. Raises NeedsApproval; Interrupted when the run is stopped.

    A refusal of what would be published is for a person to mend; a refused plan is made again
    by its phase, before this is asked.
    """
    decision = read_decision(ctx.dir, gate)
    if decision is not None and decision.approves(value):
        return decision
    _check_refusal(ctx, gate, value, decision)
    phase = PHASES[gate]
    changed = decision is not None and decision.verdict == APPROVED
    reason = f"waits for your approval of {WORDS[gate]}"
    if changed and decision is not None:
        reason += f", which changed since {decision.display_name} approved it"
    hint = f"orchestr approve {ctx.name}, then orchestr run {ctx.run.feature.name}"
    ctx.emit(EventKind.APPROVAL_ASKED, phase=phase, gate=str(gate), digest=value, reason=reason,
             hint=hint)  # fmt: skip
    answer = _wait_for_decision(ctx, gate, value)
    if answer is None:
        raise NeedsApproval(reason, gate=str(gate), hint=hint, cell=ctx.name)
    _check_refusal(ctx, gate, value, answer)
    ctx.emit(
        EventKind.PHASE_STARTED, phase=phase, why=f"{answer.display_name} approved {WORDS[gate]}"
    )
    return answer


def carry_approval(ctx: CellContext, gate: Gate, earlier: Sequence[str], value: str) -> None:
    """Let a yes to one of ``earlier`` count for ``value``, which differs by no work of anybody."""
    decision = read_decision(ctx.dir, gate)
    if decision is not None and any(decision.approves(one) for one in earlier):
        replace(decision, digest=value).write(ctx.dir)


def _check_refusal(
    ctx: CellContext, gate: Gate, value: str, decision: ApprovalDecision | None
) -> None:
    if gate is not Gate.PUBLISH or decision is None or decision.digest != value:
        return
    if decision.verdict == REFUSED:
        raise NeedsApproval(
            f"{decision.display_name} refused to publish it: {decision.reason}",
            gate=str(gate),
            state=CellState.NEEDS_PERSON,
            hint=f"orchestr run --force {ctx.name}: its agent is told the reason; "
            f"or orchestr approve {ctx.name}, after all",
            cell=ctx.name,
        )


def _wait_for_decision(ctx: CellContext, gate: Gate, value: str) -> ApprovalDecision | None:
    """The answer to ``value``, while other cells of this run are at work; else None.

    A new plan is not made here: a refusal of a plan ends the wait without an answer. A landing does
    not wait: it leaves the cell out and lands the others.
    """
    if ctx.run.landing:
        return None
    with ctx.run.pause_counting():
        quiet = time.monotonic()
        while time.monotonic() - quiet < ALONE:
            if ctx.run.at_work > 0:
                quiet = time.monotonic()
            elif ctx.run.is_single_cell:
                return None
            ctx.run.stop.wait(POLL)
            ctx.check_cancelled()
            decision = read_decision(ctx.dir, gate)
            if decision is not None and decision.digest == value:
                if decision.approves(value) or gate is Gate.PUBLISH:
                    return decision
                return None
    return None
