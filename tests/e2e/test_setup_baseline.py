"""What changed before an agent started is not its work: set-up, hooks, line ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import git, write
from tests.e2e.workspace import FEATURE, Workspace, both, nothing_to_do

HOOK = "#!/bin/sh\necho hook >> lock.json\n"
OWNS = {"owned_paths": ["one.txt"]}


def setting_up(root: Path, *setup: str, cell: dict[str, object] | None = None) -> Workspace:
    """A cell `one` that owns `one.txt`; the repository tracks `lock.json` and two folders."""
    ws = Workspace.make(
        root / "w", cells={"one": cell or OWNS}, settings={"repos": {"app": {"setup": setup}}}
    )
    ws_commit(ws, {"lock.json": "1\n", "src/a.py": "a\n"})
    return ws


def ws_commit(ws: Workspace, files: dict[str, str | bytes]) -> None:
    app = ws.repos / "app"
    write(app, files)
    git(app, "add", *files)
    git(app, "commit", "--quiet", "-m", "more")
    git(app, "push", "--quiet", "origin", "main")


def hook(ws: Workspace, name: str, text: str = HOOK) -> None:
    path = ws.repos / "app" / ".git" / "hooks" / name
    write(path.parent, {name: text})
    path.chmod(0o755)


def changed(ws: Workspace) -> list[str]:
    """What the pull request changes."""
    words = ("diff", "--name-only", f"main...{ws.branch('one')}")
    return git(ws.repos / "app.git", *words).splitlines()


def warnings(ws: Workspace) -> str:
    return "\n".join(event["data"]["reason"] for event in ws.journal(kind="cell.warned"))


CHANGES = """\
cat gen.txt; echo more >> src/made.py; echo n > src/new.py
git add -A; git commit -qm all; git rm -q --cached gen.txt; git commit -qm less
"""
ADDS = 'echo 1 > one.txt; git add -A; git commit -qm "all of it"\n'


@pytest.mark.parametrize("agent", [None, ADDS])
def test_what_set_up_changes_in_tracked_files_is_put_back(
    agent: str | None, tmp_path: Path
) -> None:
    ws = setting_up(tmp_path, "echo 2 > lock.json; rm src/a.py; chmod +x README.md")
    ws.script("one", agent) if agent else None
    ws.run("run", FEATURE, code=0)
    assert changed(ws) == ["one.txt"]
    tree = ws.worktree("one")
    assert ((tree / "lock.json").read_text(), (tree / "src" / "a.py").read_text()) == ("1\n", "a\n")
    assert (
        "its set-up or a hook of the checkout changed README.md, lock.json, src/a.py"
        in warnings(ws)
    )
    kept = git(ws.repos / "app", "show", "refs/orchestr/attempts/demo/one/0:lock.json")
    assert kept == "2"
    nothing_to_do(ws)


def test_a_hook_of_the_checkout_changes_nothing(tmp_path: Path) -> None:
    ws = setting_up(tmp_path)
    hook(ws, "post-checkout")
    ws.run("run", FEATURE, code=0)
    assert changed(ws) == ["one.txt"]
    assert "lock.json" in warnings(ws)
    ws.run("run", "--fresh", FEATURE, code=0)
    ws.run("land", FEATURE, "--yes", code=0)
    assert git(ws.repos / "app.git", "show", "main:lock.json") == "1"


def test_a_hook_of_the_merge_changes_nothing(tmp_path: Path) -> None:
    """The base moves and is merged into the branch before the next attempt."""
    ws = setting_up(tmp_path, cell={**OWNS, "track_base": True})
    ws.run("run", FEATURE, code=0)
    hook(ws, "post-merge")
    ws_commit(ws, {"src/b.py": "b\n"})
    ws.run("run", FEATURE, code=0)
    assert changed(ws) == ["one.txt"]
    assert "a hook of the merge changed lock.json" in warnings(ws)


@pytest.mark.parametrize("agent", [None, ADDS])
def test_line_ends_that_no_checkout_makes_right_are_left_out(
    agent: str | None, tmp_path: Path
) -> None:
    ws = setting_up(tmp_path)
    ws_commit(ws, {"old.txt": b"a\r\nb\r\n", "src/more.txt": b"c\r\n"})
    ws_commit(ws, {".gitattributes": "*.txt text\n"})
    before = git(ws.repos / "app", "rev-parse", "HEAD:old.txt")
    if agent:
        ws.script("one", agent)
    ws.run("run", FEATURE, code=0)
    assert changed(ws) == ["one.txt"]
    assert git(ws.repos / "app.git", "rev-parse", f"{ws.branch('one')}:old.txt") == before
    assert "git finds old.txt, src/more.txt changed" in warnings(ws)
    nothing_to_do(ws)


def test_a_file_with_such_line_ends_that_the_agent_changes_is_its_work(tmp_path: Path) -> None:
    ws = setting_up(tmp_path, cell={"owned_paths": ["old.txt"]})
    ws_commit(ws, {"old.txt": b"a\r\nb\r\n", "other.txt": b"c\r\n"})
    ws_commit(ws, {".gitattributes": "*.txt text\n"})
    ws.script("one", "echo more >> old.txt\n")
    ws.run("run", FEATURE, code=0)
    assert changed(ws) == ["old.txt"]


def test_new_files_of_set_up_are_work_once_they_are_changed(tmp_path: Path) -> None:
    ws = setting_up(tmp_path, "echo gen > gen.txt; echo made > src/made.py; echo 2 > two.txt",
                    cell={"owned_paths": ["src/made.py", "src/new.py", "gen.txt"]})  # fmt: skip
    ws.script("one", CHANGES)
    ws.run("run", FEATURE, code=0)
    assert changed(ws) == ["src/made.py", "src/new.py"]
    tree = ws.worktree("one")
    assert (tree / "gen.txt").read_text() == "gen\n"
    nothing_to_do(ws)


def test_a_folder_that_set_up_fills_is_in_no_commit(tmp_path: Path) -> None:
    fill = "mkdir -p deps/x; i=0; while [ $i -lt 600 ]; do echo $i > deps/x/$i; i=$((i+1)); done"
    ws = setting_up(tmp_path, fill)
    ws.script("one", "echo 1 > one.txt; echo n > deps/x/new; git add -f .; git commit -qm all\n")
    ws.run("run", FEATURE, code=0)
    assert changed(ws) == ["one.txt"]
    assert len(list((ws.worktree("one") / "deps" / "x").iterdir())) == 601
    nothing_to_do(ws)


def test_checks_of_what_lands_see_what_set_up_made(tmp_path: Path) -> None:
    """It is in no commit, so the worktree of a check keeps it from one commit to the next."""
    check = {"kind": "command", "name": "gen", "run": ["sh", "-c", "cat gen.txt deps/a; date > x"]}
    ws = setting_up(tmp_path, "echo gen > gen.txt; mkdir deps; echo a > deps/a; echo 2 > lock.json")
    ws.settings(repos={"app": {"setup": ["echo gen > gen.txt; mkdir deps; echo a > deps/a"],
                               "land_checks": ["cat gen.txt deps/a; date > new.txt"]}})  # fmt: skip
    ws.spec({"one": {"checks": [check]}, "two": {"checks": [check]}},
            cross_checks=[{"repo": "app", **check}])  # fmt: skip
    ws.run("run", FEATURE, code=0)
    ws.run("land", FEATURE, "--yes", code=0)
    names = git(ws.repos / "app.git", "ls-tree", "-r", "--name-only", "main").splitlines()
    assert names == ["README.md", "lock.json", "one.txt", "src/a.py", "two.txt"]


def test_commits_of_set_up_leave_the_branch(tmp_path: Path) -> None:
    ws = setting_up(
        tmp_path, "echo 2 > lock.json; git commit -qam 'by set-up'; git switch -qc else"
    )
    ws.run("run", FEATURE, code=0)
    assert changed(ws) == ["one.txt"]
    assert git(ws.worktree("one"), "branch", "--show-current") == ws.branch("one")
    assert "changed its branch T-1-one" in warnings(ws)


def test_a_set_up_that_fails_leaves_a_clean_worktree_for_the_person(tmp_path: Path) -> None:
    """What the person changes there before it is done again is theirs, not the set-up's."""
    ws = setting_up(tmp_path, "echo 2 > lock.json; echo gen > gen.txt; grep mended src/a.py")
    assert "setup command 1 failed" in both(ws.run("run", FEATURE, code=1))
    tree = ws.worktree("one")
    assert git(tree, "status", "--short") == "?? gen.txt"
    write(tree, {"src/a.py": "mended\n"})
    ws.run("run", f"{FEATURE}:one:worktree", code=0)
    assert (tree / "src" / "a.py").read_text() == "mended\n"
    assert (tree / "lock.json").read_text() == "1\n"
    ws.run("run", FEATURE, code=0)
    assert changed(ws) == ["one.txt"]


def test_work_in_a_worktree_that_is_set_up_again_stays(tmp_path: Path) -> None:
    """Another set-up command: what a failed attempt left is not taken for the set-up's."""
    ws = setting_up(tmp_path, "echo 2 > lock.json", cell={"owned_paths": ["**"]})
    ws.script("one", "echo left > src/a.py; echo new > new.txt; exit 3\n")
    ws.run("run", FEATURE, code=1)
    ws.settings(repos={"app": {"setup": ["echo 3 > lock.json; echo gen > gen.txt"]}})
    ws.script("one", None)
    ws.run("run", FEATURE, code=0)
    assert changed(ws) == ["new.txt", "one.txt", "src/a.py"]
