"""Errors are instructions: what happened, to which cell, and the command to run next.

Expected outcomes (a failed attempt, a refused name) are values; an exception here means
that we cannot go on with the thing at hand. One place
(`orchestr.views.terminal.output.report_error`) turns them into text and exit codes.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

# What strerror, and git's csum-file.c, say of a full disk.
NO_ROOM = ("No space left on device", "Disk quota exceeded", "Out of diskspace")


class ExitCode(IntEnum):
    """Exit codes of ``orchestr`` (docs/verbs.md). Plain ``doit`` keeps its own."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    FAULT = 3
    BUSY = 4
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a spec or in the settings, with its place.

    ``line`` and ``column`` count from 1; 0 means unknown. ``severity`` is ``error`` or
    ``warning``; warnings never stop anything. ``spec`` is the spec that takes ``file`` in, where
    that is another file (`include:`, `extends:`).
    """

    file: str
    line: int
    column: int
    field: str
    message: str
    hint: str | None = None
    severity: str = "error"
    spec: str = ""

    @property
    def spec_file(self) -> str:
        """The spec, or the settings, that the problem belongs to."""
        return self.spec or self.file

    @property
    def location(self) -> str:
        """`file:line:column`, as far as it is known."""
        at = (self.line, self.column) if self.column else (self.line,)
        return ":".join(map(str, (self.file, *at))) if self.line else self.file

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        text = f"{self.location}: {self.severity}: {field}{self.message}"
        text += f" (read for {self.spec})" if self.spec else ""
        return f"{text}\n  hint: {self.hint}" if self.hint else text


class OrchestrError(Exception):
    """Base of everything we raise on purpose; ``hint`` is the command or step that helps.

    ``cell`` is the `feature:cell` that it is about, if any. ``reason`` is for a reader who sees the
    cell already, ``message`` names it. ``repeatable``: the machine was in the way, not the work:
    the next run repeats the step, and no attempt fails.
    """

    exit_code: ExitCode = ExitCode.FAILED
    repeatable: bool = False

    def __init__(self, reason: str, *, hint: str | None = None, cell: str = "") -> None:
        self.reason = reason
        self.cell = cell
        self.message = f"cell {cell}: {reason}" if cell else reason
        super().__init__(self.message)
        self.hint = hint


class UsageError(OrchestrError):
    """A wrong word on the command line, or an unknown feature, cell or phase."""

    exit_code = ExitCode.USAGE


class SpecError(OrchestrError):
    """The spec or the settings are wrong; ``problems`` holds every one of them."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = tuple(problems)


class Busy(OrchestrError):
    """Another process holds the lease; the message says which, since when and what to do."""

    exit_code = ExitCode.BUSY


class Interrupted(OrchestrError):
    """Ctrl+C, SIGTERM or ``orchestr abort`` reached this run."""

    exit_code = ExitCode.INTERRUPTED


MACHINE_HINT = (
    "end what takes the memory, processes or files of this machine (ulimit -a, free -m, dmesg), "
    "then run the same command again: it goes on where it stopped"
)


class PhaseFailed(OrchestrError):
    """A cell's phase ended without its result; the reason is fit for people."""


class FinalFailure(PhaseFailed):
    """A failure that no further attempt would change: a budget, a refused key, a broken rule."""


class AgentUnusable(FinalFailure):
    """The agent cannot do it, another one may: a refused key, a program that does not start, a
    usage limit that lasts too long."""


class Unavailable(OrchestrError):
    """The machine, the network or a server was in the way: nothing is known about the work.

    The third outcome beside green and red: it starts no agent, changes no commit and closes no
    attempt. ``retry_after``: after so many seconds another try may go well by itself; None when
    a person has to do something first. ``is_passing``: a server or a network that is usually
    there, so that waiting is worth more than a few tries.
    """

    repeatable = True
    retry_after: float | None = None
    is_passing = False

    def __init__(
        self,
        reason: str,
        *,
        hint: str | None = None,
        cell: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason, hint=hint, cell=cell)
        if retry_after is not None:
            self.retry_after = retry_after


