"""Repositories that are not as one would like them: each has an answer, none is harmed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Sandbox, git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both
from tests.hostile.bystander import Bystander

pytestmark = pytest.mark.slow


def app(ws: Workspace) -> Sandbox:
    return Sandbox(ws.repos / "app", ws.repos / "app.git")


def test_32_cells_of_one_repository_at_once(workspace: MakeWorkspace) -> None:
    names = [f"c{n}" for n in range(32)]
    ws = workspace(cells={name: {} for name in names})
    Bystander.furnish(app(ws))
    before = Bystander.of(app(ws))
    ws.run("run", "demo", "--jobs", "32", code=0)
    assert sorted(ws.starts()) == sorted(f"{name} 1" for name in names)
    assert ws.states() == dict.fromkeys(names, "done")
    assert {name for name in ws.heads() if name.startswith("T-1-c")} == {
        f"T-1-{name}" for name in names
    }
    for name in names:
        assert git(ws.worktree(name), "symbolic-ref", "--short", "HEAD") == f"T-1-{name}"
    assert Bystander.of(app(ws)) == before


def test_a_branch_that_names_no_cell_is_used_when_the_spec_says_so(
    workspace: MakeWorkspace,
) -> None:
    ws = workspace(cells={"a": {}})
    app(ws).git("switch", "--quiet", "-c", "T-1-a")
    left = app(ws).commit({"left.txt": "x\n"})
    app(ws).git("switch", "--quiet", "main")
    assert "set `adopt: true` for cell a" in both(ws.run("run", "demo", code=1))
    assert ws.starts() == []
    ws.spec({"a": {"adopt": True}})
    ws.run("run", "demo", code=0)
    git(ws.repos / "app.git", "merge-base", "--is-ancestor", left, "T-1-a")


def test_a_foreign_branch_of_that_name_is_refused(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    app(ws).git("switch", "--quiet", "--orphan", "T-1-a")
    theirs = app(ws).commit({"else.txt": "x\n"})
    app(ws).git("switch", "--quiet", "main")
    done = both(ws.run("run", "demo", code=1))
    assert "branch T-1-a exists in" in done and "no cell is known to own it" in done
    assert f"git -C {ws.repos / 'app'} branch -m T-1-a T-1-a-old" in done
    assert app(ws).git("rev-parse", "T-1-a") == theirs
    app(ws).git("branch", "-m", "T-1-a", "T-1-a-old")
    ws.run("run", "demo", code=0)


def test_a_branch_checked_out_elsewhere_is_refused(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    app(ws).git("worktree", "add", "-q", "-b", "T-1-a", str(ws.root / "elsewhere"))
    done = both(ws.run("run", "demo", code=1))
    assert f"branch T-1-a is checked out at {ws.root / 'elsewhere'}" in done
    assert f"git -C {ws.root / 'elsewhere'} switch --detach" in done
    git(ws.root / "elsewhere", "switch", "--quiet", "--detach")
    ws.run("run", "demo", code=0)


def test_a_detached_and_dirty_main_checkout(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    Bystander.furnish(app(ws))
    app(ws).git("checkout", "--quiet", "--detach")
    before = Bystander.of(app(ws))
    ws.run("run", "demo", code=0)
    assert Bystander.of(app(ws)) == before


@pytest.mark.parametrize("kind", ["bare", "shallow", "no-origin-head"])
def test_kinds_of_clones(workspace: MakeWorkspace, kind: str) -> None:
    ws = workspace(cells={"a": {}, "b": {"depends_on": ["a"]}})
    app(ws).commit({"second.txt": "x\n"}, push=True)
    clone, url = ws.repos / "app", f"file://{ws.repos / 'app.git'}"
    if kind == "no-origin-head":
        app(ws).git("remote", "set-head", "origin", "--delete")
    else:
        shutil.rmtree(clone)
        option = "--bare" if kind == "bare" else "--depth=1"
        git(ws.root, "clone", "--quiet", option, url, str(clone))
    ws.run("run", "demo", code=0)
    assert ws.pr("b")["base"] == "T-1-a"
    assert ws.run("run", "demo", code=0).stdout.startswith("nothing to be done")


def test_no_origin_at_all(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "local": {"phases": ["implement"], "repo": "alone"}},
                   repos=("app", "alone"))  # fmt: skip
    for name in ("app", "alone"):
        git(ws.repos / name, "remote", "remove", "origin")
    done = both(ws.run("run", "demo", code=2))
    assert f"app: {ws.repos / 'app'} has no remote origin to push to" in done
    assert ws.starts() == []
    done = both(ws.run("run", "demo", "--skip-preflight", code=1))
    assert ws.states()["local"] == "done"
    assert "origin" in done
    assert f"git -C {ws.repos / 'app'} remote add origin" in done


def test_an_origin_that_is_away(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    (ws.repos / "app.git").rename(ws.root / "away.git")
    ws.run("forget", "demo:a", code=0)
    done = both(ws.run("run", "demo", code=1))
    assert "forge away for app" in done
    assert ws.status()["a"]["phases"]["implement"] == "done"
    assert f"git -C {ws.repos / 'app'}" in done
    (ws.root / "away.git").rename(ws.repos / "app.git")
    ws.run("run", "demo", code=0)
    assert len(ws.starts()) == 2
    assert len(ws.prs()) == 1


def test_a_submodule_and_an_lfs_pointer_do_no_harm(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {"depends_on": ["a"]}})
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 9\n"
    inner = ws.repo("inner")
    app(ws).git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add",
                str(inner.origin), "vendor")  # fmt: skip
    app(ws).commit({".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
                    "big.bin": pointer}, push=True)  # fmt: skip
    ws.run("run", "demo", code=0)
    changed = git(ws.repos / "app.git", "diff", "--name-only", "main", "T-1-b").splitlines()
    assert changed == ["a.txt", "b.txt"]
    ws.run("clean", "demo", code=0)
    assert not ws.worktree("a").exists()


@pytest.mark.parametrize("kind", ["missing", "no-repository", "inside-another", "no-commit"])
def test_what_is_no_repository(workspace: MakeWorkspace, kind: str) -> None:
    ws = workspace(cells={"a": {}}, repos=())
    place = ws.repos / "app"
    if kind == "inside-another":
        git(ws.root, "init", "--quiet")
    if kind != "missing":
        place.mkdir(parents=True)
    if kind == "no-commit":
        git(place, "init", "--quiet")
    done = ws.run("run", "demo")
    assert done.returncode in (1, 2)
    words = {
        "missing": f"repository 'app' is not at {place}",
        "no-commit": "no commit",
    }.get(kind, f"{place} is not a git repository")
    assert words in both(done)
    assert ws.starts() == []


def test_a_foreign_folder_in_place_of_the_worktree(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.worktree("a").mkdir(parents=True)
    (ws.worktree("a") / "precious").write_text("x")
    done = both(ws.run("run", "demo", code=1))
    assert f"{ws.worktree('a')} exists and is not a worktree of" in done
    assert f"mv {ws.worktree('a')} {ws.worktree('a')}.old" in done
    assert (ws.worktree("a") / "precious").read_text() == "x"
    ws.worktree("a").rename(ws.root / "moved")
    ws.run("run", "demo", code=0)


@pytest.mark.parametrize("name", ["../app", "-rf", "a/../../b", "a b", "x.lock", "/etc", "a\\nb"])
def test_hostile_repository_names(workspace: MakeWorkspace, name: str) -> None:
    ws = workspace(cells={"a": {"repo": name.replace("\\n", "\n")}})
    done = ws.run("run", "demo", code=2)
    assert "specs/demo.yaml:" in both(done)
    assert not Path(ws.root / ".orchestr/worktrees").exists()
