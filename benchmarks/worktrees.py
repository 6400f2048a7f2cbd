"""32 worktrees of one repository at once: how soon the first and the last are ready.

A feature of 32 cells on a repository of 20,000 files; `orchestr run F:c0:worktree F:c1:worktree
...` makes the worktrees and nothing else. Beside it `git worktree add --no-track` in a loop, as a
person would type it, with one checkout worker (git's default) and with one for each core; and 32 of
them at once, without a lock, to see how many fail (not in --quick). A worktree counts as ready when
its checkout has ended (git) or its marker is there (ours, which also fetches, registers and
validates it). Everything on the same disk.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import (
    Figure,
    Found,
    Row,
    Size,
    Table,
    big_repository,
    environment,
    git,
    scratch,
    write_spec,
)
from benchmarks.measure import clock, program

TOML = """\
[workspace]
repos = "."

[agents.none]
kind = "command"
run = ["true"]
"""


def ours(root: Path, count: int) -> tuple[list[float], int]:
    """Seconds from the start to each marker, sorted, and how many failed."""
    (root / "orchestr.toml").write_text(TOML)
    write_spec(root, [f"c{n}: {{repo: big, todo: [part {n}]}}" for n in range(count)])
    argv = program("run", *(f"f:c{n}:worktree" for n in range(count)))
    cells = root / ".orchestr" / "cells" / "f"
    made: list[float] = []
    begin = time.perf_counter()
    with (root / "out.txt").open("wb") as out, subprocess.Popen(
        argv, cwd=root, env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out
    ) as child:  # fmt: skip
        running = True
        while running:  # by the monotonic clock, unlike file times
            running = child.poll() is None
            now = time.perf_counter() - begin
            made += [now] * (len(list(cells.glob("*/worktree.toml"))) - len(made))
            time.sleep(0.01)
    if child.returncode:  # how many are there says more than the exit code
        print(f"  {(root / 'out.txt').read_text()[-500:]}")
    trees = root / ".orchestr" / "worktrees" / "f"
    whole = sum(is_whole(trees / f"c{n}") for n in range(count))
    return made, count - min(len(made), whole)


def is_whole(tree: Path) -> bool:
    """Whether a worktree has all of its files."""
    return tree.is_dir() and not git("status", "--porcelain", cwd=tree)


def add(root: Path, n: int, *settings: str) -> list[str]:
    """`git worktree add` number ``n``."""
    place = str(root / "trees" / f"t{n}")
    words = ["worktree", "add", "--quiet", "--no-track", "-b", f"b{n}", place, "origin/main"]
    return ["git", *settings, "-C", str(root / "big"), *words]


def loop(root: Path, count: int, *settings: str) -> tuple[list[float], int]:
    """One after the other."""
    ends, total, failed = [], 0.0, 0
    for n in range(count):
        argv = add(root, n, *settings)
        total += clock(partial(subprocess.run, argv, env=environment(), check=True))
        ends.append(total)
        failed += not (root / "trees" / f"t{n}").is_dir()
    return ends, failed


def at_once(root: Path, count: int, *settings: str) -> tuple[list[float], int]:
    """All at once, without a lock."""
    begin, ends = time.perf_counter(), []
    quiet: dict[str, Any] = {"env": environment(), "stderr": subprocess.DEVNULL}
    left = [subprocess.Popen(add(root, n, *settings), **quiet) for n in range(count)]
    failed = 0
    while left:
        for child in [c for c in left if c.poll() is not None]:
            left.remove(child)
            ends.append(time.perf_counter() - begin)
            failed += child.returncode != 0
        time.sleep(0.005)
    return ends, failed


def measure(size: Size) -> Found:
    """Each of them on a fresh clone."""
    files, count = size.pick(20_000, 2_000, 50), size.pick(32, 32, 2)
    workers = ("-c", "checkout.workers=0")
    kinds: dict[str, Any] = {
        "orchestr": lambda root: ours(root, count),
        "loop": lambda root: loop(root, count),
        "loop, a worker each core": lambda root: loop(root, count, *workers),
    }
    found: dict[str, list[tuple[list[float], int]]] = {name: [] for name in kinds}
    with scratch() as base:
        big_repository(base, files)
        shutil.rmtree(base / "big")

        def one(run: Any) -> Any:
            root = base / f"w{len(list(base.iterdir()))}"  # none removed, see `overhead`
            root.mkdir()
            git("clone", "--quiet", str(base / "big.git"), "big", cwd=root)
            (root / "trees").mkdir()
            return run(root)

        for name, run in kinds.items():
            found[name].append(one(run))
        if size is not Size.QUICK:
            found["all at once, no lock"] = [one(lambda root: at_once(root, count, *workers))]
    rows: list[Row] = []
    for name, runs in found.items():
        ends = [sorted(ready) for ready, _ in runs if ready]
        rows.append({
            "how": name, "worktrees": count, "files": files,
            "first ready s": min(ready[0] for ready in ends),
            "median ready s": min(ready[len(ready) // 2] for ready in ends),
            "last ready s": min(ready[-1] for ready in ends),
            "failures": sum(failed for _, failed in runs),
        })  # fmt: skip
    by = {row["how"]: row for row in rows}
    mine, loops = by["orchestr"], (by["loop"], by["loop, a worker each core"])
    last = min(row["last ready s"] for row in loops)
    first = min(row["first ready s"] for row in loops)
    return Found(
        [Table(f"{count} worktrees, {files:,} files", rows)],
        [
            Figure(f"{count} worktrees at once: failures", float(mine["failures"]), "", 0),
            Figure("last ready / the faster loop's", mine["last ready s"] / last, "x"),
            Figure("first ready / the faster loop's", mine["first ready s"] / first, "x"),
        ],
        ["least of the rounds"],
    )
