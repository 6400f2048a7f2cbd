"""What a person changed in a worktree and did not commit is kept, named, in no agent's commit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import git, write
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both

pytestmark = pytest.mark.slow
HALF = "echo half > half.txt; echo half >> README.md; exit 3\n"
KEPT = re.compile(r"are kept as (\S+), not given to its agent: ([^;]+);")


def worktree(ws: Workspace, cell: str = "a") -> Path:
    return ws.root / ".orchestr/worktrees/demo" / cell


def kept(ws: Workspace, text: str) -> tuple[str, list[str]]:
    """The ref that a warning names, and its paths."""
    found = KEPT.search(text)
    assert found is not None, text
    assert found[1] in git(ws.repos / "app", "for-each-ref", "--format=%(refname)").split()
    return found[1], found[2].split(", ")


def show(ws: Workspace, ref: str, path: str) -> str:
    return git(ws.repos / "app", "show", f"{ref}:{path}")


def published(ws: Workspace, cell: str = "a") -> list[str]:
    return git(ws.repos / "app.git", "ls-tree", "-r", "--name-only", ws.branch(cell)).split("\n")


def run(ws: Workspace, how: str) -> str:
    if how == "doit":
        return both(ws.doit("run", "demo", code=0))
    return both(ws.run("run", "demo", code=0))


@pytest.mark.parametrize("how", ["run", "doit"])
def test_changes_after_a_failed_attempt(workspace: MakeWorkspace, how: str) -> None:
    ws = workspace(cells={"a": {}})
    ws.script("a", HALF)
    ws.run("run", "demo", code=1)
    ws.script("a", "test -e half.txt; test ! -e mine.txt; echo done > done.txt\n")
    write(worktree(ws), {"mine.txt": "mine\n", "my notes/a b.txt": "n\n", "half.txt": "better\n"})
    ref, paths = kept(ws, run(ws, how))
    assert paths == ["half.txt", "mine.txt", "my notes/a b.txt"]
    assert show(ws, ref, "half.txt") == "better"
    assert show(ws, ref, "my notes/a b.txt") == "n"
    assert published(ws) == ["README.md", "done.txt", "half.txt"]
    assert git(ws.repos / "app.git", "show", "T-1-a:half.txt") == "half"
    git(worktree(ws), "restore", f"--source={ref}", "--", "mine.txt")
    assert (worktree(ws) / "mine.txt").read_text() == "mine\n"


def test_leftovers_of_an_attempt_alone_are_its_successors(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.script("a", HALF)
    ws.run("run", "demo", code=1)
    ws.script("a", "echo done > done.txt\n")
    assert "kept as" not in both(ws.run("run", "demo", code=0))
    assert published(ws) == ["README.md", "done.txt", "half.txt"]


@pytest.mark.parametrize("wish", ["todo", "--force", "--fresh", "forget"])
def test_changes_after_a_done_attempt(workspace: MakeWorkspace, wish: str) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    place = worktree(ws)
    write(place, {"mine.txt": "mine\n", "README.md": "changed\n"})
    (place / "a.txt").unlink()
    if wish == "todo":
        ws.edit_spec("do a", "do more")
    if wish == "forget":
        ws.run("forget", "demo:a", code=0)
    options = [wish] if wish.startswith("--") else []
    ref, paths = kept(ws, both(ws.run("run", "demo", *options, code=0)))
    assert paths == ["README.md", "a.txt", "mine.txt"]
    assert (show(ws, ref, "README.md"), show(ws, ref, "mine.txt")) == ("changed", "mine")
    assert published(ws) == ["README.md", "a.txt"]
    assert ws.starts() == ["a 1", "a 2"]


def test_changes_while_a_plan_waits_for_approval(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {"approve": "plan"}})
    ws.script("a", '[ "$ORCHESTR_PHASE" != plan ] || exit 0; echo x > x.txt; echo planned\n')
    ws.run("run", "demo")
    write(worktree(ws), {"mine.txt": "mine\n"})
    ws.run("approve", "demo:a", "--yes", code=0)
    ref, paths = kept(ws, both(ws.run("run", "demo", code=0)))
    assert (paths, show(ws, ref, "mine.txt")) == (["mine.txt"], "mine")
    assert "mine.txt" not in published(ws)


def test_changes_before_the_first_attempt(workspace: MakeWorkspace) -> None:
    """The set-up's own files stay, in no commit; a person's, written before any agent, are kept."""
    setup = {"repos": {"app": {"setup": ["echo made > made.txt"]}}}
    ws = workspace(cells={"a": {}}, settings=setup)
    ws.run("run", "demo:a:worktree", code=0)
    write(worktree(ws), {"mine.txt": "mine\n"})
    ref, paths = kept(ws, both(ws.run("run", "demo", code=0)))
    assert (paths, show(ws, ref, "mine.txt")) == (["mine.txt"], "mine")
    assert published(ws) == ["README.md", "a.txt"]
    assert (worktree(ws) / "made.txt").read_text() == "made\n"


def test_a_repository_inside_and_ignored_files(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.script("a", "exit 3\n")
    ws.run("run", "demo", code=1)
    place = worktree(ws)
    write(place, {".gitignore": "*.log\n", "my.log": "ignored\n", "lib/inner/x.txt": "x\n"})
    git(place / "lib/inner", "init", "--quiet")
    git(place / "lib/inner", "add", "-A")
    git(place / "lib/inner", "commit", "--quiet", "-m", "inner")
    ws.script("a", None)
    said = both(ws.run("run", "demo", code=0))
    ref, paths = kept(ws, said)
    assert paths == [".gitignore", "lib/inner"]
    assert show(ws, ref, ".gitignore") == "*.log"
    moved = re.search(r"repositories inside it are now in (\S+)", said)
    assert moved is not None, said
    assert git(Path(moved[1]) / "lib/inner", "show", "HEAD:x.txt") == "x"
    assert [p.read_text() for p in Path(moved[1]).parent.glob("*/my.log")] == ["ignored\n"]
    assert published(ws) == ["README.md", "a.txt"]


def test_a_merge_in_progress_is_for_the_person_to_finish(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    place = worktree(ws)
    git(place, "switch", "--quiet", "--create", "other", "HEAD^")
    write(place, {"a.txt": "other\n"})
    git(place, "add", "-A")
    git(place, "commit", "--quiet", "-m", "other")
    git(place, "switch", "--quiet", "T-1-a")
    with pytest.raises(AssertionError):
        git(place, "merge", "--quiet", "other")
    ws.edit_spec("do a", "do more")
    done = ws.run("run", "demo", code=1)
    assert "a person is in the middle of a merge in its worktree: a.txt" in both(done)
    assert ws.starts() == ["a 1"]
    write(place, {"a.txt": "both\n"})
    git(place, "commit", "--quiet", "-am", "both")
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1", "a 2"]


def test_changes_before_the_repair_of_a_landing(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {}})
    for cell in ("a", "b"):
        ws.script(cell, f"echo {cell} > same.txt\n")
    ws.run("run", "demo", code=0)
    for cell in ("a", "b"):
        write(worktree(ws, cell), {"mine.txt": "mine\n", "README.md": "changed\n"})
        ws.script(cell, "echo both > same.txt; git add -A; git commit -qm both\n")
    ref, paths = kept(ws, both(ws.run("land", "demo", code=0)))
    assert (paths, show(ws, ref, "mine.txt")) == (["README.md", "mine.txt"], "mine")
    assert "mine.txt" not in git(ws.repos / "app.git", "ls-tree", "--name-only", "main")
