"""Repairs and reviewers that end in the middle: dirty worktrees, lost supervisors, budgets."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import git
from tests.e2e.workspace import FEATURE, Workspace, both, nothing_to_do, wait_for
from tests.proof.test_repairs import GOOD, REPAIRS, says
from tests.proof.test_reviewers import FINE, WAITS, begin, judge_state, reviewed, stop

Make = Callable[..., Workspace]

# Its repair leaves a changed and a new file, and waits in the middle.
HALF = f"""\
if [ -n "$ORCHESTR_ROUND" ]; then
    if [ ! -f "$AGENT_DIR/go" ]; then echo half > README.md; echo half > new.txt; fi
    {WAITS.strip()}
fi
{REPAIRS}"""


@pytest.mark.parametrize("how", ["INT", "abort", "KILL"])
def test_a_stopped_repair_leaves_no_dirt_in_the_way(workspace: Make, how: str) -> None:
    """What it left is kept, the next run starts the round on a clean worktree."""
    ws = workspace(cells={"one": {"checks": [GOOD]}})
    ws.script("one", HALF)
    run = begin(ws)
    stop(ws, run, how)
    tree = ws.worktree("one")
    assert git(tree, "status", "--porcelain") == ""
    refs = git(tree, "for-each-ref", "refs/orchestr/attempts", "--format=%(refname)").split()
    kept = [git(tree, "show", f"{ref}:new.txt") for ref in refs
            if "new.txt" in git(tree, "ls-tree", "--name-only", ref).split()]  # fmt: skip
    assert "half" in kept
    (ws.agents / "go").touch()
    ws.run("run", FEATURE, code=0)
    assert ws.starts("one") == ["one 1"] * 3
    assert (ws.show("one", "state.txt"), ws.show("one", "README.md")) == ("good", "# a repository")
    rounds = sorted((ws.cell_dir("one") / "attempts" / "1" / "rounds").glob("*.toml"))
    said = [line for r in rounds for line in r.read_text().splitlines() if "outcome" in line]
    assert said == ['outcome = "aborted"', 'outcome = "changed"']
    nothing_to_do(ws)


def test_a_failed_repair_leaves_no_dirt_in_the_way(workspace: Make) -> None:
    ws = workspace(cells={"one": {"checks": [GOOD]}})
    fails = (
        'if [ -n "$ORCHESTR_ROUND" ]; then echo half > new.txt; exit 3; fi\necho bad > state.txt'
    )
    ws.script("one", fails)
    done = ws.run("run", FEATURE, code=1)
    assert "what it left uncommitted is kept as" in both(done)
    assert git(ws.worktree("one"), "status", "--porcelain") == ""
    ws.script("one", REPAIRS)
    ws.run("run", FEATURE, code=0)
    assert ws.show("one", "state.txt") == "good"
    assert "new.txt" not in git(ws.worktree("one"), "ls-files").split()


def lose(folder: Path) -> None:
    """What a power cut does to a supervisor: gone, without a word of how it ended."""
    os.kill(json.loads((folder / "supervisor.json").read_text())["pid"], signal.SIGKILL)
    wait_for(lambda: not (folder / "exit.json").exists(), "nothing")


@pytest.mark.parametrize("who", ["reviewer", "repair"])
def test_a_power_cut_costs_no_run(workspace: Make, who: str) -> None:
    """The run and the supervisor are gone at once: the next run goes on by itself."""
    ws = reviewed(workspace, "ada", "eve")
    if who == "reviewer":
        says(ws, WAITS + FINE)
    else:
        ws.script("one", HALF)
        judge_state(ws, "eve")
    run = begin(ws)
    run.kill()
    run.wait()
    attempt = ws.cell_dir("one") / "attempts" / "1"
    lose(attempt if who == "repair" else next(attempt.glob("reviews/*-eve")))
    (ws.agents / "go").touch()
    ws.run("run", FEATURE, code=0)
    assert ws.processes() == []
    assert len(ws.starts("eve")) == 2
    assert len(ws.starts("one")) == (3 if who == "repair" else 1)
    assert len(ws.prs()) == 1
    nothing_to_do(ws)


def test_a_repair_that_takes_tests_away_is_told_so(workspace: Make) -> None:
    """The check would be green: the test that was red is skipped. That is red, too."""
    ws = workspace(repos=(), cells={"one": {"repair": {"checks": 2}, "checks": [
        {"kind": "command", "name": "suite", "run": ["sh", "-c", "! grep -q 'assert 0' test_t.py"]}
    ]}})  # fmt: skip
    ws.repo("app", {"test_t.py": "def test_a():\n    assert 0\n"})
    ws.script("one", """\
if [ -z "$ORCHESTR_ROUND" ]; then
    echo x > new.txt
else
    cp "$ORCHESTR_REPAIR_FILE" "$AGENT_DIR/told-$ORCHESTR_ROUND.md"
    printf 'import pytest\\n\\n\\n@pytest.mark.skip\\ndef test_a():\\n    pass\\n' > test_t.py
