"""SIGKILL at every step where the next of a cell's agents takes over: each is paid once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.house import FEATURE, House, at_each, both

pytestmark = pytest.mark.slow

FAILS = 'echo "start bad $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"\nexit 3\n'


def build(root: Path) -> House:
    house = House.build(root, {"low": {"agents": ["bad", "sh"]}})
    (house.root / "bad.sh").write_text(FAILS)
    bad = {"kind": "command", "run": ["sh", "bad.sh"], "env": {"AGENT_LOG": str(house.log)}}
    house.settings(agents={"bad": bad})
    return house


def test_a_kill_anywhere_around_the_change_of_agents(tmp_path: Path) -> None:
    first = build(tmp_path / "undisturbed")
    steps = first.steps("run", FEATURE)
    trees = first.trees()
    places = [step.split()[0].rpartition(":") for step in steps]
    names = [step.split()[1] for step in steps]
    begin, end = names.index("attempt.exited"), len(names) - names[::-1].index("attempt.started")
    wanted = ("journal:after", "write:after", "start:before", "start:after")
    cases = [f"{place}#{number}" for place, _, number in places[begin - 1 : end] if place in wanted]
    assert len(cases) > 8

    def act(house: House, at: str) -> None:
        killed = house.crash(at, "run", FEATURE)
        assert killed.returncode == -9, both(killed)
        house.run("run", FEATURE, code=0)
        assert house.trees() == trees
        assert house.book() == {"start bad 1": 1, "start low 2": 1, "end low 2": 1}
        folder = house.cell_dir("low") / "attempts"
        records = [(folder / number / "attempt.toml").read_text() for number in ("1", "2")]
        assert ['agent = "bad"' in records[0], 'agent = "sh"' in records[1]] == [True, True]
        house.sound()

    at_each(cases, tmp_path, act, make=build)
