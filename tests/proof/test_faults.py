"""Faults of the programs before us that must not come back (rows D88 to D93, E21 to E24).

The table in docs/design/proof.md names the test of each row; here are those that need a whole run.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import git
from tests.e2e.workspace import FEATURE, Workspace, both

Make = Callable[..., Workspace]


def test_a_suite_runs_once_per_round(workspace: Make) -> None:
    """D92: green once for each head that there was, no second time to be sure."""
    count = "echo x >> $COUNT; test $(wc -l < $COUNT) -ge 3"
    suite = {"kind": "command", "name": "suite", "run": ["sh", "-c", count]}
    other = {"kind": "command", "name": "other", "run": ["sh", "-c", "echo y >> $COUNT.other"]}
    ws = workspace(cells={"one": {"checks": [suite, other]}})
    counted = ws.root / "count"
    for check in (suite, other):
        check["env"] = {"COUNT": str(counted)}
    ws.spec({"one": {"checks": [suite, other]}})
    ws.script("one", 'echo "round $ORCHESTR_ROUND" >> state.txt')
    ws.run("run", FEATURE, code=0)
    assert ws.starts("one") == ["one 1"] * 3  # the work, two repairs: three heads
    assert counted.read_text().splitlines() == ["x"] * 3
    assert (ws.root / "count.other").read_text().splitlines() == ["y"] * 3
    ws.run("run", FEATURE, code=0)
    assert counted.read_text().splitlines() == ["x"] * 3


def test_a_failed_cell_keeps_its_worktree_and_its_evidence(workspace: Make) -> None:
    """D91, D93: red is no pull request, and all that shows why is still there."""
    bad = {"kind": "command", "name": "bad", "run": ["sh", "-c", "echo the reason; exit 3"]}
    ws = workspace(cells={"one": {"checks": [bad], "repair": {"checks": 1}}})
    ws.script("one", 'echo "round $ORCHESTR_ROUND" >> state.txt')
    done = ws.run("run", FEATURE, code=1)
    assert ws.prs() == {} and "T-1-one" not in ws.heads()
    tree = ws.worktree("one")
    assert git(tree, "status", "--porcelain", "--branch") == "## T-1-one"
    assert (tree / "state.txt").read_text().splitlines() == ["round ", "round 1"]
    logs = sorted(ws.cell_dir("one").glob("attempts/1/checks/*/001-bad.log"))
    assert [log.read_text().splitlines()[-1] for log in logs] == ["the reason"] * 2
    assert str(logs[-1].parent) in both(done) and str(tree) in both(done)


def test_a_check_that_hangs_is_ended_and_red(workspace: Make) -> None:
    """D88: a time limit of its own, the output is kept, the program and its children are gone."""
    slow = {"kind": "command", "name": "slow", "timeout": "1s",
            "run": ["sh", "-c", f"echo begun; {'sleep 600 & ' * 2} sleep 600"]}  # fmt: skip
    ws = workspace(cells={"one": {"checks": [slow], "repair": {"checks": 0}}})
    done = ws.run("run", FEATURE, code=1)
    assert "check slow: RED: timed out after 1 s" in both(done)
    log = ws.cell_dir("one") / "attempts" / "1" / "checks" / "1" / "001-slow.log"
    assert "begun" in log.read_text()
    assert ws.processes() == []


@pytest.mark.parametrize("answer", ["exit 1", "echo '{'", "true", "echo all is well"])
def test_no_answer_of_a_reviewer_is_no_yes(workspace: Make, answer: str) -> None:
    """D90: failed, cut short, empty, or prose: nothing is published."""
    ws = workspace(cells={"one": {"reviewers": [{"agent": "eve"}]}})
    (ws.root / "eve.sh").write_text(f"{answer}\n")
    ws.settings(agents={"default": "sh", "eve": {"kind": "command", "run": ["sh", "eve.sh"]}})
    done = ws.run("run", FEATURE, code=1)
    assert ws.prs() == {}, both(done)


@pytest.mark.parametrize("printed", ["", "ok", '{"passed": true}', "[]", '[{"passed": true}]'])
def test_results_that_cannot_be_read_are_red(workspace: Make, printed: str) -> None:
    """D89: no list of tests is no list without failures."""
    tests = {"kind": "tests", "name": "tests", "run": ["printf", "%s", printed]}
    ws = workspace(cells={"one": {"checks": [tests], "repair": {"checks": 0}}})
    assert "check tests: RED" in both(ws.run("run", FEATURE, code=1))
    assert ws.prs() == {}
