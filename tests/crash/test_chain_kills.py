"""SIGKILL where the next of a cell's agents takes over: each is paid once. Whose turn it is, is
tried without a process (`tests/cell/test_agent_chain.py`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import git
from tests.crash.house import FEATURE, House, at_each, both

pytestmark = pytest.mark.slow

FAILS = 'echo "start bad $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"\nexit 3\n'
CASES = (
    "journal:after#attempt.exited",  # the first one has ended, and that is not judged
    "attempt:after#2",  # its record says that another one follows
    "attempt:after#3",  # the next one's record is there
    "start:after#2",  # the next one is at work
)


def build(root: Path) -> House:
    cell = {"agents": ["bad", "sh"], "phases": ["worktree", "implement"]}
    house = House.build(root, {"low": cell})
    (house.root / "bad.sh").write_text(FAILS)
    bad = {"kind": "command", "run": ["sh", "bad.sh"], "env": {"AGENT_LOG": str(house.log)}}
    house.settings(agents={"bad": bad})
    return house


def test_a_kill_around_the_change_of_agents(tmp_path: Path) -> None:
    def act(house: House, at: str) -> None:
        killed = house.crash(at, "run", FEATURE)
        assert killed.returncode == -9, both(killed)
        house.run("run", FEATURE, code=0)
        assert house.book() == {"start bad 1": 1, "start low 2": 1, "end low 2": 1}
        folder = house.cell_dir("low") / "attempts"
        records = [(folder / number / "attempt.toml").read_text() for number in ("1", "2")]
        assert ['agent = "bad"' in records[0], 'agent = "sh"' in records[1]] == [True, True]
        assert git(house.repos / "app", "show", "T-1-low:low.txt").startswith("low")
        house.sound()

    at_each(CASES, tmp_path, act, make=build)
