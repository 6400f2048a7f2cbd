"""Kind `junit`: any program that leaves JUnit XML (go with gotestsum, mvn, npm and others)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestr.checks import junit_xml
from orchestr.checks.base import Failed, Failure, Verdict, decide, shown
from orchestr.checks.junit_xml import Case
from orchestr.checks.room import Room, fresh, stamps
from orchestr.checks.runner import Runner
from orchestr.process.run import Completed
from orchestr.spec.checks import JunitCheck


class Junit(Runner[JunitCheck]):
    """The reports decide together with the exit code; either can fail the check."""

    def judge(self, room: Room) -> Verdict:
        wanted = self._definition
        before = stamps(room.find(wanted.reports))
        done = room.run(wanted.run)
        found, old = fresh(room.find(wanted.reports), before)
        missing = [glob for glob, paths in found.items() if not paths]
        reports = list(dict.fromkeys(path for paths in found.values() for path in paths))
        if not reports:
            detail = f"{decide(done)}; no report was written ({', '.join(wanted.reports)})"
            if old:
                detail += f"; {old} of an earlier run do not count: make the tests really run"
            raise Failed(detail, whole(room, wanted.name, wanted.run), exit=done.code)
        try:
            cases = junit_xml.read(reports)
        except junit_xml.BadReport as error:
            detail = f"{decide(done)}; the report {error}"
            raise Failed(detail, whole(room, wanted.name, wanted.run), exit=done.code) from None
        kept, _ = room.keep(reports)
        if missing:
            detail = f"{decide(done)}; no report was written for {', '.join(missing)}"
            raise Failed(detail, whole(room, wanted.name, wanted.run), exit=done.code)
        return verdict(room, done, cases, kept, wanted.run, lambda _: shown(wanted.run))


def verdict(
    room: Room,
    done: Completed,
    cases: Sequence[Case],
    kept: tuple[str, ...],
    argv: Sequence[str],
    again: Callable[[Case], str],
) -> Verdict:
    """What tests and exit code say together; no test that ran is no proof (row D89)."""
    found = junit_xml.tally(cases)
    detail = junit_xml.counted(found)
    failures = tuple(
        Failure(title(case), case.file, _message(case), again(case))
        for case in cases
        if case.status in ("failed", "error")
    )
    passed = not failures and done.code == 0
    if not failures and done.code != 0:
        detail = f"{decide(done)}, although the report has {detail}"
        failures = (whole(room, room.definition.name, argv),)
    elif passed and not cases:
        passed, detail = False, "no tests were collected: nothing was proved"
    elif passed and found["skipped"] == len(cases):
        passed, detail = False, f"all {len(cases)} tests were skipped: nothing was proved"
    return Verdict(
        passed, detail, failures, kept, done.code, tests=len(cases), skipped=found["skipped"]
    )


def whole(room: Room, name: str, argv: Sequence[str]) -> Failure:
    """The whole run as one failure: what there is to say when no single test can be named."""
    return Failure(name, message=room.tail(), command=shown(argv))


def title(case: Case) -> str:
    """``class.name`` of a test."""
    return f"{case.classname}.{case.name}" if case.classname else case.name or "(no name)"


def _message(case: Case) -> str:
    parts = [case.message.strip(), case.text.strip()]
    if parts[0] and parts[0] in parts[1]:
        parts = parts[1:]
    return "\n".join(filter(None, parts))
