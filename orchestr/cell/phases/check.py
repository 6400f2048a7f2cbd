"""Phase `check`: the cell's checks on its head, and the repairs that make them green.

Writes `checks.json` for exactly one head; evidence for another is void. A red check goes back to
the author's session with its evidence (`check_until_green`), at first one failure alone, then all
that is left. What stays red fails the cell, unless `allow_partial` is set. Without checks the head
passes through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestr.cell.context import CellContext
from orchestr.cell.input_changes import former_value
from orchestr.cell.inputs import TEST_FIRST, digest_without, phase_digest
from orchestr.cell.phases.run_phase import PhaseResult
from orchestr.cell.record import CellRecord, Decision
from orchestr.errors import MachineFault, OrchestrError
from orchestr.git.repo import CommitId
from orchestr.spec.phases import Action, Phase
from orchestr.state import repairs
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind
from orchestr.state.results import (
    CHECKS,
    Evidence,
    ImplementOutcome,
    ImplementRecord,
    WorktreeMarker,
    digest,
)

if TYPE_CHECKING:
    from orchestr.cell.proof.run_checks import SuiteVerdict

Rows = tuple[Mapping[str, Any], ...]


class CheckStep(StrEnum):
    """What the phase can do."""

    KEEP = "keep"  # the evidence is for this head and these checks
    CANNOT = "cannot"  # there is no result to check
    PASS_THROUGH = "pass through"  # without checks, or for an adopted pull request
    CHECK = "check"  # run the checks, repair what is red


@dataclass(frozen=True, slots=True)
class CheckInputs:
    """``key``: the digest of the phase. ``moved``: why a partial result is checked again.
    ``former_key``: that of a version which could not show `test_first` yet."""

    key: str
    has_checks: bool
    moved: str | None = None
    former_key: str | None = None


def decide(record: CellRecord, inputs: CheckInputs) -> Decision[CheckStep]:
    """What the phase does now and why. Pure."""
    why = _reason(record, inputs)
    if why is None:
        return Decision(CheckStep.KEEP, None)
    if record.implemented is None or record.marker is None:
        return Decision(CheckStep.CANNOT, why)
    if not inputs.has_checks or record.implemented.outcome is ImplementOutcome.ADOPTED:
        return Decision(CheckStep.PASS_THROUGH, why)
    return Decision(CheckStep.CHECK, why)


def _reason(record: CellRecord, inputs: CheckInputs) -> str | None:
    if record.implemented is None:
        return "there is nothing to check yet"
    if record.checks is None:
        return "it was not checked yet"
    if record.checks.origin != record.implemented.head:
        return "its evidence is for another head"
    if record.checks.key not in (inputs.key, inputs.former_key):
        return "its checks changed"
    return inputs.moved


def read_inputs(ctx: CellContext, record: CellRecord) -> CheckInputs:
    """The inputs of `decide`; git is asked only about a partial result."""
    moved = moved_since(ctx, record, record.checks) if record.checks is not None else None
    return CheckInputs(phase_digest(ctx, Phase.CHECK), ctx.has_checks, moved, _former_key(ctx))


def _former_key(ctx: CellContext) -> str | None:
    """The key that a result has which an earlier version made: it did not know `test_first`, and
    what it built is not checked again by itself."""
    if not ctx.cell.proof.test_first:
        return None  # first: no file is read for the many cells without it
    was_known = former_value(ctx, Phase.CHECK, "test_first") is not None
    return None if was_known else digest_without(ctx, Phase.CHECK, TEST_FIRST)


def reason_to_run(ctx: CellContext) -> str | None:
    """Why the phase would run, or None."""
    record = CellRecord.of_cell(ctx)
    return decide(record, read_inputs(ctx, record)).why


def moved_since(ctx: CellContext, record: CellRecord, evidence: Evidence) -> str | None:
    """Why a partial result is checked again: its branch has commits that came after it."""
    if not evidence.partial or ctx.cell.action is Action.PUSH:
        return None
    try:
        tip = ctx.repo.resolve_commit(f"refs/heads/{ctx.cell.branch}")
    except MachineFault:
        raise
    except OrchestrError:
        return None
    agreed = record.head
    if tip is None or tip in (evidence.head, agreed.head if agreed else ""):
        return None
    moved = ctx.repo.is_ancestor(evidence.head, tip)
    return "something was red, and its branch has moved since" if moved else None


def run(ctx: CellContext) -> PhaseResult:
    """Write the evidence. Raises PhaseFailed with what is red, Interrupted when stopped."""
    record = CellRecord.of_cell(ctx)
    inputs = read_inputs(ctx, record)
    decision = decide(record, inputs)
    if decision.why is None:
        return PhaseResult.up_to_date()
    done, marker = record.implemented, record.marker
    if done is None or marker is None:
        raise ctx.fail("it has no result to check", hint=f"orchestr run {ctx.name}")
    if decision.step is CheckStep.PASS_THROUGH:
        evidence, summary = _pass_head_through(ctx, record, done, marker, inputs.key), None
    else:
        evidence, summary = check_until_green(ctx, done, marker)
    evidence.write(ctx.dir / CHECKS)
    if summary is None:
        return PhaseResult.built(decision.why, head=evidence.head)
    return PhaseResult.built(
        decision.why, head=evidence.head, checks=summary, partial=evidence.partial
    )


def _pass_head_through(
    ctx: CellContext, record: CellRecord, done: ImplementRecord, marker: WorktreeMarker, key: str
) -> Evidence:
    """Evidence without checks, for the head that the last repair of this result came to."""
    from orchestr.cell.phases.checkout_head import end_repair, find_repaired_head

    old = record.checks
    end_repair(ctx, done, marker, Phase.CHECK)
    head = old.head if old is not None and old.origin == done.head else done.head
    repaired = find_repaired_head(ctx, done, marker, Phase.CHECK, head)
    if repaired is not None:
        head = head_to_record(ctx, done, repaired)
    return Evidence(head, key, (), done.head)


def check_until_green(
    ctx: CellContext, done: ImplementRecord, marker: WorktreeMarker
) -> tuple[Evidence, str]:
    """Check, repair and check again until all is green, or give up with PhaseFailed."""
    from orchestr.cell.phases.checkout_head import (
        checkout_head,
        remove_temporary_worktree,
        resume_repair,
        unacceptable_reason,
    )
    from orchestr.cell.phases.own import end_open_attempt, follow_repair, is_to_be_followed
    from orchestr.cell.proof.run_checks import raise_not_evaluated, run_checks

    key, most = phase_digest(ctx, Phase.CHECK), ctx.cell.proof.repair.checks
    end_open_attempt(ctx)
    attempt = resume_repair(ctx, done, marker, Phase.CHECK)
    head = checkout_head(ctx, done, marker, works_elsewhere=not ctx.checks_in_worktree)
    rows: Rows = ()
    try:
        while True:
            refused = unacceptable_reason(ctx, done, marker, head)
            if not refused and is_to_be_followed(ctx, done, head):
                done = follow_repair(ctx, done, head, Phase.CHECK)
                head = CommitId(done.head)
            if refused:
                red, words = RedFinding.from_text(refused), REFUSED.format(head[:12], refused)
            else:
                number = attempt.number if attempt else 0
                verdict = run_checks(ctx, head, CommitId(marker.base), attempt=number)
                rows = verdict.rows
                if verdict.passed:
                    if attempt is not None:
                        repairs.end_series(ctx.dir, attempt.number, Phase.CHECK, done.origin)
                    return Evidence(
                        head_to_record(ctx, done, head), key, rows, done.head
                    ), verdict.summary_line
                if not verdict.has_red:
                    raise_not_evaluated(ctx, verdict)
                red = RedFinding.from_verdict(verdict)
                words = format_red_checks(verdict, head, first=is_first_repair(ctx, attempt, done))
            stop = give_up_reason(ctx, attempt, Phase.CHECK, done.origin, red.digest, most)
            if stop is not None or attempt is None:
                return accept_partial(ctx, red, stop or "", rows, head, done.head, key), red.told
            head = repair_head(
                ctx, attempt, marker, Phase.CHECK, done.origin, head, red, words, most
            )
    finally:
        remove_temporary_worktree(ctx)


def head_to_record(ctx: CellContext, done: ImplementRecord, head: str) -> str:
    """The head to record: `no_change_needed` stands on its base while nothing was changed."""
    nothing = (
        done.outcome is ImplementOutcome.NO_CHANGE_NEEDED
        and ctx.repo.resolve_tree(head) == done.tree
    )
    return done.head if nothing else head


def is_first_repair(ctx: CellContext, attempt: Attempt | None, done: ImplementRecord) -> bool:
    """Whether no repair was made yet for this result."""
    if attempt is None:
        return True
    return not repairs.current_series(
        repairs.read_rounds(ctx.dir, attempt.number), Phase.CHECK, done.origin
    )


@dataclass(frozen=True, slots=True)
class RedFinding:
    """What is red: its digest, one line of it for people, where its logs are."""

    digest: str
    told: str
    folder: Path | None = None
    is_whole: bool = True  # False: there are checks that were not evaluated

    @classmethod
    def from_verdict(cls, verdict: SuiteVerdict) -> RedFinding:
        """What a suite of checks found."""
        return cls(verdict.red_digest, verdict.summary_line, verdict.folder, not verdict.missing)

    @classmethod
    def from_text(cls, told: str) -> RedFinding:
        """What is known by its words alone."""
        return cls(digest(told), told)


def give_up_reason(
    ctx: CellContext, attempt: Attempt | None, phase: Phase, origin: str, red: str, most: int
) -> str | None:
    """Why no repair is tried; None when one is. Ends the series then."""
    if attempt is None:
        whose = "a person's" if ctx.cell.action is Action.PUSH else "not one of our agents'"
        return f"the commits are {whose}"
    going = repairs.current_series(repairs.read_rounds(ctx.dir, attempt.number), phase, origin)
    why = repairs.repair_stop_reason(going, red, most)
    if why is not None:
        repairs.end_series(ctx.dir, attempt.number, phase, origin)
    return why


def accept_partial(
    ctx: CellContext, red: RedFinding, stop: str, rows: Rows, head: str, origin: str, key: str
) -> Evidence:
    """Evidence with red in it, where the spec allows that; else PhaseFailed with the reason.

    A change that may not be published at all (outside its paths) is never partial, nor is one
    with checks that were not evaluated.
    """
    if ctx.cell.proof.allow_partial and red.folder is not None and red.is_whole:
        warn_partial(ctx, Phase.CHECK, red)
        return Evidence(head, key, rows, origin, partial=True)
    where = f"mend it in {ctx.worktree} and commit, then: orchestr run {ctx.name}"
    if ctx.cell.action is Action.PUSH:
        where = f"mend it on branch {ctx.cell.branch}, then: orchestr run {ctx.name}"
    logs = f"; logs in {red.folder}" if red.folder else ""
    raise ctx.fail(f"{red.told} ({stop}){logs}", hint=where)


def warn_partial(ctx: CellContext, phase: Phase, red: RedFinding) -> None:
    """Say that what is red will be published: nobody is to take it for green."""
    ctx.emit(EventKind.CELL_WARNED, phase=phase,
             reason=f"goes on as partial (allow_partial): {red.told}")  # fmt: skip


def repair_head(
    ctx: CellContext, attempt: Attempt, marker: WorktreeMarker, phase: Phase, origin: str,
    head: CommitId, red: RedFinding, words: str, most: int,
) -> CommitId:  # fmt: skip
    """One round of repair, from the question to the new head."""
    from orchestr.cell.agent.repair import carry_out_repair, open_repair

    record = open_repair(
        ctx, attempt, phase, origin, head, red=red.digest, why=red.told, words=words, of=most
    )
    return CommitId(carry_out_repair(ctx, attempt, marker, record).after)


def format_red_checks(verdict: SuiteVerdict, head: str, *, first: bool) -> str:
    """What the author is told of red checks: in the first round of one failure only."""
    from orchestr.checks.suite import evidence_text, list_failures

    alone = first and len(list_failures(verdict.results)) > 1
    focus = 0 if alone else None
    return RED.format(head[:12], evidence_text(verdict.results, focus, verdict.rename))


RED = """The checks of this cell were run on your commit {}, and they are red.

Find the cause and mend it with the smallest change that is right. Do not delete, skip or weaken
tests, do not change what the checks run, stay within the rules of your task. The checks are run
again afterwards by the engine, which also commits what you leave uncommitted.

{}"""

REFUSED = """Your commit {} cannot be accepted: {}.

Undo that part with a new commit (do not rewrite history), keep the rest of your change, and stay
within the rules of your task.
"""
