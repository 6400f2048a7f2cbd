"""Kind `command`: any program. Its exit code counts, and what it must have printed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from orchestr.checks.base import CheckFailed, CheckVerdict, Failure, describe_exit, quote_command
from orchestr.checks.definition import CheckDefinition
from orchestr.spec.check_field_types import regex_of
from orchestr.spec.fields import Argv, Doc, ExitCode, OutputPattern

if TYPE_CHECKING:
    from orchestr.checks.room import CheckContext
    from orchestr.process.run import CompletedCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandCheck(CheckDefinition):
    """Any program: its exit code, and what it prints (``output``: a substring, or ``/regex/``)."""

    kind: ClassVar[str] = "command"
    makes_screenshots: ClassVar[bool] = True

    run: Annotated[Argv, Doc("the program and its arguments", ["make", "test"])]
    exit: Annotated[ExitCode, Doc("the exit code that it must have")] = 0
    output: Annotated[
        OutputPattern | None, Doc("a text that must be printed, or /regex/", "/[0-9]+ passed/")
    ] = None

    def run_and_judge(self, room: CheckContext) -> CheckVerdict:
        done = room.run_program(self.run, expected=self.exit)
        detail = describe_exit(done, self.exit)
        if done.code == self.exit and (
            self.output is None or output_matches(room, done, self.output)
        ):
            return CheckVerdict(True, detail, exit=done.code)
        if done.code == self.exit:
            detail = f"the output has no {self.output}"
        failure = Failure(self.name, message=room.read_log_tail(), command=quote_command(self.run))
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
    from orchestr.process.run import ProcessTimeout, run_command

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
