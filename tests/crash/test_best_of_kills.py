"""SIGKILL around attempts side by side: each is paid once, nothing of them is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import git
from tests.crash.house import FEATURE, House, at_each, both

pytestmark = pytest.mark.slow

WORK = """\
echo "start $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"
i=0; while [ $i -lt $ORCHESTR_ATTEMPT ]; do i=$((i+1)); echo "line $i" >> low.txt; done
echo "end $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"
"""
CHECK = {"kind": "command", "run": ["grep", "-q", "line 2", "low.txt"], "name": "lines"}
# While they work, after the decision, while its commits become the cell's, before the others go.
CASES = (
    "attempt:after#3",
    "journal:after#candidates.judged",
    "put-back:after#1",
    "write:before#moved",
)


def build(root: Path) -> House:
    return House.build(root, {"low": {"best_of": 2, "checks": [CHECK]}}, agent=WORK)


def test_a_kill_around_attempts_side_by_side(tmp_path: Path) -> None:
    def act(house: House, at: str) -> None:
        killed = house.crash(at, "run", FEATURE)
        assert killed.returncode == -9, both(killed)
        house.run("run", FEATURE, code=0)
        assert house.show("low", "low.txt") == "line 1\nline 2"
        assert house.book() == {f"{what} {n}": 1 for what in ("start", "end") for n in (1, 2)}
        assert "attempt = 2" in (house.cell_dir("low") / "implement.toml").read_text()
        left = [path.name for path in house.root.rglob("low@*")]
        assert left + git(house.repos / "app", "branch", "--list", "*.candidate-*").split() == []
        house.sound()

    at_each(CASES, tmp_path, act, make=build)
