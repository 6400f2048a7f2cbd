"""SIGKILL at every step of both loops, then the same command: no round is paid twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.crash.house import FEATURE, House, at_each

pytestmark = pytest.mark.slow

# Bad at first; the first repair (of the check) makes it green, the second (of the review) good.
AUTHOR = """\
echo "start $ORCHESTR_CELL ${ORCHESTR_REPAIR:-work}" >> "$AGENT_LOG"
case "$ORCHESTR_REPAIR" in
    "") echo bad > state.txt ;;
    check) echo green > state.txt ;;
    review) echo good > state.txt ;;
esac
echo "end $ORCHESTR_CELL ${ORCHESTR_REPAIR:-work}" >> "$AGENT_LOG"
"""
REVIEWER = """\
state=$(cat state.txt)
echo "start review $state" >> "$AGENT_LOG"
issue='{"title": "t", "description": "", "severity": "blocker", "places": [], "evidence": "e"}'
if [ "$state" = good ]; then issue=; fi
echo "{\\"summary\\": \\"\\", \\"issues\\": [$issue]}"
echo "end review $state" >> "$AGENT_LOG"
"""
CHECK = {"kind": "command", "name": "state", "run": ["grep", "-qE", "green|good", "state.txt"]}
CELLS: dict[str, dict[str, Any]] = {
    "one": {"checks": [CHECK], "reviewers": [{"agent": "eve"}]},
}
WANTED = {
    "one work": 1,
    "one check": 1,
    "one review": 1,
    "review green": 1,
    "review good": 1,
}


def build(root: Path, **_: Any) -> House:
    """A house whose one cell goes through a repair in each loop."""
    house = House.build(root, CELLS, agent=AUTHOR)
    (root / "eve.sh").write_text(REVIEWER)
    env = {"AGENT_LOG": str(house.log), "AGENT_DIR": str(house.agents)}
    eve = {"kind": "command", "run": ["sh", "eve.sh"], "env": env}
    house.settings(agents={"default": "sh", "eve": eve})
    return house


def settled(house: House) -> None:
    """Every agent worked once, one pull request, its head is the good one."""
    for what in ("start", "end"):
        lines = [x.partition(" ")[2] for x in house.starts() if x.startswith(f"{what} ")]
        assert Counter(lines) == WANTED, house.starts()
    assert len(house.prs()) == 1
    assert house.pr("one")["head_sha"] == house.head("one")
    assert house.show("one", "state.txt") == "good"
    house.sound()


def test_a_kill_at_any_step_pays_no_round_twice(tmp_path: Path) -> None:
    house = build(tmp_path / "undisturbed")
    steps = house.steps("run", FEATURE)
    settled(house)
    found = [step.split()[0].rpartition(":") for step in steps]
    first = next(n for n, step in enumerate(steps) if "check.done" in step)
    cases = [f"{place}#{number}" for place, _, number in found[first:]
             if place in ("journal:after", "commit:after", "start:after", "start:before")
             or (place == "write:after" and int(number) % 5 == 0)]  # fmt: skip
    assert len(cases) > 25

    def act(house: House, at: str) -> None:
        house.kill_at(at, "run", FEATURE)
        house.run("run", FEATURE, code=0)
        settled(house)

    at_each(cases, tmp_path, act, make=build)
