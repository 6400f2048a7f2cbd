"""What the wall costs at each start: an agent's (with its network by rules), a check's, and none.

The same program, which does nothing, is started bare and behind the wall by turns; medians of wall
time, and the difference. The plan is an agent's on a real linked worktree, with the user's own
home folder, so the number of mounts is a real one.
"""

from __future__ import annotations

import os
import statistics
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.common import Figure, Found, Row, Size, Skipped, Table, big_repository, git, scratch
from benchmarks.measure import clock
from orchestr.sandbox.choose import SandboxKind, choose_sandbox
from orchestr.sandbox.hosts import AGENT_HOSTS
from orchestr.sandbox.wall import GitPlaces, NetworkPlan, WallRequest, wrap_command, write_plan
from orchestr.settings.limit_records import SandboxSettings

TARGET = 50.0  # ms
NETWORKS = {
    "an agent's: hosts by rules": NetworkPlan((), AGENT_HOSTS["claude"]),
    "a check's: the whole network": NetworkPlan(),
    "no network": NetworkPlan(()),
}


def measure(size: Size) -> Found:
    """Starts by turns, and the time that a plan takes."""
    found = choose_sandbox(SandboxSettings())
    if found.kind is not SandboxKind.BWRAP:
        raise Skipped(found.reason or "bubblewrap is not what is used here")
    rounds = size.pick(60, 20, 3)
    with scratch() as base:
        repo, plans, planning = _make_plans(base, found.program)
        bare: list[float] = []
        walled: dict[str, list[float]] = {name: [] for name in plans}
        for _ in range(rounds):
            bare.append(_start(("true",), repo))
            for name, plan in plans.items():
                walled[name].append(_start(wrap_command(plan, ("true",)), repo))
    usual = statistics.median(bare)
    rows: list[Row] = [{"start": "bare", "median ms": usual * 1e3, "more ms": 0.0}]
    figures = []
    for name, times in walled.items():
        more = (statistics.median(times) - usual) * 1e3
        rows.append({"start": name, "median ms": statistics.median(times) * 1e3, "more ms": more})
        figures.append(Figure(f"a start behind the wall, {name}: more", more, "ms", TARGET))
    figures.append(Figure("making and writing a plan", planning * 1e3, "ms"))
    return Found([Table("sandbox", rows)], figures, [])


def _make_plans(base: Path, bwrap: str) -> tuple[Path, dict[str, Path], float]:
    big_repository(base, 20, "one")
    repo, tree = base / "one", base / "tree"
    git("worktree", "add", "--quiet", "-b", "work", str(tree), cwd=repo)
    (base / "blank").touch()
    plans, times = {}, []
    for number, (name, network) in enumerate(NETWORKS.items()):
        folder = base / f"start-{number}"
        folder.mkdir()
        request = WallRequest(
            tree, folder, base / "state", base / "caches", base / "blank", SandboxSettings(),
            dict(os.environ), network=network, read=(repo,),
            git=GitPlaces(repo / ".git" / "worktrees" / "tree", repo / ".git", "work"),
        )  # fmt: skip
        times.append(clock(partial(write_plan, request, bwrap, has_scopes=False)))
        plans[name] = folder / "wall.json"
    return tree, plans, statistics.median(times)


def _start(argv: Sequence[str], cwd: Path) -> float:
    return clock(lambda: subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, check=True))
