"""Kind `command`: any program. Its exit code counts, and what it must have printed."""

from __future__ import annotations

import sys

from orchestr.checks.base import Failed, Failure, Verdict, decide, shown
from orchestr.checks.room import Room
from orchestr.checks.runner import Runner
from orchestr.process.run import Completed, ProcessTimeout, run
from orchestr.spec.check_field_types import regex_of
from orchestr.spec.checks import CommandCheck


class Command(Runner[CommandCheck]):
    """One program, one verdict."""

    def judge(self, room: Room) -> Verdict:
        wanted = self._definition
        done = room.run(wanted.run)
        detail = decide(done, wanted.exit)
        if done.code == wanted.exit and (wanted.output is None or says(room, done, wanted.output)):
            return Verdict(True, detail, exit=done.code)
        if done.code == wanted.exit:
            detail = f"the output has no {wanted.output}"
        failure = Failure(wanted.name, message=room.tail(), command=shown(wanted.run))
        return Verdict(False, detail, (failure,), exit=done.code)


def says(room: Room, done: Completed, wanted: str) -> bool:
    """Whether stdout or stderr (their last 8 MiB each) hold the text, or match ``/regex/``."""
    pattern = regex_of(wanted)
    if pattern is None:
        return any(wanted in data.decode("utf-8", "replace") for data in (done.out, done.err))
    return any(_matches(room, wanted, pattern, data) for data in (done.out, done.err))


def _matches(room: Room, wanted: str, pattern: str, data: bytes) -> bool:
    """In a process of its own: an expression like ``(a+)+$`` may search for years, and in here
    it would hold the interpreter, so that no limit, no Ctrl+C and no other cell could go on.
    """
    given = pattern.encode() + b"\0" + data
    try:
        found = run([sys.executable, "-I", "-S", "-c", SEARCH], cwd=room.cwd, env={}, input=given,
                    timeout=room.left, check=False, stop=room.request.stop)  # fmt: skip
    except (ProcessTimeout, TimeoutError):
        raise Failed(f"searching for {wanted} took longer than {room.limit:g} s") from None
    if found.stopped:
        raise Failed("stopped before it ended")
    if found.code not in (0, NO):
        raise Failed(f"searching for {wanted} failed: {found.err.decode('utf-8', 'replace')}")
    return found.code == 0


SEARCH = """\
import re, sys
pattern, _, data = sys.stdin.buffer.read().partition(b"\\0")
text = data.decode("utf-8", "replace")
sys.exit(0 if re.search(pattern.decode(), text, re.MULTILINE) else 7)
"""
NO = 7  # not 1, which is what an error of Python gives
