"""Cross checks as findings of the audit: one for each check, with the files that it names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from orchestr.audit.findings import Finding, FindingState, Place, make_finding
from orchestr.audit.scope import FileFinder
from orchestr.cell.phases.cross_checks import CrossOutcome
from orchestr.checks.base import CheckResult
from orchestr.checks.named_files import find_named_files
from orchestr.checks.suite import evidence_text
from orchestr.checks.test_files import holds_tests
from orchestr.state.results import digest

EVIDENCE = 12_000  # characters of a red check's evidence


def find_in_cross_checks(outcomes: Iterable[CrossOutcome], files: FileFinder) -> list[Finding]:
    """The findings of the cross checks, in their order."""
    found: list[Finding] = []
    for one in outcomes:
        source = f"cross checks in {one.repo}"
        if one.missing is not None:
            state, detail = FindingState.NOT_EVALUATED, one.missing.reason
            found.append(make_finding(source, "they are green", state, detail=detail))
        elif one.conflicts:
            found.append(
                make_finding(
                    source, "the heads of all cells can be merged", FindingState.FAILED,
                    detail=one.told, evidence=one.told, mark=digest(list(one.conflicts)),
                    places=[Place(one.repo, path) for path in one.conflicts],
                )
            )  # fmt: skip
        elif one.results:
            found += [_of_result(source, one.repo, result, files) for result in one.results]
        else:
            found += [
                make_finding(source, f"{row.get('name')} is green", FindingState.PASSED,
                             detail=str(row.get("detail") or ""))
                for row in one.rows
            ]  # fmt: skip
    return found


def choose_causes(
    sure: Sequence[Place], every: Sequence[Place], is_changed: Callable[[Place], bool]
) -> list[Place]:
    """The files that cause what a red check shows. ``sure``: those that errors and traces name,
    ``every``: all that the output names. Pure.

    The trace of a failed test names the test, which shows the fault and seldom is it: a test counts
    only where the output names no other file that the feature has changed, else its owner would be
    paid for a repair of nothing.
    """
    causes = [place for place in sure if not holds_tests(place.path)]
    causes = causes or [p for p in every if is_changed(p) and not holds_tests(p.path)]
    return causes or list(sure or every)


def _of_result(source: str, repo: str, result: CheckResult, files: FileFinder) -> Finding:
    statement = f"{result.name} is green"
    if result.passed:
        return make_finding(source, statement, FindingState.PASSED, detail=result.detail)
    if not result.is_red:
        return make_finding(source, statement, FindingState.NOT_EVALUATED, detail=result.detail)
    sure, every = find_named_files([result])
    places = choose_causes(
        files.find_places(sure, repo), files.find_places(every, repo), files.is_changed
    )
    return make_finding(
        source, statement, FindingState.FAILED,
        detail=result.detail, evidence=evidence_text([result])[:EVIDENCE], places=places,
        mark=digest(sorted(one.name for one in result.failures)),
    )  # fmt: skip
