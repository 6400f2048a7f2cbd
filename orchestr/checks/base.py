"""What a check must do, and what all of them share: folders, log, limits, words for people.

A check is a deterministic, evidence-producing test of a worktree. It never raises for what its
programs do: a crash, a time limit or output that nobody can read is a failed result (rows E90,
X14, D41, D89), so that no error of ours can ever look like a pass.

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
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from orchestr.errors import OrchestrError
from orchestr.process.run import Completed, ProcessTimeout, kill_marked, redact, run, secret_values
from orchestr.process.tree import MARKER
from orchestr.spec.checks import CheckBase, CheckDef, CheckKind

KEPT = 8 << 20  # bytes of output that are kept in memory and looked at
LOG_LIMIT = 1 << 30  # bytes of a raw log; a program that prints without end must not fill the disk
FILE_LIMIT = 50 << 20  # bytes of one artefact
FOLDER_LIMIT = 200 << 20  # bytes of all artefacts of a check
FILES_LIMIT = 200
MESSAGE = 8192  # characters of one failure's message (row E94)
FAILURES = 200  # that are kept of one check
TAIL_LINES = 60

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that went wrong. ``file`` is a path in the worktree where it is known, ``command``
    a shell command that shows it again (row D37).
    """

    name: str
    file: str = ""
    message: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """What a check is given. All paths are absolute.

    ``env`` is the whole environment of its programs (an allow-list made by the caller), the
    check's own ``env`` comes on top. ``artefacts`` is this check's own folder and ``log`` its own
    file. ``timeout`` (seconds) overrides the check's. ``marker`` goes into ORCHESTR_ATTEMPT_ID and
    finds what a program left running; it must belong to this check, or to the checks of one
    cell as long as they run one after the other.
    """

    worktree: Path
    head: str
    env: Mapping[str, str]
    log: Path
    artefacts: Path
    marker: str
    ports: tuple[int, ...] = ()
    timeout: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What came out. ``exit`` is None where no program ended; negative for a signal.

    ``artefacts`` are paths relative to ``folder``, the request's. ``tests`` and ``skipped`` count
    tests where the kind knows them. ``stopped``: the run was stopped, this says nothing about the
    code. ``cached``: taken from an earlier run on the same tree.
    """

    name: str
    kind: CheckKind
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
class Verdict:
    """What one kind decides; `Runner` makes the result of it."""

    passed: bool
    detail: str
    failures: tuple[Failure, ...] = ()
    artefacts: tuple[str, ...] = ()
    exit: int | None = None
    tests: int | None = None
    skipped: int | None = None


class Failed(Exception):
    """A check's own way to say no from deep inside; becomes a failed verdict."""

    def __init__(self, detail: str, *failures: Failure, exit: int | None = None) -> None:
        super().__init__(detail)
        self.verdict = Verdict(False, detail, failures, exit=exit)


D = TypeVar("D", bound=CheckBase)


class Runner(Generic[D]):
    """The frame around one kind: a subclass only writes `judge`."""

    def __init__(self, definition: D) -> None:
        self._definition = definition

    @property
    def definition(self) -> Any:
        return self._definition

    def judge(self, room: Room) -> Verdict:
        """Decide. May raise `Failed`, and what `orchestr.process.run` raises."""
        raise NotImplementedError

    def run(self, request: CheckRequest) -> CheckResult:
        """Run it in its frame; see `Check.run`."""
        begin, started_at = time.monotonic(), time.time()
        limit = request.timeout or self._definition.timeout
        secrets = secret_values(request.env)
        room: Room | None = None
        try:
            kill_marked(request.marker)
            room = Room(request, self._definition, begin + limit, limit)
            verdict = self.judge(room)
        except Failed as error:
            verdict = error.verdict
        except ProcessTimeout as error:
            verdict = Verdict(False, f"timed out after {limit:g} s", exit=error.completed.code)
        except TimeoutError:
            verdict = Verdict(False, f"timed out after {limit:g} s")
        except OrchestrError as error:
            hint = f" ({error.hint})" if error.hint else ""
            verdict = Verdict(False, f"{error.message}{hint}")
        except Exception as error:  # our own fault must not look like a pass, nor end the run
            verdict = Verdict(False, f"cannot be judged: {type(error).__name__}: {error}")
        finally:
            if room is not None:
                room.close()
            kill_marked(request.marker)
        stopped = request.stop.is_set() and not verdict.passed
        verdict = verdict if not stopped else Verdict(False, "stopped before it ended")
        return CheckResult(
            name=self._definition.name,
            kind=self._definition.kind,
            passed=verdict.passed,
            detail=clean(redact(verdict.detail, secrets)),
            failures=tuple(_shown(f, secrets) for f in verdict.failures[:FAILURES]),
            artefacts=verdict.artefacts,
            seconds=round(time.monotonic() - begin, 3),
            exit=verdict.exit,
            log=str(request.log),
            folder=str(request.artefacts),
            tests=verdict.tests,
            skipped=verdict.skipped,
            started_at=started_at,
            stopped=stopped,
        )


