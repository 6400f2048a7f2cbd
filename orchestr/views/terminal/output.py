"""The one place that turns errors into text and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

from orchestr.errors import ExitCode, OrchestrError, SpecError, UsageError
from orchestr.files import write_atomic
from orchestr.registry import substitute_program_name
from orchestr.views.terminal.door import make_printable

UNHEARD = "this needs a confirmation and there is no terminal"


def report_error(error: OrchestrError) -> int:
    """Print an error of ours on stderr: what, and what to do next. Returns the exit code."""
    if isinstance(error, SpecError):
        for problem in error.problems:
            print_stderr(str(problem))
    else:
        print_stderr(f"error: {error.message}")
    if error.hint:
        print_stderr(f"hint: {error.hint}")
    return int(error.exit_code)


def report_fault(error: BaseException, log: Path) -> int:
    """A fault of ours: one line for people, the traceback in a file that is named."""
    text = "".join(traceback.format_exception(error))
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(text, encoding="utf-8")
        print_stderr(f"error: a fault in orchestr: {type(error).__name__}: {error}")
        print_stderr(f"hint: the traceback is in {log}; `orchestr doctor` looks for what it left")
    except OSError:
        print_stderr(text)
    return int(ExitCode.FAULT)


def print_stderr(text: str) -> None:
    """One line on stderr; a closed pipe is no reason to die."""
    try:
        sys.stderr.write(make_printable(substitute_program_name(text)) + "\n")
        sys.stderr.flush()
    except (BrokenPipeError, ValueError, OSError):
        return


def ask_line(prompt: str) -> str | None:
    """Ask on stderr for one line of the person; None at the end of input."""
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    return line.strip() if line else None


def ask_yes_no(question: str, *, unheard: str) -> bool:
    """Ask on stderr; no is the default. Raises UsageError (``unheard``) without a terminal."""
    if not sys.stdin.isatty():
        raise UsageError(unheard, hint="add --yes")
    return (ask_line(f"{question} [y/N] ") or "").lower() in ("y", "yes")


def confirm_reasons(reasons: Iterable[str], *, unheard: str = UNHEARD) -> bool:
    """Say what would happen, each line once, and ask whether to go on.

    Raises UsageError (``unheard``) without a terminal.
    """
    for reason in dict.fromkeys(reasons):
        print_stderr(reason)
    if ask_yes_no("Continue?", unheard=unheard):
        return True
    print_stderr("Aborted.")
    return False


def write_stdout_safely(text: str) -> None:
    """The answer on stdout; a pipe or terminal that is gone must not change the exit code."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except (OSError, ValueError):
        silence_stdout()


def write_output(path: Path, data: bytes) -> None:
    """Write what `-o FILE` names, whole or not at all. Raises OrchestrError."""
    try:
        write_atomic(path, data)
    except OSError as error:
        raise OrchestrError(
            f"cannot write {path}: {error.strerror}", hint="choose a place with -o FILE"
        ) from error


def write_stdout(text: str) -> None:
    """Part of the answer on stdout, with commands as this user types them."""
    sys.stdout.write(substitute_program_name(text))


def write_paged(text: str) -> None:
    """Part of the answer on stdout, through the user's pager where a person reads it."""
    from orchestr.process.terminal_program import page_text

    shown = substitute_program_name(text)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        sys.stdout.write(shown)
        return
    sys.stdout.flush()
    if not page_text(shown, os.environ):
        sys.stdout.write(shown)


def silence_stdout() -> None:
    """After a closed pipe: what Python still holds for stdout goes nowhere."""
    try:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
    except (OSError, ValueError):
        return


def terminal_columns() -> int:
    """The columns of stdout where it is a terminal, else 0: no limit."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
