"""Which sections of a cell's log are asked for, and the last lines of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from orchestr.cell.context import CellContext
from orchestr.commands.base.section_printer import SectionPrinter
from orchestr.errors import UsageError
from orchestr.spec.phases import Action
from orchestr.state import attempts
from orchestr.views.logs import transcript
from orchestr.views.logs.seek import find_offset
from orchestr.views.query.log_sections import AUTHOR, REVIEWER, LogSection, read_sections
from orchestr.views.terminal.text import parse_local_time


class SectionFilter:
    """Which sections the options ask for."""

    def __init__(self, ctx: CellContext, params: Any) -> None:
        self._ctx, self._params = ctx, params

    def attempt_numbers(self) -> list[int]:
        """The attempts (plans: negative numbers) that there are and that are asked for."""
        ctx, params = self._ctx, self._params
        plans, tries = attempts.plan_numbers(ctx.dir), attempts.attempt_numbers(ctx.dir)
        known = plans if params["plan"] else [*plans, *tries]
        if params["raw"] and not params["attempt"]:
            return known[-1:]
        if params["attempt"]:
            number = -abs(params["attempt"]) if params["plan"] or not tries else params["attempt"]
            return [n for n in known if n == number]
        return [0, *known] if attempts.attempt_folder(ctx.dir, 0).is_dir() else known

    def select_sections(self) -> list[LogSection]:
        """In the order of time."""
        params = self._params
        found = read_sections(self._ctx, self.attempt_numbers())
        if params["reviews"] or params["review"]:
            name = params["review"]
            return [p for p in found if p.kind == REVIEWER and name in (None, "", p.name)]
        if params["raw"]:
            return [p for p in found if p.kind == AUTHOR]
        return found

    def make_empty_error(self) -> UsageError:
        """Why there is nothing to show."""
        ctx, params = self._ctx, self._params
        what = "plan" if params["plan"] else "attempt"
        numbers = (
            attempts.plan_numbers(ctx.dir) if params["plan"] else attempts.attempt_numbers(ctx.dir)
        )
        known = ", ".join(str(abs(n)) for n in numbers)
        if params["attempt"] and known and not self.attempt_numbers():
            return UsageError(
                f"{ctx.name} has no {what} {params['attempt']}", hint=f"{what}s: {known}"
            )
        if params["reviews"] or params["review"]:
            names = sorted({p.name for p in read_sections(ctx, numbers) if p.kind == REVIEWER})
            who = f" by {params['review']!r}" if params["review"] else ""
            hint = f"reviewers: {', '.join(names)}" if names else f"orchestr explain {ctx.name}"
            return UsageError(f"{ctx.name} has no review{who} yet", hint=hint)
        if ctx.cell.action is Action.PUSH:
            return UsageError(
                f"{ctx.name} has no agent: a person's branch is pushed as it is",
                hint=f"orchestr explain {ctx.name}",
            )
        return UsageError(f"{ctx.name} has no {what} yet", hint=f"orchestr run {ctx.name}")


def select_last_lines(
    found: list[LogSection], last: int
) -> tuple[list[tuple[LogSection, list[bytes] | None]], bool]:
    """The sections with the last lines, and whether that is all. None: the whole section."""
    if not last:
        return [(part, None) for part in found], True
    shown: list[tuple[LogSection, list[bytes] | None]] = []
    for part in reversed(found):
        if last <= 0:
            return shown[::-1], False
        if part.path is None:
            shown.append((part, None))
            last -= len(part.lines)
            continue
        lines: list[bytes] = []
        if part.path.exists():
            lines = transcript.read_tail(part.path, last + 1, part.start, part.end)
        if len(lines) > last:
            shown.append((part, lines[1:]))
            return shown[::-1], False
        shown.append((part, None))
        last -= len(lines)
    return shown[::-1], True


def print_sections(found: list[LogSection], last: int, printer: SectionPrinter) -> bool:
    """Print the last lines of the sections, 0 for all; returns whether that is all there is."""
    shown, whole = select_last_lines(found, last)
    for part, lines in shown:
        printer.begin_section(part)
        for line in read_section_lines(part, printer.since) if lines is None else lines:
            printer.print_line(line)
        printer.print_results(part)
    return whole


def read_section_lines(part: LogSection, since: datetime | None) -> Iterable[bytes]:
    """All lines of a section, from ``since`` on where that can be found."""
    if part.path is None or not part.path.exists():
        return ()
    start = part.start
    if since:
        ended = parse_local_time(part.ended_at)
        if ended is not None and ended < since:
            return ()
        start = max(start, find_offset(part.path, since))
    return transcript.read_lines(part.path, start, part.end)
