"""Makespan of random DAGs: simulated durations, but the program's own scheduler.

What runs is `orchestr run` itself in a process of its own: spec, plan with its priorities, doit's
threaded runner, the slots of `cell/slots.py`, journal and result files. Only what a phase does is
replaced: `implement` takes its slot as the real one does and then lets simulated time pass, the
others write their files at once. Simulated time advances when as many agents work as can work (all
slots taken, or all cells whose upstreams are done) and the other free cells wait for a slot: a real
agent takes minutes. If that state is not reached within some seconds, time advances and a stall is
counted.

Beside it: the lower bound max(critical path, work / jobs), which no schedule can reach in many
cases; waves (a barrier after each, longest first within); and doit's own order (stock doit, one
task a cell, as many threads as jobs). *known* has the durations of an earlier run in its journal,
*unknown* has none. The DAGs: 10 to 60 cells, 0 to 3 upstreams among the 12 cells before, durations
lognormal (sigma 0.6), 2 to 8 jobs, seeds 0, 1, 2, ...
"""

from __future__ import annotations

import contextlib
import heapq
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.common import ROOT, Figure, Found, Row, Size, Table, environment, scratch

WORKERS = 2
STALL = 30.0  # s of real time without a start after which simulated time goes on
HEAD = "apiVersion: orchestr/v1\nkind: Feature\nmetadata: {name: dag, title: A DAG}\n"
SPEC = HEAD + "defaults: {phases: [implement]}\ncells:\n"


@dataclass(frozen=True, slots=True)
class Dag:
    """Cells with their upstreams (earlier ones) and durations."""

    above: tuple[tuple[int, ...], ...]
    seconds: tuple[float, ...]
    jobs: int

    @classmethod
    def random(cls, seed: int) -> Dag:
        rng = random.Random(seed)
        count = rng.randint(10, 60)
        above = []
        for n in range(count):
            near = range(max(0, n - 12), n)
            wanted = 0 if rng.random() < 0.25 else rng.randint(1, 3)
            above.append(tuple(sorted(rng.sample(near, min(wanted, len(near))))))
        seconds = tuple(round(600 * math.exp(rng.gauss(0, 0.6)), 3) for _ in range(count))
        return cls(tuple(above), seconds, rng.choice((2, 3, 4, 6, 8)))

    def critical_path(self) -> float:
        ends: list[float] = []
        for above, took in zip(self.above, self.seconds, strict=True):
            ends.append(took + max((ends[u] for u in above), default=0.0))
        return max(ends)

    def bound(self) -> float:
        """No schedule is shorter."""
        return max(self.critical_path(), sum(self.seconds) / self.jobs)

    def in_waves(self) -> float:
        """With a barrier after each wave, longest first in it."""
        wave: list[int] = []
        for above in self.above:
            wave.append(1 + max((wave[u] for u in above), default=0))
        total = 0.0
        for number in range(1, max(wave) + 1):
            slots = [0.0] * self.jobs
            mine = (s for s, w in zip(self.seconds, wave, strict=True) if w == number)
            for took in sorted(mine, reverse=True):
                heapq.heappush(slots, heapq.heappop(slots) + took)
            total += max(slots)
        return total


class Clock:
    """Simulated time for the agents of one run."""

    def __init__(self, dag: Dag, waiting: Callable[[], int] | None = None) -> None:
        self.now, self.stalls = 0.0, 0
        self._dag = dag
        self._waiting = waiting
        self._cond = threading.Condition()
        self._asleep: list[tuple[float, int]] = []
        self._done: set[int] = set()
        self._thread = threading.Thread(target=self._drive, daemon=True)
        self._thread.start()

    def work(self, cell: int) -> None:
        """Let the cell's duration pass."""
        with self._cond:
            heapq.heappush(self._asleep, (self.now + self._dag.seconds[cell], cell))
            self._cond.notify_all()
            self._cond.wait_for(lambda: cell in self._done)

    def _settled(self) -> bool:
        """Whether nothing more can start now: as many work as can, the others wait for a slot."""
        free = sum(
            n not in self._done and self._done.issuperset(above)
            for n, above in enumerate(self._dag.above)
        )
        asleep = len(self._asleep)
        if asleep < min(self._dag.jobs, free):
            return False
        return self._waiting is None or asleep + self._waiting() >= free

    def _drive(self) -> None:
        with self._cond:
            while len(self._done) < len(self._dag.seconds):
                patience = time.monotonic() + STALL
                while not self._settled() and time.monotonic() < patience:
                    self._cond.wait(0.001)
                self.stalls += not self._settled()
                if self._asleep:
                    self.now, cell = heapq.heappop(self._asleep)
                    self._done.add(cell)
                    self._cond.notify_all()


