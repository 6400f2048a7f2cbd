"""SIGKILL while conflicts are resolved without an agent, then the same command: the end of an
undisturbed landing, and nothing lands that was not checked."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.crash.house import wait_for
from tests.crash.test_kills import points
from tests.landing.house import FEATURE, Yard, both, git
from tests.landing.test_land_kills import Copies, thin
from tests.processes import wait_until_gone

pytestmark = pytest.mark.slow
CELLS: dict[str, dict[str, object]] = {"one": {}, "two": {}}
# Each rung has a file of its own: functions, lines of a list, what a generator writes.
WORK = """\
printf 'def %s():\\n    return 1\\n' $ORCHESTR_CELL > parts.py
echo "of $ORCHESTR_CELL" >> notes.txt
mkdir -p parts; echo $ORCHESTR_CELL > parts/$ORCHESTR_CELL; cat parts/* > lock.txt
"""
GENERATOR = """\
if [ -e GATE ]; then echo $$ > PID; echo half > lock.txt; touch STARTED; sleep 60; fi
cat parts/* > lock.txt
"""


def make_yard(root: Path) -> Yard:
    script = GENERATOR
    for name in ("GATE", "PID", "STARTED"):
        script = script.replace(name, str(root / name.lower()))
    generated: list[dict[str, Any]] = [{"paths": ["lock.txt"], "run": ["sh", "-c", script]}]
    return Yard.ready(root / "w", CELLS, scripts=dict.fromkeys(CELLS, WORK),
                      landing={"repairs": 0},
                      repo={"generated": generated, "union": ["notes.txt"]})  # fmt: skip


def read_main(yard: Yard, path: str) -> str:
    return git(yard.repos / "app.git", "show", f"main:{path}")


def test_a_kill_at_any_step_up_the_ladder(tmp_path: Path) -> None:
    yard = make_yard(tmp_path)
    copies = Copies.of(yard, CELLS)
    assert read_main(yard, "lock.txt") == "one\ntwo"
    assert read_main(yard, "notes.txt") == "of one\nof two"
    assert read_main(yard, "parts.py").count("def ") == 2
    cases = points(copies.steps, "journal:after", "bench:after", "commits:after", "push:after")
    assert len(cases) > 20
    copies.each(thin(cases, 14))


def test_a_generator_dies_with_the_landing_and_leaves_half_a_file(tmp_path: Path) -> None:
    yard = make_yard(tmp_path)
    gate, started = tmp_path / "gate", tmp_path / "started"
    gate.touch()
    landing = yard.spawn("land", FEATURE)
    wait_for(started.exists, "the generator")
    os.kill(landing.pid, signal.SIGKILL)
    landing.ended()
    left = int((tmp_path / "pid").read_text())
    gate.unlink()
    done = yard.run("land", FEATURE, code=0)
    assert read_main(yard, "lock.txt") == "one\ntwo", both(done)
    assert wait_until_gone(left)
    yard.landed(CELLS)
