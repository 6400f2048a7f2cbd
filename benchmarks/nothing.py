"""Nothing to do, at 100 to 10,000 tasks, beside make, ninja and stock doit on the same graph.

A cell is five tasks, each with a file made from the file before it. The others get the same files
and edges, with `touch` as the rule. They compare file times only; we read the spec, the
journal and the digests of every cell, and ask a forge (here: none was published to).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.common import Figure, Found, Row, Size, Table, orchestr, scratch
from benchmarks.generated import PHASES, done_workspace, first_run, upstreams
from benchmarks.measure import Timing, in_turns, once, program, python

DESIGN = 1000  # cells: the size of the target

DODO = """\
def task_cell():
    for line in open("graph"):
        target, *deps = line.split()
        yield {"name": target, "actions": ["touch " + target], "file_dep": deps,
               "targets": [target], "uptodate": [True] if not deps else []}
"""

# doit without the verbs that we add to it.
STOCK = """\
import importlib.metadata as m, sys
m.entry_points = lambda **_: ()
from doit.doit_cmd import DoitMain
sys.exit(DoitMain().run(sys.argv[1:]))
"""


def edges(cells: int) -> list[tuple[str, list[str]]]:
    """Every file of the graph with those that it is made from, upstreams first."""
    found = []
    for n in range(cells):
        before = [f"c{u}.{PHASES[3]}" for u in upstreams(n)]
        for phase in PHASES:
            found.append((f"c{n}.{phase}", before))
            before = [f"c{n}.{phase}"]
    return found


def others(root: Path, cells: int) -> dict[str, tuple[list[str], Path]]:
    """The other programs' files, built once; name -> command and folder."""
    graph = edges(cells)
    every = " ".join(target for target, _ in graph)
    make, ninja, doit = root / "make", root / "ninja", root / "doit"
    for folder in (make, ninja, doit):
        folder.mkdir()
    rules = "".join(f"{t}: {' '.join(d)}\n\t@touch $@\n" for t, d in graph)
    (make / "Makefile").write_text(f".PHONY: all\nall: {every}\n{rules}")
    builds = "".join(f"build {t}: t {' '.join(d)}\n" for t, d in graph)
    (ninja / "build.ninja").write_text(f"rule t\n  command = touch $out\n{builds}")
    (doit / "graph").write_text("".join(f"{t} {' '.join(d)}\n" for t, d in graph))
    (doit / "dodo.py").write_text(DODO)
    programs: dict[str, tuple[list[str], Path]] = {}
    if shutil.which("make"):
        programs["make -rR"] = (["make", "-rR"], make)
    if shutil.which("ninja"):
        programs["ninja"] = (["ninja"], ninja)
    programs["doit"] = (python("-c", STOCK, "run", "--backend", "sqlite3"), doit)
    for argv, folder in programs.values():
        once(argv, folder)
    return programs


def at(cells: int, times: int, *, warm: bool) -> dict[str, Timing]:
    """Every program at one size, in turns."""
    with scratch() as root:
        ws = root / "w"
        done_workspace(ws, cells)
        first_run(ws, "run", "big")
        second = orchestr("run", "big", cwd=ws)
        assert "nothing to be done" in second.stdout, second.stdout + second.stderr
        programs = {
            "python -c pass": (python("-c", "pass"), ws),
            **others(root, cells),
            "orchestr run": (program("run", "big"), ws),
            "orchestr status": (program("status", "big"), ws),
            "orchestr plan": (program("plan", "big"), ws),
            "orchestr list": (program("list"), ws),
        }
        return in_turns(programs, times, warm=warm)


def measure(size: Size) -> Found:
    """All sizes."""
    sizes = size.pick((20, 200, DESIGN, 2000), (20, 200, DESIGN), (2, 4))
    rows: list[Row] = []
    runs: list[Timing] = []
    found: dict[str, Timing] = {}
    figures = []
    for cells in sizes:
        found = at(cells, size.pick(7, 3, 1), warm=size is not Size.TINY)
        ours = found["orchestr run"]
        runs.append(ours)
        rows += [
            {"tasks": cells * 5, "program": name, **timing.row(),
             "ours / it": ours.wall / timing.wall}
            for name, timing in found.items()
        ]  # fmt: skip
        at_target = cells == DESIGN
        what = f"nothing to do, {cells * 5:,} tasks"
        figures.append(Figure(what, ours.least, "s", 1.0 if at_target else None))
        if at_target:
            status = found["orchestr status"].least
            figures.append(Figure(f"status of {cells:,} cells", status, "s"))
    for name in ("make -rR", "ninja", "doit"):
        if name in found:
            ratio = runs[-1].wall / found[name].wall
            figures.append(
                Figure(f"nothing to do, {sizes[-1] * 5:,} tasks, over {name}", ratio, "x")
            )
    least, some, most = runs[0].cpu, runs[1].cpu, runs[-1].cpu
    few = (some - least) / (sizes[1] - sizes[0])
    many = (most - least) / (sizes[-1] - sizes[0])
    what = f"CPU a task at {sizes[-1] * 5:,} over that at {sizes[1] * 5:,} (linear: 1)"
    figures.append(Figure(what, many / few if few > 0 else 0.0, "x", 1.25))
    notes = [
        f"{name} is not installed: left out" for name in ("make", "ninja") if not shutil.which(name)
    ]
    return Found([Table("nothing to do", rows)], figures, notes)