def ours(dag: Dag, root: Path, *, known: bool) -> Clock:
    """`orchestr run` of the DAG, in this process and folder."""
    from orchestr import cli
    from orchestr.cell import input_changes
    from orchestr.cell.phases import run_phase
    from orchestr.cell.phases.run_phase import PhaseResult
    from orchestr.run import start
    from orchestr.run.workspace import Session
    from orchestr.spec.phases import Phase
    from orchestr.state import results as r
    from orchestr.state.events import Event, EventKind
    from orchestr.state.journal import utc_timestamp
    from orchestr.tasks import generate, outside_changes
    from orchestr.tasks.finish_feature import write_links

    cells = "".join(
        f"  c{n}: {{repo: r{n}, todo: [it], depends_on: [{', '.join(f'c{u}' for u in above)}]}}\n"
        for n, above in enumerate(dag.above)
    )
    (root / "specs").mkdir()
    (root / "specs" / "dag.yaml").write_text(SPEC + cells)
    agent = '[agents.none]\nkind = "command"\nrun = ["true"]\n'
    (root / "orchestr.toml").write_text(f"{agent}[limits]\njobs = {dag.jobs}\n")
    if known:
        journal = Session(root).open_journal("dag")
        for n, took in enumerate(dag.seconds):
            data = {"reason": "exited", "code": 0, "seconds": took}
            journal.append(
                Event(
                    EventKind.ATTEMPT_EXITED,
                    utc_timestamp(),
                    "before",
                    "dag",
                    f"c{n}",
                    "implement",
                    1,
                    data,
                )
            )
    pools: list[Any] = []
    clock = Clock(dag, lambda: sum(len(pool._waiters) for pool in pools))
    files = {
        Phase.WORKTREE: (r.MARKER,),
        Phase.IMPLEMENT: (r.IMPLEMENT, r.TRANSCRIPT),
        Phase.CHECK: (r.CHECKS,),
        Phase.REVIEW: (r.REVIEW, r.HEAD, r.TREE),
        Phase.PUBLISH: (r.PR_URL, r.PUBLISHED),
    }

    def phase_module(phase: Phase) -> Any:
        def run(ctx: Any) -> Any:
            if phase is Phase.IMPLEMENT:
                pool = ctx.run.slot_pool("agents")
                pools[:] = [pool]
                with pool.hold_slot(ctx.priority, ctx.is_cancelled):
                    clock.work(int(ctx.cell.name[1:]))
            ctx.dir.mkdir(parents=True, exist_ok=True)
            for name in files[phase]:
                (ctx.dir / name).write_text(f"{ctx.cell.name}\n")
            return PhaseResult.built("simulated")

        return SimpleNamespace(reason_to_run=lambda ctx: "simulated", run=run)

    def finish(run: Any, cells: Any) -> None:
        write_links(run, {})

    patches: tuple[tuple[Any, str, Any], ...] = (
        (outside_changes, "phase_module", phase_module),
        (run_phase, "phase_module", phase_module),
        (generate, "finish_feature", finish),
        (input_changes, "save_inputs", lambda ctx, phase: None),
        (input_changes, "changes_for_journal", lambda ctx, phase: {}),
        (start, "observe_pull_requests", lambda run: None),
    )
    with contextlib.ExitStack() as stack:
        for place, name, value in patches:
            stack.enter_context(replaced(place, name, value))
        code = cli.main(["run", "dag", "--yes", "--skip-preflight"])
    assert code in (0, None), f"orchestr run ended with {code}"
    return clock


