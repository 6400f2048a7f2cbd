"""`logs FEATURE:CELL [-f] [--attempt N] [--since T] [--grep RE] [--raw]`: what the agent did.

A transcript of gigabytes opens at once: it is read from the end, or from where `--since` begins,
a line at a time. `-f` goes on over attempts until nothing works on the cell any more.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orchestr.cell import attempt as attempts
from orchestr.cell.context import CellContext
from orchestr.cell.drive import is_alive
from orchestr.cell.givingback import MARK as GIVEN_BACK
from orchestr.cell.records import TRANSCRIPT
from orchestr.cell.starting import secrets_of
from orchestr.commands.options import flag, value
from orchestr.commands.plain_verb import PlainVerb
from orchestr.commands.report import say
from orchestr.commands.session import Session
from orchestr.errors import UsageError
from orchestr.lifecycle import replay, settle
from orchestr.locks import read_lease
from orchestr.redaction import redact, secret_values
from orchestr.render import transcript
from orchestr.render.seek import offset_of, time_of
from orchestr.render.story import Teller, painted
from orchestr.render.text import moment
from orchestr.spec.values import parse_duration
from orchestr.states import CellState

LAST = 200  # lines, where nothing else is asked for
LOOK = 1.0  # s between two looks at whether anything works on the cell still
ALL = 1 << 40


class Logs(PlainVerb):
    """The transcript for people; `--raw` is the stream as it was written."""

    doc_purpose = "what a cell's agent said and did"
    doc_usage = "FEATURE:CELL"
    cmd_options = (
        flag("follow", "go on while anything works on the cell, over attempts", short="f"),
        flag("raw", "the JSON lines as they are"),
        flag("plan", "of the plan (cells with approve: plan)"),
        flag("full", "fold nothing: whole results and diffs"),
        value("attempt", "an earlier attempt (default: the newest)", type_=int),
        value("last", f"only so many lines (default {LAST}; 0: all)", short="l", type_=int),
        value("since", "only what is newer: 90s, 10m, 2h, 12:30 or 2026-05-18T12:30"),
        value("grep", "only what matches this regular expression, in the whole transcript"),
    )

    def act(self, session: Session, params: Any, args: list[str]) -> int:
        """Print the transcript of one cell."""
        if len(args) != 1:
            raise UsageError("`logs` wants one cell", hint="orchestr logs FEATURE:CELL")
        ctx = session.cell(args[0])
        watch = Watch(ctx)
        newest = attempts.current(ctx.dir) or attempts.newest_plan(ctx.dir)
        plans = params["plan"] or (newest is not None and newest.number < 0)
        numbers = attempts.plans if plans else attempts.numbers
        what = "plan" if plans else "attempt"
        known = numbers(ctx.dir)
        while not known and params["follow"] and not watch.over():
            time.sleep(LOOK / 4)
            known = numbers(ctx.dir)
        if not known:
            raise UsageError(f"{ctx.name} has no {what} yet", hint=f"orchestr run {ctx.name}")
        number = params["attempt"] or known[-1]
        number = -abs(number) if plans else number
        if number not in known:
            names = ", ".join(str(abs(n)) for n in known)
            raise UsageError(f"{ctx.name} has no {what} {abs(number)}", hint=f"{what}s: {names}")
        printer = Printer(params)
        while True:
            head(ctx, number)
            path = attempts.folder(ctx.dir, number) / TRANSCRIPT
            printer.begin(secrets_of(path.parent))
            for line in chosen(path, params, printer.since, watch.ended(number)):
                printer.line(line)
            later = [n for n in attempts.numbers(ctx.dir) if n > number]
            if not later or not params["follow"] or params["attempt"]:
                return 0
            number = later[0]
            params["last"] = 0  # what comes now is new


def head(ctx: CellContext, number: int) -> None:
    """Which attempt it is and how it stands, on stderr."""
    record = attempts.read(ctx.dir, number)
    if record is not None:
        why = record.reason.removeprefix(f"cell {ctx.name}: ")
        folder = attempts.folder(ctx.dir, number)
        back = ", given back once" if (folder / GIVEN_BACK).exists() else ""
        ended = f", {record.outcome}: {why}" if why else ""
        say(f"{record.words} of {ctx.name}, {record.agent}, {record.state}{back}{ended}")


class Watch:
    """Whether anything works on a cell still: its agent, or a run that has not come to its end."""

    def __init__(self, ctx: CellContext) -> None:
        self._ctx = ctx
        self._looked = float("-inf")
        self._over = False

    def ended(self, number: int) -> Callable[[], bool]:
        """Whether this attempt's transcript can grow no more."""

        def ended() -> bool:
            record = attempts.read(self._ctx.dir, number)
            if record is not None and is_alive(self._ctx.dir, record):
                return False
            if any(n > number for n in attempts.numbers(self._ctx.dir)):
                return True
            return self.over()

        return ended

    def over(self) -> bool:
        """Whether the cell is at rest; looked at once a second."""
        if time.monotonic() - self._looked >= LOOK:
            self._looked = time.monotonic()
            run = self._ctx.run
            live = read_lease(run.layout.lease(run.feature.name)) is not None
            if not live:
                self._over = True
            else:
                cell = settle(replay(run.journal.read()), live).cell(self._ctx.cell.name)
                self._over = not (cell.state.is_moving or cell.state is CellState.PENDING)
        return self._over


