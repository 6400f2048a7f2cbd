"""`logs FEATURE:CELL [-f] [--attempt N] [--raw] [--last N]`: what the agent said and did.

Read in lines, from the end: a transcript of gigabytes opens at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from orchestr.cell import attempt as attempts
from orchestr.cell.drive import is_alive
from orchestr.cell.givingback import MARK as GIVEN_BACK
from orchestr.cell.records import TRANSCRIPT
from orchestr.cell.starting import secrets_of
from orchestr.commands.options import flag, value
from orchestr.commands.plain_verb import PlainVerb
from orchestr.commands.session import Session
from orchestr.errors import UsageError
from orchestr.redaction import redact, secret_values
from orchestr.render import transcript


class Logs(PlainVerb):
    """The transcript for people; `--raw` is the stream as it was written."""

    doc_purpose = "what a cell's agent said and did"
    doc_usage = "FEATURE:CELL"
    cmd_options = (
        flag("follow", "go on while the agent works", short="f"),
        flag("raw", "the JSON lines as they are"),
        flag("plan", "of the plan (cells with approve: plan)"),
        value("attempt", "an earlier attempt (default: the newest)", type_=int),
        value(
            "last", "only so many lines (default 200; 0: all)", short="l", type_=int, default=200
        ),
    )

    def act(self, session: Session, params: Any, args: list[str]) -> int:
        """Print the transcript of one cell."""
        if len(args) != 1:
            raise UsageError("`logs` wants one cell", hint="orchestr logs FEATURE:CELL")
        ctx = session.cell(args[0])
        newest = attempts.current(ctx.dir) or attempts.newest_plan(ctx.dir)
        plans = params["plan"] or (newest is not None and newest.number < 0)
        known = attempts.plans(ctx.dir) if plans else attempts.numbers(ctx.dir)
        what = "plan" if plans else "attempt"
        if not known:
            raise UsageError(f"{ctx.name} has no {what} yet", hint=f"orchestr run {ctx.name}")
        number = params["attempt"] or known[-1]
        number = -abs(number) if plans else number
        if number not in known:
            names = ", ".join(str(abs(n)) for n in known)
            raise UsageError(f"{ctx.name} has no {what} {abs(number)}", hint=f"{what}s: {names}")
        path = attempts.folder(ctx.dir, number) / TRANSCRIPT
        record = attempts.read(ctx.dir, number)
        if record is not None:
            why = record.reason.removeprefix(f"cell {ctx.name}: ")
            back = ", given back once" if (path.parent / GIVEN_BACK).exists() else ""
            ended = f", {record.outcome}: {why}" if why else ""
            words = f"{record.words} of {ctx.name}, {record.agent}, {record.state}{back}{ended}"
            sys.stderr.write(f"{words}\n")
        if params["follow"] and record is not None:
            lines: Iterable[bytes] = transcript.follow(
                path, params["last"], lambda: not is_alive(ctx.dir, record)
            )
        else:
            lines = _lines(path, params["last"])
        secrets = secret_values(os.environ) | secrets_of(path.parent)
        for line in lines:
            text = line.decode("utf-8", "replace").rstrip("\n") if params["raw"] else None
            text = transcript.show(line) if text is None else text
            if text is not None:
                sys.stdout.write(redact(text, secrets) + "\n")
                sys.stdout.flush()
        return 0


def _lines(path: Path, last: int) -> Iterable[bytes]:
    if not path.exists():
        return ()
    return transcript.tail(path, last) if last else transcript.read(path)
