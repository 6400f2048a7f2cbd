"""Kind `diff_coverage`: the tests run most of the lines that the change adds.

A program runs the tests and writes a report: Cobertura XML or lcov. Of the lines that the diff from
the cell's base to its head adds, those count that the report knows; blank lines and comments are
in none. A report that is missing, old or cannot be read is red. Where the report knows none of the
added lines nothing was measured: that is green, and says so, since a change of texts and settings
has no lines to run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from orchestr.checks.base import (
    CheckFailed,
    CheckUnavailable,
    CheckVerdict,
    Failure,
    describe_exit,
    quote_command,
)
from orchestr.checks.definition import CheckDefinition
from orchestr.checks.kinds import junit
from orchestr.spec.fields import Argv, Doc, Globs, whole_number

if TYPE_CHECKING:
    from orchestr.checks.room import CheckContext

MOST_NAMED = 5  # files without a line in the report that are named


@dataclass(frozen=True, slots=True)
class DiffCoverage:
    """The added lines that a report knows, by path: all of them, and those that did not run.
    ``unknown``: changed files that the report does not name, though it has others of that sort."""

    known: int
    uncovered: Mapping[str, tuple[int, ...]]
    unknown: tuple[str, ...] = ()

    @property
    def covered(self) -> int:
        """How many ran."""
        return self.known - sum(map(len, self.uncovered.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffCoverageCheck(CheckDefinition):
    """Of the lines that the cell adds, ``least`` per cent run; ``run`` writes the ``reports``
    (Cobertura XML, lcov)."""

    kind: ClassVar[str] = "diff_coverage"
    needs_base: ClassVar[bool] = True

    run: Annotated[Argv, Doc("runs the tests, writes the report", ["make", "coverage"])]
    reports: Annotated[Globs, Doc("the reports that it must write", ["coverage.xml"])]
    least: Annotated[int, whole_number(1, 100), Doc("per cent of the added lines", 90)] = 80

    def run_and_judge(self, room: CheckContext) -> CheckVerdict:
        from orchestr.checks import coverage_report
        from orchestr.checks.room import select_fresh_files, stamp_files
        from orchestr.checks.untrusted_xml import BadReport

        if not room.request.base:
            raise CheckUnavailable("there is no base here that the change starts from")
        before = stamp_files(room.find_files(self.reports))
        done = room.run_program(self.run)
        command = quote_command(self.run)
        whole = junit.whole_run_failure(room, self.name, self.run)
        found, old = select_fresh_files(room.find_files(self.reports), before)
        lacking = [glob for glob, paths in found.items() if not paths]
        if done.code != 0:
            raise CheckFailed(describe_exit(done), whole, exit=done.code)
        if lacking:
            detail = f"no report was written: {', '.join(lacking)}"
            detail += f" ({old} of an earlier run do not count)" if old else ""
            raise CheckFailed(detail, whole, exit=0)
        paths = [path for some in found.values() for path in some]
        try:
            reports = [coverage_report.read_coverage(path) for path in paths]
        except BadReport as error:
            raise CheckFailed(f"the report {error}", whole, exit=0) from None
        lines = coverage_report.merge_files(
            coverage_report.locate_files(report, room.worktree, room.cwd) for report in reports
        )
        kept, left = room.copy_to_artefacts(paths)
        measured = compare_lines(_read_added_lines(room), lines)
        detail = "; ".join([describe_coverage(measured, self.least), *left])
        if measured.covered * 100 >= self.least * measured.known:
            return CheckVerdict(True, detail, artefacts=kept, exit=0)
        failures = tuple(_list_failures(measured, command))
        return CheckVerdict(False, detail, failures, kept, exit=0)


def compare_lines(
    added: Mapping[str, frozenset[int]], lines: Mapping[str, Mapping[int, int]]
) -> DiffCoverage:
    """What of the ``added`` lines ran, by the ``lines`` of the report: times by number."""
    known, uncovered = 0, dict[str, tuple[int, ...]]()
    for path in sorted(added):
        counts = {n: lines[path][n] for n in added[path] if n in lines.get(path, {})}
        known += len(counts)
        missed = tuple(sorted(n for n, times in counts.items() if times <= 0))
        if missed:
            uncovered[path] = missed
    sorts = {_find_suffix(path) for path in lines}
    unknown = [p for p in sorted(added) if added[p] and p not in lines and _find_suffix(p) in sorts]
    return DiffCoverage(known, uncovered, tuple(unknown))


def describe_coverage(measured: DiffCoverage, least: int) -> str:
    """For people; the per cent are rounded down, so that 79.9 is not 80."""
    if measured.known == 0:
        text = "nothing was measured: the report knows no line that the change adds"
    else:
        per_cent = measured.covered * 100 // measured.known
        text = (
            f"{per_cent}% of the added lines run "
            f"({measured.covered} of {measured.known}; {least}% wanted)"
        )
    if measured.unknown:
        more = ", ..." if len(measured.unknown) > MOST_NAMED else ""
        text += f"; not in the report: {', '.join(measured.unknown[:MOST_NAMED])}{more}"
    return text


def _list_failures(measured: DiffCoverage, command: str) -> Iterator[Failure]:
    for path, numbers in measured.uncovered.items():
        for first, last in _join_ranges(numbers):
            where = f"{path}:{first}" if first == last else f"{path}:{first}-{last}"
            what = "this added line" if first == last else "these added lines"
            yield Failure(where, path, f"{where}: no test runs {what}", command)


def _join_ranges(numbers: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Neighbouring numbers as pairs of the first and the last."""
    first = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last


def _find_suffix(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[2]


def _read_added_lines(room: CheckContext) -> dict[str, frozenset[int]]:
    """The numbers of the lines that the change adds, by path. No attribute hides a file."""
    from orchestr.git.attributes import use_attributes_of
    from orchestr.git.repo import Repo
    from orchestr.git.unified_diff import DIFF_OPTIONS, parse_diff

    request = room.request
    with use_attributes_of(Repo(room.worktree), None) as repo:
        diff = repo.run_readonly("diff", *DIFF_OPTIONS, request.base, request.head, "--").text
    return {
        file.path: frozenset(line.number for line in file.added_lines())
        for file in parse_diff(diff)
        if file.new
    }
