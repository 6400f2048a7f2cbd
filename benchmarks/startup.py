"""Start-up, and nothing to do over generated cells (DESIGN, standards to meet).

The cells' result files are written by the product's own records, then one run fills doit's
database; what is measured is the run after that. Beside it: the interpreter alone.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.common import git, orchestr, report, seconds
from orchestr.cell import attempt as attempts
from orchestr.cell.implement import key_of
from orchestr.cell.records import CHECKS, REVIEW, Evidence, Head, Implemented, Marker, Outcome
from orchestr.commands.session import Session
from orchestr.spec.records import Phase

TOML = """\
[workspace]
repos = "."

[agents.noop]
kind = "command"
run = ["true"]
"""


def workspace(root: Path, cells: int) -> None:
    """A workspace whose one feature of ``cells`` cells is all done."""
    (root / "specs").mkdir()
    (root / "orchestr.toml").write_text(TOML, encoding="utf-8")
    repo = root / "repo"
    git("init", "--quiet", "--initial-branch=main", str(repo), cwd=root)
    git("commit", "--quiet", "--allow-empty", "-m", "first", cwd=repo)
    head = git("rev-parse", "HEAD", cwd=repo)
    tree = git("rev-parse", "HEAD^{tree}", cwd=repo)
    lines = ["apiVersion: orchestr/v1", "kind: Feature", "metadata: {name: big, title: Big}"]
    lines += ["defaults: {phases: [implement, check, review]}", "cells:"]
    for n in range(cells):
        after = f", depends_on: [c{n // 2}]" if n % 3 == 0 and n else ""
        lines.append(f"  c{n}: {{repo: repo, todo: [do part {n}]{after}}}")
    (root / "specs" / "big.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run = Session(root).run("big")
    for plan in run.plan.cells:
        ctx = run.cell(plan.name)
        upstreams = dict.fromkeys(plan.upstreams, tree)
        marker = Marker(ctx.cell.branch, head, "main", upstreams, ctx.digest_of(Phase.WORKTREE))
        marker.write(ctx.dir)
        attempts.link_transcript(ctx.dir, 1)
        Implemented(key_of(ctx, marker), head, tree, head, Outcome.CHANGED, 1).write(ctx.dir)
        Evidence(head, ctx.digest_of(Phase.CHECK)).write(ctx.dir / CHECKS)
        Evidence(head, ctx.digest_of(Phase.REVIEW)).write(ctx.dir / REVIEW)
        Head(head, tree, head, ctx.cell.branch, Outcome.CHANGED).write(ctx.dir)


def main(sizes: tuple[int, ...] = (6, 100, 1000)) -> None:
    """Print and keep the table."""
    rows = []
    bare = seconds(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
    doit = [sys.executable, "-m", "doit", "--version"]
    with tempfile.TemporaryDirectory() as name:
        cwd = Path(name)
        stock = seconds(lambda: subprocess.run(doit, cwd=cwd, capture_output=True, check=True))
        version = seconds(lambda: orchestr("--version", cwd=cwd))
    rows.append({"what": "python -c pass", "cells": 0, "seconds": bare, "ratio": 1.0})
    rows.append({"what": "doit --version", "cells": 0, "seconds": stock, "ratio": stock / bare})
    rows.append({"what": "orchestr --version", "cells": 0, "seconds": version,
                 "ratio": version / bare})  # fmt: skip
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            workspace(root, size)
            first = orchestr("run", "big", cwd=root)
            if first.returncode:
                raise SystemExit(first.stderr[-2000:])
            second = orchestr("run", "big", cwd=root)
            if "nothing to be done" not in second.stdout:
                raise SystemExit(second.stdout + second.stderr)
            for verb in (("list",), ("run", "big"), ("status", "big"), ("plan", "big")):
                took = seconds(partial(orchestr, *verb, cwd=root), 3)
                what = "run, nothing to do" if verb[0] == "run" else verb[0]
                rows.append({"what": what, "cells": size, "seconds": took, "ratio": took / bare})
    report("startup", rows)


if __name__ == "__main__":
    main(tuple(int(word) for word in sys.argv[1:]) or (6, 100, 1000))
