"""Phase `implement`: prompt, agent under the supervisor, host-side commit and proof.

Done when `implement.toml` carries the current key. Otherwise the newest attempt, if it is open
and has the same key, is gone on with: a running supervisor is adopted, a finished one is only
committed and proved. Else attempt n+1 starts. `attempt.toml` is written before the agent
starts and closed after `implement.toml`, so a kill at any point pays for no agent twice:
the files decide, and a missing row in `.doit.db` means nothing (docs/design/cells.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestr.cell import amendment
from orchestr.cell.agent.attempt import begin_attempt, carry_out_attempt, close_attempt
from orchestr.cell.agent.next_attempt import decide_next
from orchestr.cell.auto_amendment import find_waiting_cells
from orchestr.cell.context import CellContext
from orchestr.cell.granted import read_grants
from orchestr.cell.inputs import attempt_key
from orchestr.cell.phases.run_phase import PhaseResult
from orchestr.cell.proof.person_commits import (
    TAKEN,
    find_person_commit,
    find_taken_base,
    take_person_commit,
)
from orchestr.cell.proof.prove_cell_head import prove_cell_head
from orchestr.cell.proof.pushed_commits import take_pushed_commits
from orchestr.cell.pull_request import adopt
from orchestr.cell.pull_request.foreign_commits import foreign_head
from orchestr.cell.record import CellRecord, Decision
from orchestr.cell.worktree.ensure import find_checkout
from orchestr.cell.worktree.landing_request import EVIDENCE
from orchestr.cell.worktree.person_changes import record_clean
from orchestr.cell.worktree.take_out_kit import kit_hint, take_out_kit
from orchestr.errors import PhaseFailed
from orchestr.git.repo import CommitId
from orchestr.spec.phases import Action, Phase
from orchestr.state import attempts
from orchestr.state.candidates import CandidateGroup, has_candidates
from orchestr.state.events import EventKind
from orchestr.state.results import (
    TRANSCRIPT,
    ImplementOutcome,
    ImplementRecord,
    WorktreeMarker,
)

if TYPE_CHECKING:
    from orchestr.forges.base import PullRequest

TAKEN_NEXT = "a person's commit {} is on its branch and becomes its head"


class ImplementStep(StrEnum):
    """What the phase can do."""

    KEEP = "keep"  # the result is for these inputs
    CANNOT = "cannot"  # there is no worktree to work in
    MOVE_BASE = "move base"  # of a person's commit that was taken; a kill came before
    TAKE = "take"  # a person's commit on the branch becomes the result
    TAKE_PUSHED = "take pushed"  # so do commits that were pushed elsewhere
    RECORD = "record"  # a person makes the commits (`action: push`), no agent is listed
    ADOPT = "adopt"  # the head of the pull request that is there
    END_CANDIDATES = "end candidates"  # they are at something else than is wanted now
    SIDE_BY_SIDE = "side by side"  # several attempts, of which one is taken
    ATTEMPT = "attempt"  # an agent works: go on with the open attempt, or begin one


@dataclass(frozen=True, slots=True)
class ImplementInputs:
    """``key``: what an attempt would be for. ``by_hand``: no agent makes the commits.
    ``taken_base``: the base of a commit that was taken. ``person_commit`` and ``pushed``: commits
    of a person on the branch, here and at the forge. ``amended_by``: whom it waits for.
    ``amends_for``: who waits for a change of its contract. ``pr``: the pull request to adopt, asked
    for before an attempt. ``best_of``: what begins is several attempts. ``candidates``: the key
    of those that are at work, or whose places are left."""

    key: str
    by_hand: bool = False
    taken_base: CommitId | None = None
    person_commit: CommitId | None = None
    pushed: CommitId | None = None
    amended_by: str | None = None
    amends_for: str | None = None
    pr: PullRequest | None = None
    best_of: bool = False
    candidates: str | None = None


def decide(record: CellRecord, inputs: ImplementInputs) -> Decision[ImplementStep]:
    """What the phase does now and why. Pure."""
    done, newest = record.implemented, record.newest_attempt
    if record.marker is None:
        return Decision(ImplementStep.CANNOT, "its worktree is not made yet")
    if inputs.candidates is not None:
        if inputs.candidates != inputs.key:
            return Decision(ImplementStep.END_CANDIDATES, "what its candidates work at changed")
        return Decision(ImplementStep.SIDE_BY_SIDE, "attempts side by side go on")
    if inputs.taken_base is not None:
        why = f"a person's commit was taken with the newer base {inputs.taken_base[:12]}"
        return Decision(ImplementStep.MOVE_BASE, why)
    if inputs.person_commit is not None:
        why = TAKEN_NEXT.format(inputs.person_commit[:12])
        return Decision(ImplementStep.TAKE, why)
    if done is not None and done.key == inputs.key:
        if inputs.pushed is None:
            return Decision(ImplementStep.KEEP, None)
        return Decision(ImplementStep.TAKE_PUSHED, "somebody pushed commits to its branch")
    why = _attempt_reason(record, inputs)
    if inputs.by_hand:
        return Decision(ImplementStep.RECORD, why)
    if inputs.pr is not None and done is None and newest is None:
        return Decision(ImplementStep.ADOPT, why)
    if inputs.best_of and (newest is None or not newest.is_open):
        return Decision(ImplementStep.SIDE_BY_SIDE, why)
    return Decision(ImplementStep.ATTEMPT, why)


def _attempt_reason(record: CellRecord, inputs: ImplementInputs) -> str:
    newest = record.newest_attempt
    if newest is not None and newest.is_open:
        return f"attempt {newest.number} was interrupted and goes on"
    if inputs.amends_for is not None:
        return f"{inputs.amends_for} needs its contract changed"
    if record.implemented is not None:
        return "its todo, agent, owned_paths or what it builds on changed"
    if inputs.amended_by is not None:
        return f"it waits for {inputs.amended_by} to amend a contract"
    if newest is None:
        return "it was not done yet"
    if newest.outcome not in ("done", ""):
        return f"attempt {newest.number} ended as {newest.outcome}"
    return "its result was removed"


def read_inputs(ctx: CellContext, record: CellRecord) -> ImplementInputs:
    """The inputs of `decide`; git is asked only about a branch that stands where we did not leave
    it."""
    marker, done = record.marker, record.implemented
    if marker is None:
        return ImplementInputs("")
    key = attempt_key(ctx, marker)
    group = CandidateGroup.read(ctx.dir) if has_candidates(ctx.dir) else None
    if group is not None:  # what moves its branch meanwhile is looked at by who takes one
        return ImplementInputs(key, candidates=group.key)
    is_push = ctx.cell.action is Action.PUSH
    current = done is not None and done.key == key
    amends_for = None if current else find_waiting_cells(ctx, marker)
    waits = amendment.pending_amendment(ctx, key) if done is None else None
    return ImplementInputs(
        key,
        by_hand=is_push or Phase.IMPLEMENT not in ctx.cell.phases,
        taken_base=None if current else find_taken_base(ctx, record),
        person_commit=find_person_commit(ctx, record, key),
        pushed=foreign_head(ctx, done) if done is not None and current and not is_push else None,
        amended_by=", ".join(item.owner for item in waits.items) if waits is not None else None,
        amends_for=amends_for,
        best_of=ctx.cell.best_of is not None and amends_for is None and is_plain_work(ctx),
    )


def is_plain_work(ctx: CellContext) -> bool:
    """Whether an attempt would be at the cell's own work alone: nothing that a landing or another
    cell asks of it, for which several attempts are too many."""
    return not (ctx.dir / EVIDENCE).exists() and read_grants(ctx.dir) is None


def reason_to_run(ctx: CellContext) -> str | None:
    """Why an attempt would start or go on, or None. Starts nothing."""
    record = CellRecord.of_cell(ctx)
    return decide(record, read_inputs(ctx, record)).why


def run(ctx: CellContext) -> PhaseResult:
    """Make `implement.toml`. Raises PhaseFailed with the reason, Interrupted when stopped."""
    taken, single = PhaseResult.up_to_date(), False
    while True:
        record = CellRecord.of_cell(ctx)
        inputs = read_inputs(ctx, record)
        decision = decide(record, inputs)
        begins = (ImplementStep.ATTEMPT, ImplementStep.SIDE_BY_SIDE)
        if decision.step in begins and inputs.candidates is None:
            inputs = replace(inputs, pr=adopt.find_adoptable_pr(ctx))
            decision = decide(record, inputs)
        marker, done = record.marker, record.implemented
        if marker is None:
            raise ctx.fail("its worktree marker is missing", hint=f"orchestr run {ctx.name}")
        match decision.step:
            case ImplementStep.KEEP:
                _restore_files(ctx, record)
                return taken
            case ImplementStep.MOVE_BASE if inputs.taken_base is not None:
                marker.with_base(inputs.taken_base).write(ctx.dir)
            case ImplementStep.TAKE if inputs.person_commit is not None:
                head = take_person_commit(ctx, marker, inputs.person_commit).head
                taken = PhaseResult.built(TAKEN.format(head[:12]), head=head)
            case ImplementStep.TAKE_PUSHED if done is not None and inputs.pushed is not None:
                merged = take_pushed_commits(ctx, marker, done, inputs.pushed)
                if merged is None:
                    _restore_files(ctx, record)
                    return taken
                return PhaseResult.built("took what was pushed to its branch", head=merged.head)
            case ImplementStep.RECORD:
                return _record_commits(ctx, marker, inputs.key)
            case ImplementStep.ADOPT if inputs.pr is not None:
                return _adopt_pull_request(ctx, inputs.pr, marker, inputs.key)
            case ImplementStep.END_CANDIDATES:
                _end_candidates(ctx, decision.why or "")
            case ImplementStep.SIDE_BY_SIDE if not single:
                best = _take_best(ctx, marker, inputs.key, decision.why or "")
                if best is not None:
                    return best
                single = True
            case _:
                made = _make_attempt(ctx, record, marker, inputs.key, decision.why or "")
                if made is not None:
                    return made


def _end_candidates(ctx: CellContext, why: str) -> None:
    from orchestr.cell.phases.candidates import end_candidates

    end_candidates(ctx, why)


def _take_best(ctx: CellContext, marker: WorktreeMarker, key: str, why: str) -> PhaseResult | None:
    """None: one attempt has to do it."""
    from orchestr.cell.phases.candidates import work_side_by_side

    made = work_side_by_side(ctx, marker, key)
    if made is None:
        return None
    files = len(ctx.repo.changed_paths(made.base, made.head))
    return PhaseResult.built(
        why, attempt=made.attempt, head=made.head, outcome=made.outcome, files=files
    )


def _make_attempt(
    ctx: CellContext, record: CellRecord, marker: WorktreeMarker, key: str, why: str
) -> PhaseResult | None:
    """None: it failed, and another one follows. Raises what the last one raised."""
    attempt = begin_attempt(ctx, record.newest_attempt, marker, key)
    try:
        made = carry_out_attempt(ctx, attempt, marker)
    except PhaseFailed as error:
        words = decide_next(ctx, attempt, error)
        if words is None:
            raise
        ctx.emit(EventKind.CELL_WARNED, phase=Phase.IMPLEMENT, attempt=attempt.number, reason=words)
        return None
    files = len(ctx.repo.changed_paths(made.base, made.head))
    return PhaseResult.built(
        why, attempt=attempt.number, head=made.head, outcome=made.outcome, files=files
    )


def _adopt_pull_request(
    ctx: CellContext, pr: PullRequest, marker: WorktreeMarker, key: str
) -> PhaseResult:
    adopted = adopt.adopt_pr_head(ctx, pr, marker, key)
    adopted.write(ctx.dir)
    attempts.link_transcript(ctx.dir, 0)
    return PhaseResult.built("its branch has a pull request already", head=adopted.head, url=pr.url)


def _restore_files(ctx: CellContext, record: CellRecord) -> None:
    """The result is there: close what a kill left open, bring back a deleted transcript."""
    done, newest = record.implemented, record.newest_attempt
    if done is None:
        return
    if newest is not None and newest.state == "open" and newest.key == done.key:
        record_clean(ctx, done.head)
        close_attempt(ctx, newest, "done", "")
    if ctx.cell.action is not Action.PUSH and not (ctx.dir / TRANSCRIPT).exists():
        attempts.link_transcript(ctx.dir, done.attempt)


def _record_commits(ctx: CellContext, marker: WorktreeMarker, key: str) -> PhaseResult:
    """No agent: the commits are a person's (`action: push`), or implement is not listed."""
    head = ctx.repo.resolve_commit(f"refs/heads/{ctx.cell.branch}")
    if head is None:
        raise ctx.fail(f"branch {ctx.cell.branch} is gone", hint="make the branch again")
    base = CommitId(marker.base)
    if ctx.cell.action is not Action.PUSH:
        head = take_out_kit(ctx, base, head)
    proof = prove_cell_head(ctx, ctx.repo, base=base, start=base, head=head)
    if not proof.ok:
        where = find_checkout(ctx) or ctx.repo_path
        hint = kit_hint(ctx, where, base) if proof.private else f"commit the work in {where}"
        raise ctx.fail("; ".join(proof.findings), hint=hint)
    tree = ctx.repo.resolve_tree(head)
    ImplementRecord(key, head, tree, marker.base, ImplementOutcome.PUSHED_BY_HAND).write(ctx.dir)
    if ctx.cell.action is not Action.PUSH:
        attempts.link_transcript(ctx.dir, 0)
    return PhaseResult.built("the commits are a person's", head=head)
