"""Run a cell's checks on exactly one head, in its worktree, and leave that as it was.

Which checks a cell has, their environment, slots and evidence; what they are is
`orchestr.checks`'. Before they start `checking.json` says on which head, so that what a killed run
left in the worktree is put right by the next one. Nothing here decides what follows from red.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from orchestr.agents.environment import agent_env
from orchestr.cell.context import CellContext
from orchestr.cell.proof.prove_test_first import prove_test_first
from orchestr.cell.worktree.clone_guard import GUARD
from orchestr.cell.worktree.links_back import explain_links_back
from orchestr.cell.worktree.ports import lease_cell_ports
from orchestr.cell.worktree.variables import cell_variables
from orchestr.cell.worktree.wall import wall_checks
from orchestr.cell.worktree.worktree_guard import checks_marker, guard_worktree
from orchestr.checks.base import CheckResult, Failure
from orchestr.checks.cache import ResultCache, cache_key, result_as_dict
from orchestr.checks.suite import SuiteRequest, failure_key, run_suite, summarize_results
from orchestr.checks.weakened_tests import find_weakened_tests
from orchestr.errors import NotEvaluated
from orchestr.files import write_json
from orchestr.git.agent_environment import agent_git_env
from orchestr.git.attributes import use_attributes_of
from orchestr.git.repo import CommitId
from orchestr.spec.checks import CheckDef
from orchestr.spec.phases import Action, Phase
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind
from orchestr.state.results import digest, read_tree

OWN = "own source"  # a check of every cell: the checks see the cell's source, not another's
WEAKENED = "tests kept"  # the check that every cell with checks has: no test was taken away


@dataclass(frozen=True, slots=True)
class SuiteVerdict:
    """The results of all checks of one head."""

    results: tuple[CheckResult, ...]
    folder: Path

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
    """All checks of the cell on ``head``, which its worktree stands on. Raises Interrupted."""
    folder = _make_next_folder(attempts.attempt_folder(ctx.dir, attempt) / "checks")
    checks = cell_checks(ctx)
    results: tuple[CheckResult, ...] = ()
    foreign = explain_links_back(ctx, ctx.worktree) if checks else None
    if foreign is not None:
        results = (CheckResult(OWN, "command", False, foreign, unavailable=True),)
        journal_result(ctx, results[0], phase)
    elif checks:
        results = _run_guarded(ctx, checks, base, head, folder, phase)
        lost = check_weakened_tests(ctx, base, head)
        if lost is not None:
            results = (*results, lost)
            journal_result(ctx, lost, phase)
    write_json(
        folder / "results.json",
        {"schema": 1, "head": head, "results": [result_as_dict(r) for r in results]},
    )
    return SuiteVerdict(results, folder)


def make_suite_request(ctx: CellContext, head: CommitId, folder: Path) -> SuiteRequest:
    """What a suite on ``head`` in the cell's worktree is given; its results lie in ``folder``."""
    return SuiteRequest(
        worktree=ctx.worktree,
        head=head,
        tree=input_digest(ctx, head),
        folder=folder,
        marker=checks_marker(ctx),
        env=check_environment(ctx, head),
        environ=os.environ,
        ports=lease_check_ports(ctx),
        stop=CellStopEvent(ctx),
        places=locate_checks(ctx),
        raw_logs=ctx.run.settings.workspace.raw_logs,
        wall=wall_checks(ctx),
    )


def locate_checks(ctx: CellContext) -> dict[str, str]:
    """Where each of the cell's checks is defined, by its name, for people."""
    of_repo = {c.name: f"[repos.{ctx.cell.repo}] checks" for c in ctx.repo_settings.checks}
    return {**of_repo, **{check.name: ctx.run.feature.path for check in ctx.cell.proof.checks}}


def _run_guarded(
    ctx: CellContext,
    checks: Sequence[CheckDef],
    base: CommitId,
    head: CommitId,
    folder: Path,
    phase: Phase,
) -> tuple[CheckResult, ...]:
    def slot() -> AbstractContextManager[object]:
        return ctx.run.slot_pool("checks").hold_slot(ctx.priority, ctx.is_cancelled)

    request = make_suite_request(ctx, head, folder)
    cache = ResultCache(ctx.run.layout.state / "cache" / "checks")
    with guard_worktree(ctx, head, ctx.dir / GUARD, folder / "left") as guard:
        results = run_suite(
            checks,
            request,
            cache=cache,
            slot=slot,
            listener=lambda result: journal_result(ctx, result, phase),
        )
        ctx.check_cancelled()
        first = prove_test_first(ctx, checks, results, base, head, request, slot)
    ctx.check_cancelled()
    if first is not None:
        journal_result(ctx, first, phase)
        results = (*results, first)
    harm = guard.harm
    if harm:
        for check in checks:  # else the next round would find them passed, and no harm
            cache.forget_result(cache_key(check, request.tree, request.environ))
        text = f"while the checks ran, {'; '.join(harm)}"
        bad = CheckResult("worktree unchanged", "command", False, text,
                          (Failure("worktree unchanged", message=text),))  # fmt: skip
        journal_result(ctx, bad, phase)
        results = (*results, bad)
    return results


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


def input_digest(ctx: CellContext, head: CommitId) -> str:
    """What a result depends on besides the check: the tree, and the upstreams' where they can be
    read (`ORCHESTR_UPSTREAM_*_WORKTREE`)."""
    tree = ctx.repo.resolve_tree(head)
    others = {up.cell.name: read_tree(up.dir) for up in ctx.upstreams()}
    return digest(tree, others) if others else tree


def check_environment(ctx: CellContext, head: CommitId) -> dict[str, str]:
    """The allow-listed environment of the cell's checks: no way to push, no secrets."""
    told = cell_variables(ctx, Attempt(0, "", "", head), Path())
    for name in ("ORCHESTR_ATTEMPT", "ORCHESTR_PROMPT_FILE"):
        told.pop(name, None)
    git = agent_git_env(
        ctx.repo,
        ctx.worktree,
        ctx.run.layout.excludes_file,
        patterns=ctx.unseen.patterns,
        record=ctx.git_record,
    )
    no_gh = {"GH_CONFIG_DIR": str(ctx.run.layout.state / "no-gh")}
    quiet = {"CI": "1", "NO_COLOR": "1", "TERM": "dumb", "PAGER": "cat"}
    inside = ctx.mark_inside("a check")
    return {**agent_env(os.environ, ()), **no_gh, **quiet, **told, **git, **inside}


def lease_check_ports(ctx: CellContext) -> tuple[int, ...]:
    """The cell's ports, leased now if they are not; a person's branch has none of its own."""
    return () if ctx.cell.action is Action.PUSH else lease_cell_ports(ctx, Phase.CHECK)


class CellStopEvent(threading.Event):
    """Set when the run, or this cell alone, is asked to stop."""

    def __init__(self, ctx: CellContext) -> None:
        super().__init__()
        self._ctx = ctx

    def is_set(self) -> bool:
        return self._ctx.is_cancelled()

    def wait(self, timeout: float | None = None) -> bool:
        """As `threading.Event.wait`, seeing a cell's own abort at the latest afterwards."""
        return self._ctx.run.stop.wait(timeout) or self.is_set()


def _make_next_folder(home: Path) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    numbers = [int(p.name) for p in home.iterdir() if p.name.isdecimal()]
    folder = home / str(max(numbers, default=0) + 1)
    folder.mkdir()
    return folder
