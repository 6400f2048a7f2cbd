"""After SIGKILL: how long the same command takes afterwards, and what it repeats.

Six cells in two repositories (chains and a fan), agents that work for a second and append their
start to a file. The run is killed when its journal has reached some number of lines, the same
command is given at once, and the final state is compared with that of an undisturbed run: final
trees, number of commits on each branch, pull requests, starts of agents. *lost s* is the time of
both runs less that of the undisturbed one.
"""

from __future__ import annotations

import os
import signal
import statistics
import time
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import (
    Figure,
    Found,
    Row,
    Size,
    Table,
    big_repository,
    git,
    scratch,
    start_quietly,
    write_agent,
    write_spec,
)
from benchmarks.measure import clock, once, program

CELLS = {"a": "one", "b": "one", "c": "one", "d": "two", "e": "two", "f": "two"}
AFTER = {"b": "a", "c": "b", "e": "a", "f": "d, e"}
AGENT = """\
echo "$ORCHESTR_CELL $ORCHESTR_ATTEMPT" >> {root}/book
echo working
sleep {seconds}
echo "part $ORCHESTR_CELL" > "$ORCHESTR_CELL.txt"
"""
JOBS = "[limits]\njobs = 3\n"


@dataclass(frozen=True, slots=True)
class End:
    """What is there at the end; ``trees`` and ``commits`` by branch at the origins."""

    trees: dict[str, str]
    commits: dict[str, int]
    prs: dict[str, int]
    starts: dict[str, int]


def prepare(
    root: Path, cells: Mapping[str, str], after: Mapping[str, str], agent: str, more: str
) -> None:
    """A fresh workspace with two repositories: ``cells`` by their repository, ``after`` by what
    they depend on; ``agent`` is the script of all, ``more`` are settings."""
    root.mkdir()
    for repo in ("one", "two"):
        big_repository(root, 20, repo)
    write_agent(root, agent, more)
    lines = []
    for name, repo in cells.items():
        depends = f", depends_on: [{after[name]}]" if name in after else ""
        lines.append(f"{name}: {{repo: {repo}, todo: [part {name}]{depends}}}")
    write_spec(root, lines)


def look(root: Path) -> End:
    """The end of a workspace, by its origins, forge and book."""
    trees: dict[str, str] = {}
    commits: dict[str, int] = {}
    for repo in ("one", "two"):
        bare = root / f"{repo}.git"
        form = "--format=%(refname:lstrip=2) %(tree) %(objectname)"
        for line in git("for-each-ref", form, "refs/heads", cwd=bare).splitlines():
            branch, tree, head = line.split()
            trees[branch] = tree
            commits[branch] = int(git("rev-list", "--count", head, cwd=bare))
    prs: Counter[str] = Counter()
    for path in (root / ".orchestr" / "forge").glob("*/[0-9]*.toml"):
        prs[tomllib.loads(path.read_text())["head"]] += 1
    book = (root / "book").read_text().splitlines()
    return End(trees, commits, dict(prs), dict(Counter(line.split()[0] for line in book)))


def interrupted(root: Path, lines: int) -> tuple[float, float, int]:
    """Seconds until the kill, seconds of the same command then, journal lines at the kill."""
    journal = root / ".orchestr" / "journal" / "f.jsonl"
    begin = time.perf_counter()
    with start_quietly(program("run", "f"), root) as child:
        while child.poll() is None and written(journal) < lines:
            time.sleep(0.005)
        if child.poll() is None:
            os.kill(child.pid, signal.SIGKILL)
        child.wait()
    first, at = time.perf_counter() - begin, written(journal)
    second = clock(lambda: once(program("run", "f"), root))
    return first, second, at


def written(path: Path) -> int:
    """Lines of a file."""
    try:
        return path.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def measure(size: Size) -> Found:
    """An undisturbed run, then kills all along its journal."""
    kills, seconds = size.pick(20, 4, 1), size.pick(1.0, 1.0, 0.1)
    rows: list[Row] = []
    with scratch() as base:
        root = base / "w"

        def fresh() -> Path:
            if root.exists():
                root.rename(base / f"old-{time.monotonic_ns()}")
            prepare(root, CELLS, AFTER, AGENT.format(root=root, seconds=seconds), JOBS)
            return root

        whole = clock(lambda: once(program("run", "f"), fresh()))
        wanted, total = look(root), written(root / ".orchestr" / "journal" / "f.jsonl")
        for number in range(kills):
            at = round(1 + (total - 3) * (number + 0.5) / kills)
            first, second, lines = interrupted(fresh(), at)
            found = look(root)
            rows.append({
                "killed at line": f"{lines} of {total}", "after s": first, "then s": second,
                "lost s": first + second - whole,
                "other trees": sum(found.trees.get(b) != t for b, t in wanted.trees.items()),
                "lost commits": sum(
                    max(0, n - found.commits.get(b, 0)) for b, n in wanted.commits.items()
                ),
                "second PRs": sum(max(0, n - 1) for n in found.prs.values()),
                "agents run twice": sum(max(0, n - 1) for n in found.starts.values()),
            })  # fmt: skip
    counted = ("other trees", "lost commits", "second PRs", "agents run twice")
    figures = [
        Figure(f"after {kills} kills: {what}", float(sum(row[what] for row in rows)), "", 0)
        for what in counted
    ]
    lost = [float(row["lost s"]) for row in rows]
    figures.append(Figure("time lost by a kill, median", statistics.median(lost), "s"))
    figures.append(Figure("time lost by a kill, most", max(lost), "s"))
    note = f"the undisturbed run took {whole:.1f} s"
    return Found([Table("recovery", rows)], figures, [note])
