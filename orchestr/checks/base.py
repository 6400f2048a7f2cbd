"""What a check must do, and what all of them share: folders, log, limits, words for people.

A check is a deterministic, evidence-producing test of a worktree. It never raises for what its
programs do: a crash, a time limit or output that cannot be read is a failed result, so that no
error of ours can ever look like a pass. What the machine lacks (a program, an interpreter, a port)
makes a result `unavailable`: neither green nor red, so that no agent is paid to repair it.

Owns running one check. Which checks a cell has, in which order and whether a former result still
counts, is `orchestr.checks.suite`'s; that the worktree is clean and on the right commit, before
and after, is the caller's.

What survives a crash: nothing is shared between checks; log and artefacts lie in folders of their
own, which are emptied when the check starts again. Programs that a killed orchestrator left behind
carry the request's marker and are ended first.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from orchestr.spec.checks import CheckDef

if TYPE_CHECKING:
    from orchestr.process.run import CompletedCommand

KEPT = 8 << 20  # bytes of output that are kept in memory and looked at
LOG_LIMIT = 1 << 30  # bytes of a raw log; a program that prints without end must not fill the disk
FILE_LIMIT = 50 << 20  # bytes of one artefact
FOLDER_LIMIT = 200 << 20  # bytes of all artefacts of a check
FILES_LIMIT = 200
MESSAGE = 8192  # characters of one failure's message
FAILURES = 200  # that are kept of one check
TAIL_LINES = 60

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that went wrong. ``file`` is a path in the worktree where it is known, ``command``
    a shell command that shows it again.
    """

    name: str
    file: str = ""
    message: str = ""
    command: str = ""


class CommandWall(Protocol):
    """Turns a command and its environment into those that run behind a wall.

    ``place`` is the checkout that it works in, ``folder`` a folder of this one start, ``write``
    what it may write to beside the checkout.
    """

    def __call__(
        self,
        argv: tuple[str, ...],
        env: Mapping[str, str],
        *,
        place: Path,
        folder: Path,
        write: tuple[Path, ...],
    ) -> tuple[tuple[str, ...], dict[str, str]]: ...


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """What a check is given. All paths are absolute.

    ``env`` is the whole environment of its programs (an allow-list made by the caller), the
    check's own ``env`` comes on top. ``artefacts`` is this check's own folder and ``log`` its own
    file. ``timeout`` (seconds) overrides the check's. ``marker`` goes into ORCHESTR_ATTEMPT_ID and
    finds what a program left running; it must belong to this check, or to the checks of one
    cell as long as they run one after the other. ``base`` is the commit that the head's change
    starts from; empty where there is none. ``environ`` is the user's environment, to see what the
    allow-list has dropped; ``place`` says where the check is defined. ``wall`` stands around its
    programs, where there is one. ``raw_log``: the log keeps its secrets.
    """

    worktree: Path
    head: str
    env: Mapping[str, str]
    log: Path
    artefacts: Path
    marker: str
    ports: tuple[int, ...] = ()
    base: str = ""
    timeout: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    environ: Mapping[str, str] = field(default_factory=dict)
    place: str = ""
    wall: CommandWall | None = None
    raw_log: bool = False

    @property
    def secrets(self) -> frozenset[str]:
        """The secret values that its programs may know: theirs, and those of the user."""
        from orchestr.process.redaction import secret_values

        return secret_values(self.env) | secret_values(self.environ)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What came out. ``exit`` is None where no program ended; negative for a signal.

    ``artefacts`` are paths relative to ``folder``, the request's. ``tests`` and ``skipped`` count
    tests where the kind knows them. ``stopped``: the run was stopped, this says nothing about the
    code. ``cached``: taken from an earlier run on the same tree. ``unavailable``: the check could
    not be run, so it is not evaluated; ``passed`` is False then, and ``detail`` says what is
    missing. ``in_worktree``: it ran where the author worked, not in a clean checkout.
    """

    name: str
    kind: str
    passed: bool
    detail: str
    failures: tuple[Failure, ...] = ()
    artefacts: tuple[str, ...] = ()
    seconds: float = 0.0
    exit: int | None = None
    log: str = ""
    folder: str = ""
    tests: int | None = None
    skipped: int | None = None
    started_at: float = 0.0
    stopped: bool = False
    cached: bool = False
    unavailable: bool = False
    in_worktree: bool = False

    @property
    def is_red(self) -> bool:
        """Whether the check ran and says no."""
        return not self.passed and not self.unavailable


class Check(Protocol):
    """A check that is ready to run."""

    @property
    def definition(self) -> CheckDef:
        """What the spec said."""
        ...

    def run(self, request: CheckRequest) -> CheckResult:
        """Run it. Never raises for what its programs do."""
        ...


@dataclass(frozen=True, slots=True)
class CheckVerdict:
    """What one kind decides; `CheckRunner` makes the result of it."""

    passed: bool
    detail: str
    failures: tuple[Failure, ...] = ()
    artefacts: tuple[str, ...] = ()
    exit: int | None = None
    tests: int | None = None
    skipped: int | None = None
    unavailable: bool = False
    retry_after: float | None = None  # s; of an unavailable one that may go well by itself


class CheckFailed(Exception):
    """A check's own way to say no from deep inside; becomes a failed verdict."""

    def __init__(self, detail: str, *failures: Failure, exit: int | None = None) -> None:
        super().__init__(detail)
        self.verdict = CheckVerdict(False, detail, failures, exit=exit)


class CheckUnavailable(CheckFailed):
    """The check cannot be run here: the machine lacks something, whatever the code is."""

    def __init__(
        self,
        detail: str,
        *failures: Failure,
        exit: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail, *failures, exit=exit)
        self.verdict = replace(self.verdict, unavailable=True, retry_after=retry_after)


def log_text_of(result: CheckResult) -> str:
    """What its programs printed, the last 8 MiB of it; empty when that cannot be read."""
    return read_log(Path(result.log))


def read_log(log: Path) -> str:
    """The last 8 MiB of a raw log as text without escapes; empty when it cannot be read."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - KEPT))
            return _ESCAPES.sub("", stream.read().decode("utf-8", "replace"))
    except OSError:
        return ""


def describe_exit(done: CompletedCommand, expected: int = 0) -> str:
    """How a program ended, in words."""
    if done.code < 0:
        return f"killed by signal {-done.code}"
    return f"exit {done.code}" + (f", not {expected}" if done.code != expected else "")


def clean_text(text: str, limit: int = MESSAGE) -> str:
    """Text without escape sequences and control characters; long text keeps both its ends."""
    text = _CONTROL.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))
    if len(text) <= limit:
        return text
    head = limit // 3
    return f"{text[:head]}\n[... {len(text) - limit} characters ...]\n{text[head - limit :]}"


def quote_command(argv: Sequence[str]) -> str:
    """A command as a person could type it."""
    import shlex

    return shlex.join(argv)
