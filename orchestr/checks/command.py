"""Kind `command`: any program. Its exit code counts, and what it must have printed."""

from __future__ import annotations

import re

from orchestr.checks.base import Failure, Room, Runner, Verdict, decide, shown
from orchestr.process import Completed
from orchestr.spec.proof import CommandCheck
from orchestr.spec.proofvalues import regex_of


class Command(Runner[CommandCheck]):
    """One program, one verdict."""

    def judge(self, room: Room) -> Verdict:
        wanted = self._definition
        done = room.run(wanted.run)
        detail = decide(done, wanted.exit)
        if done.code == wanted.exit and (wanted.output is None or says(done, wanted.output)):
            return Verdict(True, detail, exit=done.code)
        if done.code == wanted.exit:
            detail = f"the output has no {wanted.output}"
        failure = Failure(wanted.name, message=room.tail(), command=shown(wanted.run))
        return Verdict(False, detail, (failure,), exit=done.code)


def says(done: Completed, wanted: str) -> bool:
    """Whether stdout or stderr (their last 8 MiB each) hold the text, or match ``/regex/``."""
    texts = [data.decode("utf-8", "replace") for data in (done.out, done.err)]
    pattern = regex_of(wanted)
    if pattern is None:
        return any(wanted in text for text in texts)
    return any(re.search(pattern, text, re.MULTILINE) for text in texts)
