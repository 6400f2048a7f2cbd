"""What was repaired in vain is not lost when the spec asks for less; what was refused is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.conftest import git
from tests.e2e.workspace import FEATURE, Workspace, nothing_to_do
from tests.proof.test_repairs import GOOD
from tests.proof.test_reviewers import BAD, reviewed, says

Make = Callable[..., Workspace]

STILL_BAD = 'echo "bad ${ORCHESTR_ROUND:-0}" >> state.txt\n'
RED = {"kind": "command", "name": "red", "run": ["false"]}


def published_is_the_branch(ws: Workspace, content: str) -> None:
    """The pull request shows all that the branch has, and nothing is left to do."""
    assert ws.show("one", "state.txt") == content
    assert ws.head("one") == git(ws.repos / "app", "rev-parse", "T-1-one")
    nothing_to_do(ws)


def test_checks_that_were_taken_away_after_failed_repairs(workspace: Make) -> None:
    cell: dict[str, Any] = {"checks": [RED], "repair": {"checks": 2}}
    ws = workspace(cells={"one": cell})
    ws.script("one", STILL_BAD)
    ws.run("run", FEATURE, code=1)
    ws.spec({"one": {**cell, "checks": []}})
    ws.run("run", FEATURE, code=0)
    assert ws.starts() == ["one 1"] * 3  # its work and two repairs, nothing more
    published_is_the_branch(ws, "bad 0\nbad 1\nbad 2")


def test_checks_that_were_taken_away_after_a_refused_repair(workspace: Make) -> None:
    """What a repair was refused for does not come into the pull request that way."""
    cell: dict[str, Any] = {
        "checks": [RED], "repair": {"checks": 1}, "owned_paths": ["state.txt"],
    }  # fmt: skip
    ws = workspace(cells={"one": cell})
    ws.script("one", STILL_BAD + '[ -z "$ORCHESTR_ROUND" ] || echo x > not-mine.txt\n')
    ws.run("run", FEATURE, code=1)
    ws.spec({"one": {**cell, "checks": []}})
    ws.run("run", FEATURE, code=0)
    assert git(ws.repos / "app.git", "ls-tree", "--name-only", "T-1-one").split() == [
        "README.md", "state.txt",
    ]  # fmt: skip


def test_reviewers_that_were_taken_away_after_failed_repairs(workspace: Make) -> None:
    cell: dict[str, Any] = {"repair": {"reviews": 1}}
    ws = reviewed(workspace, "eve", **cell)
    says(ws, BAD)
    ws.script("one", STILL_BAD)
    ws.run("run", FEATURE, code=1)
    ws.spec({"one": cell})
    ws.run("run", FEATURE, code=0)
    assert len(ws.starts("one")) == 2
    published_is_the_branch(ws, "bad 0\nbad 1")


def test_what_the_checks_call_red_stays_behind_the_reviewers(workspace: Make) -> None:
    cell: dict[str, Any] = {"repair": {"reviews": 1, "checks": 0}, "checks": [GOOD]}
    ws = reviewed(workspace, "eve", **cell)
    says(ws, BAD)
    ws.script("one", '[ -z "$ORCHESTR_ROUND" ] && echo good > state.txt || rm state.txt')
    ws.run("run", FEATURE, code=1)
    ws.spec({"one": cell})
    ws.run("run", FEATURE, code=0)
    assert ws.show("one", "state.txt") == "good"


def test_another_model_of_a_reviewer_reads_again(workspace: Make) -> None:
    """By the spec and by the settings; the author is not asked."""
    ws = reviewed(workspace, "eve")
    ws.run("run", FEATURE, code=0)
    ws.spec({"one": {"reviewers": [{"agent": "eve", "model": "large"}]}})
    ws.run("run", FEATURE, code=0)
    assert (len(ws.starts("eve")), ws.starts("one")) == (2, ["one 1"])
    nothing_to_do(ws)
    ws.spec({"one": {"reviewers": [{"agent": "eve"}]}})  # the first opinion is there still
    ws.run("run", FEATURE, code=0)
    assert (len(ws.starts("eve")), ws.starts("one")) == (2, ["one 1"])

    text = (ws.root / "orchestr.toml").read_text()
    (ws.root / "orchestr.toml").write_text(
        text.replace("[agents.eve]\n", '[agents.eve]\nmodel = "huge"\n')
    )
    assert "the model of its reviewer eve changed" in ws.run("plan", FEATURE, code=0).stdout
    ws.run("run", FEATURE, code=0)
    assert (len(ws.starts("eve")), ws.starts("one")) == (3, ["one 1"])
    nothing_to_do(ws)
    (ws.root / "orchestr.toml").write_text(text)
    ws.run("run", FEATURE, code=0)
    assert len(ws.starts("eve")) == 3
    nothing_to_do(ws)
