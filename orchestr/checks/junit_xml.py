"""Reading JUnit XML: what pytest, surefire, gotestsum, jest and many others write.

The report was written by programs that an agent may have changed, so it is read with suspicion: see
`orchestr.checks.untrusted_xml`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from orchestr.checks.untrusted_xml import (
    BadReport,
    parse_untrusted,
    read_report_file,
    refuse_large,
)

__all__ = [
    "BadReport", "JunitCase", "count_statuses", "format_counts", "parse_report", "read_reports",
]  # fmt: skip

TEXT = 16384  # characters of one message; the ends are kept
CASES = 500_000


@dataclass(slots=True)
class JunitCase:
    """One test. ``status`` is passed, failed, error or skipped."""

    name: str
    classname: str = ""
    file: str = ""
    status: str = "passed"
    message: str = ""
    text: str = ""


@dataclass(slots=True)
class _ReportReader:
    cases: list[JunitCase] = field(default_factory=list)
    depth: int = 0
    rooted: bool = False
    _case: JunitCase | None = None
    _case_depth: int = 0
    _suite_files: list[str] = field(default_factory=list)
    _in_problem: int = 0
    _parts: list[str] = field(default_factory=list)
    _size: int = 0

    def start_element(self, tag: str, attrs: dict[str, str]) -> None:
        self.depth += 1
        if not self.rooted:
            if tag not in ("testsuites", "testsuite"):
                raise BadReport(f"is not JUnit XML, it starts with <{tag[:40]}>")
            self.rooted = True
        if tag == "testsuite":
            self._suite_files.append(attrs.get("file") or attrs.get("filepath") or "")
        elif tag == "testcase" and self._case is None:
            file = attrs.get("file") or next(filter(None, reversed(self._suite_files)), "")
            self._case = JunitCase(attrs.get("name", ""), attrs.get("classname", ""), file)
            self._case_depth = self.depth
            self.cases.append(self._case)
            if len(self.cases) > CASES:
                raise BadReport(f"more than {CASES} tests")
        elif self._case is not None and self.depth == self._case_depth + 1:
            self._record_problem(tag, attrs)

    def _record_problem(self, tag: str, attrs: dict[str, str]) -> None:
        case = self._case
        status = {"failure": "failed", "error": "error", "skipped": "skipped"}.get(tag)
        if case is None or status is None:
            return
        # A test can fail and then err in its teardown: the first bad news counts.
        if case.status in ("passed", "skipped"):
            case.status = status
            case.message = attrs.get("message") or attrs.get("type") or ""
        self._in_problem = self.depth
        self._parts, self._size = [], 0

    def add_text(self, text: str) -> None:
        if self._in_problem and self._size < 4 * TEXT:
            self._parts.append(text)
            self._size += len(text)

    def end_element(self, tag: str) -> None:
        if self._in_problem == self.depth and self._case is not None:
            text = "".join(self._parts)
            if not self._case.text:
                self._case.text = (
                    text if len(text) <= TEXT else text[:1000] + "\n...\n" + text[1000 - TEXT :]
                )
            self._in_problem = 0
        if tag == "testcase" and self.depth == self._case_depth:
            self._case = None
        elif tag == "testsuite" and self._suite_files:
            self._suite_files.pop()
        self.depth -= 1


def parse_report(data: bytes) -> list[JunitCase]:
    """The tests of one report. Raises BadReport."""
    refuse_large(data)
    reader = _ReportReader()
    parse_untrusted(data, reader.start_element, reader.end_element, reader.add_text)
    if not reader.rooted:
        raise BadReport("is empty")
    return reader.cases


def read_reports(paths: Iterable[Path]) -> list[JunitCase]:
    """The tests of several reports. Raises BadReport naming the file."""
    cases: list[JunitCase] = []
    for path in paths:
        cases += read_report_file(path, parse_report)
    return cases


def count_statuses(cases: Iterable[JunitCase]) -> dict[str, int]:
    """How many of each status."""
    found = {"passed": 0, "failed": 0, "error": 0, "skipped": 0}
    for case in cases:
        found[case.status] += 1
    return found


def format_counts(found: dict[str, int]) -> str:
    """``12 passed, 1 failed, 2 skipped``."""
    words = {"passed": "passed", "failed": "failed", "error": "errors", "skipped": "skipped"}
    return ", ".join(f"{n} {words[key]}" for key, n in found.items() if n) or "no tests"
