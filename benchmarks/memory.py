"""Memory of the orchestrator while 50 agents write 100 MB each, all at once.

The agents print lines as fast as they are read, then write one file, which the host commits. Peaks
are the kernel's own high-water marks (VmHWM) of each process: of the orchestrator, and of the
supervisors that stand between agents and disk, one for each agent. Beside it the same run with
agents without output. `--quick` writes 4 MB each. The transcripts need 50 times that on disk.
"""

from __future__ import annotations

import statistics
import subprocess
from functools import partial
from pathlib import Path

from benchmarks.common import (
    Figure,
    Found,
    Row,
    Size,
    Skipped,
    Table,
    big_repository,
    environment,
    scratch,
    write_agent,
    write_spec,
)
from benchmarks.measure import Watch, clock, program

MB = 1_000_000
AGENT = """\
yes 'a line of what an agent says while it works, as long as such lines are, more or less' \
    | head -c {size}
echo done > "$ORCHESTR_CELL.txt"
"""


def run(root: Path, agents: int, size: int) -> tuple[Row, float]:
    """One run: its row, and the orchestrator's peak in MB."""
    root.mkdir()
    big_repository(root, 20)
    write_agent(root, AGENT.format(size=size), f"[limits]\njobs = {agents}\n")
    write_spec(root, [f"c{n}: {{repo: big, todo: [part {n}]}}" for n in range(agents)])
    argv = program("run", "f")
    with (root / "out.txt").open("wb") as out, subprocess.Popen(
        argv, cwd=root, env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out
    ) as child, Watch(child.pid, partial(supervisor, root), every=0.05) as watch:  # fmt: skip
        took = clock(child.wait)
    assert child.returncode == 0, (root / "out.txt").read_text()[-2000:]
    written = sum(
        p.stat().st_size for p in root.glob(".orchestr/cells/f/*/attempts/1/transcript.jsonl")
    )
    supervisors = watch.peaks("supervisor")
    row = {
        "agents": agents, "MB each": size / MB, "transcripts MB": written / MB, "seconds": took,
        "orchestrator MB": watch.peak(), "supervisors seen": len(supervisors),
        "a supervisor MB": statistics.median(supervisors) if supervisors else 0.0,
        "largest MB": max(supervisors, default=0.0),
    }  # fmt: skip
    return row, watch.peak()


def supervisor(root: Path, argv: list[str]) -> str | None:
    """The group of a process of this run, by its command line."""
    ours = "orchestr.supervisor" in argv and any(word.startswith(str(root)) for word in argv)
    return "supervisor" if ours else None


def measure(size: Size) -> Found:
    """Silent agents (not in --quick), then loud ones."""
    if not Path("/proc/self/status").exists():
        raise Skipped("reads peaks from /proc")
    agents, each = size.pick(50, 50, 2), size.pick(100 * MB, 4 * MB, MB // 10)
    rows = []
    peak = 0.0
    for much in (0, each) if size is Size.FULL else (each,):
        with scratch() as base:
            row, peak = run(base / "w", agents, much)
            rows.append(row)
    largest = float(rows[-1]["largest MB"])
    return Found(
        [Table("memory", rows)],
        [
            Figure(f"orchestrator, {agents} agents at {each / MB:g} MB", peak, "MB", 120),
            Figure("the largest of its supervisors", largest, "MB"),
        ],
    )
