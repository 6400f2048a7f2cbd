"""What an agent had started, noted while it works: found again when its supervisor was killed.

The marker in the environment finds what kept its environment, the agent's tree what kept its
parents. A process that has neither (an empty environment, and a parent that is gone) would work on
unseen. So the supervisor notes every process below it that it meets (`ProcessNotes`), with its
create time and its session, in the attempt's folder. `end_leftovers` ends what still lives of them:
the noted processes, all that belongs to a session of theirs, and all that descends from either.

Only what descended from the agent is noted. A session begins within the attempt, as the agent is
started in one of its own; so a person's shell or editor in the worktree is never hit.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestr.process.tree import (
    CLOCK_SLACK,
    Proc,
    Table,
    end_processes,
    filter_marked,
    is_same_start,
    read_process,
    track_descendants,
)
from orchestr.supervisor.logins import LoginKeeper
from orchestr.supervisor.protocol import read_launch

NOTES = "processes"
BOOT = "boot"  # the line before numbers that count in one boot and one pid namespace
MOST_LINES = 4096  # then the file is written again with those that live


class ProcessNotes:
    """Appends the processes that one supervisor meets; a full disk costs the notes only."""

    def __init__(self, folder: Path) -> None:
        self._known: dict[int, Proc] = {}
        self._lines = 0
        self._fd: int | None = None
        with suppress(OSError):
            self._fd = os.open(folder / NOTES, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.write(self._fd, f"{BOOT} {_read_boot()}\n".encode())

    def note_living(self, pids: Iterable[int]) -> None:
        """Note the new ones of all that lives now below the supervisor; the others have ended.

        A process is read from `/proc` only when it is met for the first time.
        """
        living = set(pids)
        for pid in self._known.keys() - living:
            del self._known[pid]
        met = [read_process(pid) for pid in living - self._known.keys()]
        found = [proc for proc in met if proc is not None]
        self._known.update((proc.pid, proc) for proc in found)
        self._append(found)

    def close(self) -> None:
        """Close the file; nothing more is noted."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _append(self, procs: list[Proc]) -> None:
        if self._fd is None or not procs:
            return
        self._lines += len(procs)
        try:
            if self._lines > MOST_LINES:
                procs = list(self._known.values())
                self._lines = len(procs)
                os.ftruncate(self._fd, 0)
                os.write(self._fd, f"{BOOT} {_read_boot()}\n".encode())
            lines = (f"{proc.pid} {proc.created:.2f} {proc.session}\n" for proc in procs)
            os.write(self._fd, "".join(lines).encode())
        except OSError:
            os.close(self._fd)
            self._fd = None


@dataclass(slots=True)
class NotedProcesses:
    """What the notes of a folder hold: create times by pid, and sessions."""

    created: dict[int, list[float]] = field(default_factory=dict)
    sessions: set[int] = field(default_factory=set)
    first: float = 0.0

    def find_living(self, now: Table) -> list[Proc]:
        """The processes of ``now`` that were noted, or are in a session of one that was."""
        return [proc for proc in now.values() if self._was_met(proc) or self._is_beside(proc, now)]

    def _was_met(self, proc: Proc) -> bool:
        times = self.created.get(proc.pid, ())
        return any(is_same_start(proc.created, at) for at in times)

    def _is_beside(self, proc: Proc, now: Table) -> bool:
        """Whether it is in a session of the attempt, and the number was not used again since."""
        if proc.session not in self.sessions or proc.created < self.first - CLOCK_SLACK:
            return False
        leader = now.get(proc.session)
        return leader is None or self._was_met(leader)


def read_notes(folder: Path) -> NotedProcesses:
    """What was noted in an attempt's folder; torn lines are passed over."""
    found, here, boot = NotedProcesses(), False, _read_boot()
    with suppress(OSError):
        for line in (folder / NOTES).read_text("ascii", errors="replace").splitlines():
            if line.startswith(BOOT):
                here = line == f"{BOOT} {boot}"
            with suppress(ValueError):
                if not here:
                    continue
                pid, created, session = line.split()
                found.created.setdefault(int(pid), []).append(float(created))
                found.sessions.add(int(session))
    times = [at for some in found.created.values() for at in some]
    found.first = min(times, default=0.0)
    return found


def end_leftovers(folder: Path, marker: str) -> int:
    """End all that is left of an attempt without a supervisor; returns how many there were.

    What the agent had renewed of its logins is passed on then, too.
    """
    noted = read_notes(folder)

    def find_roots(now: Table) -> list[Proc]:
        return [*noted.find_living(now), *filter_marked(marker, now)]

    ended = end_processes(track_descendants(find_roots), grace=0)
    remove_notes(folder)
    with suppress(OSError, ValueError):
        LoginKeeper(read_launch(folder).logins).take_away()
    return ended


def has_notes(folder: Path) -> bool:
    """Whether a supervisor has met processes there and not come to the end of them."""
    return (folder / NOTES).exists()


def remove_notes(folder: Path) -> None:
    """All that was noted has ended: numbers are used again, and must not be taken for it."""
    with suppress(OSError):
        (folder / NOTES).unlink()


def _read_boot() -> str:
    """What numbers of processes belong to: this boot of the machine, and our pid namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return "unknown"
