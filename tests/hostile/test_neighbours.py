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
    assert "branches of other cells were moved: T-1-good" in done
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
    hook.write_text("#!/bin/sh\n")
    ws.run("run", "demo", code=0)
    assert (ws.show("a", "a.txt"), ws.starts()) == ("attempt 1", ["a 1"])  # nobody is paid twice


def test_the_harm_of_one_is_not_taken_for_the_original_by_the_next(
    workspace: MakeWorkspace,
) -> None:
    ws = workspace(
        repos=("app", "web"),
        cells={"evil": {}, "first": {"repo": "web"}, "late": {"depends_on": ["first"]}},
    )
    app, seen = ws.repos / "app", ws.agents
    git(app, "branch", "mine", "main")
    mine = git(app, "rev-parse", "mine")
    wait = "n=0; while [ ! -e {0} ] && [ $n -lt 300 ]; do sleep 0.1; n=$((n+1)); done"
    ws.script("evil", f"""
        echo x > a; git update-ref refs/heads/mine "$(git commit-tree HEAD^{{tree}} -m evil)"
        touch {seen}/harm; {wait.format(seen / "late")}
    """)  # fmt: skip
    ws.script("first", f"{wait.format(seen / 'harm')}; echo x > f")
    ws.script("late", f"""
        touch {seen}/late; n=0
        while [ "$(git rev-parse mine)" != {mine} ] && [ $n -lt 300 ]; do
            sleep 0.1; n=$((n+1)); done
        echo x > l
    """)  # fmt: skip
    ws.run("run", "demo", code=1)
    assert ws.states() == {"evil": "failed", "first": "done", "late": "done"}
    assert git(app, "rev-parse", "mine") == mine


def test_what_a_person_does_in_the_clone_meanwhile_is_theirs(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    app = ws.repos / "app"
    git(app, "switch", "--quiet", "-c", "topic")
    git(app, "commit", "--quiet", "--allow-empty", "-m", "one")
    git(app, "commit", "--quiet", "--allow-empty", "-m", "two")
    ws.script("a", f"""
        echo x > a
        env -i PATH="$PATH" HOME="$HOME" sh -c 'cd {app} && export GIT_AUTHOR_NAME=p \\
            GIT_AUTHOR_EMAIL=p@x GIT_COMMITTER_NAME=p GIT_COMMITTER_EMAIL=p@x &&
            git commit -q --amend --allow-empty -m three &&
            git rebase -q --keep-empty --onto HEAD~2 HEAD~1 && git branch new && git tag t &&
            git config branch.topic.remote origin && git remote add fork /nowhere'
    """)  # fmt: skip
    ws.run("run", "demo", code=0)
    assert git(app, "log", "--format=%s", "topic").splitlines() == ["three", "first"]
    assert git(app, "config", "branch.topic.remote") == "origin"
    assert git(app, "config", "remote.fork.url") == "/nowhere"
    assert ws.journal(kind="cell.warned") == []
