"""`logs FEATURE:CELL [-f] [--attempt N] [--review NAME] [--since T] [--grep RE] [--raw]`.

What the cell's agents did, in the order of time: attempts, the repairs in them, reviews, and what
the checks between them came to (`select_sections`). A transcript of gigabytes opens at once: it is
read from the end, or from where `--since` begins, a line at a time. `-f` continues over attempts,
repairs
and reviews until nothing works on the cell any more.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from orchestr.cell.agent.stop_agent import has_running_agent
from orchestr.cell.context import CellContext
from orchestr.commands.base.log_choice import (
    SectionFilter,
    print_sections,
    select_last_lines,
)
from orchestr.commands.base.options import flag_option, value_option
from orchestr.commands.base.section_printer import SectionPrinter
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import UsageError
from orchestr.process.lease import read_lease
from orchestr.run.workspace import Session
from orchestr.state import attempts
from orchestr.state.replay import replay, reset_interrupted
from orchestr.state.states import CellState
from orchestr.views.logs import transcript
from orchestr.views.logs.seek import find_offset
from orchestr.views.query.log_sections import LogSection
from orchestr.views.terminal.output import print_stderr

LAST = 200  # lines, where nothing else is asked for
LOOK = 1.0  # s between two looks at whether anything works on the cell still
POLL = 0.2  # s between two looks at what grew


class Logs(PlainVerb):
    """Transcripts for people; `--raw` is the stream as it was written."""

    doc_purpose = "what a cell's agents said and did"
    doc_usage = "FEATURE:CELL"
    help_group = "view"
    only_reads = True
    examples = (
        ("logs mlkem:java-sdk", "the end of it: attempts, repairs, checks and reviews in order"),
        ("logs mlkem:java-sdk --reviews", "what its reviewers said"),
        ("logs mlkem:java-sdk -f", "what it does now, until nothing works on it"),
        ("logs mlkem:java-sdk --since 10m --grep 'FAIL|error'", "the failures of late"),
        ("logs mlkem:java-sdk --attempt 1 --last 0", "all of an earlier attempt"),
    )
    cmd_options = (
        flag_option("follow", "go on while anything works on the cell, over attempts", short="f"),
        flag_option("raw", "the JSON lines of the newest attempt (or of a review) as they are"),
        flag_option("plan", "only of plans (cells with approve: plan)"),
        flag_option("reviews", "only what the reviewers said"),
        value_option("review", "only what the reviewer of that name said"),
        flag_option("full", "fold nothing: whole results and diffs"),
        value_option("attempt", "only of this attempt, its repairs and reviews", type_=int),
        value_option("last", f"only so many lines (default {LAST}; 0: all)", short="l", type_=int),
        value_option("since", "only what is newer: 90s, 10m, 2h, 12:30 or 2026-05-18T12:30"),
        value_option("grep", "only what matches this regular expression, in all of it"),
    )

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Print what there is of one cell."""
        if len(args) != 1:
            raise UsageError("`logs` wants one cell", hint="orchestr logs FEATURE:CELL")
        ctx = session.select_cell(args[0])
        wanted = SectionFilter(ctx, params)
        printer = SectionPrinter(params, ctx.run.settings)
        watch = ActivityWatch(ctx)
        while params["follow"] and not wanted.attempt_numbers() and not watch.is_at_rest():
            time.sleep(LOOK / 4)
        found = wanted.select_sections()
        if not found and not (params["follow"] and not watch.is_at_rest()):
            raise wanted.make_empty_error()
        last = params["last"]
        if last is None:
            last = 0 if params["since"] or params["grep"] else LAST
        if params["follow"]:
            LogFollower(wanted, watch, printer).follow_sections(found, last)
            return 0
        if not print_sections(found, last, printer):
            print_stderr(f"(the last {last} lines; all of it: orchestr logs {ctx.name} --last 0)")
        return 0


class LogFollower:
    """Prints new lines of every section until the cell is at rest."""

    def __init__(
        self, wanted: SectionFilter, watch: ActivityWatch, printer: SectionPrinter
    ) -> None:
        self._wanted, self._watch, self._printer = wanted, watch, printer
        self._files: dict[Path, transcript.GrowingFile] = {}
        self._told: set[tuple[str, int]] = set()  # checks, and verdicts that are out

    def follow_sections(self, found: list[LogSection], last: int) -> None:
        """The last lines of what is there, then the rest as it comes."""
        first = {part.key: lines for part, lines in select_last_lines(found, last)[0]}
        for part in found:
            old = part.key not in first
            if old and (part.path is None or part.after):
                self._told.add(part.key)
            if part.path is None:
                continue
            start = (
                (part.end or _file_size(part.path))
                if old
                else self._find_start_offset(part, first[part.key])
            )
            growing = self._files.setdefault(part.path, transcript.GrowingFile(part.path, start))
            if old or first[part.key] is not None:
                growing.position = start  # what is before it is old
        while True:
            over = self._watch.is_at_rest()
            self._print_new_lines()
            if over:
                break
            time.sleep(POLL)
        for growing in self._files.values():
            for line in growing.read_torn_end():
                self._printer.print_line(line)

    def _find_start_offset(self, part: LogSection, lines: list[bytes] | None) -> int:
        """Where the first line that is shown begins."""
        since = self._printer.since
        assert part.path is not None
        if since and part.path.exists():
            return max(part.start, find_offset(part.path, since))
        if not lines:
            return part.start
        end = part.end or _file_size(part.path)
        return max(end - sum(len(line) + 1 for line in lines), part.start)

    def _print_new_lines(self) -> None:
        for part in self._wanted.select_sections():
            if part.path is None:
                if part.key not in self._told:
                    self._told.add(part.key)
                    self._printer.begin_section(part)
                    self._printer.print_results(part)
                continue
            if part.path not in self._files:
                self._files[part.path] = transcript.GrowingFile(part.path, part.start)
            for line in self._files[part.path].read_new_lines(part.end):
                self._printer.begin_section(part)
                self._printer.print_line(line)
            if part.after and part.key not in self._told:
                self._told.add(part.key)
                self._printer.begin_section(part)
                self._printer.print_results(part)


def _file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class ActivityWatch:
    """Whether anything works on a cell still: its agent, or a run that has not come to its end."""

    def __init__(self, ctx: CellContext) -> None:
        self._ctx = ctx
        self._looked = float("-inf")
        self._over = False

    def is_at_rest(self) -> bool:
        """Whether the cell is at rest; looked at once a second."""
        if time.monotonic() - self._looked >= LOOK:
            self._looked = time.monotonic()
            self._over = self._check_at_rest()
        return self._over

    def _check_at_rest(self) -> bool:
        record = attempts.current_attempt(self._ctx.dir)
        if record is not None and has_running_agent(self._ctx.dir, record):
            return False
        run = self._ctx.run
        live = read_lease(run.layout.lease_file(run.feature.name)) is not None
        if not live:
            return True
        cell = reset_interrupted(replay(run.journal.read()), live).cell(self._ctx.cell.name)
        return not (cell.state.is_moving or cell.state is CellState.PENDING)
