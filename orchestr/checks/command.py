"""Kind `command`: any program. Its exit code counts, and what it must have printed."""

from __future__ import annotations

import sys

from orchestr.checks.base import CheckFailed, CheckVerdict, Failure, describe_exit, quote_command
from orchestr.checks.room import CheckContext
from orchestr.checks.runner import CheckRunner
from orchestr.process.run import CompletedCommand, ProcessTimeout, run_command
from orchestr.spec.check_field_types import regex_of
from orchestr.spec.checks import CommandCheck


class CommandRunner(CheckRunner[CommandCheck]):
    """One program, one verdict."""

    def run_and_judge(self, room: CheckContext) -> CheckVerdict:
        wanted = self._definition
        done = room.run_program(wanted.run)
        detail = describe_exit(done, wanted.exit)
        if done.code == wanted.exit and (
            wanted.output is None or output_matches(room, done, wanted.output)
        ):
            return CheckVerdict(True, detail, exit=done.code)
        if done.code == wanted.exit:
            detail = f"the output has no {wanted.output}"
        failure = Failure(
            wanted.name, message=room.read_log_tail(), command=quote_command(wanted.run)
        )
        return CheckVerdict(False, detail, (failure,), exit=done.code)


def output_matches(room: CheckContext, done: CompletedCommand, wanted: str) -> bool:
    """Whether stdout or stderr (their last 8 MiB each) hold the text, or match ``/regex/``."""
    pattern = regex_of(wanted)
    if pattern is None:
        return any(wanted in data.decode("utf-8", "replace") for data in (done.out, done.err))
    return any(_search_in_subprocess(room, wanted, pattern, data) for data in (done.out, done.err))


def _search_in_subprocess(room: CheckContext, wanted: str, pattern: str, data: bytes) -> bool:
    """In a process of its own: an expression like ``(a+)+$`` may search for years, and in here
    it would hold the interpreter, so that no limit, no Ctrl+C and no other cell could go on.
    """
    given = pattern.encode() + b"\0" + data
    try:
        found = run_command(
            [sys.executable, "-I", "-S", "-c", SEARCH],
            cwd=room.cwd,
            env={},
            input=given,
            timeout=room.seconds_left,
            check=False,
            stop=room.request.stop,
        )
    except (ProcessTimeout, TimeoutError):
        raise CheckFailed(f"searching for {wanted} took longer than {room.limit:g} s") from None
    if found.stopped:
        raise CheckFailed("stopped before it ended")
    if found.code not in (0, NO):
        raise CheckFailed(f"searching for {wanted} failed: {found.err.decode('utf-8', 'replace')}")
    return found.code == 0


SEARCH = """\
import re, sys
pattern, _, data = sys.stdin.buffer.read().partition(b"\\0")
text = data.decode("utf-8", "replace")
sys.exit(0 if re.search(pattern.decode(), text, re.MULTILINE) else 7)
"""
NO = 7  # not 1, which is what an error of Python gives
