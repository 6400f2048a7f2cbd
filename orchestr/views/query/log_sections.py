"""What `logs` can tell of a cell, in the order of time: starts of its agents, checks, reviews.

A section is a part of a transcript (an attempt's agent writes one file over its repairs; a file
says where each start begins) or the lines of checks that ran between them. Reads small records
only, so that it may be asked again and again while somebody follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestr.cell.agent import verdict as opinions
from orchestr.cell.agent.launch import begins
from orchestr.cell.agent.return_to_author import MARK as GIVEN_BACK
from orchestr.cell.agent.run_reviewers import REQUEST
from orchestr.cell.context import CellContext
from orchestr.state import attempts, repairs
from orchestr.state.attempts import Attempt
from orchestr.state.repairs import Round
from orchestr.state.results import TRANSCRIPT
from orchestr.supervisor.protocol import EXIT, SUPERVISOR
from orchestr.views.logs.transcript_events import Line
from orchestr.views.query.evidence import CheckRun, Heard, check_runs, heard, load
from orchestr.views.terminal.text import clean, clock, headline

AUTHOR, REVIEWER, CHECKS = "author", "reviewer", "checks"


@dataclass(frozen=True, slots=True)
class Section:
    """``path`` from ``start`` to ``end`` (None: its end, which may grow), or ``lines``.

    ``after`` comes when all of it is told: a reviewer's verdict.
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

    @property
    def key(self) -> tuple[str, int]:
        """What it is, however far it has come."""
        return str(self.path or self.folder), self.start


def sections(ctx: CellContext, numbers: list[int]) -> list[Section]:
    """All that there is of these attempts (negative: plans), in the order in which it began."""
    found = [part for number in numbers for part in _attempt(ctx, number)]
    return sorted(found, key=lambda part: part.at)


def _attempt(ctx: CellContext, number: int) -> Iterator[Section]:
    folder = attempts.folder(ctx.dir, number)
    record = attempts.read(ctx.dir, number)
    if record is not None:
        yield from _author(ctx, record, folder)
    yield from (_checked(run, number) for run in check_runs(ctx, number) if run.rows)
    yield from (_review(one, number) for one in heard(ctx, number))


# ---- the author --------------------------------------------------------------------------------


def _author(ctx: CellContext, record: Attempt, folder: Path) -> Iterator[Section]:
    path, known = folder / TRANSCRIPT, repairs.every(ctx.dir, record.number)
    offsets = [0, *begins(folder)]
    times = list(_times(folder))
    for index, offset in enumerate(offsets):
        end = offsets[index + 1] if index + 1 < len(offsets) else None
        began, ended = times[index] if index < len(times) else ("", "")
        at = began or (record.opened_at if not index else times[-1][1] if times else "")
        title = f"{_start(ctx, record, known, index, folder)}, {record.agent}, {clock(at)}"
        if index == len(offsets) - 1:
            why = headline(record.reason.removeprefix(f"cell {ctx.name}: "))
            back = ", given back once" if (folder / GIVEN_BACK).exists() else ""
            state = "closed" if not record.is_open else "open" if not index else "at work"
            title += f", {state}{back}" + (f", {record.outcome}: {why}" if why else "")
        yield Section(AUTHOR, title, at, record.number, folder, path, offset, end,
                      ended_at=ended)  # fmt: skip


def _start(ctx: CellContext, record: Attempt, known: list[Round], index: int, folder: Path) -> str:
    """What the agent was started for."""
    if not index:
        return f"{record.words} of {ctx.name}"
    mine = [one for one in known if one.starts <= index]
    if not mine:
        return f"{record.words} of {ctx.name} goes on"
    newest = mine[-1]
    goes_on = "" if newest.starts == index else " goes on"
    return f"repair {newest.number} of {record.words}{goes_on}: {clean(headline(newest.why))}"


def _times(folder: Path) -> Iterator[tuple[str, str]]:
    """Begin and end of every start, the oldest first."""
    number = 1
    while (row := load(folder / f"exit.{number}.json")) is not None:
        yield _text(row, "started_at"), _text(row, "finished_at")
        number += 1
    row = load(folder / EXIT)
    if row is not None:
        yield _text(row, "started_at"), _text(row, "finished_at")
    elif (row := load(folder / SUPERVISOR)) is not None:
        yield _text(row, "started_at"), ""


# ---- reviewers ---------------------------------------------------------------------------------


def _review(one: Heard, number: int) -> Section:
    times = list(_times(one.folder))
    began, ended = (times[0][0], times[-1][1]) if times else ("", "")
    said = "no answer" if ended else "reads"
    after: tuple[Line, ...] = ()
    if one.opinion is not None:
        said, after = one.opinion.verdict, tuple(_verdict(one.opinion))
    who = one.reviewer if one.reviewer == one.agent else f"{one.reviewer} ({one.agent})"
    of = f"review {one.place} of attempt {number} by {who}"
    title = f"{of}, {clock(began)}, of {one.head[:10]}: {said}"
    at = began or _changed(one.folder / REQUEST)
    return Section(REVIEWER, title, at, number, one.folder, one.folder / TRANSCRIPT,
                   name=one.reviewer, after=after, ended_at=ended)  # fmt: skip


def _verdict(opinion: opinions.Opinion) -> Iterator[Line]:
    """What it came to, as `orchestr` understood it."""
    blocking = set(opinion.blockers)
    for issue in opinion.issues:
        bad = issue in blocking
        where = f" ({', '.join(issue.places)})" if issue.places else ""
        unproven = " without evidence" if issue.severity == "blocker" and not bad else ""
        text = f"{issue.severity}{unproven}: {clean(issue.title + where)}"
        yield f"{'✗' if bad else '·'} {text}", "bold red" if bad else "yellow"
        if bad:
            yield f"  │ {clean(issue.evidence)}", "red"
    if not opinion.issues:
        yield "✓ no issues", "bold green"


# ---- checks ------------------------------------------------------------------------------------


def _checked(run: CheckRun, number: int) -> Section:
    came = f"{len(run.red)} of {len(run.rows)} red" if run.red else f"{len(run.rows)} passed"
    of = f"attempt {number}" if number else "a person's commits"
    path = run.folder / "results.json"
    at = _iso(run.at) if run.at is not None else _changed(path)
    title = f"checks of {of}, {clock(at)}, of {run.head[:10]}: {came}"
    lines = tuple(line for row in run.rows for line in _result(row))
    return Section(CHECKS, title, at, number, run.folder, lines=lines, ended_at=_changed(path))


def _result(row: Mapping[str, Any]) -> Iterator[Line]:
    good = row.get("passed") is True
    name, detail = clean(_text(row, "name")), clean(headline(_text(row, "detail")))
    cached = " (cached)" if row.get("cached") is True else ""
    yield f"{'✓' if good else '✗'} {name}: {detail}{cached}", "green" if good else "bold red"
    if good:
        return
    for failure in row.get("failures") or ():
        if isinstance(failure, dict):
            lines = _text(failure, "message").splitlines()
            yield from ((f"  │ {clean(line)}", "red") for line in lines[-6:] if line.strip())
    if _text(row, "log"):
        yield f"  log: {clean(_text(row, 'log'))}", "dim"


# ---- small things ------------------------------------------------------------------------------


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""


def _iso(seconds: float) -> str:
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return ""


def _changed(path: Path) -> str:
    try:
        return _iso(path.stat().st_mtime)
    except OSError:
        return ""
