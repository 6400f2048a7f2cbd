"""How often GitHub is asked: 20 cells in two repositories on the stub, through the real `gh`.

Counts requests and points of GitHub's quota (5,000 an hour) for a first run, a run with nothing to
do, a status, a status that asks, and a forced rebuild of all cells. Needs `gh` and the [dev] extra.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks.common import Figure, Found, Row, Size, Skipped, Table, scratch

REPOS = ("app", "web")


def measure(size: Size) -> Found:
    """Each command once: requests are counted, not timed."""
    try:
        from tests.crash.github_house import GitHubHouse
        from tests.e2e.workspace import AGENT, both
        from tests.forges.github_stub import GH, NO_GH
    except ImportError as error:
        raise Skipped(f"needs the [dev] extra ({error})") from error
    if GH is None:
        raise Skipped(NO_GH)
    cells = size.pick(20, 6, 1)
    spec: dict[str, dict[str, Any]] = {f"c{n}": {"repo": REPOS[n % 2]} for n in range(cells)}
    for n in range(4, cells, 5):
        spec[f"c{n}"]["depends_on"] = [f"c{n - 2}"]
    rows: list[Row] = []
    with scratch() as root:
        house = GitHubHouse.at_github(root / "w", spec, repos=REPOS, agent=AGENT)
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
                    raise AssertionError(both(done)[-2000:])
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
    by = {str(row["what"]): row for row in rows}
    first, nothing = by["first run"], by["run, nothing to do"]
    return Found(
        [Table("github_requests", rows)],
        [
            Figure("requests a cell, first run", first["requests"] / cells),
            Figure("requests, nothing to do", float(nothing["requests"])),
        ],
    )
