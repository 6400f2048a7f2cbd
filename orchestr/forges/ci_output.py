"""What the program of the local CI prints: its checks, the places that it names, and its log.

Pure. `::check NAME success` and `::check NAME failure` name checks; without any, the program is one
check called `ci`. `::error file=PATH,line=N::MESSAGE` is GitHub's own form: a place in the
checkout, which belongs to the next check that is named.

The code of pull requests prints it, so nothing in it is trusted: lines, numbers and texts have
limits, control characters are taken out, and a red end is never hidden by green checks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import unquote

from orchestr.forges.followed import Annotation, CheckState, CiCheck

WHOLE = "ci"  # the check that the program itself is
HEAD = 256 << 10  # bytes of output that are kept from its beginning ...
TAIL = 768 << 10  # ... and from its end
LONGEST_LINE = 16 << 10  # bytes of a line that is looked at
CHECKS = 100
ANNOTATIONS = 200  # of each check
NAME = 200  # characters
MESSAGE = 4000  # characters

_CHECK = re.compile(r"::check (.*\S)\s+(success|failure)\s*")
_ERROR = re.compile(r"::error (.*?)::(.*)")
_CONTROL = re.compile("\x1b\\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class CiOutput:
    """The output of one run: fed as it comes, bounded whatever comes."""

    def __init__(self) -> None:
        self.dropped = 0  # bytes between the two kept ends
        self.checks: dict[str, CiCheck] = {}
        self._head = bytearray()
        self._tail = bytearray()
        self._line = bytearray()
        self._places: list[Annotation] = []

    def add_output(self, chunk: bytes) -> None:
        """Take the next piece of stdout or stderr."""
        room = HEAD - len(self._head)
        self._head += chunk[: max(room, 0)]
        self._tail += chunk[max(room, 0) :]
        if len(self._tail) > 2 * TAIL:
            self._trim()
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._extend_line(line)
            self._read_line()
        self._extend_line(rest)

    def finish_log(self) -> bytes:
        """The log: both ends of the output, with how much was left out between them."""
        self._read_line()
        self._trim()
        gap = f"\n[... {self.dropped} bytes ...]\n".encode() if self.dropped else b""
        return bytes(self._head) + gap + bytes(self._tail)

    def judge_checks(self, state: CheckState, summary: str) -> tuple[CiCheck, ...]:
        """The checks of a run that ended as ``state`` says, with its own words about that.

        A run that ended red, or found nothing out, has a check that says so besides those that it
        named as green.
        """
        named = list(self.checks.values())
        red = any(check.state is CheckState.FAILURE for check in named)
        if named and (state is CheckState.SUCCESS or (state is CheckState.FAILURE and red)):
            return self._add_left_places(named)
        named = [check for check in named if check.name != WHOLE]
        return (*named, CiCheck(WHOLE, state, summary=summary, annotations=tuple(self._places)))

    def _add_left_places(self, named: Sequence[CiCheck]) -> tuple[CiCheck, ...]:
        """What was named after the last check belongs to the last one."""
        *before, last = named
        places = (*last.annotations, *self._places)[:ANNOTATIONS]
        return (*before, CiCheck(last.name, last.state, annotations=places))

    def _trim(self) -> None:
        excess = max(0, len(self._tail) - TAIL)
        self.dropped += excess
        del self._tail[:excess]

    def _extend_line(self, piece: bytes) -> None:
        self._line += piece[: max(0, LONGEST_LINE - len(self._line))]

    def _read_line(self) -> None:
        line = bytes(self._line)
        self._line.clear()
        if not line.startswith(b"::"):
            return
        text = line.decode("utf-8", "replace").rstrip()
        if found := _CHECK.fullmatch(text):
            name = _clean(found[1], NAME)
            if name and (name in self.checks or len(self.checks) < CHECKS):
                self.checks.pop(name, None)
                places = tuple(self._places)
                self.checks[name] = CiCheck(name, CheckState(found[2]), annotations=places)
            self._places = []
        elif (found := _ERROR.fullmatch(text)) and len(self._places) < ANNOTATIONS:
            place = read_annotation(found[1], found[2])
            self._places += [place] if place else []


def read_annotation(properties: str, message: str) -> Annotation | None:
    """The place in `file=PATH,line=N`; None when it names no file of the checkout."""
    values = dict(part.partition("=")[::2] for part in properties.split(","))
    path = _clean(unquote(values.get("file", "").strip()), MESSAGE)
    line = values.get("line", "").strip()
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        return None
    number = int(line) if line.isascii() and line.isdigit() and len(line) < 10 else 0
    return Annotation(str(PurePosixPath(path)), number, _clean(unquote(message), MESSAGE))


def select_log(log: str, name: str) -> str:
    """The part of a log that led to the check ``name``: what was printed since the check before it.
    The whole log for a check that it does not name."""
    begin = 0
    for found in re.finditer(r"^::check (.*\S)\s+(?:success|failure)\s*$", log, re.MULTILINE):
        if _clean(found[1], NAME) == name:
            return log[begin : found.end()]
        begin = found.end() + 1
    return log


def _clean(text: str, limit: int) -> str:
    return _CONTROL.sub("", text).strip()[:limit]
