"""A disk that fills up during a run: a clear error, nothing lost, and after that it goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestr.errors import NO_ROOM
from tests.crash.house import FEATURE, TWO, House, both, wait_for
from tests.crash.runner import fill

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not sys.platform.startswith("linux") or os.geteuid() != 0,
        reason="a small tmpfs is mounted, which needs root on Linux",
    ),
]
LIMITS = {"limits": {"min_disk_mb": 0, "grace": "0.3s"}}


@pytest.fixture
def small(tmp_path: Path) -> Iterator[House]:
    """A workspace on a disk of its own, of 12 MB; the agents' book lies elsewhere."""
    root = tmp_path / "w"
    root.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(root)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this container may not mount a tmpfs")
    house = House.build(root)
    house.log, house.agents = tmp_path / "agent.log", tmp_path / "agents"
    house.agents.mkdir()
    house.settings(**LIMITS)
    try:
        yield house
    finally:
        house.end()
        subprocess.run(["umount", "-l", str(root)], check=False)


def goes_on(house: House) -> None:
    (house.root / "ballast").unlink()
    done = house.run("run", FEATURE)
    if done.returncode == 1:  # it may have to tell of an attempt whose end nobody could write
        done = house.run("run", FEATURE)
    assert done.returncode == 0, both(done)
    assert len(house.prs()) == len(TWO)
    house.sound()


@pytest.mark.parametrize("at", [
    "journal:after#run.started", "journal:before#attempt.opened",
    "journal:before#attempt.exited", "journal:before#push.intended", "journal:after#pr.intended",
    "write:before#3",
])  # fmt: skip
def test_the_disk_fills_up_at_a_step(at: str, small: House) -> None:
    ballast = str(small.root / "ballast")
    full = small.crash(f"{at}#FILL", "run", FEATURE, env={"CRASH_FILL": ballast})
    assert full.returncode == 1, both(full)
    assert "Traceback" not in both(full)
    assert any(words in both(full) for words in NO_ROOM), both(full)
    goes_on(small)
    ends = [line.split()[1] for line in small.starts() if line.startswith("end ")]
    assert sorted(ends) == sorted(TWO), small.starts()


def test_the_disk_fills_up_while_the_agent_works(small: House) -> None:
    small.close("low")
    run = small.spawn("run", FEATURE)
    small.working("low")
    wait_for(lambda: small.journal(kind="attempt.started"), "the journal")
    fill(small.root / "ballast")
    small.open("low")
    assert run.ended() == 1, run.said()
    assert "Traceback" not in run.said()
    goes_on(small)


@pytest.mark.parametrize("at", [
    "bench:before#1", "commits:before#1", "push:before#1", "journal:before#3", "write:before#1",
])  # fmt: skip
def test_the_disk_fills_up_in_a_landing(at: str, small: House) -> None:
    """That is nobody's red change: no agent is asked to mend it, no person to look at it."""
    small.run("run", FEATURE, code=0)
    book, ballast = small.starts(), small.root / "ballast"
    full = small.crash(f"{at}#FILL", "land", FEATURE, env={"CRASH_FILL": str(ballast)})
    assert full.returncode == 1, both(full)
    assert "Traceback" not in both(full)
    assert any(words in both(full) for words in NO_ROOM), both(full)
    assert "needs a person" not in both(full), both(full)
    ballast.unlink()
    small.run("land", FEATURE, code=0)
    assert set(small.states().values()) == {"landed"}
    assert small.starts() == book
    landed = [event["cell"] for event in small.journal(kind="land.done")]
    assert sorted(landed) == sorted(TWO)
    small.sound()


def test_no_agent_starts_on_a_disk_that_has_become_nearly_full(small: House) -> None:
    small.settings(limits={"min_disk_mb": 4, "grace": "0.3s"})
    ballast = small.root / "ballast"
    small.script("low", f"head -c 8M /dev/zero > {ballast}")
    said = both(small.run("run", FEATURE, code=1))
    assert "4 wanted (limits.min_disk_mb)" in said
    assert "hint: make room, then run the same command again" in said
    assert small.states() == {"low": "done", "high": "failed"}
    small.script("low", None)
    goes_on(small)
    high = [line for line in small.starts() if " high " in line]
    assert high == ["start high 1", "end high 1"]
