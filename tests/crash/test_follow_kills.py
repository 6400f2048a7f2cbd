"""kill -9 at every step between reading a comment, starting the agent, pushing and answering: each
comment is answered once, each push is made once, nobody's round is paid twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.crash.house import FEATURE, House, both

pytestmark = pytest.mark.slow
FAST = {"follow": {"bundle": "0.001s"}}
ONCE = ("follow", FEATURE, "--once", "--yes")
CELL = "low"


@pytest.fixture
def commented(tmp_path: Path) -> House:
    """A built feature; somebody has asked for a change at the pull request of `low`."""
    house = House.build(tmp_path / "w")
    house.settings(**FAST, limits={"grace": "0.3s"})
    house.script(CELL, 'test -z "$ORCHESTR_ROUND" || echo renamed >> low.txt')
    house.run("run", FEATURE, code=0)
    url = house.result(CELL, "pr-url", FEATURE)
    house.run("comment", url, "please rename it", "--as", "rita", code=0)
    return house


def goes_on(house: House) -> None:
    """The same command, until all is said; then it is counted."""
    for _ in range(2):
        done = house.run(*ONCE)
        assert done.returncode == 0, both(done)
    rounds = sorted((house.cell_dir(CELL, FEATURE) / "attempts/1/rounds").glob("*.toml"))
    assert [p.name for p in rounds] == ["1.toml"], rounds
    assert 'outcome = "changed"' in rounds[0].read_text()
    url = house.result(CELL, "pr-url", FEATURE)
    said = house.run("comment", url, code=0).stdout
    assert said.count("Answered by") == 1, said
    started = [line for line in house.starts() if line.startswith(f"start {CELL}")]
    assert len(started) == 2, house.starts()
    pushes = [e["data"]["sha"] for e in house.journal(FEATURE, "push.done") if e["cell"] == CELL]
    assert len(pushes) == len(set(pushes)) == 2, pushes
    memory = json.loads((house.cell_dir(CELL, FEATURE) / "follow.json").read_text())
    assert [one["stage"] for one in memory["rounds"]] == ["answered"]
    house.sound()


@pytest.mark.parametrize("at", [
    "round:before#1", "round:after#1", "journal:after#repair.opened", "memory:before#1",
    "memory:after#1", "forget:before#1", "forget:after#1", "journal:after#cell.forgotten",
    "attached:before#1", "attached:after#1", "answer:before#1", "answer:after#1",
    "journal:before#follow.answered", "journal:after#follow.answered", "memory:before#3",
    "memory:after#3",
])  # fmt: skip
def test_follow_is_killed(at: str, commented: House) -> None:
    commented.kill_at(at, *ONCE)
    goes_on(commented)


@pytest.mark.parametrize("at", [
    "journal:after#attempt.started", "journal:after#attempt.exited",
    "journal:after#repair.closed", "journal:after#push.intended", "journal:after#push.done",
    "journal:after#pr.updated",
])  # fmt: skip
def test_the_run_that_follow_started_is_killed(at: str, commented: House) -> None:
    commented.kill_at("attached:before#1", *ONCE)
    commented.kill_at(at, "run", FEATURE, "--only", CELL)
    goes_on(commented)
