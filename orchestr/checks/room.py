"""Where a check runs: its programs, its log, its artefacts and their limits."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestr.checks.base import (
    FILE_LIMIT,
    FILES_LIMIT,
    FOLDER_LIMIT,
    KEPT,
    LOG_LIMIT,
    TAIL_LINES,
    CheckFailed,
    CheckRequest,
    CheckUnavailable,
    clean_text,
    quote_command,
)
from orchestr.checks.find_program import find_program
from orchestr.checks.missing_program import NOT_RUN, find_missing_program
from orchestr.git.worktrees import delete_tree
from orchestr.process.run import CompletedCommand, redact, run_command, secret_values
from orchestr.process.tree import MARKER
from orchestr.sandbox.wall import explain_broken_wall
from orchestr.spec.checks import CheckBase

# No program sends itself SIGKILL: the kernel does for want of memory, a person, or a container's
# limit. 128 + 9 is what a shell says of a program of its own.
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
KILLED_WORDS = "killed by SIGKILL: too little memory (see dmesg), or a person ended it"
RETRY_AFTER = 1.0  # s


class CheckContext:
    """Where a kind works: programs, files and time of one run of one check."""

    def __init__(
        self, request: CheckRequest, definition: CheckBase, deadline: float, limit: float
    ) -> None:
        self.request = request
        self.definition = definition
        self.deadline = deadline
        self.limit = limit
        self.worktree = request.worktree
        self.cwd = self._resolve_folder(definition.cwd)
        self.artefacts = request.artefacts
        if self.artefacts.exists():
            shutil.rmtree(self.artefacts)
        self.artefacts.mkdir(parents=True)
        request.log.parent.mkdir(parents=True, exist_ok=True)
        self._log = request.log.open("wb")
        self._lock = threading.Lock()
        self._written = 0
        self._secrets = request.secrets | secret_values(dict(definition.env))
        self._walls = 0
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
    def seconds_left(self) -> float:
        """Seconds until the time limit. Raises TimeoutError when there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def run_program(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stop: threading.Event | None = None,
        more: float = 0,
        expected: int = 0,
    ) -> CompletedCommand:
        """Run a program in the check's folder; everything it prints goes to the log, too.

        ``more`` seconds come on top of the check's own limit: a service must not be killed while
        the check still asks it. ``expected`` is the exit code of a program that did well. Raises
        `CheckFailed` when the run was stopped, `CheckUnavailable` when a shell or `env` did not
        find its first program or SIGKILL came, and what `orchestr.process.run.run_command` raises
        for a program that cannot be started or takes too long.
        """
        self.log_text(f"$ {redact(quote_command(argv), self._secrets)}\n")
        used = self.env if env is None else env
        with self._behind_wall(tuple(argv), used) as (words, inner):
            done = run_command(
                words,
                cwd=self.cwd,
                env=inner,
                timeout=self.seconds_left + more,
                check=False,
                limit=KEPT,
                kill_left=True,
                sink=self.write_log,
                secrets=None if self.request.raw_log else self._secrets,
                stop=stop or self.request.stop,
            )
        if done.stopped and self.request.stop.is_set():
            raise CheckFailed("stopped before it ended")
        if self.request.wall is not None:
            broken = explain_broken_wall(done.code, done.out, done.err)
            if broken is not None:
                raise CheckUnavailable(broken, exit=done.code, retry_after=RETRY_AFTER)
        if done.code in NOT_RUN and done.code != expected:
            missing = find_missing_program(argv, self.worktree, self.cwd, used)
            if missing is not None:
                raise CheckUnavailable(f"exit {done.code}: {missing}", exit=done.code)
        if done.code in KILLED and done.code != expected and not done.stopped:
            raise CheckUnavailable(KILLED_WORDS, exit=done.code, retry_after=RETRY_AFTER)
        return done

    @contextmanager
    def _behind_wall(
        self, argv: tuple[str, ...], env: Mapping[str, str]
    ) -> Iterator[tuple[tuple[str, ...], Mapping[str, str]]]:
        """The command as it is started; a program that is not there is not looked for inside, so
        that it is missed in the usual words."""
        wall = self.request.wall
        if wall is None or find_program(argv[0], self.worktree, self.cwd, env) is None:
            yield argv, env
            return
        self._walls += 1
        folder = self.request.log.with_name(f"{self.request.log.stem}.wall-{self._walls}")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            yield wall(argv, env, place=self.worktree, folder=folder, write=(self.artefacts,))
        finally:
            delete_tree(folder)

    def write_log(self, data: bytes) -> None:
        """Add to the log. A full disk costs the log, not the verdict."""
        with self._lock, suppress(OSError, ValueError):
            if self._written <= LOG_LIMIT < self._written + len(data):
                self._log.write(f"\n[the log is cut here, at {LOG_LIMIT} bytes]\n".encode())
            self._written += len(data)
            if self._written <= LOG_LIMIT:
                self._log.write(data)
                self._log.flush()

    def log_text(self, text: str) -> None:
        """A line of our own in the log."""
        self.write_log(text.encode("utf-8", "replace"))

    def close(self) -> None:
        """Close the log."""
        with self._lock, suppress(OSError):
            self._log.close()

    def read_log_tail(self) -> str:
        """The end of the log, for people."""
        return log_tail(self.request.log)

    def find_files(self, globs: Iterable[str]) -> dict[str, list[Path]]:
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

    def copy_to_artefacts(self, files: Iterable[Path]) -> tuple[tuple[str, ...], list[str]]:
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

    def _resolve_folder(self, name: str) -> Path:
        folder = (self.worktree / name).resolve()
        if not folder.is_relative_to(self.worktree.resolve()):
            raise CheckFailed(f"the folder {name} is not inside the worktree")
        if not folder.is_dir():
            raise CheckFailed(f"there is no folder {name or self.worktree}")
        return folder


Stamps = dict[Path, tuple[int, int, int]]


def stamp_files(found: Mapping[str, Iterable[Path]]) -> Stamps:
    """What tells whether a file was written since: time, size, inode."""
    result: Stamps = {}
    for path in {path for paths in found.values() for path in paths}:
        with suppress(OSError):
            info = path.stat()
            result[path] = (info.st_mtime_ns, info.st_size, info.st_ino)
    return result


def select_fresh_files(
    found: Mapping[str, Iterable[Path]], before: Stamps
) -> tuple[dict[str, list[Path]], int]:
    """The files that were written since ``before``, by glob, and how many were not.

    Reports of an earlier run are no evidence for this one.
    """
    now = stamp_files(found)
    new = {path for path, stamp in now.items() if before.get(path) != stamp}
    return {g: [p for p in paths if p in new] for g, paths in found.items()}, len(now) - len(new)


def port_variables(ports: Sequence[int]) -> dict[str, str]:
    """The variables that tell a program its ports; none without ports."""
    from orchestr.state.ports import port_env_variables

    return port_env_variables(ports) if ports else {}


def log_tail(log: Path, lines: int = TAIL_LINES, size: int = 16384) -> str:
    """The last lines of a raw log, without escape sequences; empty when it cannot be read."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - size))
            data = stream.read()
    except OSError:
        return ""
    return "\n".join(clean_text(data.decode("utf-8", "replace")).splitlines()[-lines:])