def doits(dag: Dag, root: Path) -> Clock:
    """Stock doit: a task a cell, as many threads as jobs, its own order."""
    from doit.cmd_base import ModuleTaskLoader
    from doit.doit_cmd import DoitMain

    clock = Clock(dag)

    def work(cell: int) -> Callable[[], None]:
        return lambda: clock.work(cell)

    def task_cell() -> Iterator[dict[str, Any]]:
        for n, above in enumerate(dag.above):
            yield {"name": str(n), "actions": [work(n)], "task_dep": [f"cell:{u}" for u in above]}

    class Stock(DoitMain):  # type: ignore[misc]
        def get_cmds(self) -> Any:
            from doit.cmd_run import Run

            found = super().get_cmds()
            found["run"] = Run  # its own, not ours
            return found

    loader = ModuleTaskLoader({"task_cell": task_cell})
    words = ["run", "-n", str(dag.jobs), "-P", "thread", "--db-file", str(root / "doit.db")]
    code = Stock(loader, config_filenames=()).run([*words, "-v", "0"])
    assert code == 0, f"doit ended with {code}"
    return clock


@contextlib.contextmanager
def replaced(place: Any, name: str, value: Any) -> Iterator[None]:
    """Replace one attribute of a module inside the context."""
    old = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, old)


def work(seeds: list[int], out: Path) -> None:
    """A worker: one JSON line a DAG."""
    os.fsync = lambda fd: None
    home = Path.cwd()
    with out.open("w") as stream:
        for seed in seeds:
            dag = Dag.random(seed)
            row = {"seed": seed, "cells": len(dag.seconds), "jobs": dag.jobs, "stalls": 0,
                   "bound": dag.bound(), "waves": dag.in_waves()}  # fmt: skip
            for name, run in (
                ("known", lambda dag, root: ours(dag, root, known=True)),
                ("unknown", lambda dag, root: ours(dag, root, known=False)),
                ("doit", doits),
            ):
                with tempfile.TemporaryDirectory(dir=home) as folder:
                    os.chdir(folder)
                    begin = time.perf_counter()
                    clock = run(dag, Path(folder))
                    os.chdir(home)
                row[name] = clock.now
                row["stalls"] += clock.stalls
                row[f"{name} took"] = time.perf_counter() - begin
            stream.write(json.dumps(row) + "\n")
            stream.flush()


def gather(count: int) -> list[dict[str, Any]]:
    """All DAGs, on some workers."""
    with scratch() as root:

        def one(worker: int) -> Path:
            out = root / f"{worker}.jsonl"
            seeds = [str(seed) for seed in range(worker, count, WORKERS)]
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.makespan", str(out), *seeds], cwd=root,
                env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                check=False,
            )  # fmt: skip
            assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
            return out

        with ThreadPoolExecutor(WORKERS) as pool:
            files = list(pool.map(one, range(min(WORKERS, count))))
        rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return sorted(rows, key=lambda row: int(row["seed"]))


def percentile(values: list[float], part: float) -> float:
    """The value that ``part`` of all are not above."""
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]


def measure(size: Size) -> Found:
    """The table over all DAGs, and how much longer than ours the others take."""
    count = size.pick(200, 24, 1)
    runs = gather(count)
    assert len(runs) == count
    rows: list[Row] = []
    for name in ("known", "unknown", "doit", "waves"):
        ratios = [row[name] / row["bound"] for row in runs]
        over = [row[name] / row["known"] for row in runs]
        rows.append({
            "order": {"known": "orchestr, durations known", "unknown": "orchestr, unknown",
                      "doit": "doit's own", "waves": "waves"}[name],
            "median / bound": statistics.median(ratios), "p95 / bound": percentile(ratios, 0.95),
            "worst / bound": max(ratios), "median / ours": statistics.median(over),
            "DAGs shorter than ours": sum(value < 0.999 for value in over),
        })  # fmt: skip
    stalls = sum(row["stalls"] for row in runs)
    cells = sum(row["cells"] for row in runs)
    notes = [f"{count} DAGs, {cells} cells; {stalls} stalls (a slot free, a cell ready, no start)"]
    ratios = [row["known"] / row["bound"] for row in runs]
    return Found(
        [Table("makespan", rows)],
        [
            Figure("makespan / lower bound, median", statistics.median(ratios), "x", 1.05),
            Figure("makespan / lower bound, p95", percentile(ratios, 0.95), "x"),
            Figure("slots left free while a cell was ready", float(stalls), "times", 0),
        ],
        notes,
    )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    work([int(word) for word in sys.argv[2:]], Path(sys.argv[1]))
