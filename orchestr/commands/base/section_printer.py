"""Sections of a cell's log to stdout: formatted or raw, chosen by time and pattern.

Owns headings, colours, the choice of lines and that no secret is printed. Which sections there are
is `orchestr.views.query.log_sections`'.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orchestr.cell.agent.launch import launch_secrets
from orchestr.errors import UsageError
from orchestr.process.redaction import redact, secret_values
from orchestr.settings.records import Settings
from orchestr.spec.field_types import parse_duration
from orchestr.views.logs.dialect import event_parser
from orchestr.views.logs.events import Line
from orchestr.views.logs.seek import time_of_line
from orchestr.views.logs.transcript_events import TranscriptFormatter, paint_lines
from orchestr.views.query.log_sections import LogSection
from orchestr.views.terminal.door import write_exact_json
from orchestr.views.terminal.output import print_stderr
from orchestr.views.terminal.text import parse_local_time


class SectionPrinter:
    """Lines to stdout: formatted or raw, chosen by time and pattern, without secrets.

    Every section has a heading; where only some lines or the raw stream are asked for it goes to
    stderr, and only when something follows it.
    """

    def __init__(
        self, params: Any, settings: Settings, write: Callable[[str], object] | None = None
    ) -> None:
        self._settings = settings
        self._given = write  # who takes the text, in place of stdout
        self._raw, self._full = bool(params["raw"]), bool(params["full"])
        self._grep = _compile_pattern(params["grep"])
        self.since = parse_since(params["since"], datetime.now(UTC))
        self._lazy = bool(self._grep or self.since)
        self._secrets: frozenset[str] = frozenset()
        terminal = write is None and sys.stdout.isatty()
        self._colour = terminal and "NO_COLOR" not in os.environ
        self._columns = shutil.get_terminal_size().columns if terminal else 0
        self._tellers: dict[Path, TranscriptFormatter] = {}
        self._teller = TranscriptFormatter(self._full)
        self._at: datetime | None = None
        self._part: LogSection | None = None
        self._heading = ""  # to be said before the next line
        self._first = True

    def begin_section(self, part: LogSection) -> None:
        """Another section, or nothing new if it is the same one still."""
        if self._part is not None and self._part.key == part.key:
            self._part = part
            return
        self._part = part
        self._secrets = launch_secrets(part.folder) | secret_values(os.environ)
        if part.path is not None:
            if part.path not in self._tellers:
                parse = event_parser(self._settings, part.agent)
                self._tellers[part.path] = TranscriptFormatter(self._full, parse)
            self._teller = self._tellers[part.path]
        self._at = None
        self._heading = f"== {redact(part.title, self._secrets)}"
        if not self._lazy:
            self._print_heading()

    def _print_heading(self) -> None:
        heading, self._heading = self._heading, ""
        if not heading:
            return
        if self._raw or self._grep:
            print_stderr(heading)
            return
        gap = "" if self._first else "\n"
        self._first = False
        line = paint_lines([(heading, "bold")], self._columns, self._colour)[0]
        self._write(f"{gap}{line}\n")

    def print_line(self, raw: bytes) -> None:
        """Print one line of the transcript, if it is asked for."""
        told: list[Line] = []
        if self._raw:
            self._at = (time_of_line(raw) if self.since else None) or self._at
            texts = [raw.decode("utf-8", "replace").rstrip("\n")]
        else:
            told = [
                (redact(t, self._secrets), style) for t, style in self._teller.format_record(raw)
            ]
            self._at = self._teller.at
            texts = [text for text, _style in told]
        if self.since and self._at and self._at < self.since:
            return
        if self._grep and not any(self._grep.search(text) for text in texts):
            return
        if self._raw:
            texts = [redact(text, self._secrets) for text in texts]
        else:
            texts = paint_lines(told, self._columns, self._colour)
        self._write_lines(texts, write_exact_json if self._raw else self._write)

    def print_results(self, part: LogSection) -> None:
        """The lines of checks, or what a review came to."""
        if self._raw:
            return
        ended = parse_local_time(part.ended_at)
        if self.since and ended is not None and ended < self.since:
            return
        told = [(redact(text, self._secrets), style) for text, style in (*part.lines, *part.after)]
        if self._grep:
            told = [line for line in told if self._grep.search(line[0])]
        self._write_lines(paint_lines(told, self._columns, self._colour), self._write)

    def _write(self, text: str) -> None:
        (self._given or sys.stdout.write)(text)

    def _write_lines(self, texts: list[str], write: Callable[[str], object]) -> None:
        if texts:
            self._print_heading()
        for text in texts:
            write(text + "\n")
        sys.stdout.flush()


def parse_since(text: str | None, now: datetime) -> datetime | None:
    """`10m` ago, `12:30` today (or yesterday, if that is still to come), or a whole time."""
    if not text:
        return None
    clock = re.fullmatch(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", text)
    try:
        if clock:
            hour, minute, second = (int(part or 0) for part in clock.groups())
            local = now.astimezone()
            found = local.replace(hour=hour, minute=minute, second=second, microsecond=0)
            return found if found <= local else found - timedelta(days=1)
        at = parse_local_time(text) if "-" in text else None
        return at or now - timedelta(seconds=parse_duration(text))
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"--since: {error}", hint="90s, 10m, 2h, 12:30 or 2026-05-18T12:30"
        ) from error


def _compile_pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise UsageError(
            f"--grep: {error}", hint="a regular expression, e.g. 'FAIL|error'"
        ) from error
