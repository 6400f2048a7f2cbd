"""A program of ours that uses our own streams, waited for to its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from orchestr.errors import ExitCode

STDERR = 2  # the stream itself: what a child writes goes around our own wrapping of it


def run_attached(argv: Sequence[str], cwd: Path, more: Mapping[str, str] | None = None) -> int:
    """Run a program with our environment and ``more``; what it prints on stdout goes to stderr.
    Its exit code; `ExitCode.INTERRUPTED` whenever a signal asked us to end meanwhile.

    Such a signal is passed on, and its end is waited for: it ends what it started itself. Ctrl+C
    reaches it from the terminal.
    """
    asked: list[int] = []
    children: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        asked.append(number)
        if number != signal.SIGINT or not sys.stdin.isatty():
            for child in children:
                child.send_signal(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    old = {number: signal.signal(number, pass_on) for number in numbers}
    try:
        child = subprocess.Popen(
            argv, cwd=cwd, env={**os.environ, **(more or {})}, stdin=subprocess.DEVNULL,
            stdout=STDERR,
        )  # fmt: skip
        children.append(child)
        for number in tuple(asked):  # they came before it was there
            child.send_signal(number)
        code = child.wait()
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
    if asked:
        return int(ExitCode.INTERRUPTED)
    return 128 - code if code < 0 else code