class Room:
    """Where a kind works: programs, files and time of one run of one check."""

    def __init__(
        self, request: CheckRequest, definition: CheckBase, deadline: float, limit: float
    ) -> None:
        self.request = request
        self.definition = definition
        self.deadline = deadline
        self.limit = limit
        self.worktree = request.worktree
        self.cwd = self._inside(definition.cwd)
        self.artefacts = request.artefacts
        if self.artefacts.exists():
            shutil.rmtree(self.artefacts)
        self.artefacts.mkdir(parents=True)
        request.log.parent.mkdir(parents=True, exist_ok=True)
        self._log = request.log.open("wb")
        self._lock = threading.Lock()
        self._written = 0
        self.env = {
            **request.env,
            "PYTHONDONTWRITEBYTECODE": "1",  # a check shall leave nothing in the worktree
            **port_variables(request.ports),
            **dict(definition.env),
            "ORCHESTR_ARTEFACTS": str(self.artefacts),
            "ORCHESTR_HEAD": request.head,
            MARKER: request.marker,
        }

    @property
    def left(self) -> float:
        """Seconds until the time limit. Raises TimeoutError when there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stop: threading.Event | None = None,
        more: float = 0,
    ) -> Completed:
        """Run a program in the check's folder; everything it prints goes to the log, too.

        ``more`` seconds come on top of the check's own limit: a service must not be killed while
        the check still asks it. Raises `Failed` when the run was stopped, and what
        `orchestr.process.run.run` raises for a program that cannot be started or takes too long.
        """
        self.say(f"$ {shown(argv)}\n")
        done = run(
            argv,
            cwd=self.cwd,
            env=self.env if env is None else env,
            timeout=self.left + more,
            check=False,
            limit=KEPT,
            kill_left=True,
            sink=self.write,
            stop=stop or self.request.stop,
        )
        if done.stopped and self.request.stop.is_set():
            raise Failed("stopped before it ended")
        return done

    def write(self, data: bytes) -> None:
        """Add to the raw log. A full disk costs the log, not the verdict."""
        with self._lock, suppress(OSError, ValueError):
            if self._written <= LOG_LIMIT < self._written + len(data):
                self._log.write(f"\n[the log is cut here, at {LOG_LIMIT} bytes]\n".encode())
            self._written += len(data)
            if self._written <= LOG_LIMIT:
                self._log.write(data)
                self._log.flush()

    def say(self, text: str) -> None:
        """A line of our own in the log."""
        self.write(text.encode("utf-8", "replace"))

    def close(self) -> None:
        """Close the log."""
        with self._lock, suppress(OSError):
            self._log.close()

    def tail(self) -> str:
        """The end of the log, for people."""
        return log_tail(self.request.log)

    def find(self, globs: Iterable[str]) -> dict[str, list[Path]]:
        """The files that each glob finds below the check's folder, the worktree or the artefacts.

        What a link leads out of them is not found: evidence must not be a file of the user's.
        """
        roots = dict.fromkeys((self.cwd, self.worktree, self.artefacts))
        homes = [self.worktree.resolve(), self.artefacts.resolve()]
        found: dict[str, list[Path]] = {}
        for glob in globs:
            seen: dict[Path, None] = {}
            for root in roots:
                with suppress(OSError, ValueError):
                    for path in root.glob(glob):
                        real = path.resolve()
                        if real.is_file() and any(real.is_relative_to(home) for home in homes):
                            seen[real] = None
            found[glob] = sorted(seen)
        return found

    def keep(self, files: Iterable[Path]) -> tuple[tuple[str, ...], list[str]]:
        """Copy files of the worktree to the artefacts; returns their names there, and in words
        what was too large or could not be read."""
        home, base = self.artefacts.resolve(), self.worktree.resolve()
        names: list[str] = []
        left: list[str] = []
        total = 0
        for path in dict.fromkeys(files):
            inside = path.is_relative_to(home)
            name = path.relative_to(home if inside else base)
            try:
                size = path.stat().st_size
                if size > FILE_LIMIT or total + size > FOLDER_LIMIT or len(names) >= FILES_LIMIT:
                    left.append(f"{name} ({size} bytes) is too much to keep")
                    continue
                if not inside:
                    target = home / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, target)
                total += size
                names.append(name.as_posix())
            except OSError as error:
                left.append(f"{name} cannot be kept: {error.strerror}")
        return tuple(names), left

    def _inside(self, name: str) -> Path:
        folder = (self.worktree / name).resolve()
        if not folder.is_relative_to(self.worktree.resolve()):
            raise Failed(f"the folder {name} is not inside the worktree")
        if not folder.is_dir():
            raise Failed(f"there is no folder {name or self.worktree}")
        return folder


Stamps = dict[Path, tuple[int, int, int]]


def stamps(found: Mapping[str, Iterable[Path]]) -> Stamps:
    """What tells whether a file was written since: time, size, inode."""
    result: Stamps = {}
    for path in {path for paths in found.values() for path in paths}:
        with suppress(OSError):
            info = path.stat()
            result[path] = (info.st_mtime_ns, info.st_size, info.st_ino)
    return result


def fresh(found: Mapping[str, Iterable[Path]], before: Stamps) -> tuple[dict[str, list[Path]], int]:
    """The files that were written since ``before``, by glob, and how many were not.

    Reports of an earlier run are no evidence for this one.
    """
    now = stamps(found)
    new = {path for path, stamp in now.items() if before.get(path) != stamp}
    return {g: [p for p in paths if p in new] for g, paths in found.items()}, len(now) - len(new)


def port_variables(ports: Sequence[int]) -> dict[str, str]:
    """The variables that tell a program its ports (row X23); none without ports."""
    from orchestr.state.ports import variables

    return variables(ports) if ports else {}


def decide(done: Completed, expected: int = 0) -> str:
    """How a program ended, in words."""
    if done.code < 0:
        return f"killed by signal {-done.code}"
    return f"exit {done.code}" + (f", not {expected}" if done.code != expected else "")


def log_tail(log: Path, lines: int = TAIL_LINES, size: int = 16384) -> str:
    """The last lines of a raw log, without escape sequences; empty when it cannot be read."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - size))
            data = stream.read()
    except OSError:
        return ""
    return "\n".join(clean(data.decode("utf-8", "replace")).splitlines()[-lines:])


def clean(text: str, limit: int = MESSAGE) -> str:
    """Text without escape sequences and control characters; long text keeps both its ends."""
    text = _CONTROL.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))
    if len(text) <= limit:
        return text
    head = limit // 3
    return f"{text[:head]}\n[... {len(text) - limit} characters ...]\n{text[head - limit :]}"


def shown(argv: Sequence[str]) -> str:
    """A command as a person could type it."""
    import shlex

    return shlex.join(argv)


def _shown(failure: Failure, secrets: Iterable[str]) -> Failure:
    hidden = frozenset(secrets)

    def safe(text: str, limit: int) -> str:
        return clean(redact(text, hidden), limit)

    return Failure(
        safe(failure.name, 500),
        safe(failure.file, 500),
        safe(failure.message, MESSAGE),
        safe(failure.command, 2000),
    )


MakeCheck = Callable[[Any], Check]
