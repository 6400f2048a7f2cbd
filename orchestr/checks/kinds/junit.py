"""Kind `junit`: any program that leaves JUnit XML (go with gotestsum, mvn, npm and others)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from orchestr.checks.base import CheckFailed, CheckVerdict, Failure, describe_exit, quote_command
from orchestr.checks.definition import CheckDefinition
from orchestr.spec.fields import Argv, Doc, Globs

if TYPE_CHECKING:
    from orchestr.checks.junit_xml import JunitCase
    from orchestr.checks.room import CheckContext
    from orchestr.process.run import CompletedCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class JunitCheck(CheckDefinition):
    """Any program that leaves JUnit XML where the globs ``reports`` find it."""

    kind: ClassVar[str] = "junit"

    run: Annotated[Argv, Doc("what writes the reports", ["make", "test"])]
    reports: Annotated[Globs, Doc("where the reports are", ["build/test-results/*.xml"])]

    def run_and_judge(self, room: CheckContext) -> CheckVerdict:
        from orchestr.checks import junit_xml
        from orchestr.checks.room import select_fresh_files, stamp_files

        before = stamp_files(room.find_files(self.reports))
        done = room.run_program(self.run)
        found, old = select_fresh_files(room.find_files(self.reports), before)
        missing = [glob for glob, paths in found.items() if not paths]
        reports = list(dict.fromkeys(path for paths in found.values() for path in paths))
        if not reports:
            detail = f"{describe_exit(done)}; no report was written ({', '.join(self.reports)})"
            if old:
                detail += f"; {old} of an earlier run do not count: make the tests really run"
            raise CheckFailed(detail, whole_run_failure(room, self.name, self.run), exit=done.code)
        try:
            cases = junit_xml.read_reports(reports)
        except junit_xml.BadReport as error:
            detail = f"{describe_exit(done)}; the report {error}"
            raise CheckFailed(
                detail, whole_run_failure(room, self.name, self.run), exit=done.code
            ) from None
        kept, _ = room.copy_to_artefacts(reports)
        if missing:
            detail = f"{describe_exit(done)}; no report was written for {', '.join(missing)}"
            raise CheckFailed(detail, whole_run_failure(room, self.name, self.run), exit=done.code)
        return judge_cases(room, done, cases, kept, self.run, lambda _: quote_command(self.run))


def judge_cases(
    room: CheckContext,
    done: CompletedCommand,
    cases: Sequence[JunitCase],
    kept: tuple[str, ...],
    argv: Sequence[str],
    again: Callable[[JunitCase], str],
) -> CheckVerdict:
    """What tests and exit code say together; no test that ran is no proof."""
    from orchestr.checks import junit_xml

    found = junit_xml.count_statuses(cases)
    detail = junit_xml.format_counts(found)
    failures = tuple(
        Failure(case_title(case), case.file, _case_message(case), again(case))
        for case in cases
        if case.status in ("failed", "error")
    )
    passed = not failures and done.code == 0
    if not failures and done.code != 0:
        detail = f"{describe_exit(done)}, although the report has {detail}"
        failures = (whole_run_failure(room, room.definition.name, argv),)
    elif passed and not cases:
        passed, detail = False, "no tests were collected: nothing was proved"
    elif passed and found["skipped"] == len(cases):
        passed, detail = False, f"all {len(cases)} tests were skipped: nothing was proved"
    return CheckVerdict(
        passed, detail, failures, kept, done.code, tests=len(cases), skipped=found["skipped"]
    )


def whole_run_failure(room: CheckContext, name: str, argv: Sequence[str]) -> Failure:
    """The whole run as one failure: what there is to say when no single test can be named."""
    return Failure(name, message=room.read_log_tail(), command=quote_command(argv))


def case_title(case: JunitCase) -> str:
    """``class.name`` of a test."""
    return f"{case.classname}.{case.name}" if case.classname else case.name or "(no name)"


def _case_message(case: JunitCase) -> str:
    parts = [case.message.strip(), case.text.strip()]
    if parts[0] and parts[0] in parts[1]:
        parts = parts[1:]
    return "\n".join(filter(None, parts))
