"""How often GitHub is asked: 20 cells in two repositories on the stub, through the real `gh`.

Counts requests and points of GitHub's quota (5,000 an hour) for a first run, a run with nothing to
do, a status, a status that asks, and a forced rebuild of all cells. Needs `gh` and the [dev] extra.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import report
from tests.crash.github_house import GitHubHouse
from tests.e2e.workspace import AGENT, both
from tests.forges.github_stub import GH, NO_GH

REPOS = ("app", "web")


def main(cells: int = 20) -> None:
    """Print and keep the table."""
    if GH is None:
        raise SystemExit(NO_GH)
    spec: dict[str, dict[str, Any]] = {f"c{n}": {"repo": REPOS[n % 2]} for n in range(cells)}
    for n in range(4, cells, 5):
        spec[f"c{n}"]["depends_on"] = [f"c{n - 2}"]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        house = GitHubHouse.at_github(Path(name) / "w", spec, repos=REPOS, agent=AGENT)
        try:
            for what, words in (
                ("first run", ("run", "demo")),
                ("run, nothing to do", ("run", "demo")),
                ("status", ("status", "demo")),
                ("status --fetch", ("status", "demo", "--fetch")),
                ("run --force", ("run", "demo", "--force")),
            ):
                house.github.forget_counts()
                begin = time.perf_counter()
                done = house.run(*words)
                took = time.perf_counter() - begin
                if done.returncode:
                    raise SystemExit(both(done))
                asked = house.github.requests
                rows.append({
                    "what": what,
                    "cells": cells,
                    "requests": house.github.total,
                    "graphql": asked["graphql"],
                    "opened": asked["POST pulls"],
                    "edited": asked["PATCH pulls/N"],
                    "points": house.github.points,
                    "seconds": took,
                })  # fmt: skip
        finally:
            house.end()
    report("github_requests", rows)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
