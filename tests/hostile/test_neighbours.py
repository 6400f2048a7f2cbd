"""Agents that reach for another cell's branch or worktree, or for the orchestrator's own files."""

from __future__ import annotations

import pytest

from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both

pytestmark = pytest.mark.slow


def with_a_finished_cell(workspace: MakeWorkspace) -> Workspace:
    ws = workspace(cells={"good": {}, "bad": {}})
    ws.run("run", "demo:good", code=0)
    return ws


@pytest.mark.parametrize(
    "script",
    ["git update-ref -d refs/heads/T-1-good", "git update-ref refs/heads/T-1-good HEAD",
     'git update-ref refs/heads/T-1-good "$(git commit-tree HEAD^{tree} -m evil)"'],
)  # fmt: skip
def test_another_cells_branch_is_put_back(workspace: MakeWorkspace, script: str) -> None:
    ws = with_a_finished_cell(workspace)
    head = ws.head("good")
    ws.script("bad", f"{script}; echo x > a")
    done = both(ws.run("run", "demo", code=1))
    assert "the agent moved branches of other cells: T-1-good" in done
    assert git(ws.repos / "app", "rev-parse", "T-1-good") == head == ws.head("good")
    assert ws.states() == {"good": "done", "bad": "failed"}
    ws.script("bad", None)
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["good 1", "bad 1", "bad 2"]


def test_another_cells_worktree(workspace: MakeWorkspace) -> None:
    ws = with_a_finished_cell(workspace)
    head = ws.head("good")
    ws.script("bad", f"echo evil > {ws.worktree('good')}/good.txt; echo x > a")
    ws.run("run", "demo", code=0)
    assert ws.head("good") == head
    ws.run("run", "demo", code=0)
    assert ws.starts("good") == ["good 1"]


@pytest.mark.parametrize(
    "script",
    ["rm -rf {state}/cells/demo/good", "rm -rf {state}/cells", "echo '[broken' > {cell}/head.toml",
     "echo garbage >> {state}/journal/demo.jsonl", "printf 'torn' >> {state}/journal/demo.jsonl",
     "rm -f {state}/journal/demo.jsonl", "echo '{{' > {state}/registry.json",
     "rm -rf {state}/locks", "rm -rf {state}/surroundings"],
)  # fmt: skip
def test_the_orchestrators_own_files(workspace: MakeWorkspace, script: str) -> None:
    ws = with_a_finished_cell(workspace)
    state = ws.root / ".orchestr"
    told = script.format(state=state, cell=ws.cell_dir("good"))
    head = ws.head("good")
    ws.script("bad", f"echo x > a; {told}")
    ws.run("run", "demo")
    ws.script("bad", None)
    if "registry" in script:
        assert "orchestr doctor --fix" in both(ws.run("run", "demo", code=1))
        ws.run("doctor", "--fix")
    for _ in range(2):
        done = ws.run("run", "demo")
    assert done.returncode == 0, both(done)
    assert ws.states() == {"good": "done", "bad": "done"}
    git(ws.repos / "app.git", "merge-base", "--is-ancestor", head, "T-1-good")
    heads = [pr["head"] for pr in ws.prs().values()]
    assert sorted(heads) == ["T-1-bad", "T-1-good"]
    assert ws.processes() == []


def test_a_commit_hook_that_hangs(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {"timeout": "3s"}}, settings={"limits": {"timeout": "3s"}})
    hook = ws.repos / "app/.git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nsleep 900\n")
    hook.chmod(0o755)
    done = both(ws.run("run", "demo", code=1))
    assert "git commit" in done, done
    assert "took longer than" in done
    assert git(ws.repos / "app", "show", "refs/orchestr/attempts/demo/a/1:a.txt") == "attempt 1"
    hook.write_text("#!/bin/sh\n")
    ws.run("run", "demo", code=0)
