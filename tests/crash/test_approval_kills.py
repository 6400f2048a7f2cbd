"""SIGKILL around a plan and at the gates: the agent that planned is not paid twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import git
from tests.crash.house import FEATURE, House, at_each, both

pytestmark = pytest.mark.slow
AGENT = """\
if [ -n "$ORCHESTR_PLAN_FILE" ]; then
    echo "start plan-$ORCHESTR_CELL $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"
    echo harm >> README.md
    echo "the plan"
    exit
fi
echo "start $ORCHESTR_CELL $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"
echo "work" > "$ORCHESTR_CELL.txt"
echo "end $ORCHESTR_CELL $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"
"""
KINDS = ("attempt.opened", "attempt.started", "attempt.exited", "cell.warned", "attempt.closed",
         "approval.asked", "phase.failed")  # fmt: skip
FILES = ("before.json", "branches.json", "notes.txt", "launch.json", "plan.md", "plan.toml")


def test_a_kill_around_the_plan_pays_for_it_once(tmp_path: Path) -> None:
    def act(house: House, at: str) -> None:
        assert house.crash(at, "run", FEATURE).returncode == -9
        done = house.run("run", FEATURE)
        assert done.returncode == 1, both(done)
        assert house.starts() == ["start plan-a 1"], house.starts()
        assert house.states() == {"a": "approval"}
        assert git(house.worktree("a"), "status", "--porcelain") == ""
        house.run("approve", f"{FEATURE}:a", "--yes", code=0)
        house.run("run", FEATURE, code=0)
        assert house.starts() == ["start plan-a 1", "start a 1", "end a 1"]
        assert len(house.prs()) == 1
        assert "harm" not in house.show("a", "README.md")
        house.sound()

    cases = [f"journal:after#{kind}" for kind in KINDS]
    cases += [f"write:after#{name}" for name in FILES] + ["start:before#1", "start:after#1"]
    at_each(cases, tmp_path, act, cells={"a": {"approve": "plan"}}, agent=AGENT)


def test_an_answer_that_was_killed_counts_from_its_file_on(tmp_path: Path) -> None:
    def act(house: House, at: str) -> None:
        house.run("run", FEATURE, code=1)
        assert house.crash(at, "approve", f"{FEATURE}:a", "--yes").returncode == -9
        counts = at.startswith(("journal", "write:after"))
        house.run("run", FEATURE, code=0 if counts else 1)
        assert len(house.prs()) == counts
        assert house.starts() == ["start a 1", "end a 1"]

    cases = [
        "write:before#publish.toml",
        "write:after#publish.toml",
        "journal:before#approval.given",
    ]
    at_each(cases, tmp_path, act, cells={"a": {"approve": "publish"}}, agent=AGENT)
