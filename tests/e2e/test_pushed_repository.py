"""`action: push` from the repository that the workspace itself lies in, whatever its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace

CELLS = {"tests": {"repo": "tests", "action": "push"}, "a": {"depends_on": ["tests"]}}


def surround(ws: Workspace, top: Path) -> Path:
    """Make the folder ``top``, the workspace or one above it, a clone named after no spec."""
    bare = ws.root.parent / "quality.git"
    git(ws.root.parent, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    git(top, "init", "--quiet", "--initial-branch=main")
    git(top, "remote", "add", "origin", str(bare))
    git(top, "commit", "--quiet", "--allow-empty", "-m", "start")
    git(top, "push", "--quiet", "origin", "main")
    git(top, "checkout", "--quiet", "-b", "T-1-tests")
    git(top, "add", str(ws.root / "specs"))
    git(top, "commit", "--quiet", "-m", "the scenario")
    return bare


@pytest.mark.parametrize("above", [False, True])
def test_the_clone_around_the_workspace_is_pushed(workspace: MakeWorkspace, above: bool) -> None:
    ws = workspace(cells=CELLS)
    top = ws.root.parent if above else ws.root
    bare = surround(ws, top)
    ws.run("run", "demo", code=0)
    assert git(bare, "rev-parse", "T-1-tests") == git(top, "rev-parse", "T-1-tests")


def test_what_is_declared_or_lies_beside_the_others_is_taken_first(
    workspace: MakeWorkspace,
) -> None:
    ws = workspace(cells=CELLS, repos=("app", "tests"))
    surround(ws, ws.root)
    done = ws.run("run", "demo", "--dry-run")
    failed = ws.run("run", "demo", code=1)  # repos/tests has no branch T-1-tests
    assert done.returncode == 0
    assert str(ws.root / "repos" / "tests") in failed.stdout + failed.stderr


def test_an_agents_repository_is_not_guessed(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {"repo": "nothing"}})
    surround(ws, ws.root)
    assert "repository 'nothing' is not at" in ws.run("run", "demo", code=2).stderr
