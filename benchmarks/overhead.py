"""What a cell costs beside its agent: `orchestr run` against a shell script with the same git.

A repository of 20,000 files with a bare origin, independent cells, an agent that writes one file
and commits it. The script does for each cell what must be done with git, as well as we know how:
fetch, `worktree add --no-checkout` (under a lock, as git's own races want), a checkout with as many
workers as cores, the same agent, `status`, push, `ls-remote` to verify. As many cells at once as we
have jobs. In turns, each time on fresh clones of the same origin. None is removed before the end:
ext4 looks through every inode deleted in the last minutes for each file it makes, and a checkout
then takes three times as long in both programs (which hides the difference).

Not in the script: the plan, journal and result files, the supervisor of each agent, the proof, the
pull requests. That is the overhead.
"""

from __future__ import annotations

import shutil
import statistics
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
    write_agent,
    write_spec,
)
from benchmarks.measure import Once, once, program

AGENT = """\
echo "part of $ORCHESTR_CELL" > "$ORCHESTR_CELL.txt"
git add "$ORCHESTR_CELL.txt"
git commit --quiet -m "Add $ORCHESTR_CELL"
"""
CELL = """\
set -e
export ORCHESTR_CELL=$1
tree=$ROOT/trees/$1
flock "$ROOT/lock" git -C "$ROOT/big" fetch --quiet origin +refs/heads/main:refs/remotes/origin/main
flock "$ROOT/lock" git -C "$ROOT/big" worktree add --quiet --no-track --no-checkout -b "T-$1" \
    "$tree" origin/main
cd "$tree"
git -c checkout.workers=0 checkout --quiet
sh "$ROOT/agent.sh"
test -z "$(git status --porcelain)"
git push --quiet origin "HEAD:refs/heads/T-$1"
test "$(git ls-remote origin "refs/heads/T-$1" | cut -f1)" = "$(git rev-parse HEAD)"
"""
SCRIPT = "seq -f c%g 0 {last} | ROOT=$PWD xargs -P {jobs} -n 1 sh cell.sh\n"


def prepare(root: Path, origin: Path, cells: int, jobs: int) -> None:
    """A fresh folder with clone, origin, agent, spec and script."""
    root.mkdir()
    shutil.copytree(origin / "big.git", root / "big.git")
    git("clone", "--quiet", str(root / "big.git"), str(root / "big"), cwd=root)
    write_agent(root, AGENT, f"[limits]\njobs = {jobs}\n")
    (root / "cell.sh").write_text(CELL)
    (root / "script.sh").write_text(SCRIPT.format(last=cells - 1, jobs=jobs))
    (root / "trees").mkdir()
    write_spec(root, [f"c{n}: {{repo: big, todo: [part {n}]}}" for n in range(cells)])


def pushed(root: Path) -> int:
    """How many branches arrived at the origin, besides main."""
    refs = git("for-each-ref", "--format=%(refname)", "refs/heads", cwd=root / "big.git")
    return len(refs.splitlines()) - 1


def measure(size: Size) -> Found:
    """Both in turns."""
    files, cells = size.pick(20_000, 20_000, 50), size.pick(8, 4, 1)
    jobs, rounds = size.pick(4, 4, 2), size.pick(5, 3, 1)
    runs: dict[str, list[Once]] = {"shell script": [], "orchestr run": []}
    with scratch() as base:
        big_repository(base, files)
        shutil.rmtree(base / "big")
        for turn in range(rounds):
            for name, some in runs.items():
                root = base / f"{name.split()[0]}{turn}"
                prepare(root, base, cells, jobs)
                argv = ["sh", "script.sh"] if name == "shell script" else program("run", "f")
                some.append(once(argv, root))
                assert pushed(root) == cells, f"{name}: {pushed(root)} of {cells} branches"
    rows: list[Row] = []
    script = runs["shell script"]
    for name, some in runs.items():
        walls = [run.wall for run in some]
        rows.append({
            "program": name, "cells": cells, "jobs": jobs, "median s": statistics.median(walls),
            "least s": min(walls), "s a cell": min(walls) / cells,
            "cpu s": min(run.cpu for run in some),
            "x script": min(walls) / min(run.wall for run in script),
        })  # fmt: skip
    pairs = [o.wall / s.wall for o, s in zip(runs["orchestr run"], script, strict=True)]
    least = min(r.wall for r in runs["orchestr run"]) / min(r.wall for r in script)
    more = (min(r.wall for r in runs["orchestr run"]) - min(r.wall for r in script)) / cells
    return Found(
        [Table(f"overhead, {files:,} files", rows)],
        [
            Figure("a run / a shell script, least of each", least, "x", 1.25),
            Figure("a run / a shell script, median of the pairs", statistics.median(pairs), "x"),
            Figure("more a cell", more, "s"),
        ],
        ["CPU time of our run is without its supervisors and agents, which are not its children"],
    )
