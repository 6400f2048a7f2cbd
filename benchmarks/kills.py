"""Random kills: any process of a run or of a landing, at any time, and what came of it.

Four cells in two repositories with a check each; the workspace is put back for each kill. A run or
a landing begins, and after a random time a random process of it gets SIGKILL: the orchestrator, a
supervisor, an agent or its wall, a git, a check. Then the same command is given until it ends well,
three times at most. The end is compared with that of an undisturbed run: trees and commits at the
origins, pull requests, starts of agents. An agent may start once more only when it, its supervisor
or its wall was what was killed.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.common import Figure, Found, Row, Size, Table, scratch, start_quietly
from benchmarks.measure import clock, program
from benchmarks.recovery import End, look, prepare

CELLS = {"a": "one", "b": "one", "c": "two", "d": "two"}
AFTER = {"b": "a", "d": "a, c"}
Verb = tuple[str, ...]
RUN: Verb = ("run", "f")
LAND: Verb = ("land", "f", "--yes")
TRIES = 3
AGENTS_OWN = ("supervisor", "agent", "wall")  # kills after which an agent may start again
AGENT = """\
echo "$ORCHESTR_CELL $ORCHESTR_ATTEMPT" >> {root}/book
sleep 0.3
echo "part $ORCHESTR_CELL" > "$ORCHESTR_CELL.txt"
"""
MORE = """\
[limits]
jobs = 2

[sandbox]
write = ["{root}/book"]

[[repos.one.checks]]
kind = "command"
run = ["sh", "-c", "sleep 0.1; ls *.txt"]

[[repos.two.checks]]
kind = "command"
run = ["sh", "-c", "sleep 0.1; ls *.txt"]
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One kill: ``victim`` is the kind of process, ``ends`` the exit codes after it."""

    verb: str
    victim: str
    at: float
    ends: tuple[int, ...]


def measure(size: Size) -> Found:
    """Undisturbed first, then the kills; half of them in runs, half in landings."""
    kills = size.pick(300, 40, 2)
    with scratch() as base:
        house = House(base)
        rows: Counter[str] = Counter()
        wrong: list[Row] = []
        for number in range(kills):
            chance = random.Random(number)
            case = house.kill(RUN if number % 2 == 0 else LAND, chance)
            rows[f"{case.verb}: {case.victim}"] += 1
            found = house.find_wrong(case)
            if found:
                wrong.append({"kill": number, "verb": case.verb, "victim": case.victim,
                              "at s": round(case.at, 2), "ends": str(case.ends),
                              "wrong": "; ".join(found)})  # fmt: skip
    table: list[Row] = [{"killed": name, "times": count} for name, count in sorted(rows.items())]
    extra = sum("agents started" in str(row["wrong"]) for row in wrong)
    figures = [
        Figure(f"after {kills} random kills: wrong ends", float(len(wrong)), "", 0),
        Figure("agents started for a fault of the machine", float(extra), "", 0),
    ]
    tables = [Table("kills", table)] + ([Table("wrong ends", wrong)] if wrong else [])
    return Found(tables, figures, [])


class House:
    """A workspace that is put back, before its run or before its landing."""

    def __init__(self, base: Path) -> None:
        self.root = base / "w"
        self._kept: dict[Verb, Path] = {RUN: base / "before-run", LAND: base / "before-land"}
        agent, more = AGENT.format(root=self.root), MORE.format(root=self.root)
        prepare(self.root, CELLS, AFTER, agent, more)
        (self.root / "book").touch()
        shutil.copytree(self.root, self._kept[RUN], symlinks=True)
        self._seconds: dict[Verb, float] = {RUN: clock(lambda: self._finish(RUN))}
        shutil.copytree(self.root, self._kept[LAND], symlinks=True)
        self._wanted: dict[Verb, End] = {RUN: look(self.root)}
        self._seconds[LAND] = clock(lambda: self._finish(LAND))
        self._wanted[LAND] = look(self.root)

    def kill(self, verb: Verb, chance: random.Random) -> Case:
        """Put the workspace back, begin, kill one process, and go on until it ends well."""
        shutil.rmtree(self.root)
        shutil.copytree(self._kept[verb], self.root, symlinks=True)
        at = chance.uniform(0.05, self._seconds[verb])
        with start_quietly(program(*verb), self.root, "auto") as child:
            with suppress(subprocess.TimeoutExpired):
                child.wait(at)
            victim = "none"
            if child.poll() is None:
                victim = self._kill_one(child.pid, chance)
            ends = [child.wait()]
        while ends[-1] != 0 and len(ends) <= TRIES:
            ends.append(self._finish(verb))
        return Case(verb[0], victim, at, tuple(ends))

    def find_wrong(self, case: Case) -> list[str]:
        """What is not as it was to be."""
        wanted = self._wanted[RUN if case.verb == "run" else LAND]
        found = look(self.root)
        wrong = [] if case.ends[-1] == 0 else [f"exit {case.ends[-1]} after {len(case.ends)} tries"]
        wrong += [f"exit {code}, a fault of ours" for code in case.ends if code == 3]
        wrong += self._compare(wanted, found)
        again = sum(max(0, n - 1) for n in found.starts.values())
        if again > (1 if case.victim in AGENTS_OWN else 0):
            wrong.append(f"agents started {again} times more, for a killed {case.victim}")
        left = [p.pid for p in self._processes()]
        return [*wrong, f"processes left: {left}"] if left else wrong

    @staticmethod
    def _compare(wanted: End, found: End) -> list[str]:
        trees = [b for b, tree in wanted.trees.items() if found.trees.get(b) != tree]
        lost = [b for b, n in wanted.commits.items() if found.commits.get(b, 0) < n]
        second = [b for b, n in found.prs.items() if n > 1]
        return [*(f"another tree on {b}" for b in trees), *(f"a lost commit on {b}" for b in lost),
                *(f"a second pull request of {b}" for b in second)]  # fmt: skip

    def _kill_one(self, pid: int, chance: random.Random) -> str:
        """SIGKILL for one process of the run; what it was."""
        procs = [*self._processes(), psutil.Process(pid)]
        every = {p.pid: p for top in procs for p in (top, *_descendants(top))}
        proc = every[chance.choice(sorted(every))]
        with suppress(psutil.Error):
            kind = _kind_of(proc, pid)
            proc.send_signal(signal.SIGKILL)
            return kind
        return "none"

    def _processes(self) -> list[psutil.Process]:
        """Those that name the workspace on their command line: supervisors, agents, git."""
        found = []
        for proc in psutil.process_iter(["cmdline"]):
            if any(str(self.root) in word for word in proc.info["cmdline"] or ()):
                found.append(proc)
        return found

    def _finish(self, verb: Verb) -> int:
        with start_quietly(program(*verb), self.root, "auto") as child:
            return child.wait()


def _descendants(proc: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return list(proc.children(recursive=True))
    return []


def _kind_of(proc: psutil.Process, orchestrator: int) -> str:
    words = proc.cmdline()
    text = " ".join(words)
    if proc.pid == orchestrator:
        return "orchestrator"
    if "orchestr.supervisor" in text:
        return "supervisor"
    if "bwrap" in words[0] or "sandbox" in text:
        return "wall"
    if "agent.sh" in text or words[:1] == ["sleep"]:
        return "agent" if "0.1" not in words else "check"
    if words and Path(words[0]).name.startswith("git"):
        return "git"
    return "other"
