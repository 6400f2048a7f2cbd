"""A branch and its pull request belong to one cell of one feature: others are refused, unpaid."""

from __future__ import annotations

import shutil

import pytest

from tests.conftest import git, write
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.test_forge_life import edit_pr, forge, forget_everything, ref
from tests.e2e.workspace import Workspace, both

pytestmark = pytest.mark.slow

ONE = {"a": {}}


def push_from_elsewhere(ws: Workspace, branch: str, files: dict[str, str]) -> str:
    """Someone who does not know of us pushes a branch of that name."""
    clone = ws.root / "elsewhere"
    git(ws.root, "clone", "--quiet", str(ws.repos / "app.git"), str(clone))
    git(clone, "switch", "--quiet", "--create", branch)
    write(clone, files)
    git(clone, "add", "-A")
    git(clone, "commit", "--quiet", "-m", "theirs")
    git(clone, "push", "--quiet", "origin", branch)
    return git(clone, "rev-parse", "HEAD")


def bodies(ws: Workspace) -> dict[str, str]:
    return {url: str(pr["body"]) for url, pr in ws.prs().items()}


def test_another_features_pull_request_is_refused_before_an_agent(
    workspace: MakeWorkspace,
) -> None:
    ws = workspace(cells=ONE)
    ws.spec(ONE, feature="other")
    ws.run("run", "demo", code=0)
    before = bodies(ws)
    assert "belongs to cell demo:a of this workspace" in both(ws.run("run", "other", code=2))
    done = ws.run("run", "other", "--skip-preflight", code=1)
    assert "branch T-1-a belongs to cell demo:a: local://app/pull/1 is its pull request" in both(
        done
    )
    assert "set another `branch` for cell a in specs/other.yaml" in both(done)
    assert (ws.starts(), bodies(ws)) == (["a 1"], before)
    assert ws.states() == {"a": "done"}


def test_another_cells_branch_without_a_pull_request_is_refused(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {"phases": ["implement", "check"]}})
    ws.spec(ONE, feature="other")
    ws.run("run", "demo", code=0)
    ws.run("clean", "demo", code=0)
    for words in (["plan", "other"], ["run", "other"], ["run", "other", "--skip-preflight"]):
        assert "belongs to cell demo:a of this workspace" in both(ws.run(*words))
    assert (ws.starts(), ws.prs()) == (["a 1"], {})


def test_a_branch_is_free_again_when_it_is_gone(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=ONE)
    ws.spec(ONE, feature="other")
    ws.run("run", "demo", code=0)
    ws.run("land", "demo", code=0)
    git(ws.repos / "app", "branch", "-qD", "T-1-a")
    git(ws.repos / "app.git", "branch", "-qD", "T-1-a")
    ws.run("run", "other", code=0)
    assert ws.starts() == ["a 1", "a 1"]
    assert len(ws.prs()) == 2


@pytest.mark.parametrize("where", ["origin", "clone"])
def test_a_branch_of_no_cell_is_refused_until_the_cell_says_adopt(
    workspace: MakeWorkspace, where: str
) -> None:
    ws = workspace(cells=ONE)
    theirs = push_from_elsewhere(ws, "T-1-a", {"theirs.txt": "x\n"})
    if where == "clone":
        git(ws.repos / "app", "fetch", "--quiet", "origin", "T-1-a:T-1-a")
        git(ws.repos / "app.git", "branch", "-qD", "T-1-a")
    for _ in range(2):
        done = ws.run("run", "demo", code=1)
        assert f"({theirs[:12]}) with commits, and no cell is known to own it" in both(done)
    assert ws.starts() == []
    ws.spec({"a": {"adopt": True}})
    ws.run("run", "demo", code=0)
    assert ws.starts() == []
    assert git(ws.repos / "app.git", "rev-parse", "T-1-a") == theirs
    assert len(ws.prs()) == 1
    ws.run("run", "demo", "--force", code=0)
    assert ws.starts() == ["a 1"]
    git(ws.repos / "app.git", "merge-base", "--is-ancestor", theirs, "T-1-a")


def test_an_empty_branch_is_nobodys_work(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=ONE)
    git(ws.repos / "app", "branch", "T-1-a")
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1"]


def test_a_pull_request_of_no_cell_needs_adopt(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=ONE)
    ws.run("run", "demo", code=0)
    edit_pr(ws, "local://app/pull/1", body="by a person")
    forget_everything(ws)
    done = ws.run("run", "demo", code=1)
    assert "has a pull request that names no cell: local://app/pull/1" in both(done)
    assert bodies(ws) == {"local://app/pull/1": "by a person"}
    ws.spec({"a": {"adopt": True}})
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1"]


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("wish", ["--force", "--fresh", "forget"])
def test_a_wish_to_rebuild_an_adopted_cell_starts_an_attempt(
    workspace: MakeWorkspace, wish: str, merged: bool
) -> None:
    ws = workspace(cells=ONE)
    ws.run("run", "demo", code=0)
    old = ws.heads()["T-1-a"]
    if merged:
        forge(ws).merge_pull_request(ref(ws), 1)
    forget_everything(ws)
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1"]
    if wish == "forget":
        ws.run("forget", "demo:a", code=0)
        ws.run("run", "demo", code=0)
    else:
        ws.run("run", "demo", wish, code=0)
    assert ws.starts() == ["a 1", "a 1"]
    if wish != "--fresh":
        git(ws.repos / "app.git", "merge-base", "--is-ancestor", old, "T-1-a")


def test_a_rebuild_that_is_the_first_command_after_a_loss_starts_an_attempt(
    workspace: MakeWorkspace,
) -> None:
    ws = workspace(cells=ONE)
    ws.run("run", "demo", code=0)
    old = ws.heads()["T-1-a"]
    forget_everything(ws)
    ws.run("run", "demo", "--force", code=0)
    assert ws.starts() == ["a 1", "a 1"]
    git(ws.repos / "app.git", "merge-base", "--is-ancestor", old, "T-1-a")
    assert len(ws.prs()) == 1


def test_a_pull_request_that_another_cell_took_meanwhile_is_not_rewritten(
    workspace: MakeWorkspace,
) -> None:
    ws = workspace(cells=ONE)
    ws.run("run", "demo", code=0)
    taken = bodies(ws)["local://app/pull/1"].replace("feature=demo", "feature=other")
    edit_pr(ws, "local://app/pull/1", body=taken)
    ws.run("forget", "demo:a", code=0)
    shutil.rmtree(ws.root / ".orchestr/worktrees", ignore_errors=True)
    done = ws.run("run", "demo", code=1)
    assert "belongs to cell other:a" in both(done)
    assert bodies(ws) == {"local://app/pull/1": taken}


def test_a_pull_request_is_found_once_its_repository_is_cloned(workspace: MakeWorkspace) -> None:
    """The local forge can be asked only then; nothing is paid for twice."""
    cells = {"a": {}, "b": {}}
    ws = workspace(cells=cells)
    ws.settings(repos={"app": {"url": str(ws.repos / "app.git")}})
    ws.run("run", "demo", code=0)
    heads = ws.heads()
    shutil.rmtree(ws.repos / "app")
    for name in ("cells", "journal", "worktrees", "locks", "registry.json"):
        place = ws.root / ".orchestr" / name
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    ws.run("run", "demo", code=0)
    assert sorted(ws.starts()) == ["a 1", "b 1"]
    assert (ws.heads(), len(ws.prs())) == (heads, 2)
    assert {e["cell"] for e in ws.journal(kind="cell.adopted")} == set(cells)
