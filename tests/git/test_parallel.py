"""32 worktrees of one repository at once: 0 failures."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestr.git.repo import Branch, PushStatus, Repo
from orchestr.git.worktrees import WorktreeProvision, add_worktree, remove_worktree
from tests.conftest import MakeRepo, Sandbox, git

MANY = 32
FILES = {f"d{n % 10}/f{n}.txt": f"{n}\n" for n in range(300)}

pytestmark = pytest.mark.slow


def shared_state(box: Sandbox) -> dict[str, bytes]:
    folder = box.path / ".git"
    return {name: (folder / name).read_bytes() for name in ("config", "HEAD", "index")}


def test_threads_add_work_push_and_remove(make_repo: MakeRepo, tmp_path: Path) -> None:
    box = make_repo(files=FILES)
    repo, locks = Repo(box.path), tmp_path / "locks"
    base, before = repo.require_head(), shared_state(box)

    def cell(number: int) -> str:
        path, branch = tmp_path / "w" / str(number), Branch(f"cell-{number}")
        assert add_worktree(repo, path, branch, base, locks=locks) is WorktreeProvision.CREATED
        tree = Repo(path)
        (path / f"new-{number}.txt").write_text("x")
        head = tree.commit_all(f"work {number}")
        assert head is not None
        tree.fetch("origin", "main", locks=locks)
        assert tree.push("origin", head, branch).status is PushStatus.OK
        assert tree.dirty_paths() == []
        assert remove_worktree(repo, path, locks=locks)
        return head

    with ThreadPoolExecutor(MANY) as pool:
        heads = list(pool.map(cell, range(MANY)))
    assert box.origin is not None
    listed = git(box.origin, "for-each-ref", "--format=%(objectname)", "refs/heads/cell-*").split()
    assert sorted(listed) == sorted(heads)
    assert [entry.path for entry in repo.list_worktrees()] == [box.path]
    assert shared_state(box) == before


def test_processes_add_at_once_beside_a_user_who_adds_too(
    make_repo: MakeRepo, tmp_path: Path
) -> None:
    box = make_repo(files=FILES)
    repo = Repo(box.path)
    before = shared_state(box)
    code = (
        "import sys; from pathlib import Path; from orchestr.git.repo import *\n"
        "from orchestr.git.worktrees import add_worktree\n"
        "repo, tmp, n = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]\n"
        "r = Repo(repo); sys.stdin.readline()\n"
        "branch = Branch('cell-' + n)\n"
        "print(add_worktree(r, tmp / n, branch, r.require_head(), locks=tmp / 'locks'))\n"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(box.path), str(tmp_path), str(n)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for n in range(MANY)
    ]  # fmt: skip
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    theirs = [
        subprocess.run(  # outside our lock: these may fail on git's races, ours may not
            ["git", "-C", str(box.path), "worktree", "add", "--detach", str(tmp_path / f"u{n}")],
            capture_output=True, check=False,
        ).returncode == 0
        for n in range(8)
    ]  # fmt: skip
    answers = [(*child.communicate(timeout=300), child.returncode) for child in children]
    assert [(out.strip(), code, err) for out, err, code in answers] == [("created", 0, "")] * MANY
    for n in range(MANY):
        tree = Repo(tmp_path / str(n))
        assert (tree.head_branch(), tree.dirty_paths()) == (f"cell-{n}", [])
    assert len(repo.list_worktrees()) == 1 + MANY + sum(theirs)
    assert shared_state(box) == before


def test_many_ask_for_the_same_worktree_and_all_get_it(make_repo: MakeRepo, tmp_path: Path) -> None:
    box = make_repo(files=FILES)
    repo, base = Repo(box.path), Repo(box.path).require_head()

    def ask(_: int) -> WorktreeProvision:
        return add_worktree(repo, tmp_path / "w", Branch("one"), base, locks=tmp_path / "locks")

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(16)))
    assert answers.count(WorktreeProvision.CREATED) == 1
    assert answers.count(WorktreeProvision.REUSED) == 15
    assert Repo(tmp_path / "w").dirty_paths() == []
