"""What an upstream's readers change, build or leave where they read it is in nobody's work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, nothing_to_do

pytestmark = pytest.mark.slow

UP = "$ORCHESTR_UPSTREAM_A_WORKTREE"
LEAVES = f"""\
echo "{UP}" > where.txt
cd "{UP}"; cat a.txt; echo left > left.txt; echo evil >> a.txt; mkdir -p build; echo o > build/o
"""
SEES = {
    "kind": "command",
    "name": "sees",
    "run": ["sh", "-c", f'cd "{UP}"; test ! -e left.txt -a ! -e build; test "$(cat a.txt)" = "a"'],
}
BOTH = pytest.mark.parametrize("repo", ["app", "lib"])


def make(workspace: MakeWorkspace, repo: str, **settings: object) -> Workspace:
    """`b` in ``repo`` builds on `a` in `app`, which ignores `build`."""
    cells = {"a": {}, "b": {"repo": repo, "depends_on": ["a"], "checks": [SEES]}}
    ws = workspace(repos=["app", "lib"], cells=cells, settings={"repos": settings})
    app = ws.repos / "app"
    (app / ".gitignore").write_text("build\n")
    git(app, "add", ".gitignore")
    git(app, "commit", "--quiet", "-m", "ignores")
    git(app, "push", "--quiet", "origin", "main")
    ws.script("a", "echo a > a.txt\n")
    return ws


def warnings(ws: Workspace, cell: str) -> str:
    found = ws.journal(kind="cell.warned")
    return "\n".join(event["data"]["reason"] for event in found if event["cell"] == cell)


def checkouts(ws: Workspace, cell: str = "a") -> list[str]:
    """The checkouts for its readers."""
    folder = ws.cell_dir(cell) / "readable"
    return (
        sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.exists() else []
    )


def where(ws: Workspace, repo: str) -> Path:
    return Path(ws.show("b", "where.txt", repo))


@BOTH
def test_what_a_dependent_leaves_is_no_work_of_its_upstream(
    workspace: MakeWorkspace, repo: str
) -> None:
    ws = make(workspace, repo)
    ws.script("b", LEAVES)
    ws.run("run", "demo", code=0)
    place = where(ws, repo)
    assert place == ws.cell_dir("a") / "readable" / ws.head("a")[:12]
    assert git(ws.worktree("a"), "status", "--porcelain", "--ignored") == ""
    assert git(place, "status", "--porcelain", "--ignored") == ""
    found = re.search(r"was changed: a.txt, left.txt; .*kept as (\S+)", warnings(ws, "b"))
    assert found is not None, warnings(ws, "b")
    assert git(ws.repos / "app", "show", f"{found[1]}:a.txt") == "a\nevil"
    nothing_to_do(ws)
    ws.script("a", "test ! -e left.txt; echo new > new.txt\n")
    ws.run("run", "demo:a", "--force", code=0)
    names = git(ws.repos / "app.git", "ls-tree", "-r", "--name-only", "T-1-a").splitlines()
    assert names == [".gitignore", "README.md", "a.txt", "new.txt"]
    assert ws.show("a", "a.txt") == "a"


def test_commits_of_a_reader_move_no_branch(workspace: MakeWorkspace) -> None:
    ws = make(workspace, "lib")
    ws.script("b", f'echo b > b.txt; cd "{UP}"; echo x > x.txt; git add -A; git commit -qm x')
    ws.run("run", "demo", code=0)
    assert ws.show("b", "b.txt", "lib") == "b"
    assert git(ws.repos / "app", "rev-parse", "T-1-a") == ws.head("a")
    kept = re.search(r"kept as (\S+)", warnings(ws, "b"))
    assert kept is not None, warnings(ws, "b")
    assert git(ws.repos / "app", "show", f"{kept[1]}:x.txt") == "x"


def test_it_is_set_up_for_a_reader_in_another_repository(workspace: MakeWorkspace) -> None:
    setup = ["mkdir -p build; echo made > build/made; echo gen > gen.txt; echo m > README.md"]
    ws = make(workspace, "lib", app={"setup": setup})
    ws.script("b", f'cat "{UP}/build/made" "{UP}/gen.txt" > b.txt; echo x > "{UP}/build/x"')
    ws.spec({"a": {}, "b": {"repo": "lib", "depends_on": ["a"]}, "c": {"depends_on": ["a"]}})
    ws.run("run", "demo", code=0)
    assert ws.show("b", "b.txt", "lib") == "made\ngen"
    place = ws.cell_dir("a") / "readable" / ws.head("a")[:12]
    assert [path.name for path in (place / "build").iterdir()] == ["made"]
    assert git(place, "show", "HEAD:README.md") == (place / "README.md").read_text().strip()


def test_there_is_one_for_each_head_and_none_after_clean(workspace: MakeWorkspace) -> None:
    ws = make(workspace, "lib")
    ws.run("run", "demo", code=0)
    assert checkouts(ws) == [ws.head("a")[:12]]
    ws.script("a", "echo more > more.txt\n")
    ws.run("run", "demo", "--force", code=0)
    assert checkouts(ws) == [ws.head("a")[:12]]
    ws.run("clean", "demo", code=0)
    assert checkouts(ws) == []
    assert len(git(ws.repos / "app", "worktree", "list").splitlines()) == 1


HARM = [
    "rm .git",
    "rm -rf ../*",
    "echo x > .git",
    "git switch -qc mine; git update-index --assume-unchanged a.txt; echo evil > a.txt",
    "git init -q inner; echo x > inner/x",
]


@pytest.mark.parametrize("harm", HARM)
def test_whatever_was_done_to_it(workspace: MakeWorkspace, harm: str) -> None:
    ws = make(workspace, "lib")
    ws.script("b", f'echo b > b.txt; cd "{UP}"; {harm}\n')
    ws.run("run", "demo", code=0)
    place = ws.cell_dir("a") / "readable" / ws.head("a")[:12]
    assert (place / "a.txt").read_text() == "a\n"
    assert git(place, "status", "--porcelain", "--ignored") == ""
    assert git(place, "rev-parse", "--abbrev-ref", "HEAD") == "HEAD"
