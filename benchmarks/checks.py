"""What a clean checkout for checks costs a round, against checks in the author's worktree.

A repository of 20,000 files, one cell with a check that does nothing, an agent that changes some
files. Two workspaces on the same origin, one with `checks_in = "worktree"`: in turns each builds
its cell again (`run --force`), so that every round is a new head. The first round of the checkout
makes its check worktree; the others switch it. Beside them stands what git alone takes to switch a
warm worktree between two such heads and to look at its status once.
"""

from __future__ import annotations

import shutil
import time
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
from benchmarks.measure import in_turns, program

AGENT = """\
for n in $(git ls-files | head -n {changed}); do date +%s%N >> "$n"; done
"""
CELL = 'c: {repo: big, todo: [change], checks: [{kind: command, run: ["true"]}]}'
PLACES = ("worktree", "checkout")


def prepare(root: Path, origin: Path, place: str, changed: int) -> None:
    """A fresh workspace on a clone of the origin."""
    root.mkdir()
    shutil.copytree(origin / "big.git", root / "big.git")
    git("clone", "--quiet", str(root / "big.git"), str(root / "big"), cwd=root)
    write_agent(root, AGENT.format(changed=changed), f'[repos.big]\nchecks_in = "{place}"\n')
    write_spec(root, [CELL])


def measure_git(root: Path, turns: int) -> float:
    """The least time that git takes to switch a worktree to the cell's head and back, and to look
    at it, for one way (s)."""
    tree = root / "warm"
    heads = git("for-each-ref", "--format=%(objectname)", "refs/heads", cwd=root / "big.git")
    one, other = heads.split()[:2]
    git("worktree", "add", "--quiet", "--detach", str(tree), one, cwd=root / "big")
    git("fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*", cwd=root / "big")
    found = []
    for _ in range(turns):
        begin = time.monotonic()
        for commit in (other, one):
            git("checkout", "--quiet", "--force", "--detach", commit, cwd=tree)
            git("status", "--porcelain", cwd=tree)
        found.append((time.monotonic() - begin) / 2)
    return min(found)


def measure(size: Size) -> Found:
    """Both in turns."""
    files, rounds = size.pick(20_000, 20_000, 50), size.pick(8, 5, 2)
    changed = size.pick(50, 50, 5)
    with scratch() as base:
        big_repository(base, files)
        shutil.rmtree(base / "big")
        for place in PLACES:
            prepare(base / place, base, place, changed)
        programs = {place: (program("run", "f", "--force"), base / place) for place in PLACES}
        first = in_turns(programs, 1, warm=False)
        later = in_turns(programs, rounds, warm=False)
        alone = measure_git(base / "checkout", size.pick(5, 5, 1))
    rows: list[Row] = [
        {"checks in": place, "first s": first[place].wall,
         "least s": some.least, "cpu s": some.cpu}
        for place, some in later.items()
    ]  # fmt: skip
    checkout, worktree = later["checkout"].least, later["worktree"].least
    more = checkout - worktree
    return Found(
        [Table(f"a round of checks, {files:,} files, {changed} changed", rows)],
        [
            Figure("a round in a checkout / in the worktree", checkout / worktree, "x"),
            Figure("more a round", more, "s"),
            Figure("git alone: a switch and a status", alone, "s"),
            Figure("more a round / git alone", more / alone, "x"),
        ],
    )  # fmt: skip
