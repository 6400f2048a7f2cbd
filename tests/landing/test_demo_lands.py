"""The demo's feature through the queue: six pull requests, in order, each main green."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import git
from tests.fork_server import run_process

TOP = Path(__file__).parents[2]
PARTS = {"platform-proto": "proto", "platform-service": "proto service", "platform-go-sdk": ""}


@pytest.mark.slow
def test_the_six_land_in_order_and_every_main_is_green(tmp_path: Path) -> None:
    for name in ("demo", "specs"):
        skip = shutil.ignore_patterns("repos", "__pycache__")
        shutil.copytree(TOP / name, tmp_path / name, ignore=skip)
    for name in ("orchestr.toml", "dodo.py"):
        shutil.copy(TOP / name, tmp_path / name)

    def orchestr(*words: str) -> str:
        done = run_process(
            [sys.executable, "-m", "orchestr", *words], cwd=tmp_path, text=True,
            env={**os.environ, "DEMO_PAUSE": "0"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    orchestr("run", "feature:mlkem")
    woken = tmp_path / ".orchestr/cells/mlkem/cross-checks/tests/001-xtest.log"
    assert "Ran 3 tests" in woken.read_text() and "skipped" not in woken.read_text()
    assert orchestr("land", "mlkem").endswith("6 landed, 0 not\n")
    origins = tmp_path / "demo" / "repos" / "origins"
    cells = "%H %(trailers:key=Orchestr-Cell,valueonly,separator=%x2C)"
    for repo in ("platform", "java-sdk", "web-sdk", "tests"):
        lines = git(origins / f"{repo}.git", "log", "--first-parent", "--reverse",
                    f"--format={cells}", "main").splitlines()[1:]  # fmt: skip
        landed = [line.split()[1] for line in lines]
        assert landed == (list(PARTS) if repo == "platform" else [repo])
        for line in lines:  # every main that there ever was, by the repository's own tests
            sha, cell = line.split()
            place = tmp_path / "look" / cell
            git(tmp_path, "clone", "--quiet", str(origins / f"{repo}.git"), str(place))
            git(place, "checkout", "--quiet", sha)
            script = "run.sh" if repo == "tests" else "tests/run.sh"
            words = ["sh", script, *PARTS.get(cell, "").split()]
            subprocess.run(words, cwd=place, check=True, capture_output=True)
    assert orchestr("run", "feature:mlkem").startswith("nothing to be done")
    assert orchestr("status", "mlkem").count("landed") >= 6