class MachineFault(Unavailable):
    """The machine had no memory, process, file handle or thread left, or could not read a disk."""

    retry_after = 1.0

    def __init__(self, reason: str, *, hint: str | None = None, cell: str = "") -> None:
        super().__init__(reason, hint=hint or MACHINE_HINT, cell=cell)


class NotEvaluated(PhaseFailed, Unavailable):
    """Checks could not be run on this machine: there is no verdict, and nothing to repair."""


class CellBlocked(PhaseFailed):
    """A cell cannot start: an upstream that stands still has no result."""

    def __init__(
        self, reason: str, *, upstream: str, hint: str | None = None, cell: str = ""
    ) -> None:
        super().__init__(reason, hint=hint, cell=cell)
        self.upstream = upstream


class NeedsAmendment(CellBlocked):
    """A cell needs a contract changed that is amended in the same run: no failure of its own."""


class NeedsApproval(PhaseFailed):
    """A gate is closed: a person has to say yes (``state`` approval), or said no (needs_person)."""

    def __init__(
        self,
        reason: str,
        *,
        gate: str,
        state: str = "approval",
        hint: str | None = None,
        cell: str = "",
    ) -> None:
        super().__init__(reason, hint=hint, cell=cell)
        self.gate = gate
        self.state = state

    @property
    def journal_data(self) -> dict[str, Any]:
        """For the journal."""
        return {"gate": self.gate, "state": self.state}


class CorruptState(OrchestrError):
    """A file of ours cannot be read; it was set aside as ``.corrupt-<time>``."""

    exit_code = ExitCode.FAILED


class DiskFull(Unavailable):
    """The disk is full, or this user's share of it."""

    def __init__(self, reason: str, *, cell: str = "") -> None:
        super().__init__(
            reason,
            hint="make room, then run the same command again: it goes on where it stopped",
            cell=cell,
        )


class NotAccessible(OrchestrError):
    """A file or folder of the workspace may not be read or written by this user."""

    exit_code = ExitCode.USAGE


# What a call says of something that is no file of ours, or none that this user may use.
_REFUSED = (
    errno.EACCES, errno.EISDIR, errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EPERM, errno.EROFS,
    errno.ESPIPE,
)  # fmt: skip
_FULL = (errno.ENOSPC, errno.EDQUOT)
# What a call says of a machine that has nothing left, or of a disk or server that went away.
_EXHAUSTED = (
    errno.EAGAIN, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ESTALE,
    errno.ETXTBSY,
)  # fmt: skip


def explain_os_error(error: BaseException) -> OrchestrError | None:
    """An error of the surroundings in words: no room, no right to a file, nothing left of the
    machine; None for others.
    """
    if isinstance(error, MemoryError):
        return MachineFault("this machine has no memory left")
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return MachineFault("this user may start no more threads")
    full = disk_full_error(error)
    if full is not None or not isinstance(error, OSError):
        return full
    if error.errno in _EXHAUSTED:
        of = "" if error.filename is None else f": {os.fsdecode(error.filename)}"
        return MachineFault(f"{os.strerror(error.errno)}{of}")
    if error.filename is None or error.errno not in _REFUSED:
        return None
    return NotAccessible(
        f"cannot use {os.fsdecode(error.filename)}: {error.strerror or os.strerror(error.errno)}",
        hint="ls -ld shows what it is and whose: move away what is no file, let this user read and "
        "write what is one, then the same command",
    )


def as_disk_full(error: OrchestrError) -> DiskFull | None:
    """A DiskFull for an error that a full disk caused, also one of git (whose locale is pinned);
    None for any other error.
    """
    if isinstance(error, DiskFull):
        return error
    if not any(text in error.message for text in (*NO_ROOM, "(limits.min_disk_mb)")):
        return None
    return DiskFull(error.reason, cell=error.cell)


def disk_full_error(error: BaseException) -> DiskFull | None:
    """A DiskFull for a write that found no room; None for any other error."""
    if not isinstance(error, OSError) or error.errno not in _FULL:
        return None
    return DiskFull(
        f"{os.strerror(error.errno)}: {error.filename or 'a file of ours could not be written'}"
    )
