"""A killed `--force` or `--fresh` run goes on with the same command and forces nothing twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.crash.house import FEATURE, POOL, TWO, House, at_each, both

pytestmark = pytest.mark.slow
LAST = "run.finished"


def built(house: House) -> None:
    """A first run, so that there is something to force."""
    house.run("run", FEATURE, code=0)


def forced(house: House, times: int = 2, where: str = "") -> None:
    """Each agent ran once at first, and once for each forced run."""
    ends = Counter(line.split()[1] for line in house.starts() if line.startswith("end "))
    assert ends == dict.fromkeys(TWO, times), (where, house.starts())
    starts = Counter(line for line in house.starts() if line.startswith("start "))
    assert set(starts.values()) == {1}, (where, house.starts())
    assert len(house.prs()) == len(TWO)
    house.sound()


@pytest.mark.parametrize("option", ["--force", "--fresh"])
def test_a_kill_at_any_journal_line_of_a_forced_run(option: str, tmp_path: Path) -> None:
    house = House.build(tmp_path / "undisturbed")
    built(house)
    steps = house.steps("run", FEATURE, option)
    forced(house)
    trees = house.trees()
    lines = [s.split() for s in steps if s.startswith("journal:after")]
    cases = [f"journal:after#{at.rpartition(':')[2]}" for at, kind in lines if kind != LAST]
    if option == "--fresh":  # the same code up to the attempt; half of the lines are enough
        cases = cases[::2]

    def act(house: House, mine: str) -> None:
        """One workspace for several cases: after each it is a finished feature again."""
        built(house)
        for number, at in enumerate(mine.split(), start=2):
            killed = house.crash(at, "run", FEATURE, option)
            if killed.returncode == -9:
                house.run("run", FEATURE, option, code=0)
            else:  # threads took other turns, the journal was shorter this time
                assert killed.returncode == 0, both(killed)
            assert house.trees() == trees, at
            forced(house, number, at)

    at_each([" ".join(cases[i::POOL]) for i in range(POOL)], tmp_path, act)


def test_a_second_kill_before_the_forcing_is_journalled_forces_nothing_twice(
    tmp_path: Path,
) -> None:
    house = House.build(tmp_path / "w")
    built(house)
    for at in ("after#attempt.closed", "after#run.started", "before#run.forced"):
        assert house.crash(f"journal:{at}", "run", FEATURE, "--force").returncode == -9
    house.run("run", FEATURE, "--force", code=0)
    forced(house)


def test_after_a_forced_run_that_ended_the_same_command_forces_again(tmp_path: Path) -> None:
    house = House.build(tmp_path / "w")
    built(house)
    house.run("run", FEATURE, "--force", code=0)
    house.run("run", FEATURE, "--force", code=0)
    assert house.book()["end low 3"] == house.book()["end high 3"] == 1


def test_an_interrupted_forced_run_of_other_cells_is_not_gone_on_with(tmp_path: Path) -> None:
    house = House.build(tmp_path / "w", {"one": {}, "two": {}})
    built(house)
    first = house.crash("journal:after#run.forced", "run", f"{FEATURE}:one", "--force")
    assert first.returncode == -9
    house.run("run", f"{FEATURE}:two", "--force", code=0)
    assert house.book()["end two 2"] == 1
    assert house.book()["start one 2"] == 0
