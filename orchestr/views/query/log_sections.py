"""What `logs` can show of a cell, in the order of time: starts of its agents, checks, reviews.

A section is a part of a transcript (an attempt's agent writes one file over its repairs; a file
says where each start begins) or the lines of checks that ran between them. Reads small records
only, so that `logs --follow` can ask again and again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestr.cell.agent import verdict as opinions
from orchestr.cell.agent.launch import start_offsets
from orchestr.cell.agent.return_to_author import MARK as GIVEN_BACK
from orchestr.cell.agent.run_reviewers import REQUEST
from orchestr.cell.context import CellContext
from orchestr.state import attempts, repairs
from orchestr.state.attempts import Attempt
from orchestr.state.repairs import RepairRound
from orchestr.state.results import TRANSCRIPT
from orchestr.supervisor.protocol import EXIT, SUPERVISOR
from orchestr.views.logs.events import Line
from orchestr.views.query.evidence import (
    CheckRun,
    ReviewRecord,
    read_check_runs,
    read_json_object,
    read_reviews,
)
from orchestr.views.terminal.text import clean_line, format_clock, headline

AUTHOR, REVIEWER, CHECKS = "author", "reviewer", "checks"


@dataclass(frozen=True, slots=True)
class LogSection:
    """``path`` from ``start`` to ``end`` (None: its end, which may grow), or ``lines``.

    ``after`` comes after the whole output: a reviewer's verdict.
    """

    kind: str
    title: str
    at: str
    attempt: int
    folder: Path
    path: Path | None = None
    start: int = 0
    end: int | None = None
    lines: tuple[Line, ...] = ()
    after: tuple[Line, ...] = ()
    name: str = ""
    ended_at: str = ""
    agent: str = ""  # whose stream ``path`` is

    @property
    def key(self) -> tuple[str, int]:
        """What it is, however far it has come."""
        return str(self.path or self.folder), self.start


def read_sections(ctx: CellContext, numbers: list[int]) -> list[LogSection]:
    """All that there is of these attempts (negative: plans), in the order in which it began."""
    found = [part for number in numbers for part in _attempt_sections(ctx, number)]
    return sorted(found, key=lambda part: part.at)


def _attempt_sections(ctx: CellContext, number: int) -> Iterator[LogSection]:
    folder = attempts.attempt_folder(ctx.dir, number)
    record = attempts.read_attempt(ctx.dir, number)
    if record is not None:
        yield from _author_sections(ctx, record, folder)
    yield from (_check_section(run, number) for run in read_check_runs(ctx, number) if run.rows)
    yield from (_review_section(one, number) for one in read_reviews(ctx, number))


# ---- the author --------------------------------------------------------------------------------


def _author_sections(ctx: CellContext, record: Attempt, folder: Path) -> Iterator[LogSection]:
    path, known = folder / TRANSCRIPT, repairs.read_rounds(ctx.dir, record.number)
    offsets = [0, *start_offsets(folder)]
    times = list(_read_start_end_times(folder))
    for index, offset in enumerate(offsets):
        end = offsets[index + 1] if index + 1 < len(offsets) else None
        began, ended = times[index] if index < len(times) else ("", "")
        at = began or (record.opened_at if not index else times[-1][1] if times else "")
        start = _describe_start(ctx, record, known, index, folder)
        title = f"{start}, {record.agent}, {format_clock(at)}"
        if index == len(offsets) - 1:
            why = headline(record.reason.removeprefix(f"cell {ctx.name}: "))
            back = ", given back once" if (folder / GIVEN_BACK).exists() else ""
            state = "closed" if not record.is_open else "open" if not index else "at work"
            title += f", {state}{back}" + (f", {record.outcome}: {why}" if why else "")
        yield LogSection(AUTHOR, title, at, record.number, folder, path, offset, end,
                      ended_at=ended, agent=record.agent)  # fmt: skip


def _describe_start(
    ctx: CellContext, record: Attempt, known: list[RepairRound], index: int, folder: Path
) -> str:
    """What the agent was started for."""
    if not index:
        return f"{record.label} of {ctx.name}"
    mine = [one for one in known if one.starts <= index]
    if not mine:
        return f"{record.label} of {ctx.name} goes on"
    newest = mine[-1]
    goes_on = "" if newest.starts == index else " goes on"
    return f"repair {newest.number} of {record.label}{goes_on}: {clean_line(headline(newest.why))}"


def _read_start_end_times(folder: Path) -> Iterator[tuple[str, str]]:
    """Begin and end of every start, the oldest first."""
    number = 1
    while (row := read_json_object(folder / f"exit.{number}.json")) is not None:
        yield _get_text(row, "started_at"), _get_text(row, "finished_at")
        number += 1
    row = read_json_object(folder / EXIT)
    if row is not None:
        yield _get_text(row, "started_at"), _get_text(row, "finished_at")
    elif (row := read_json_object(folder / SUPERVISOR)) is not None:
        yield _get_text(row, "started_at"), ""


# ---- reviewers ---------------------------------------------------------------------------------


def _review_section(one: ReviewRecord, number: int) -> LogSection:
    times = list(_read_start_end_times(one.folder))
    began, ended = (times[0][0], times[-1][1]) if times else ("", "")
    said = "no answer" if ended else "reads"
    after: tuple[Line, ...] = ()
    if one.opinion is not None:
        said, after = one.opinion.verdict, tuple(_verdict_lines(one.opinion))
    who = one.reviewer if one.reviewer == one.agent else f"{one.reviewer} ({one.agent})"
    of = f"review {one.place} of attempt {number} by {who}"
    title = f"{of}, {format_clock(began)}, of {one.head[:10]}: {said}"
    at = began or _modification_time(one.folder / REQUEST)
    return LogSection(REVIEWER, title, at, number, one.folder, one.folder / TRANSCRIPT,
                   name=one.reviewer, after=after, ended_at=ended, agent=one.agent)  # fmt: skip


def _verdict_lines(opinion: opinions.ReviewerOpinion) -> Iterator[Line]:
    """What it came to, as `orchestr` understood it."""
    blocking = set(opinion.blockers)
    for issue in opinion.issues:
        bad = issue in blocking
        where = f" ({', '.join(issue.places)})" if issue.places else ""
        unproven = " without evidence" if issue.severity == "blocker" and not bad else ""
        text = f"{issue.severity}{unproven}: {clean_line(issue.title + where)}"
        yield f"{'✗' if bad else '·'} {text}", "bold red" if bad else "yellow"
        if bad:
            yield f"  │ {clean_line(issue.evidence)}", "red"
    if not opinion.issues:
        yield "✓ no issues", "bold green"


# ---- checks ------------------------------------------------------------------------------------


def _check_section(run: CheckRun, number: int) -> LogSection:
    missing = sum(row.get("unavailable") is True for row in run.rows)
    red = len(run.red_rows) - missing
    came = f"{red} of {len(run.rows)} red" if red else f"{len(run.rows) - missing} passed"
    came += f", {missing} not evaluated" if missing else ""
    of = f"attempt {number}" if number else "a person's commits"
    path = run.folder / "results.json"
    at = _format_iso(run.at) if run.at is not None else _modification_time(path)
    title = f"checks of {of}, {format_clock(at)}, of {run.head[:10]}: {came}"
    lines = tuple(line for row in run.rows for line in _check_result_lines(row))
    return LogSection(
        CHECKS, title, at, number, run.folder, lines=lines, ended_at=_modification_time(path)
    )


def _check_result_lines(row: Mapping[str, Any]) -> Iterator[Line]:
    good = row.get("passed") is True
    name, detail = (
        clean_line(_get_text(row, "name")),
        clean_line(headline(_get_text(row, "detail"))),
    )
    cached = " (cached)" if row.get("cached") is True else ""
    if row.get("unavailable") is True:
        yield f"! {name}: not evaluated: {detail}", "yellow"
    else:
        yield f"{'✓' if good else '✗'} {name}: {detail}{cached}", "green" if good else "bold red"
    if good:
        return
    for failure in row.get("failures") or ():
        if isinstance(failure, dict):
            lines = _get_text(failure, "message").splitlines()
            yield from ((f"  │ {clean_line(line)}", "red") for line in lines[-6:] if line.strip())
    if _get_text(row, "log"):
        yield f"  log: {clean_line(_get_text(row, 'log'))}", "dim"


# ---- small things ------------------------------------------------------------------------------


def _get_text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""


def _format_iso(seconds: float) -> str:
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return ""


def _modification_time(path: Path) -> str:
    try:
        return _format_iso(path.stat().st_mtime)
    except OSError:
        return ""
