"""A cell that is taken out of its spec is shown, and `retire` puts it away without a loss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import git, write
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.test_forge_life import person
from tests.e2e.test_renamed_branches import branches_at_origin, open_prs
from tests.e2e.workspace import Workspace, both, wait_for

pytestmark = pytest.mark.slow

TWO: dict[str, dict[str, Any]] = {"one": {}, "two": {}}
LESS: dict[str, dict[str, Any]] = {"one": {}}


def without_two(workspace: MakeWorkspace, **two: Any) -> Workspace:
    ws = workspace(cells={"one": {}, "two": two})
    ws.run("run", "demo", code=0)
    ws.spec(LESS)
    return ws


def kept_refs(ws: Workspace) -> dict[str, str]:
    lines = git(ws.repos / "app", "for-each-ref", "--format=%(refname) %(objectname)",
                "refs/orchestr/retired").splitlines()  # fmt: skip
    return dict(line.split(" ") for line in lines)


def test_it_is_shown_and_put_away(workspace: MakeWorkspace) -> None:
    ws = without_two(workspace, ports=True)
    url, head = "local://app/pull/", ws.head("two")
    mine = next(u for u, pr in ws.prs().items() if pr["head"] == "T-1-two")
    for verb in (["plan", "demo"], ["status", "demo"], ["doctor"], ["run", "demo"]):
        said = both(ws.run(*verb))
        assert mine in said, verb
        assert "orchestr retire demo:two" in said, verb
    left = json.loads(ws.run("status", "--json", code=0).stdout)["features"][0]["removed"]
    assert [(cell["name"], cell["pr"]) for cell in left] == [("two", mine)]
    assert "orchestr retire demo:two" in both(ws.run("clean", "demo:two", code=2))
    planned = both(ws.run("retire", "demo:two", "--dry-run", code=0))
    assert f"would close {mine}" in planned
    assert set(open_prs(ws)) == {"T-1-one", "T-1-two"}
    ws.run("retire", "demo:two", code=0)
    assert set(open_prs(ws)) == {"T-1-one"}
    assert not ws.worktree("two").exists()
    assert kept_refs(ws) == {"refs/orchestr/retired/demo/two/branch": head}
    assert branches_at_origin(ws) == {"main", "T-1-one"}
    assert git(ws.repos / "app", "for-each-ref", "refs/heads/T-1-two") == ""
    for verb in (["plan", "demo"], ["status", "demo"], ["doctor"]):
        assert url + mine[-1] not in both(ws.run(*verb)), verb
    assert "there is no cell demo:two to retire" in both(ws.run("retire", "demo:two", code=2))
    # a cell of that name begins anew
    ws.spec(TWO)
    ws.run("run", "demo", code=0)
    assert ws.starts().count("two 1") == 2
    assert set(open_prs(ws)) == {"T-1-one", "T-1-two"}


def test_a_cell_that_is_in_its_spec_is_refused(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=TWO)
    ws.run("run", "demo", code=0)
    done = both(ws.run("retire", "demo:two", code=2))
    assert "cell demo:two is in specs/demo.yaml still" in done
    assert len(open_prs(ws)) == 2


def test_work_that_no_commit_holds_is_refused_and_the_hint_helps(workspace: MakeWorkspace) -> None:
    ws = without_two(workspace)
    write(ws.worktree("two"), {"mine.txt": "x\n"})
    done = both(ws.run("retire", "demo:two", code=1))
    assert "its worktree has changes in mine.txt that no commit holds" in done
    assert set(open_prs(ws)) == {"T-1-one", "T-1-two"}
    git(ws.worktree("two"), "add", "-A")
    git(ws.worktree("two"), "commit", "-qm", "before it is retired")
    head = git(ws.worktree("two"), "rev-parse", "HEAD")
    ws.run("retire", "demo:two", code=0)
    assert list(kept_refs(ws).values()) == [head]


def test_commits_that_only_the_origin_has_are_kept(workspace: MakeWorkspace) -> None:
    ws = without_two(workspace)
    theirs = person(ws, "two", {"theirs.txt": "x\n"})
    ws.run("retire", "demo:two", code=0)
    assert theirs in kept_refs(ws).values()
    assert git(ws.repos / "app", "cat-file", "-t", theirs) == "commit"


def test_without_its_spec_a_whole_feature_is_retired(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=TWO)
    ws.spec({"x": {}}, feature="other")
    ws.run("run", "demo", code=0)
    (ws.root / "specs/demo.yaml").unlink()
    said = both(ws.run("doctor"))
    assert "orchestr retire demo:one" in said
    assert "orchestr retire demo:two" in said
    ws.run("retire", "demo:one", "demo:two", code=0)
    assert open_prs(ws) == {}
    assert "demo" not in both(ws.run("doctor"))


def test_a_branch_that_another_cell_has_now_is_left_alone(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"one": {}})
    ws.run("run", "demo", code=0)
    ws.spec({"uno": {"branch": "T-1-one"}})
    ws.run("run", "demo", code=2)  # the branch is that of the old name
    ws.run("retire", "demo:one", code=0)
    assert open_prs(ws) == {"T-1-one": "main"}
    assert "T-1-one" in branches_at_origin(ws)


def test_its_agent_is_ended_only_when_asked_to(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=TWO)
    ws.script("two", "sleep 60\n")
    run = ws.spawn("run", "demo")
    wait_for(lambda: ws.starts("two") or None, "its start")
    run.kill()
    run.wait()
    ws.spec(LESS, while_agents_work=True)
    assert "--stop" in both(ws.run("retire", "demo:two", code=1))
    ws.run("retire", "demo:two", "--stop", code=0)
    assert ws.processes() == []
    assert not ws.worktree("two").exists()


def test_a_forge_that_is_away_changes_nothing(workspace: MakeWorkspace) -> None:
    ws = without_two(workspace)
    bare = ws.repos / "app.git"
    bare.rename(ws.repos / "away.git")
    ws.run("retire", "demo:two", code=1)
    assert ws.worktree("two").exists()
    assert kept_refs(ws) == {}
    Path(ws.repos / "away.git").rename(bare)
    ws.run("retire", "demo:two", code=0)
    assert set(open_prs(ws)) == {"T-1-one"}