def chosen(
    path: Path, params: Any, since: datetime | None, ended: Callable[[], bool]
) -> Iterable[bytes]:
    """The lines of a transcript that the options ask for."""
    last = params["last"]
    if last is None:
        last = 0 if since or params["grep"] else LAST
    if params["follow"]:
        if since and path.exists():
            return _from(path, offset_of(path, since), ended)
        return transcript.follow(path, last or ALL, ended)
    if not path.exists():
        return ()
    if since:
        lines = transcript.read(path, offset_of(path, since))
        return lines if not last else _newest(lines, last)
    return transcript.tail(path, last) if last else transcript.read(path)


def _newest(lines: Iterable[bytes], count: int) -> Iterable[bytes]:
    from collections import deque

    return deque(lines, maxlen=count)


def _from(path: Path, offset: int, ended: Callable[[], bool]) -> Iterator[bytes]:
    """From there to the end, then what comes."""
    size = path.stat().st_size
    position = offset
    for line in transcript.read(path, offset):
        position += len(line) + 1
        if position > size:
            break
        yield line
    yield from transcript.follow(path, 0, ended)


class Printer:
    """Lines to stdout: told or raw, chosen by time and pattern, without secrets."""

    def __init__(self, params: Any) -> None:
        self._raw, self._full = bool(params["raw"]), bool(params["full"])
        self._grep = _pattern(params["grep"])
        self.since = since_of(params["since"], datetime.now(UTC))
        self._secrets: frozenset[str] = frozenset()
        terminal = sys.stdout.isatty()
        self._colour = terminal and "NO_COLOR" not in os.environ
        self._columns = shutil.get_terminal_size().columns if terminal else 0
        self._teller = Teller(self._full)
        self._at: datetime | None = None

    def begin(self, secrets: Iterable[str]) -> None:
        """Another transcript."""
        self._secrets = frozenset(secrets) | secret_values(os.environ)
        self._teller, self._at = Teller(self._full), None

    def line(self, raw: bytes) -> None:
        """Print one line of the transcript, if it is asked for."""
        if self._raw:
            self._at = (time_of(raw) if self.since else None) or self._at
            texts = [raw.decode("utf-8", "replace").rstrip("\n")]
        else:
            told = [(redact(t, self._secrets), style) for t, style in self._teller.tell(raw)]
            self._at = self._teller.at
            texts = [text for text, _style in told]
        if self.since and self._at and self._at < self.since:
            return
        if self._grep and not any(self._grep.search(text) for text in texts):
            return
        if self._raw:
            texts = [redact(text, self._secrets) for text in texts]
        else:
            texts = painted(told, self._columns, self._colour)
        for text in texts:
            sys.stdout.write(text + "\n")
        sys.stdout.flush()


def since_of(text: str | None, now: datetime) -> datetime | None:
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
        at = moment(text) if "-" in text else None
        return at or now - timedelta(seconds=parse_duration(text))
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"--since: {error}", hint="90s, 10m, 2h, 12:30 or 2026-05-18T12:30"
        ) from error


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise UsageError(
            f"--grep: {error}", hint="a regular expression, e.g. 'FAIL|error'"
        ) from error
