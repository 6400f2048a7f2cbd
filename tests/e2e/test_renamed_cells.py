"""`was: old-name` keeps what was built: worktree, branch, records and pull request, unpaid."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.test_renamed_branches import open_prs
from tests.e2e.workspace import (
    FEATURE,
    Workspace,
    both,
    leave_agent_at_work,
    nothing_to_do,
)

pytestmark = pytest.mark.slow

STACK: dict[str, dict[str, Any]] = {"low": {}, "high": {"depends_on": ["low"]}}
RENAMED: dict[str, dict[str, Any]] = {
    "bottom": {"was": "low", "todo": ["do low"]},
    "high": {"depends_on": ["bottom"]},
}


def would(ws: Workspace, feature: str = FEATURE) -> dict[str, str]:
    planned = json.loads(ws.run("plan", feature, "--json", code=0).stdout)
    return {cell["name"]: cell["would"] for cell in planned["cells"]}


def test_a_renamed_cell_keeps_everything(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=STACK)
    ws.run("run", "demo", code=0)
    head = ws.head("low")
    ws.spec(RENAMED)
    assert ws.states() == {"bottom": "done", "high": "done"}  # readers find the old records
    assert not ws.cell_dir("bottom").exists()
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["low 1", "high 1"]
    assert open_prs(ws) == {"T-1-low": "main", "T-1-high": "T-1-low"}
    assert len(ws.prs()) == 2
    assert git(ws.worktree("bottom"), "rev-parse", "HEAD") == head
    assert not ws.worktree("low").exists()
    assert not ws.cell_dir("low").exists()
    assert "cell=bottom" in ws.pr("bottom")["body"]
    nothing_to_do(ws)
    assert ws.states() == {"bottom": "done", "high": "done"}
    # the mark may go afterwards; then the branch is renamed, too
    ws.spec({"bottom": {"todo": ["do low"]}, "high": {"depends_on": ["bottom"]}})
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["low 1", "high 1"]
    assert open_prs(ws) == {"T-1-bottom": "main", "T-1-high": "T-1-bottom"}


def test_a_renamed_cell_can_be_rebuilt_cleaned_and_landed(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=STACK)
    ws.run("run", "demo", code=0)
    ws.spec(RENAMED)
    ws.run("run", "demo:bottom", "--force", code=0)
    assert ws.starts()[-1] == "bottom 2"
    ws.run("clean", "demo:bottom", code=0)
    assert not ws.worktree("bottom").exists()
    ws.run("run", "demo", code=0)
    ws.run("land", "demo", code=0)
    assert ws.states() == {"bottom": "done", "high": "done"} or set(ws.states().values()) == {
        "landed"
    }


def test_what_has_landed_stays_landed(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=STACK)
    ws.run("run", "demo", code=0)
    ws.run("land", "demo", code=0)
    before = set(ws.states().values())
    main = git(ws.repos / "app.git", "rev-parse", "main")
    ws.spec(RENAMED)
    assert set(ws.states().values()) == before
    ws.run("run", "demo", code=0)
    ws.run("land", "demo", code=0)
    assert ws.starts() == ["low 1", "high 1"]
    assert len(ws.prs()) == 2
    assert git(ws.repos / "app.git", "rev-parse", "main") == main
    assert set(ws.states().values()) == before


def test_two_names_are_swapped_over_a_third(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {}})
    ws.run("run", "demo", code=0)
    heads = {name: ws.head(name) for name in "ab"}
    ws.spec({"c": {"was": "a", "todo": ["do a"]}, "b": {}})
    ws.run("run", "demo", code=0)
    branch = {"branch": "T-1-b"}
    ws.spec(
        {"c": {"branch": "T-1-a", "todo": ["do a"]}, "a": {"was": "b", "todo": ["do b"], **branch}}
    )
    ws.run("run", "demo", code=0)
    assert sorted(ws.starts()) == ["a 1", "b 1"]
    assert git(ws.worktree("c"), "rev-parse", "HEAD") == heads["a"]
    assert git(ws.worktree("a"), "rev-parse", "HEAD") == heads["b"]
    assert len(ws.prs()) == 2


def test_a_renamed_feature_keeps_everything(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=STACK)
    ws.run("run", "demo", code=0)
    (ws.root / "specs/demo.yaml").rename(ws.root / "specs/better.yaml")
    ws.edit_spec("name: demo", "name: better\n  was: demo", feature="better")
    assert ws.states("better") == {"low": "done", "high": "done"}
    ws.run("run", "better", code=0)
    assert ws.starts() == ["low 1", "high 1"]
    assert open_prs(ws) == {"T-1-low": "main", "T-1-high": "T-1-low"}
    assert len(ws.prs()) == 2
    assert "feature=better" in ws.pr("low", "better")["body"]
    assert ws.worktree("low", "better").exists()
    for left in ("worktrees/demo", "cells/demo", "journal/demo.jsonl"):
        place = ws.root / ".orchestr" / left
        assert not place.is_file()
        assert not place.is_dir() or not any(place.iterdir())
    assert ws.run("run", "better", code=0).stdout.startswith("nothing to be done")
    ws.run("land", "better", code=0)


def test_while_its_agent_works_nothing_moves(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    gate = leave_agent_at_work(ws)
    ws.spec({"b": {"was": "a", "todo": ["do a"]}})
    done = both(ws.run("run", "demo", code=1))
    assert "its agent works on attempt 1 under the former name of the cell" in done
    ws.run("abort", "demo:b", code=0)
    gate.touch()
    ws.script("b", "echo x > b.txt\n")
    ws.run("run", "demo", code=0)
    assert open_prs(ws) == {"T-1-a": "main"}


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ({"a": {"was": "a"}}, "is the cell's own name"),
        ({"a": {}, "b": {"was": "a"}}, "is in this file still"),
        ({"b": {"was": "a"}, "c": {"was": "a"}}, "cell b was `a` already"),
    ],
)
def test_a_wrong_former_name_is_refused(
    workspace: MakeWorkspace, cells: dict[str, Any], told: str
) -> None:
    ws = workspace(cells=cells)
    assert told in both(ws.run("validate", code=2))
