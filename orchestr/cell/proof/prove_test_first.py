"""`test_first: true`, shown by the engine: the tests of a change are red on its base, green on its
head.

The base gets the test files of the change and nothing else of it (`orchestr.git.mixed_tree`), in a
check worktree, and the checks that run tests are run there. A check that is red there counts
when it is green on the base itself, or when what fails is new: a failure of another name, or lines
that name a test file of the change. What stays unseen: a change may bring tests that were red
beside others that were not; one is enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from orchestr.cell.context import CellContext
from orchestr.cell.notes import TEST_FIRST
from orchestr.cell.ownership import format_paths
from orchestr.cell.worktree.check_pool import lend_check_worktree
from orchestr.cell.worktree.check_worktree import CheckWorktree, show_commit
from orchestr.checks.base import CheckResult, Failure, log_text_of
from orchestr.checks.cache import IN_WORKTREE
from orchestr.checks.suite import Slot, SuiteRequest, run_suite, summarize_results
from orchestr.checks.test_files import find_failing_lines, holds_tests
from orchestr.errors import Interrupted, OrchestrError, Unavailable
from orchestr.git.mixed_tree import list_differences, take_paths
from orchestr.git.repo import CommitId
from orchestr.process.tree import WORKTREE
from orchestr.spec.checks import CheckDef, list_test_checks
from orchestr.spec.path_patterns import match_paths

HOW = (
    "Write tests for what your task asks, such that they fail without your change and pass with "
    "it. The engine runs the checks on the base with nothing of your change but its test files."
)
DATE = "@0 +0000"  # the commit of a base with tests is the same whenever it is made
IDENTITY = ("orchestr", "orchestr@localhost")


def needs_test_first(ctx: CellContext, base: CommitId, head: CommitId) -> bool:
    """Whether the change of the cell has to show it."""
    return ctx.cell.proof.test_first and ctx.repo.resolve_tree(base) != ctx.repo.resolve_tree(head)


def prove_test_first(
    ctx: CellContext,
    checks: Sequence[CheckDef],
    results: Sequence[CheckResult],
    base: CommitId,
    head: CommitId,
    request: SuiteRequest,
    slot: Slot,
) -> CheckResult | None:
    """The result of the proof; None where it is not needed, or not to be had yet: while a check is
    red on the head. ``results`` are those of ``checks`` on ``head``.
    """
    if not needs_test_first(ctx, base, head):
        return None
    able = list_test_checks(checks)
    if not able:
        return None  # reported as not evaluated, see `orchestr.cell.notes`
    files = find_test_files(ctx, base, head)
    if not files:
        return _refuse("the change adds and changes no test")
    if not all(result.passed for result in results):
        return None
    tree = take_paths(ctx.repo, base, head, files)
    if tree == ctx.repo.resolve_tree(head):
        return _refuse("the change holds nothing but tests, so nothing was done after them")
    with_tests = ctx.repo.commit_tree(tree, [base], "base with tests", date=DATE, identity=IDENTITY)
    try:
        return _compare(ctx, able, files, (base, with_tests), request, slot)
    except (Interrupted, Unavailable):
        raise
    except OrchestrError as error:
        detail = f"the base cannot be checked out to run the tests on it: {error.reason}"
        return CheckResult(TEST_FIRST, "tests", False, detail, unavailable=True)


def find_test_files(ctx: CellContext, base: CommitId, head: CommitId) -> tuple[str, ...]:
    """The test files that the change adds or changes: by `[repos.NAME] test_paths`, else by their
    names and folders."""
    there = [p for p, (mode, _) in list_differences(ctx.repo, base, head).items() if int(mode)]
    patterns = ctx.repo_settings.test_paths
    if patterns:
        matches = match_paths(patterns)
        return tuple(path for path in there if matches(path))
    return tuple(path for path in there if holds_tests(path))


def _compare(
    ctx: CellContext,
    able: Sequence[CheckDef],
    files: tuple[str, ...],
    commits: tuple[CommitId, CommitId],
    request: SuiteRequest,
    slot: Slot,
) -> CheckResult:
    base, with_tests = commits
    shown, named = f"base {base[:12]}", format_paths(files)
    before = _run_on(ctx, able, with_tests, request, "with-tests", slot)
    red = [result for result in before if result.is_red]
    missing = [result for result in before if result.unavailable]
    if not red and missing:
        detail = f"on the {shown}, {summarize_results(missing)}"
        return CheckResult(TEST_FIRST, "tests", False, detail, unavailable=True)
    if not red:
        return _refuse(f"{named}: green on the {shown} already, without the change", files)
    again = [check for check in able if check.name in {result.name for result in red}]
    plain = {r.name: r for r in _run_on(ctx, again, base, request, "base", slot)}
    proved = [result for result in red if _is_red_by_tests(result, plain.get(result.name), files)]
    if not proved:
        detail = summarize_results(red)
        return _refuse(f"{named}: {detail} on the {shown}, but so it is without the tests", files)
    why = ", ".join(f"{result.name}: {_first_failures(result)}" for result in proved)
    return CheckResult(
        TEST_FIRST, "tests", True, f"{named}: red on the {shown} ({why}), green on the head"
    )


def _run_on(
    ctx: CellContext,
    checks: Sequence[CheckDef],
    commit: CommitId,
    request: SuiteRequest,
    name: str,
    slot: Slot,
) -> tuple[CheckResult, ...]:
    with _show_base(ctx, commit, request) as place:
        there = replace(
            request,
            worktree=place.path,
            head=commit,
            tree=ctx.repo.resolve_tree(commit),
            folder=request.folder / "test-first" / name,
            env={**request.env, WORKTREE: str(place.path), "ORCHESTR_HEAD": commit},
        )
        results = run_suite(checks, there, slot=slot)
    ctx.check_cancelled()
    return results


@contextmanager
def _show_base(
    ctx: CellContext, commit: CommitId, request: SuiteRequest
) -> Iterator[CheckWorktree]:
    """The commit in the check worktree that the head was checked in, which is held still."""
    if request.place == IN_WORKTREE:
        with lend_check_worktree(ctx, commit) as place:
            yield place
    else:
        yield show_commit(ctx, request.worktree, commit)


def _is_red_by_tests(
    result: CheckResult, plain: CheckResult | None, files: tuple[str, ...]
) -> bool:
    """Whether a check is red on the base because of the test files that were put there."""
    if plain is None or plain.passed:
        return True
    old = {failure.name for failure in plain.failures}
    if any(f.name not in old and f.name != result.name for f in result.failures):
        return True
    known = find_failing_lines(log_text_of(plain), files)
    return bool(find_failing_lines(log_text_of(result), files) - known)


def _first_failures(result: CheckResult) -> str:
    names = [failure.name for failure in result.failures if failure.name != result.name]
    return format_paths(names, 2) if names else result.detail.partition("\n")[0][:100]


def _refuse(detail: str, files: Sequence[str] = ()) -> CheckResult:
    failure = Failure(TEST_FIRST, file=files[0] if files else "", message=f"{detail}.\n{HOW}")
    return CheckResult(TEST_FIRST, "tests", False, detail, (failure,))
