"""Generated workspaces: a feature of many cells that is all done, as the product leaves it.

The cells' result files are written by the product's own records, so that no agent has to run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from benchmarks.common import environment, git
from orchestr.cell.inputs import attempt_key, phase_digest
from orchestr.run.workspace import Session
from orchestr.spec.phases import Phase
from orchestr.state import attempts
from orchestr.state.results import (
    CHECKS,
    REVIEW,
    Evidence,
    HeadRecord,
    ImplementOutcome,
    ImplementRecord,
    WorktreeMarker,
)

TOML = """\
[workspace]
repos = "."

[agents.noop]
kind = "command"
run = ["true"]
"""
PHASES = ("worktree", "implement", "check", "review", "publish")


def upstreams(n: int) -> tuple[int, ...]:
    """The cells that cell ``n`` waits for: every third has one."""
    return (n // 2,) if n % 3 == 0 and n else ()


@contextmanager
def unsynced() -> Iterator[None]:
    """While things are generated, nothing has to survive a crash: no fsync."""
    with patch.object(os, "fsync", lambda fd: None):
        yield


def commits(repo: Path, base: str, count: int) -> list[str]:
    """``count`` commits on ``base``, each with a file of 40 lines of its own."""
    body = "".join(f"line {n} of a change\n" for n in range(40)).encode()
    stream = bytearray()
    for n in range(count):
        stream += f"commit refs/bench/{n}\ncommitter b <b@localhost> 1700000000 +0000\n".encode()
        stream += f"data 2\nc\nfrom {base}\nM 100644 inline part{n}.txt\n".encode()
        stream += f"data {len(body)}\n".encode() + body + b"\n"
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repo, env=environment(),
                   input=bytes(stream), check=True)  # fmt: skip
    refs = git("for-each-ref", "--format=%(refname) %(objectname)", "refs/bench", cwd=repo)
    by_name = dict(line.split() for line in refs.splitlines())
    return [by_name[f"refs/bench/{n}"] for n in range(count)]


@unsynced()
def done_workspace(
    root: Path, cells: int, *, toml: str = TOML, agent: str = "noop", changed: bool = False
) -> None:
    """A workspace in the empty folder ``root`` whose one feature `big` is all done.

    ``changed``: each cell's head is a commit of its own, else the base.
    """
    (root / "specs").mkdir(parents=True)
    (root / "orchestr.toml").write_text(toml, encoding="utf-8")
    repo = root / "repo"
    git("init", "--quiet", "--initial-branch=main", str(repo), cwd=root)
    git("commit", "--quiet", "--allow-empty", "-m", "first", cwd=repo)
    base = git("rev-parse", "HEAD", cwd=repo)
    heads = commits(repo, base, cells) if changed else [base] * cells
    tree = git("rev-parse", "HEAD^{tree}", cwd=repo)
    lines = ["apiVersion: orchestr/v1", "kind: Feature", "metadata: {name: big, title: Big}"]
    lines += [f"defaults: {{agent: {agent}, phases: [implement, check, review]}}", "cells:"]
    for n in range(cells):
        after = ", ".join(f"c{u}" for u in upstreams(n))
        more = f", depends_on: [{after}]" if after else ""
        lines.append(f"  c{n}: {{repo: repo, todo: [do part {n}]{more}}}")
    (root / "specs" / "big.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run = Session(root).load_run("big")
    for plan in run.plan.cells:
        ctx = run.cell_context(plan.name)
        head = heads[int(plan.name[1:])]
        trees = dict.fromkeys(plan.upstreams, tree)
        marker = WorktreeMarker(
            ctx.cell.branch, base, "main", trees, phase_digest(ctx, Phase.WORKTREE)
        )
        marker.write(ctx.dir)
        attempts.link_transcript(ctx.dir, 1)
        ImplementRecord(
            attempt_key(ctx, marker), head, tree, base, ImplementOutcome.CHANGED, 1
        ).write(ctx.dir)
        Evidence(head, phase_digest(ctx, Phase.CHECK), ()).write(ctx.dir / CHECKS)
        Evidence(head, phase_digest(ctx, Phase.REVIEW), ()).write(ctx.dir / REVIEW)
        HeadRecord(head, tree, base, ctx.cell.branch, ImplementOutcome.CHANGED).write(ctx.dir)


UNSYNCED = """\
import os, sys
os.fsync = lambda fd: None
from orchestr.cli import main
sys.exit(main(sys.argv[1:]))
"""


def first_run(root: Path, *words: str) -> None:
    """`orchestr WORDS` as preparation: a run that fills doit's database, without fsync."""
    done = subprocess.run(
        [sys.executable, "-c", UNSYNCED, *words], cwd=root, env=environment(),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
