"""SIGKILL around attempts side by side: each is paid once, nothing of them is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import git
from tests.crash.house import FEATURE, House, at_each

pytestmark = pytest.mark.slow

WORK = """\
echo "start $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"
i=0; while [ $i -lt $ORCHESTR_ATTEMPT ]; do i=$((i+1)); echo "line $i" >> low.txt; done
echo "end $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"
"""
CHECK = {"kind": "command", "run": ["grep", "-q", "line 2", "low.txt"], "name": "lines"}


def build(root: Path) -> House:
    return House.build(root, {"low": {"best_of": 3, "checks": [CHECK]}}, agent=WORK)


def test_a_kill_around_attempts_side_by_side(tmp_path: Path) -> None:
    first = build(tmp_path / "undisturbed")
    steps = [step.split(" ", 1) for step in first.steps("run", FEATURE)]
    trees = first.trees()
    record = [n for n, (_, name) in enumerate(steps) if name == "best-of.toml"]
    opened, decided = record[0], record[2]
    end = next(n for n, (at, name) in enumerate(steps) if n > decided and name == "phase.done")
    # While they work the steps come in any order; afterwards it is one thread again.
    places = [opened + (decided - opened) // 2, decided, (decided + end) // 2, end - 8]
    cases = list(dict.fromkeys("#".join(steps[n][0].rsplit(":", 1)) for n in places))

    def act(house: House, at: str) -> None:
        house.kill_at(at, "run", FEATURE)
        house.run("run", FEATURE, code=0)
        assert house.trees() == trees
        assert house.book() == {f"{what} {n}": 1 for what in ("start", "end") for n in (1, 2, 3)}
        assert "attempt = 2" in (house.cell_dir("low") / "implement.toml").read_text()
        left = [path.name for path in house.root.rglob("low@*")]
        assert left + git(house.repos / "app", "branch", "--list", "*.candidate-*").split() == []
        house.sound()

    at_each(cases, tmp_path, act, make=build)
