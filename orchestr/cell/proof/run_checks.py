"""Run a cell's checks on exactly one head, in a clean checkout of it.

Which checks a cell has, their environment, slots and evidence; what they are is
`orchestr.checks`', the checkout is `orchestr.cell.worktree.check_pool`'s. With
`checks_in = "worktree"` they run where the author worked instead. Before they start `checking.json`
says on which head, so that what a killed run left is put right by the next one. Nothing here
decides what follows from red.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from orchestr.cell.context import CellContext
from orchestr.cell.proof.check_request import CheckPlace, make_suite_request, open_check_place
from orchestr.cell.proof.prove_test_first import prove_test_first
from orchestr.cell.worktree.check_worktree import CheckWorktree
from orchestr.cell.worktree.clone_guard import GUARD
from orchestr.cell.worktree.links_back import explain_links_back
from orchestr.cell.worktree.worktree_guard import guard_worktree
from orchestr.checks.base import CheckResult, Failure
from orchestr.checks.cache import ResultCache, result_as_dict
from orchestr.checks.suite import (
    Slot,
    SuiteRequest,
    failure_key,
    result_key,
    run_suite,
    summarize_results,
)
from orchestr.checks.weakened_tests import find_weakened_tests
from orchestr.errors import NotEvaluated
from orchestr.files import write_json
from orchestr.git.attributes import use_attributes_of
from orchestr.git.repo import CommitId
from orchestr.spec.checks import CheckDef
from orchestr.spec.phases import Action, Phase
from orchestr.state import attempts
from orchestr.state.events import EventKind

OWN = "own source"  # a check of every cell: the checks see the cell's source, not another's
UNCHANGED = "worktree unchanged"  # red when the checks changed what they were to judge
WEAKENED = "tests kept"  # the check that every cell with checks has: no test was taken away


@dataclass(frozen=True, slots=True)
class SuiteVerdict:
    """The results of all checks of one head. ``rename`` puts the paths that the author can change
    something at into what a program printed."""

    results: tuple[CheckResult, ...]
    folder: Path
    rename: Callable[[str], str]

    @property
    def passed(self) -> bool:
        return all(result.passed for result in self.results)

    @property
    def missing(self) -> tuple[CheckResult, ...]:
        """The checks that were not evaluated: the machine lacks something that they need."""
        return tuple(result for result in self.results if result.unavailable)

    @property
    def has_red(self) -> bool:
        """Whether a check ran and says no."""
        return any(result.is_red for result in self.results)

    @property
    def red_digest(self) -> str:
        """A digest of what fails, for `repairs.repair_stop_reason`."""
        return failure_key(self.results)

    @property
    def summary_line(self) -> str:
        """One line for people."""
        return summarize_results(self.results)

    @property
    def rows(self) -> tuple[Mapping[str, Any], ...]:
        """For `checks.json`: what is the same whenever the same came out."""
        return tuple(evidence_row(result) for result in self.results)


def evidence_row(result: CheckResult) -> Mapping[str, Any]:
    """What is told of a result for good: no times, no paths."""
    row = {
        "name": result.name,
        "kind": str(result.kind),
        "passed": result.passed,
        "detail": result.detail,
        "tests": result.tests,
        "failures": [failure.name for failure in result.failures[:20]],
    }
    if result.in_worktree:
        row["in_worktree"] = True
    return {**row, "unavailable": True} if result.unavailable else row


def cell_checks(ctx: CellContext, where: Path | None = None) -> tuple[CheckDef, ...]:
    """The repository's checks, then the cell's own; what is detected where that is asked for, in
    ``where`` (its worktree).
    """
    if Phase.CHECK not in ctx.cell.phases:
        return ()
    named = (*ctx.repo_settings.checks, *ctx.cell.proof.checks)
    if named or not ctx.has_checks:
        return named
    from orchestr.checks.detect import detect_checks

    return tuple(proposal.check for proposal in detect_checks(where or ctx.worktree))


def run_checks(
    ctx: CellContext, head: CommitId, base: CommitId, *, attempt: int, phase: Phase = Phase.CHECK
) -> SuiteVerdict:
    """All checks of the cell on ``head``. Raises Interrupted."""
    folder = _make_next_folder(attempts.attempt_folder(ctx.dir, attempt) / "checks")
    with open_check_place(ctx, head) as (place, more, ports):
        request = make_suite_request(
            ctx, place, folder, ports=ports, more=more, phase=phase, base=base
        )
        results = _run_at(ctx, place, base, request, phase)
    write_json(
        folder / "results.json",
        {"schema": 1, "head": head, "results": [result_as_dict(r) for r in results]},
    )
    return SuiteVerdict(results, folder, request.rename_paths)


def _run_at(
    ctx: CellContext,
    place: CheckPlace,
    base: CommitId,
    request: SuiteRequest,
    phase: Phase,
) -> tuple[CheckResult, ...]:
    checks = cell_checks(ctx, place.path)
    foreign = explain_links_back(ctx, place.path) if checks else None
    if foreign is not None:
        result = CheckResult(OWN, "command", False, foreign, unavailable=True)
        journal_result(ctx, result, phase)
        return (result,)
    if not checks:
        return ()
    results = _run_guarded(ctx, checks, base, place, request, phase)
    lost = check_weakened_tests(ctx, base, place.head)
    if lost is not None:
        results = (*results, lost)
        journal_result(ctx, lost, phase)
    return results


def _run_guarded(
    ctx: CellContext,
    checks: Sequence[CheckDef],
    base: CommitId,
    place: CheckPlace,
    request: SuiteRequest,
    phase: Phase,
) -> tuple[CheckResult, ...]:
    def slot() -> AbstractContextManager[object]:
        return ctx.run.slot_pool("checks").hold_slot(ctx.priority, ctx.is_cancelled)

    def tell(result: CheckResult) -> None:
        journal_result(ctx, result, phase)

    cache = ResultCache(ctx.run.layout.state / "cache" / "checks")
    left, elsewhere = request.folder / "left", place.checkout is not None
    with guard_worktree(ctx, place.head, ctx.dir / GUARD, left, branch_only=elsewhere) as guard:
        results = run_suite(checks, request, cache=cache, slot=slot, listener=tell)
        ctx.check_cancelled()
        harm = find_checkout_harm(place.checkout, left)
        first = prove_test_first(ctx, checks, results, base, place.head, request, slot)
    ctx.check_cancelled()
    if first is not None:
        tell(first)
        results = (*results, first)
    bad = void_harmful_suite(checks, request, cache, [*guard.harm, *harm])
    if bad is not None:
        tell(bad)
        results = (*results, bad)
    return results


def run_suite_unchanged(
    checks: Sequence[CheckDef],
    request: SuiteRequest,
    checkout: CheckWorktree | None,
    cache: ResultCache,
    slot: Slot = nullcontext,
) -> tuple[CheckResult, ...]:
    """The results of the checks, with a red one when they changed what they were to judge."""
    results = run_suite(checks, request, cache=cache, slot=slot)
    harm = find_checkout_harm(checkout, request.folder / "left")
    bad = void_harmful_suite(checks, request, cache, harm)
    return results if bad is None or request.stop.is_set() else (*results, bad)


def find_checkout_harm(checkout: CheckWorktree | None, left: Path) -> list[str]:
    """What programs did to the check worktree; new files in it are moved to ``left``."""
    if checkout is None:
        return []
    return checkout.end_round(left)


def void_harmful_suite(
    checks: Sequence[CheckDef], request: SuiteRequest, cache: ResultCache, harm: Sequence[str]
) -> CheckResult | None:
    """The red result of checks that changed what they were to judge; None where they did not."""
    if not harm:
        return None
    for check in checks:  # else the next round would find them passed, and no harm
        cache.forget_result(result_key(check, request))
    text = f"while the checks ran, {'; '.join(harm)}"
    return CheckResult(UNCHANGED, "command", False, text, (Failure(UNCHANGED, message=text),))


def raise_not_evaluated(ctx: CellContext, verdict: SuiteVerdict) -> NoReturn:
    """No verdict: no repair is made, and the next run checks again without an agent."""
    told = "; ".join(f"{one.name}: {one.detail}" for one in verdict.missing)
    raise NotEvaluated(
        f"not evaluated: {told}; logs in {verdict.folder}",
        hint=f"provide what is missing, then: orchestr run {ctx.name} (no agent starts for it)",
        cell=ctx.name,
    )


def check_weakened_tests(ctx: CellContext, base: CommitId, head: CommitId) -> CheckResult | None:
    """A red result when the change takes tests away and the spec does not allow it."""
    from orchestr.git.unified_diff import DIFF_OPTIONS

    if ctx.cell.proof.allow_skipped_tests or ctx.cell.action is Action.PUSH:
        return None  # a person may: their tests sleep until the others have done their part
    with use_attributes_of(ctx.repo, None) as repo:  # a test called `-diff` is a test, too
        diff = repo.run_readonly("diff", *DIFF_OPTIONS, base, head, "--").text
    findings = find_weakened_tests(diff)
    if not findings:
        return None
    count = f"{len(findings)} tests were" if len(findings) > 1 else "a test was"
    message = "Restore it: a change may not make red green by taking tests away."
    failures = tuple(Failure(str(f), file=f.file, message=message) for f in findings[:50])
    detail = f"{count} deleted or skipped: {findings[0]}"
    return CheckResult(WEAKENED, "tests", False, detail, failures)


def journal_result(ctx: CellContext, result: CheckResult, phase: Phase) -> None:
    """Journal one result."""
    ctx.emit(EventKind.CHECK_DONE, phase=phase, **result_details(result))


def result_details(result: CheckResult) -> dict[str, Any]:
    """What the journal keeps of a result."""
    found: dict[str, Any] = {
        "name": result.name, "check": str(result.kind), "passed": result.passed,
        "detail": result.detail[:500], "seconds": result.seconds, "cached": result.cached,
        "log": result.log,
    }  # fmt: skip
    return {**found, "unavailable": True} if result.unavailable else found


def _make_next_folder(home: Path) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    numbers = [int(p.name) for p in home.iterdir() if p.name.isdecimal()]
    folder = home / str(max(numbers, default=0) + 1)
    folder.mkdir()
    return folder
