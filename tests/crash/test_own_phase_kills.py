"""SIGKILL while phases of one's own work: the same command ends as an undisturbed run, and no agent
is paid twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import git
from tests.crash.house import FEATURE, House, at_each, wait_for
from tests.crash.test_kills import points

pytestmark = pytest.mark.slow
AGENT = """\
echo "start ${ORCHESTR_PHASE:-work} $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"
case "$ORCHESTR_PHASE" in
classify) echo '{"risk": 3}' ;;
docs) cp made.txt page.txt ;;
*) echo one > low.txt ;;
esac
"""
GENERATE = {"name": "generate", "run": ["cp", "low.txt", "made.txt"]}
DOCS = {"name": "docs", "prompt": "docs.md", "when": "classify['risk'] > 2"}
CLASSIFY = {"name": "classify", "prompt": "docs.md", "output": "verdict.json"}
# The move and the result before the one that they move, and the output before its result.
WRITTEN = ("classify.json", "docs.toml", "phase-moves.json")
CELLS = {"low": {"phases": ["implement", GENERATE, CLASSIFY, DOCS, "check", "publish"]}}


def build(root: Path, **more: Any) -> House:
    house = House.build(root, CELLS, agent=AGENT, **more)
    (house.root / "docs.md").write_text("Write the page.\n")
    return house


def test_a_kill_at_any_step_pays_no_agent_twice(tmp_path: Path) -> None:
    whole = build(tmp_path / "undisturbed")
    steps = whole.steps("run", FEATURE)
    wanted = whole.trees()
    assert git(whole.repos / "app.git", "show", f"{whole.branch('low')}:page.txt") == "one"
    begun = next(n for n, at in enumerate(steps) if "generate" in at)
    written = [step for step in steps[begun:] if step.split()[1] in WRITTEN]
    cases = points(written, "write:after") + points(steps[begun:], "commit:after")[-1:]
    assert len(cases) == 4

    def act(house: House, at: str) -> None:
        house.kill_at(at, "run", FEATURE)
        house.run("run", FEATURE, code=0)
        names = sorted(line.split()[1] for line in house.starts())
        assert names == ["classify", "docs", "work"], (at, house.starts())
        assert house.trees() == wanted, at
        assert len(house.prs()) == 1
        house.run("run", FEATURE, code=0)
        assert len(house.starts()) == 3, "what moved the result is known"
        house.sound()

    at_each(cases, tmp_path, act, make=build)


def test_what_an_abort_left_is_in_nobodys_way(tmp_path: Path) -> None:
    """SIGKILL while the docs are written, then `abort`: half of a page is kept, and not in the
    worktree, when the phase is done again."""
    house = build(tmp_path / "w")
    words = AGENT.replace(
        "docs) cp", "docs) echo half > half.txt; touch $AGENT_DIR/at; sleep 60; cp"
    )
    (house.root / "agent.sh").write_text(words)
    running = house.spawn("run", FEATURE)
    wait_for((house.agents / "at").exists, "the half page")
    running.kill()
    running.ended()
    house.run("abort", "demo:low", code=0)
    (house.root / "agent.sh").write_text(AGENT)
    house.run("run", FEATURE, code=0)
    assert git(house.repos / "app.git", "show", f"{house.branch('low')}:page.txt") == "one"
    place = house.root / ".orchestr/worktrees" / FEATURE / "low"
    assert not (place / "half.txt").exists()
    kept = git(house.repos / "app", "for-each-ref", "--format=%(refname)", "refs/orchestr/attempts")
    assert any("half.txt" in git(house.repos / "app", "ls-tree", "--name-only", ref)
               for ref in kept.split())  # fmt: skip
    house.sound()
