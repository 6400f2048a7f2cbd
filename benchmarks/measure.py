"""Time programs in turns: wall time, CPU time and peak memory.

On a machine that does other work, too, wall times vary by half. So what is compared runs in turns
(A B A B ...), ratios are taken of the medians, and the least of the CPU times (of the program and
all that it waited for) stands beside them: that hardly depends on other load.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.common import environment

# Times one program from a process that is small and starts nothing else.
TIMER = """\
import json, os, sys, time
begin = time.perf_counter()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(pid, 0)
wall = time.perf_counter() - begin
with open(sys.argv[1], "w") as out:
    json.dump([wall, used.ru_utime + used.ru_stime, os.waitstatus_to_exitcode(status)], out)
"""


@dataclass(frozen=True, slots=True)
class Once:
    """One run of one program."""

    wall: float
    cpu: float
    code: int
    out: str


@dataclass(frozen=True, slots=True)
class Timing:
    """Several runs of one program."""

    walls: tuple[float, ...]
    cpus: tuple[float, ...]

    @property
    def wall(self) -> float:
        """The median."""
        return statistics.median(self.walls)

    @property
    def least(self) -> float:
        """The fastest: the least disturbed one."""
        return min(self.walls)

    @property
    def cpu(self) -> float:
        """The least CPU time."""
        return min(self.cpus)

    def row(self) -> dict[str, float]:
        """Its columns."""
        return {"median s": self.wall, "least s": self.least, "cpu s": self.cpu}


def once(argv: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None) -> Once:
    """Run and time one program. Raises AssertionError with its output when it fails."""
    with tempfile.NamedTemporaryFile("r", suffix=".json") as figures:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", TIMER, figures.name, *argv],
            cwd=cwd, env=env or environment(), capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        wall, cpu, code = json.load(figures)
    assert code == 0, f"{' '.join(argv)} ended with {code}: {(done.stdout + done.stderr)[-2000:]}"
    return Once(wall, cpu, code, done.stdout)


def in_turns(
    programs: Mapping[str, tuple[Sequence[str], Path]], times: int, *, warm: bool = True
) -> dict[str, Timing]:
    """Time the programs (argv, cwd) in turns; ``warm``: each once before, not counted."""
    runs: dict[str, list[Once]] = {name: [] for name in programs}
    for turn in range(times + warm):
        for name, (argv, cwd) in programs.items():
            run = once(argv, cwd)
            if turn or not warm:
                runs[name].append(run)
    return {
        name: Timing(tuple(r.wall for r in some), tuple(r.cpu for r in some))
        for name, some in runs.items()
    }


def clock(action: Callable[[], Any]) -> float:
    """The wall time of an action."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def seconds(action: Callable[[], Any], times: int = 5) -> float:
    """The median wall time of an action."""
    return statistics.median(clock(action) for _ in range(times))


def python(*words: str) -> list[str]:
    """A command of this interpreter."""
    return [sys.executable, *words]


def program(*words: str) -> list[str]:
    """A command of ours, as a user gives it."""
    return [sys.executable, "-m", "orchestr", *words]


class Watch:
    """Peak memory of a process and of what it starts, by group, looked at while they run.

    Linux' VmHWM is a process's own high-water mark, so looking seldom loses only what is taken
    after the last look. ``kind`` names the group of a command line, None leaves it out. The
    process itself is `MAIN`.
    """

    MAIN = "main"

    def __init__(
        self,
        pid: int,
        kind: Callable[[list[str]], str | None] = lambda _: None,
        every: float = 0.01,
    ) -> None:
        self._pid = pid
        self._kind = kind
        self._every = every
        self._peaks: dict[tuple[str, int], int] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._end.set()
        self._thread.join()

    def peaks(self, kind: str = MAIN) -> list[float]:
        """The peaks of a group, in MB, the largest first."""
        return sorted((kb / 1024 for (k, _), kb in self._peaks.items() if k == kind), reverse=True)

    def peak(self) -> float:
        """The peak of the process itself, in MB."""
        return max(self.peaks(), default=0.0)

    def _look(self) -> None:
        others, kinds = 0.0, dict[int, str]()
        while not self._end.wait(self._every):
            self._note(self.MAIN, self._pid)
            if time.monotonic() - others > 0.5:
                others = time.monotonic()
                self._note_others(kinds)

    def _note_others(self, kinds: dict[int, str]) -> None:
        for pid in psutil.pids():
            if pid not in kinds:
                try:
                    kind = self._kind(psutil.Process(pid).cmdline())
                except (psutil.Error, OSError):
                    continue
                if kind is None:  # asked again: it may be about to become another program
                    continue
                kinds[pid] = kind
            self._note(kinds[pid], pid)

    def _note(self, kind: str, pid: int) -> None:
        try:
            text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            return
        for line in text.splitlines():
            if line.startswith("VmHWM:"):
                key = (kind, pid)
                self._peaks[key] = max(self._peaks.get(key, 0), int(line.split()[1]))


def peak_memory(argv: Sequence[str], cwd: Path) -> float:
    """The peak memory (MB) of one run of a program, without the programs that it starts."""
    with subprocess.Popen(
        argv, cwd=cwd, env=environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as child, Watch(child.pid, every=0.002) as watch:  # fmt: skip
        child.wait()
    return watch.peak()
