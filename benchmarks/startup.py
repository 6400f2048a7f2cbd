"""Start-up: `orchestr --version`, `doit list` of six cells, beside the interpreter and doit alone.

The figures are the least of several runs in turns: what a start takes when nothing disturbs it.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.common import Figure, Found, Size, Table, scratch
from benchmarks.generated import done_workspace, first_run
from benchmarks.measure import in_turns, program, python

DODO = "from orchestr.dodo import *\n"
CELLS = 6


def measure(size: Size) -> Found:
    """All of it in turns, in one workspace."""
    with scratch() as root:
        done_workspace(root / "w", CELLS)
        ws = root / "w"
        (ws / "dodo.py").write_text(DODO, encoding="utf-8")
        first_run(ws, "run", "big")
        programs: dict[str, tuple[list[str], Path]] = {
            "python -c pass": (python("-c", "pass"), ws),
            "python -c 'import doit'": (python("-c", "import doit.doit_cmd"), ws),
            "doit --version": (python("-m", "doit", "--version"), root),
            "orchestr --version": (program("--version"), ws),
            "doit list": (python("-m", "doit", "list"), ws),
            "orchestr list": (program("list"), ws),
            "orchestr status": (program("status", "big"), ws),
            "orchestr plan": (program("plan", "big"), ws),
            "orchestr run, nothing to do": (program("run", "big"), ws),
        }
        found = in_turns(programs, size.pick(15, 9, 1), warm=size is not Size.TINY)
    bare, doit = found["python -c pass"], found["python -c 'import doit'"]
    rows = [
        {"what": name, **timing.row(), "x python": timing.wall / bare.wall,
         "x import doit": timing.wall / doit.wall}
        for name, timing in found.items()
    ]  # fmt: skip
    return Found(
        [Table(f"start-up, {CELLS} cells, warm", rows)],
        [
            Figure("orchestr --version", found["orchestr --version"].least, "s", 0.15),
            Figure("doit list of 6 cells", found["doit list"].least, "s", 0.25),
            Figure("orchestr list of 6 cells", found["orchestr list"].least, "s", 0.25),
            Figure("orchestr status of 6 cells", found["orchestr status"].least, "s", 0.6),
            Figure("doit list / import doit", found["doit list"].wall / doit.wall, "x"),
        ],
    )
