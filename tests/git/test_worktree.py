"""Worktrees come and go, and nobody's work is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestr.errors import UsageError
from orchestr.git.repo import Branch, CommitId, GitError, Repo
from orchestr.git.worktree_state import WorktreeFinding, validate_worktree
from orchestr.git.worktrees import (
    WorktreeProvision,
    WorktreeRefused,
    add_detached,
    add_worktree,
    clear_stale_locks,
    remove_worktree,
    repair_worktree,
)
from tests.conftest import MakeRepo, Sandbox, git, write

FILES = {"a.txt": "a\n", "dir/b.txt": "b\n", "dir/c.txt": "c\n" * 500}
B = Branch("feat")


class World:
    """One repository, the lock folder and a place for a worktree."""

    def __init__(self, sandbox: Sandbox, tmp: Path) -> None:
        self.sandbox, self.locks, self.path = sandbox, tmp / "locks", tmp / "trees" / "f" / "cell"
        self.repo = Repo(sandbox.path)
        self.base = self.repo.require_head()

    def add(self, path: Path | None = None, branch: Branch = B) -> WorktreeProvision:
        return add_worktree(self.repo, path or self.path, branch, self.base, locks=self.locks)

    def finding(self, branch: str | None = B) -> WorktreeFinding:
        return validate_worktree(self.repo, self.path, branch).finding

    def branches(self) -> list[str]:
        return self.sandbox.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split()


@pytest.fixture
def world(make_repo: MakeRepo, tmp_path: Path) -> World:
    return World(make_repo(files=FILES), tmp_path)


def snapshot(path: Path) -> dict[str, bytes]:
    """Everything of a main checkout that only its owner may change."""
    names = (
        "HEAD",
        "index",
        "config",
        "refs/stash",
        "logs/HEAD",
        "logs/refs/stash",
        "info/exclude",
    )
    kept = {name: (path / ".git" / name).read_bytes() for name in names
            if (path / ".git" / name).exists()}  # fmt: skip
    kept |= {p.name: p.read_bytes() for p in path.iterdir() if p.is_file()}
    return kept


def test_a_new_branch_is_checked_out_in_a_new_worktree(world: World) -> None:
    assert world.finding() is WorktreeFinding.MISSING
    assert world.add() is WorktreeProvision.CREATED
    tree = Repo(world.path)
    assert (tree.head(), tree.head_branch(), tree.dirty_paths()) == (world.base, B, [])
    assert world.finding() is WorktreeFinding.OK
    assert tree.main_worktree() == world.sandbox.path
    assert tree.common_dir() == world.repo.common_dir()


def test_the_second_call_finds_it_there(world: World) -> None:
    world.add()
    write(world.path, {"new.txt": "agent's"})
    assert world.add() is WorktreeProvision.REUSED
    assert (world.path / "new.txt").read_text() == "agent's"


def test_a_branch_left_by_an_earlier_run_is_used_again(world: World) -> None:
    world.add()
    git(world.path, "commit", "--quiet", "--allow-empty", "-m", "work")
    head = Repo(world.path).head()
    assert remove_worktree(world.repo, world.path, locks=world.locks)
    assert world.add() is WorktreeProvision.BRANCH_REUSED
    assert Repo(world.path).head() == head


def test_a_tag_of_the_same_name_confuses_nobody(world: World) -> None:
    world.sandbox.git("tag", B)
    world.sandbox.commit({"later.txt": ""})
    world.base = world.repo.require_head()
    world.add()
    assert Repo(world.path).head() == world.base
    remove_worktree(world.repo, world.path, locks=world.locks)
    assert world.add() is WorktreeProvision.BRANCH_REUSED
    assert (Repo(world.path).head(), Repo(world.path).head_branch()) == (world.base, B)


def test_the_main_checkout_stays_byte_for_byte_what_it_was(world: World) -> None:
    main = world.sandbox
    write(main.path, {"a.txt": "stashed\n"})
    main.git("stash")
    write(main.path, {"a.txt": "edited\n", "new.txt": "untracked\n", "staged.txt": "s\n"})
    main.git("add", "staged.txt")
    main.git("status")
    before = snapshot(main.path)

    world.add()
    tree = Repo(world.path)
    write(world.path, {"x.txt": "x"})
    head = tree.commit_all("work")
    assert head is not None
    world.repo.fetch("origin", locks=world.locks)
    tree.push("origin", head, B)
    add_detached(world.repo, world.path.with_name("up"), head, locks=world.locks)
    (world.path / ".git").unlink()
    repair_worktree(world.repo, world.path)
    remove_worktree(world.repo, world.path, locks=world.locks)
    assert snapshot(main.path) == before


def test_a_strangers_directory_is_refused_and_kept(world: World) -> None:
    write(world.path, {"precious.txt": "mine"})
    assert world.finding() is WorktreeFinding.FOREIGN
    with pytest.raises(WorktreeRefused, match="not a worktree of") as caught:
        world.add()
    assert caught.value.hint is not None and f"mv {world.path}" in caught.value.hint
    with pytest.raises(WorktreeRefused):
        remove_worktree(world.repo, world.path, locks=world.locks, force=True)
    assert (world.path / "precious.txt").read_text() == "mine"
    assert world.branches() == ["main"]


def test_a_worktree_of_another_repository_is_foreign(world: World, make_repo: MakeRepo) -> None:
    make_repo("other").git("worktree", "add", "--quiet", "-b", B, str(world.path))
    assert world.finding() is WorktreeFinding.FOREIGN
    with pytest.raises(WorktreeRefused):
        world.add()


def test_an_empty_directory_is_no_obstacle(world: World) -> None:
    world.path.mkdir(parents=True)
    assert world.add() is WorktreeProvision.CREATED


def test_a_branch_checked_out_elsewhere_is_refused_naming_where(world: World) -> None:
    elsewhere = world.path.with_name("wt7")
    world.add(elsewhere)
    with pytest.raises(WorktreeRefused, match=f"branch feat is checked out at {elsewhere}"):
        world.add()
    with pytest.raises(WorktreeRefused, match=str(world.sandbox.path)):
        world.add(branch=Branch("main"))


def test_another_branch_in_the_worktree_is_refused_naming_both(world: World) -> None:
    world.add()
    git(world.path, "switch", "--quiet", "-c", "other")
    assert world.finding() is WorktreeFinding.WRONG_BRANCH
    with pytest.raises(WorktreeRefused, match="on branch other, expected feat"):
        world.add()
    git(world.path, "commit", "--quiet", "--allow-empty", "-m", "on nobody's branch")
    git(world.path, "checkout", "--quiet", "--detach")
    assert world.finding() is WorktreeFinding.DETACHED
    with pytest.raises(WorktreeRefused, match="on a detached head"):
        world.add()


def test_a_record_whose_directory_is_gone_is_dropped_alone(world: World) -> None:
    other = world.path.with_name("users")
    world.add()
    world.sandbox.git("worktree", "add", "--quiet", "-b", "theirs", str(other))
    for path in (world.path, other):
        subprocess.run(["rm", "-r", str(path)], check=True)
    assert world.finding() is WorktreeFinding.MISSING
    assert world.add() is WorktreeProvision.BRANCH_REUSED
    assert other in [entry.path for entry in world.repo.list_worktrees()]


def test_a_record_at_another_place_gives_its_branch_back(world: World) -> None:
    old = world.path.with_name("old")
    world.add(old)
    subprocess.run(["rm", "-r", str(old)], check=True)
    assert world.add() is WorktreeProvision.BRANCH_REUSED


def test_a_locked_record_without_directory_is_left_alone(world: World) -> None:
    world.add()
    world.sandbox.git("worktree", "lock", "--reason", "on a stick", str(world.path))
    subprocess.run(["rm", "-r", str(world.path)], check=True)
    assert world.finding() is WorktreeFinding.LOCKED
    with pytest.raises(WorktreeRefused, match="on a stick"):
        world.add()


@pytest.mark.parametrize("damage", ["gone", "junk", "other"])
def test_a_damaged_git_file_is_mended_and_the_work_stays(
    world: World, damage: str, make_repo: MakeRepo
) -> None:
    world.add()
    write(world.path, {"a.txt": "changed\n"})
    link = world.path / ".git"
    match damage:
        case "gone":
            link.unlink()
        case "junk":
            link.write_text("junk\n")
        case _:
            link.write_text(f"gitdir: {make_repo('other').path}/.git\n")
    assert world.finding() is WorktreeFinding.DAMAGED
    assert world.add() is WorktreeProvision.REUSED
    assert Repo(world.path).dirty_paths() == ["a.txt"]


def test_a_repository_made_in_the_place_of_a_worktree_is_refused(world: World) -> None:
    world.add()
    (world.path / ".git").unlink()
    git(world.path, "init", "--quiet")
    assert world.finding() is WorktreeFinding.DAMAGED
    with pytest.raises(WorktreeRefused, match="not a worktree of"):
        world.add()
    assert (world.path / ".git" / "HEAD").exists()


def test_without_its_git_file_a_worktree_is_not_the_repository_around_it(world: World) -> None:
    inside = world.sandbox.path / ".orchestr" / "worktrees" / "cell"
    world.add(inside)
    (inside / ".git").unlink()
    with pytest.raises(GitError, match="not a git repository"):
        Repo(inside).head()
    with pytest.raises(GitError):
        Repo(inside).dirty_paths()


def test_interrupted_before_the_checkout_it_is_completed(world: World) -> None:
    world.path.parent.mkdir(parents=True)
    world.sandbox.git("worktree", "add", "-q", "--no-checkout", "-b", B, str(world.path))
    assert world.finding() is WorktreeFinding.INCOMPLETE
    assert world.add() is WorktreeProvision.COMPLETED
    assert Repo(world.path).dirty_paths() == []
    assert world.finding() is WorktreeFinding.OK


def test_interrupted_in_the_checkout_nothing_but_cut_files_is_replaced(world: World) -> None:
    world.path.parent.mkdir(parents=True)
    world.sandbox.git("worktree", "add", "-q", "--no-checkout", "-b", B, str(world.path))
    write(world.path, {"a.txt": "somebody's edit\n", "dir/c.txt": "c\n" * 20, "own.txt": "mine\n"})
    (Repo(world.path).git_dir() / "index.lock").write_bytes(b"")
    assert world.add() is WorktreeProvision.COMPLETED
    assert Repo(world.path).dirty_paths() == ["a.txt", "own.txt"]
    assert (world.path / "a.txt").read_text() == "somebody's edit\n"
    assert (world.path / "dir/c.txt").read_text() == FILES["dir/c.txt"]
    assert (world.path / "dir/b.txt").read_text() == "b\n"


@pytest.mark.parametrize("unwritten", ["nothing", "commondir", "HEAD"])
def test_interrupted_in_worktree_add_itself_it_starts_over(world: World, unwritten: str) -> None:
    world.path.parent.mkdir(parents=True)
    world.sandbox.git("worktree", "add", "-q", "--no-checkout", "--detach", str(world.path))
    admin = Repo(world.path).git_dir()
    (admin / "HEAD").write_text("0" * 40 + "\n")
    (admin / "locked").write_text("initializing")
    if unwritten != "nothing":
        (admin / unwritten).unlink()
    assert world.add() is WorktreeProvision.CREATED
    assert Repo(world.path).head_branch() == B
    assert remove_worktree(world.repo, world.path, locks=world.locks)


@pytest.mark.slow
def test_killed_at_any_moment_the_next_call_completes_it(
    make_repo: MakeRepo, tmp_path: Path
) -> None:
    files = {f"d{n % 20}/f{n}.txt": f"{n}\n" * 200 for n in range(1500)}
    world = World(make_repo(files=files), tmp_path)
    code = (
        "import sys; from pathlib import Path; from orchestr.git.repo import Repo, Branch"
        ", CommitId\n"
        "from orchestr.git.worktrees import add_worktree\n"
        "r, p, b, l = sys.argv[1:]\n"
        "add_worktree(Repo(Path(r)), Path(p), Branch('feat'), CommitId(b), locks=Path(l))\n"
    )
    argv = [sys.executable, "-c", code, str(world.sandbox.path), str(world.path), world.base,
            str(world.locks)]  # fmt: skip
    outcomes = set()
    for turn in range(12):
        child = subprocess.Popen(argv, start_new_session=True, env=os.environ)
        wanted, limit = turn * 130, time.monotonic() + 30
        while child.poll() is None and time.monotonic() < limit:
            if len(list(world.path.glob("d*/*"))) >= wanted:
                break
        child.send_signal(signal.SIGKILL)
        child.wait()
        outcomes.add(world.add())
        assert Repo(world.path).dirty_paths() == []
        assert remove_worktree(world.repo, world.path, locks=world.locks)
        assert not world.path.exists()
    assert WorktreeProvision.COMPLETED in outcomes


def test_locks_left_by_a_killed_git_are_cleared(world: World) -> None:
    world.add()
    left = Repo(world.path).git_dir() / "index.lock"
    branch = world.repo.common_dir() / "refs" / "heads" / "feat.lock"
    for path in (left, branch):
        path.write_bytes(b"")
    assert clear_stale_locks(world.path) == (left, branch)
    write(world.path, {"x": "x"})
    assert Repo(world.path).commit_all("works again")
    assert clear_stale_locks(world.path) == ()


def test_a_lock_is_not_cleared_under_a_running_git(world: World) -> None:
    world.add()
    left = Repo(world.path).git_dir() / "index.lock"
    running = subprocess.Popen(
        ["git", "-C", str(world.path), "cat-file", "--batch"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert running.stdin is not None and running.stdout is not None
        running.stdin.write(b"HEAD\n")
        running.stdin.flush()
        running.stdout.readline()  # it is there, in the worktree
        left.write_bytes(b"")
        assert clear_stale_locks(world.path) == ()
        assert left.exists()
    finally:
        running.communicate()


def test_what_is_not_committed_is_not_removed(world: World) -> None:
    world.add()
    write(world.path, {"new.txt": "unsaved"})
    with pytest.raises(WorktreeRefused, match=r"not committed: new\.txt"):
        remove_worktree(world.repo, world.path, locks=world.locks)
    assert (world.path / "new.txt").exists()
    assert remove_worktree(world.repo, world.path, locks=world.locks, force=True)
    assert not remove_worktree(world.repo, world.path, locks=world.locks)
    assert world.branches() == ["feat", "main"]


def test_an_upstreams_worktree_comes_back_detached_and_goes_on_its_branch_again(
    world: World,
) -> None:
    world.add()
    git(world.path, "commit", "--quiet", "--allow-empty", "-m", "work")
    head = Repo(world.path).require_head()
    remove_worktree(world.repo, world.path, locks=world.locks)
    for commit in (world.base, head, head):
        add_detached(world.repo, world.path, commit, locks=world.locks)
        assert (Repo(world.path).head(), Repo(world.path).head_branch()) == (commit, None)
    assert world.finding(None) is WorktreeFinding.OK
    assert world.add() is WorktreeProvision.REUSED
    assert (Repo(world.path).head(), Repo(world.path).head_branch()) == (head, B)


def test_a_commit_made_on_a_detached_head_is_kept_when_it_moves(world: World) -> None:
    add_detached(world.repo, world.path, world.base, locks=world.locks)
    git(world.path, "commit", "--quiet", "--allow-empty", "-m", "by a person")
    made = Repo(world.path).head()
    add_detached(world.repo, world.path, world.base, locks=world.locks)
    assert Repo(world.path).head() == world.base
    assert world.repo.resolve_commit(f"refs/orchestr/kept/{made}") == made
    write(world.path, {"a.txt": "changed\n"})
    with pytest.raises(WorktreeRefused, match="not committed"):
        add_detached(world.repo, world.path, CommitId(str(made)), locks=world.locks)


def test_a_failing_add_leaves_no_branch_behind(world: World, tmp_path: Path) -> None:
    (tmp_path / "trees").write_text("a file where a folder is needed")
    with pytest.raises((GitError, OSError)):
        world.add()
    missing = CommitId("1" * 40)
    with pytest.raises(GitError):
        add_worktree(world.repo, tmp_path / "w", B, missing, locks=world.locks)
    assert world.branches() == ["main"]


@pytest.mark.parametrize(
    "name",
    ["", "-f", "--detach", "HEAD", "a b", "a..b", "a\nb", "a\0b", "@{-1}", "x.lock", "/x", "x/",
     "a~1", "a^", "a:b", "a\\b", "a?*", "refs/../x"],
)  # fmt: skip
def test_hostile_branch_names_never_reach_git(world: World, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a branch name"):
        world.add(branch=Branch(name))
    assert world.branches() == ["main"]


@pytest.mark.parametrize("name", ["a b/c", "ünï/cödé", "new\nline", "-dash", "$(touch x);'\""])
def test_any_path_will_do(make_repo: MakeRepo, tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    world = World(make_repo(files={"f": "1"}, where=root), root)
    assert world.add() is WorktreeProvision.CREATED
    assert world.add() is WorktreeProvision.REUSED
    assert Repo(world.path).toplevel() == world.path.resolve()
    assert remove_worktree(world.repo, world.path, locks=world.locks)


def test_from_inside_a_worktree_the_main_repository_is_used(world: World) -> None:
    world.add()
    found = Repo.find_containing(world.path / "dir")
    assert found is not None and found.path == world.path
    second = world.path.with_name("second")
    add_worktree(found, second, Branch("second"), world.base, locks=world.locks)
    assert Repo(second).main_worktree() == world.sandbox.path
