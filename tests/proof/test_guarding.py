"""Checks and reviewers leave the author's worktree and clone as they were, or it is undone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import git
from tests.e2e.workspace import FEATURE, Workspace, both, nothing_to_do
from tests.proof.test_repairs import says
from tests.proof.test_reviewers import BAD, FINE, WAITS, begin, reviewed

Make = Callable[..., Workspace]

# What a program can do to the clone that the worktree belongs to, told where it is.
HARM = """\
git -C {repo} config core.hooksPath {root}/evil
git -C {repo} config remote.origin.url {root}/evil.git
printf '#!/bin/sh\\ntouch {root}/planted\\n' > {repo}/.git/hooks/post-checkout
chmod +x {repo}/.git/hooks/post-checkout
git -C {repo} branch -qD theirs
git -C {repo} tag -d v1
"""


def harmful(ws: Workspace) -> str:
    """The script, with the branch and the tag that it is to take away."""
    repo = ws.repos / "app"
    git(repo, "branch", "theirs")
    git(repo, "tag", "v1")
    (repo / ".git" / "hooks").mkdir(exist_ok=True)
    return HARM.format(repo=repo, root=ws.root)


def unharmed(ws: Workspace, refs: str) -> None:
    repo = ws.repos / "app"
    assert git(repo, "for-each-ref", "refs/heads/main", "refs/heads/theirs", "refs/tags") == refs
    assert git(repo, "config", "remote.origin.url") == f"{repo}.git"
    assert "hooksPath" not in (repo / ".git" / "config").read_text()
    assert not (repo / ".git" / "hooks" / "post-checkout").exists()
    assert not (ws.root / "planted").exists()
    told = " ".join(e["data"]["reason"] for e in ws.journal(kind="cell.warned"))
    for word in ("core.hookspath", "post-checkout", "branch theirs was deleted", "tag v1"):
        assert word in told
    assert git(ws.worktree("one"), "status", "--porcelain", "--branch") == "## T-1-one"


def refs_of(ws: Workspace) -> str:
    names = ("refs/heads/main", "refs/heads/theirs", "refs/tags")
    return git(ws.repos / "app", "for-each-ref", *names)


def test_what_a_check_does_to_the_clone_is_undone(workspace: Make) -> None:
    ws = workspace(cells={"one": {"checks": [
        {"kind": "command", "name": "evil", "run": ["sh", "evil.sh"]}]}})  # fmt: skip
    script = harmful(ws)
    ws.script("one", f"cat > evil.sh <<'EOF'\n{script}EOF\n")
    refs = refs_of(ws)
    ws.run("run", FEATURE, code=0)
    unharmed(ws, refs)
    nothing_to_do(ws)


@pytest.mark.parametrize("killed", [False, True])
def test_what_a_reviewer_does_to_the_clone_is_undone(workspace: Make, killed: bool) -> None:
    """Also when nobody watched: the run was killed in between. Its verdict does not count."""
    ws = reviewed(workspace, "eve")
    script = harmful(ws)
    refs = refs_of(ws)
    if killed:
        says(ws, script + WAITS + FINE)
        run = begin(ws)
        run.kill()
        run.wait()
        (ws.agents / "go").touch()
    else:
        says(ws, script + FINE)
    done = ws.run("run", FEATURE, code=1)
    assert "its reviews do not count" in both(done)
    unharmed(ws, refs)
    assert not ws.prs()
    says(ws, FINE)
    ws.run("run", FEATURE, code=0)
    assert (len(ws.starts("eve")), ws.starts("one")) == (2 + killed, ["one 1"])
    assert ws.pr("one")["head_sha"] == ws.head("one")


def test_a_reviewer_finds_the_author_by_its_own_checkout(workspace: Make) -> None:
    """The clone that it reads leads to the author's objects: it is no secret where that is."""
    ws = reviewed(workspace, "eve")
    says(ws, "home=$(dirname $(cat .git/objects/info/alternates))\n"
             "git --git-dir $home update-ref refs/heads/T-1-one main\n" + FINE)  # fmt: skip
    done = ws.run("run", FEATURE, code=1)
    assert "while it was reviewed, branch T-1-one was moved to" in both(done)
    says(ws, FINE)
    ws.run("run", FEATURE, code=0)
    assert ws.show("one", "one.txt") == "attempt 1"
    assert ws.starts("one") == ["one 1"]


def test_a_reviewers_files_cannot_be_written_to(workspace: Make) -> None:
    ws = reviewed(workspace, "eve")
    seen = ws.root / "seen"
    says(ws, f"stat -c %A README.md . > {seen}\n{FINE}")
    ws.run("run", FEATURE, code=0)
    assert seen.read_text().split() == ["-r--r--r--", "dr-xr-xr-x"]


def test_what_checks_leave_behind_is_in_no_commit(workspace: Make) -> None:
    """It is kept with the check's logs, and the worktree is clean again."""
    litter = {
        "kind": "command",
        "name": "litter",
        "run": ["sh", "-c", "mkdir -p out/deep; echo x > out/deep/log; echo y > core"],
    }
    ws = workspace(cells={"one": {"checks": [litter]}})
    ws.run("run", FEATURE, code=0)
    tree = ws.worktree("one")
    assert git(tree, "status", "--porcelain") == ""
    assert git(tree, "diff", "--name-only", "main", "HEAD").split() == ["one.txt"]
    left = ws.cell_dir("one") / "attempts" / "1" / "checks" / "1" / "left"
    found = {p.relative_to(left): p.read_text() for p in left.rglob("*") if p.is_file()}
    assert found == {Path("out/deep/log"): "x\n", Path("core"): "y\n"}


def test_what_screenshots_leave_behind_is_never_committed(workspace: Make) -> None:
    """The same folder is left at every head of four; all of it is kept, none is published."""
    shot = {"kind": "command", "run": ["sh", "-c", "mkdir shots && cp state.txt shots/home.png"]}
    ws = reviewed(workspace, "eve", screenshots=[shot])
    ws.script("one", "echo more >> state.txt")
    says(ws, f'if [ "$(wc -l < state.txt)" -ge 4 ]; then {FINE}; else {BAD}; fi', "eve")
    ws.run("run", FEATURE, code=0)
    tree = ws.worktree("one")
    assert git(tree, "ls-tree", "-r", "--name-only", "HEAD").split() == ["README.md", "state.txt"]
    assert git(tree, "status", "--porcelain") == ""
    kept = sorted((ws.cell_dir("one") / "attempts" / "1").glob("left-by-reviewers*/shots/home.png"))
    assert sorted(path.read_text().count("more") for path in kept) == [1, 2, 3, 4]