fi
""")  # fmt: skip
    done = ws.run("run", FEATURE, code=1)
    assert "test_a" in both(done) and "deleted or skipped" in both(done)
    assert "may not make red green by taking tests away" in (ws.agents / "told-2.md").read_text()
    assert ws.prs() == {}


def test_a_partial_pull_request_becomes_a_whole_one(workspace: Make) -> None:
    """Red is published as such; a person mends the branch, and it is the same one, whole."""
    ws = workspace(cells={"one": {"checks": [GOOD], "allow_partial": True,
                                  "repair": {"checks": 0}}})  # fmt: skip
    ws.script("one", "echo bad > state.txt")
    ws.run("run", FEATURE, code=0)
    partial = ws.pr("one")
    assert partial["title"].startswith("[partial] ") and "❌ `state`" in partial["body"]
    assert ws.status()["one"]["partial"] is True
    nothing_to_do(ws)
    tree = ws.worktree("one")
    (tree / "state.txt").write_text("good\n")
    git(tree, "commit", "-qam", "mend (T-1)")
    ws.run("run", FEATURE, code=0)
    assert list(ws.prs()) == [partial["url"]]
    whole = ws.pr("one")
    assert whole["title"] == partial["title"].removeprefix("[partial] ")
    assert "Partial" not in whole["body"] and "✅ `state`" in whole["body"]
    assert ws.status()["one"]["partial"] is False
    assert ws.starts("one") == ["one 1"]
    nothing_to_do(ws)


def test_blockers_that_stay_may_be_published_as_partial(workspace: Make) -> None:
    ws = reviewed(workspace, "eve", allow_partial=True, repair={"reviews": 1})
    ws.script("one", 'echo "bad $ORCHESTR_ROUND" > state.txt')
    judge_state(ws, "eve")
    ws.run("run", FEATURE, code=0)
    partial = ws.pr("one")
    assert partial["title"].startswith("[partial] ") and "It is bad" in partial["body"]
    assert len(ws.starts("eve")) == 2
    nothing_to_do(ws)
    ws.run("forget", f"{FEATURE}:one:review", code=0)
    ws.script("one", REPAIRS)
    ws.run("run", FEATURE, code=0)
    assert list(ws.prs()) == [partial["url"]]
    assert not ws.pr("one")["title"].startswith("[partial] ")
    assert ws.status()["one"]["partial"] is False
    nothing_to_do(ws)


def test_a_whole_pull_request_that_becomes_partial_says_so(workspace: Make) -> None:
    """Also when everything that was known of it had been forgotten."""
    ws = workspace(cells={"one": {"checks": [GOOD], "allow_partial": True,
                                  "repair": {"checks": 0}}})  # fmt: skip
    ws.script("one", "echo good > state.txt")
    ws.run("run", FEATURE, code=0)
    title = ws.pr("one")["title"]
    ws.script("one", "echo bad > state.txt")
    done = ws.run("run", FEATURE, "--force", code=0)
    assert ws.pr("one")["title"] == f"[partial] {title}"
    assert "goes on as partial (allow_partial): 0 of 1 checks passed; red: state" in both(done)
    assert "partial: red was allowed" in ws.run("explain", f"{FEATURE}:one", code=0).stdout
    ws.script("one", "echo good > state.txt")
    ws.run("run", FEATURE, "--force", code=0)
    assert ws.pr("one")["title"] == title
    assert len(ws.prs()) == 1


def test_a_partial_cell_does_not_land(workspace: Make) -> None:
    ws = workspace(cells={"one": {"checks": [GOOD], "allow_partial": True,
                                  "repair": {"checks": 0}}})  # fmt: skip
    ws.script("one", "echo bad > state.txt")
    ws.run("run", FEATURE, code=0)
    before = ws.heads()["main"]
    done = ws.run("land", FEATURE, "--yes")
    assert done.returncode == 1 and "it is partial: something of it is red" in both(done)
    assert ws.heads()["main"] == before
    tree = ws.worktree("one")
    (tree / "state.txt").write_text("good\n")
    git(tree, "commit", "-qam", "mend (T-1)")
    ws.run("run", FEATURE, code=0)
    ws.run("land", FEATURE, "--yes", code=0)
    assert git(ws.repos / "app.git", "show", "main:state.txt") == "good"


def test_a_red_check_of_a_repair_is_not_told_with_the_blockers_of_before(workspace: Make) -> None:
    """Evidence is for one head: the review of the head before the repair is void."""
    green = {"kind": "command", "name": "ok", "run": ["sh", "-c", "! test -f broken"]}
    ws = reviewed(workspace, "eve", checks=[green], allow_partial=True, repair={"reviews": 1})
    ws.script("one", 'if [ -n "$ORCHESTR_ROUND" ]; then touch broken; fi; echo bad > state.txt')
    judge_state(ws, "eve")
    ws.run("run", FEATURE, code=0)
    body = ws.pr("one")["body"]
    assert "❌ `ok`" in body and "Reviews by agents" not in body
    assert ws.pr("one")["title"].startswith("[partial] ")
