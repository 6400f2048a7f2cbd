"""Reading coverage reports: Cobertura XML, and lcov.

coverage.py, gocover-cobertura, jest, istanbul and many others write one of them. Like every report
they were written by programs that an agent may have changed, so they are read with suspicion: see
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

LINES = 5_000_000  # of one report


@dataclass(slots=True)
class CoverageReport:
    """How often each line ran: ``files`` by the name that the report gives them, then by line
    number from 1. ``sources``: the folders that the names may be in."""

    sources: list[str] = field(default_factory=list)
    files: dict[str, dict[int, int]] = field(default_factory=dict)
    count: int = 0

    def add_line(self, file: str, number: str, hits: str) -> None:
        """Note one line; where it stands several times the largest number counts. Raises
        BadReport for numbers that are none."""
        self.count += 1
        if self.count > LINES:
            raise BadReport(f"has more than {LINES} lines")
        try:
            line, times = int(number), int(float(hits))
        except (ValueError, OverflowError):
            raise BadReport(f"has a line {number[:20]!r} with {hits[:20]!r} hits") from None
        lines = self.files.setdefault(file, {})
        lines[line] = max(times, lines.get(line, 0))


def parse_coverage(data: bytes) -> CoverageReport:
    """One report; its first character says which form it has. Raises BadReport."""
    refuse_large(data)
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return _parse_cobertura(data)
    return _parse_lcov(data)


def read_coverage(path: Path) -> CoverageReport:
    """The report of a file. Raises BadReport naming it."""
    return read_report_file(path, parse_coverage)


def locate_files(report: CoverageReport, worktree: Path, cwd: Path) -> dict[str, dict[int, int]]:
    """The lines of the report's files that lie in the worktree, by their paths in it."""
    home, found = worktree.resolve(), dict[str, dict[int, int]]()
    roots = [*(cwd / source for source in report.sources), cwd, home]
    for name, lines in report.files.items():
        path = _locate_file(name, roots, home)
        if path is not None:
            _merge_lines(found.setdefault(path, {}), lines)
    return found


def merge_files(parts: Iterable[dict[str, dict[int, int]]]) -> dict[str, dict[int, int]]:
    """Several reports as one: a line that ran in any of them ran."""
    found: dict[str, dict[int, int]] = {}
    for part in parts:
        for path, lines in part.items():
            _merge_lines(found.setdefault(path, {}), lines)
    return found


def _merge_lines(into: dict[int, int], lines: dict[int, int]) -> None:
    for number, hits in lines.items():
        into[number] = max(hits, into.get(number, 0))


def _locate_file(name: str, roots: list[Path], home: Path) -> str | None:
    for root in roots:
        try:
            path = (root / name).resolve()
            if path.is_relative_to(home) and path.is_file():
                return path.relative_to(home).as_posix()
        except (OSError, ValueError):
            continue
    return None


def _parse_cobertura(data: bytes) -> CoverageReport:
    report = CoverageReport()
    names: list[str] = []
    texts: list[str] = []
    rooted = False

    def start_element(name: str, attrs: dict[str, str]) -> None:
        nonlocal rooted
        if not rooted and name != "coverage":
            raise BadReport(f"is no Cobertura XML, it starts with <{name[:40]}>")
        rooted = True
        texts.clear()
        if name == "class":
            names.append(attrs.get("filename", ""))
            report.files.setdefault(names[-1], {})
        elif name == "line" and names:
            report.add_line(names[-1], attrs.get("number", ""), attrs.get("hits", ""))

    def end_element(name: str) -> None:
        if name == "class" and names:
            names.pop()
        elif name == "source":
            report.sources.append("".join(texts).strip())

    parse_untrusted(data, start_element, end_element, texts.append)
    if not rooted:
        raise BadReport("is empty")
    return report


def _parse_lcov(data: bytes) -> CoverageReport:
    report = CoverageReport()
    name = ""
    for line in data.decode("utf-8", "replace").splitlines():
        word, _, rest = line.strip().partition(":")
        if word == "SF":
            name = rest
            report.files.setdefault(name, {})
        elif word == "DA" and name:
            number, _, hits = rest.partition(",")
            report.add_line(name, number, hits.partition(",")[0])
        elif word == "end_of_record":
            name = ""
    if not report.files:
        raise BadReport("names no file, as lcov or Cobertura XML has them")
    return report
