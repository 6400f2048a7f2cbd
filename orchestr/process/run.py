"""One door to the world: every child but the agents is started here.

Owns argument lists, explicit directory and environment, time limits, bounded output and
messages fit to be shown. Leaves agents to `orchestr.supervisor.client`; finding and killing
processes to `orchestr.process.tree`, hiding secrets to `orchestr.process.redaction` (both are
offered here too). No shell.

Survives a crash: a child holds no lock and no record of ours, so an orchestrator that dies
leaves at most a command that runs to its end.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from orchestr.errors import MachineFault, OrchestrError, Unavailable, explain_os_error
from orchestr.process.child import ChildProcess, OutputTail
from orchestr.process.redact_stream import StreamRedactor
from orchestr.process.redaction import filter_env, redact, secret_values
from orchestr.process.tree import (
    find_marked,
    is_process_alive,
    kill_marked,
    kill_tree,
    read_create_time,
)

__all__ = [
    "CannotStart",
    "CompletedCommand",
    "LineStream",
    "ProcessFailed",
    "ProcessTimeout",
    "ProgramMissing",
    "describe_exit_code",
    "filter_env",
    "find_marked",
    "is_process_alive",
    "kill_marked",
    "kill_tree",
    "read_create_time",
    "redact",
    "run_command",
    "secret_values",
    "start_detached",
    "stream_lines",
]

Argv = Sequence[str | os.PathLike[str]]
TAIL = 4000  # characters of output in a message
LONGEST = 500  # characters of the command in a message


@dataclass(frozen=True, slots=True)
class CompletedCommand:
    """A command that ended. ``code`` is negative for a signal; ``seconds`` is its duration.

    ``dropped`` counts the bytes of output that lay before the kept tail (see ``limit``).
    """

    argv: tuple[str, ...]
    code: int
    out: bytes
    err: bytes
    seconds: float
    dropped: int = 0
    stopped: bool = False

    @property
    def text(self) -> str:
        """stdout as text; what is not UTF-8 becomes U+FFFD."""
        return self.out.decode("utf-8", "replace")


class CannotStart(OrchestrError):
    """The command could not be started: no such directory, not executable, too long.

    ``program`` is its first word, ``errno`` the system's reason where it gave one.
    """

    def __init__(
        self, reason: str, *, hint: str | None = None, program: str = "", errno: int | None = None
    ) -> None:
        super().__init__(reason, hint=hint)
        self.program = program
        self.errno = errno


class ProgramMissing(CannotStart):
    """The program is not on the PATH that the command was given."""


class ProcessFailed(OrchestrError):
    """A command ended with another code than 0; ``completed`` holds all of it."""

    def __init__(
        self, message: str, completed: CompletedCommand, *, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.completed = completed


class ProcessTimeout(ProcessFailed):
    """A command reached its time limit and was ended with all that it had started."""


def run_command(
    argv: Argv,
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float | None = None,
    input: bytes | None = None,
    check: bool = True,
    limit: int = 64 << 20,
    stdout: Path | None = None,
    kill_left: bool = False,
    sink: Callable[[bytes], object] | None = None,
    secrets: Collection[str] | None = None,
    stop: threading.Event | None = None,
) -> CompletedCommand:
    """Run a command and wait for it; its stdin is empty unless ``input`` is given.

    ``timeout`` is in seconds. Of stdout and stderr the last ``limit`` bytes each are kept;
    ``stdout`` names a file that takes it instead. ``kill_left`` also ends what the command left
    running (checks want that; git's own daemons are to stay). ``sink`` is given every piece of
    stdout and stderr as it comes, in that order; with ``secrets`` without them and without all
    that has the form of one. ``stop``, once set, ends the command like a time
    limit does; ``stopped`` of the answer says so and ``check`` does not count then.

    Raises ProgramMissing, CannotStart, MachineFault (no process, memory or file handle left to
    start it), ProcessTimeout (output kept, whatever ``check`` says) and, with ``check``,
    ProcessFailed.
    """
    with ExitStack() as stack:
        file = None if stdout is None else stack.enter_context(stdout.open("wb"))
        words = tuple(os.fspath(word) for word in argv)
        try:
            child = stack.enter_context(
                ChildProcess(
                    words, cwd, env, timeout=timeout, fed=input is not None, stdout=file, stop=stop
                )
            )
        except (OSError, ValueError, MemoryError) as error:
            raise _start_error(words, cwd, env, error) from error
        out, err = OutputTail(limit), OutputTail(limit)
        hiders: dict[int, StreamRedactor] = {}
        if secrets is not None:
            hiders = {fd: StreamRedactor(secrets) for fd in (child.out_fd, child.err_fd)}
        for fd, chunk in child.read_chunks(input or b""):
            (out if fd == child.out_fd else err).add(chunk)
            if sink is not None:
                sink(hiders[fd].feed(chunk) if hiders else chunk)
        if sink is not None:
            for hider in hiders.values():
                sink(hider.finish())
        if kill_left:
            child.end_tree()
    return _finish_command(child, cwd, env, timeout, out, err, check=check)


def start_detached(
    argv: Argv, *, cwd: Path, env: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Start a command that outlives us, in a session of its own; what it says goes to ``log``.

    Raises CannotStart, ProgramMissing, MachineFault. A caller that lives on should `poll` what this
    returns.
    """
    words = tuple(os.fspath(word) for word in argv)
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("ab") as out:
            return subprocess.Popen(
                words, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True,
            )  # fmt: skip
    except (OSError, ValueError, MemoryError) as error:
        raise _start_error(words, cwd, env, error) from error


def stream_lines(
    argv: Argv,
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float | None = None,
    input: bytes | None = None,
) -> LineStream:
    """The lines of a command's stdout, without their ends, as they come.

    Iterate over it, best in ``with``: left early, the command and all it started are ended.
    Raises ProgramMissing, CannotStart, MachineFault at once; after the last line it raises like
    `run_command`.
    """
    words = tuple(os.fspath(word) for word in argv)
    try:
        child = ChildProcess(words, cwd, env, timeout=timeout, fed=input is not None, stdout=None)
    except (OSError, ValueError, MemoryError) as error:
        raise _start_error(words, cwd, env, error) from error

    def read_lines() -> Iterator[bytes]:
        errors, rest = OutputTail(1 << 20), b""
        with child:
            for fd, chunk in child.read_chunks(input or b""):
                if fd == child.err_fd:
                    errors.add(chunk)
                    continue
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines
            if rest:
                yield rest
        _finish_command(child, cwd, env, timeout, OutputTail(0), errors, check=True)

    return LineStream(child, read_lines())


class LineStream(Iterator[bytes]):
    """What `stream_lines` returns: an iterator that is a context manager, too."""

    def __init__(self, child: ChildProcess, lines: Iterator[bytes]) -> None:
        self._child = child
        self._lines = lines

    def __next__(self) -> bytes:
        return next(self._lines)

    def __enter__(self) -> LineStream:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the command if it still runs. May be called twice."""
        self._child.__exit__(None, None, None)


def _finish_command(
    child: ChildProcess,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float | None,
    out: OutputTail,
    err: OutputTail,
    *,
    check: bool,
) -> CompletedCommand:
    kept_out, kept_err = out.kept_bytes(), err.kept_bytes()
    done = CompletedCommand(
        child.argv, child.exit_code, kept_out, kept_err, child.seconds, out.dropped + err.dropped,
        child.stopped,
    )  # fmt: skip
    if child.stopped:
        return done
    if child.timed_out:
        why = f"timed out after {timeout:g}s"
        raise ProcessTimeout(_failure_message(done, cwd, env, why), done)
    if check and done.code != 0:
        raise ProcessFailed(_failure_message(done, cwd, env, describe_exit_code(done.code)), done)
    return done


def _failure_message(done: CompletedCommand, cwd: Path, env: Mapping[str, str], why: str) -> str:
    """Command, directory, ending and the tail of what it said; secrets hidden."""
    said = (done.err.strip() or done.out.strip())[-TAIL:].decode("utf-8", "replace")
    lines = [f"{_shorten_command(done.argv)}: {why}", f"  in {cwd}"]
    if done.dropped:
        lines.append(f"  {done.dropped} bytes of output before this were not kept")
    lines += [f"  | {line}" for line in said.splitlines()]
    return redact("\n".join(lines), secret_values(env))


def describe_exit_code(code: int) -> str:
    """How a command ended, in words; a negative code is a signal."""
    if code >= 0:
        return f"exit {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _shorten_command(argv: tuple[str, ...]) -> str:
    text = shlex.join(argv)
    return text if len(text) <= LONGEST else text[:LONGEST] + " ..."


def _start_error(
    argv: tuple[str, ...], cwd: Path, env: Mapping[str, str], error: Exception
) -> OrchestrError:
    secrets, number = secret_values(env), getattr(error, "errno", None)
    fault = explain_os_error(error)
    if isinstance(fault, Unavailable):  # it says nothing about the program
        words = f"{_shorten_command(argv)}: cannot be started: {fault.reason}"
        return MachineFault(redact(words, secrets))
    if not cwd.is_dir():
        return CannotStart(
            redact(f"{_shorten_command(argv)}: there is no directory {cwd}", secrets),
            program=argv[0],
        )
    if isinstance(error, FileNotFoundError):
        if "/" in argv[0] and (cwd / argv[0]).is_file():
            return ProgramMissing(
                f"{argv[0]}: the interpreter that its first line names is not found",
                hint="install that interpreter, or correct the first line of the file",
                program=argv[0],
                errno=number,
            )
        return ProgramMissing(
            f"{argv[0]}: program not found",
            hint=f"install {argv[0]}, or put its folder on PATH ({env.get('PATH', 'not set')})",
            program=argv[0],
            errno=number,
        )
    words = redact(f"{_shorten_command(argv)}: cannot be started: {error}", secrets)
    return CannotStart(words, program=argv[0], errno=number)
