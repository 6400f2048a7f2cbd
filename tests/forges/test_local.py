"""The local forge keeps the contract, and survives what only files and refs go through."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from orchestr.errors import CorruptState, UsageError
from orchestr.forges import FORGE_KINDS, make_forge
from orchestr.forges.base import ForgeAway, ForgeError, PRExists, PRState, RepoRef
from orchestr.forges.local import LocalForge
from orchestr.forges.local_origin import local_path, pull_ref
from orchestr.git.repo import Repo
from orchestr.settings.records import ForgeSettings, RepoSettings, WorkspaceSettings
from orchestr.testing.forge_contract import ForgeContract, World, git
from orchestr.testing.killed_at import is_killed_at

# What looks at an origin: over a transport, or into its folder.
LOOKS = ("ls-remote", "fetch", "push")  # and a listing of the origin's refs


class LocalWorld(World):
    forge: LocalForge

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.root = folder / "forge"
        self.forge = LocalForge(self.root)

    def file(self, number: int) -> Path:
        return self.root / "platform" / f"{number}.toml"

    def refs(self) -> dict[str, str]:
        lines = git(self.origin, "for-each-ref", "--format=%(refname) %(objectname)", "refs/pull")
        return dict(line.split() for line in lines.splitlines())

    def close(self, number: int) -> None:
        self.forge.close_pull_request(self.repo, number)

    def merge(self, number: int) -> None:
        self.forge.merge_pull_request(self.repo, number)

    def comments(self, number: int) -> list[str]:
        path = self.file(number).with_suffix(".comments.json")
        return [row["body"] for row in json.loads(path.read_text())["comments"]]

    def go_away(self) -> None:
        self.origin.rename(self.origin.with_name("gone"))

    def count_queries(self, act: Callable[[], object]) -> int:
        asked: list[str] = []
        run, list_refs = Repo._run_once, Repo.list_refs

        def spy_run(self: Repo, args: tuple[str, ...], *more: Any) -> Any:
            asked.extend(args[:1])
            return run(self, args, *more)

        def spy_refs(self: Repo, *patterns: str) -> dict[str, str]:
            asked.append("list_refs")
            return list_refs(self, *patterns)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Repo, "_run_once", spy_run)
            patch.setattr(Repo, "list_refs", spy_refs)
            act()
        return sum(word in (*LOOKS, "list_refs") for word in asked)


@pytest.fixture
def world(tmp_path: Path) -> LocalWorld:
    return LocalWorld(tmp_path)


class TestLocalForge(ForgeContract):
    """The whole contract."""


# --- the files and the refs ------------------------------------------------------------------


def test_a_pull_request_is_a_file_and_a_ref(world: LocalWorld) -> None:
    world.forge.clock = lambda: "2026-01-02T03:04:05.000+00:00"
    sha = world.branch("one", "a")
    base = git(world.clone, "rev-parse", "main")

    assert world.pull("one") == 1

    assert tomllib.loads(world.file(1).read_text()) == {
        "schema": 1,
        "number": 1,
        "url": "local://platform/pull/1",
        "title": "a title",
        "body": "a body",
        "head": "one",
        "base": "main",
        "head_sha": sha,
        "base_sha": base,
        "draft": True,
        "state": "open",
        "created_at": "2026-01-02T03:04:05.000+00:00",
        "updated_at": "2026-01-02T03:04:05.000+00:00",
    }
    assert world.refs() == {pull_ref(1): sha}
    assert sorted(p.name for p in world.file(1).parent.iterdir()) == ["1.toml", "lock"]


def test_a_look_at_the_unchanged_writes_nothing(world: LocalWorld) -> None:
    world.branch("one", "a")
    world.pull("one")
    before = world.file(1).stat()

    world.forge.edit_pull_request(world.repo, 1, title="a title")
    world.states("one")

    after = world.file(1).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_the_ref_follows_the_branch_and_comes_back_when_lost(world: LocalWorld) -> None:
    world.branch("one", "a")
    world.pull("one")
    sha = world.branch("one", "b")
    world.states("one")
    assert world.refs() == {pull_ref(1): sha}

    git(world.origin, "update-ref", "-d", pull_ref(1))
    world.states("one")
    assert world.refs() == {pull_ref(1): sha}


def test_a_torn_file_is_set_aside_and_its_number_not_used_again(world: LocalWorld) -> None:
    world.branch("one", "a")
    world.pull("one")
    world.file(1).write_bytes(world.file(1).read_bytes()[:40])

    with pytest.raises(CorruptState, match="pull request 1 of platform") as broken:
        world.states("one")

    assert "name it 1.toml again" in (broken.value.hint or "")
    assert not world.file(1).exists()
    assert len(list(world.file(1).parent.glob("1.toml.corrupt-*"))) == 1
    assert world.pull("one") == 2


@pytest.mark.parametrize("change", ['state = "odd"', "number = 7", "draft = 1", "title = 1"])
def test_a_file_with_a_wrong_field_is_set_aside(world: LocalWorld, change: str) -> None:
    world.branch("one", "a")
    world.pull("one")
    field = change.partition(" ")[0]
    lines = world.file(1).read_text().splitlines()
    changed = [change if line.startswith(f"{field} =") else line for line in lines]
    world.file(1).write_text("\n".join(changed))

    with pytest.raises(CorruptState, match="not a pull request"):
        world.states("one")


def test_a_newer_schema_is_left_alone(world: LocalWorld) -> None:
    world.branch("one", "a")
    world.pull("one")
    world.file(1).write_text(world.file(1).read_text().replace("schema = 1", "schema = 2"))

    with pytest.raises(ForgeError, match="newer orchestr"):
        world.states("one")
    assert world.file(1).exists()


def test_a_number_that_the_origin_remembers_is_not_used_again(world: LocalWorld) -> None:
    sha = world.branch("one", "a")
    git(world.origin, "update-ref", pull_ref(4), sha)
    assert world.pull("one") == 5


# --- like a hosting forge --------------------------------------------------------------------


def test_a_deleted_branch_closes_an_unmerged_one(world: LocalWorld) -> None:
    sha = world.branch("one", "a")
    world.pull("one")
    git(world.clone, "push", "-q", "origin", ":one")

    assert world.states("one") == [(1, PRState.CLOSED)]
    assert world.refs() == {pull_ref(1): sha}, "its commits are kept"


def test_merged_and_deleted_is_merged(world: LocalWorld) -> None:
    world.branch("one", "a")
    world.pull("one")
    git(world.clone, "push", "-q", "origin", "one:main", ":one")
    assert world.states("one") == [(1, PRState.MERGED)]


def test_a_head_put_back_onto_the_base_has_no_work_and_is_closed(world: LocalWorld) -> None:
    world.branch("one", "a")
    world.pull("one")
    git(world.clone, "push", "-q", "-f", "origin", "main:one")
    assert world.states("one") == [(1, PRState.CLOSED)]


def test_a_head_put_onto_a_base_that_grew_is_closed_too(world: LocalWorld) -> None:
    world.branch("one", "a")
    world.pull("one")
    world.branch("main", "other")
    git(world.clone, "push", "-q", "-f", "origin", "main:one")
    assert world.states("one") == [(1, PRState.CLOSED)]


def test_rebased_and_then_merged_is_merged(world: LocalWorld) -> None:
    world.branch("one", "a")
    world.pull("one")
    world.branch("main", "other")
    git(world.clone, "checkout", "-q", "one")
    git(world.clone, "rebase", "-q", "main")
    git(world.clone, "push", "-q", "-f", "origin", "one:one", "one:main")
    assert world.states("one") == [(1, PRState.MERGED)]


def test_amended_and_merged_by_a_merge_commit_is_merged(world: LocalWorld) -> None:
    world.branch("one", "a")
    world.pull("one")
    (world.clone / "a").write_text("amended\n")
    git(world.clone, "commit", "-q", "-a", "--amend", "-m", "amended")
    git(world.clone, "checkout", "-q", "main")
    git(world.clone, "merge", "-q", "--no-ff", "-m", "m", "one")
    git(world.clone, "push", "-q", "-f", "origin", "one", "main")
    assert world.states("one") == [(1, PRState.MERGED)]


def test_a_stacked_one_moves_down_when_its_base_is_merged_and_deleted(world: LocalWorld) -> None:
    world.branch("low", "a")
    world.branch("high", "b", start="low")
    world.pull("low")
    world.pull("high", "low")
    world.merge(1)
    git(world.clone, "push", "-q", "origin", ":low")

    (pr,) = world.forge.find_pull_requests(world.repo, ["high"])["high"]

    assert (pr.base, pr.state) == ("main", PRState.OPEN)
    world.merge(2)
    assert git(world.origin, "show", "main:b") == "b of high"


def test_a_base_that_only_vanished_judges_nothing(world: LocalWorld) -> None:
    world.branch("low", "a")
    world.branch("high", "b", start="low")
    world.pull("high", "low")
    git(world.clone, "push", "-q", "origin", ":low")
    assert world.states("high") == [(1, PRState.OPEN)]


def test_a_conflicting_merge_is_refused_and_changes_nothing(world: LocalWorld) -> None:
    world.branch("one", "same")
    world.branch("main", "same")
    world.pull("one")
    before = git(world.origin, "rev-parse", "main")

    with pytest.raises(ForgeError, match="conflicts with main in same"):
        world.merge(1)

    assert git(world.origin, "rev-parse", "main") == before
    assert world.states("one") == [(1, PRState.OPEN)]


def test_done_is_done(world: LocalWorld) -> None:
    world.branch("one", "a")
    world.pull("one")
    world.merge(1)
    world.merge(1)

    with pytest.raises(ForgeError, match="is merged and cannot be closed"):
        world.close(1)
    with pytest.raises(ForgeError, match="is merged and cannot get another base"):
        world.forge.edit_pull_request(world.repo, 1, base="other")
    assert world.forge.edit_pull_request(world.repo, 1, title="late").title == "late"


# --- where the origin is ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/srv/o.git", "/srv/o.git"),
        ("../o.git", "/w/clone/../o.git"),
        ("file:///srv/a%20b.git", "/srv/a b.git"),
        ("./a:b", "/w/clone/a:b"),
        ("host:o.git", None),
        ("me@host:o/r.git", None),
        ("https://host/o.git", None),
        ("ssh://host/o.git", None),
        ("ext::sh -c x", None),
    ],
)
def test_gits_own_rules_say_what_is_a_folder(url: str, path: str | None) -> None:
    assert local_path(url, Path("/w/clone")) == (Path(path) if path else None)


def test_an_origin_by_another_way_is_reached_through_the_clone(world: LocalWorld) -> None:
    """Git finds `origin` as `origin.git`; we see no such folder, and so go git's way."""
    git(world.clone, "remote", "set-url", "origin", str(world.origin.with_suffix("")))
    sha = world.branch("one", "a")
    tracked = git(world.clone, "rev-parse", "refs/remotes/origin/one")

    assert world.pull("one") == 1
    other = world.origin.with_name("other")
    git(world.origin, "clone", "-q", "-b", "one", str(world.origin), str(other))
    git(other, "commit", "-q", "--allow-empty", "-m", "by somebody else")
    git(other, "push", "-q", "origin", "one")
    sha = git(other, "rev-parse", "HEAD")
    world.states("one")
    assert world.refs() == {pull_ref(1): sha}
    assert git(world.clone, "rev-parse", "refs/remotes/origin/one") == tracked, "no ref moved"
    world.merge(1)
    assert world.states("one") == [(1, PRState.MERGED)]
    assert git(world.origin, "show", "main:a") == "a of one"


def test_no_clone_and_no_files_means_none(world: LocalWorld, tmp_path: Path) -> None:
    nowhere = RepoRef("other", tmp_path / "not-cloned")
    assert world.forge.find_pull_requests(nowhere, ["x"]) == {"x": ()}

    world.branch("one", "a")
    world.pull("one")
    with pytest.raises(ForgeAway, match="no clone"):
        world.forge.find_pull_requests(RepoRef("platform", tmp_path / "not-cloned"), ["one"])


def test_a_clone_without_a_remote_is_an_instruction(world: LocalWorld) -> None:
    git(world.clone, "remote", "remove", "origin")
    with pytest.raises(ForgeError, match="no remote 'origin'") as refused:
        world.states("one")
    assert not isinstance(refused.value, ForgeAway)


def test_a_name_cannot_leave_the_folder(world: LocalWorld) -> None:
    with pytest.raises(UsageError):
        world.forge.find_pull_requests(RepoRef("../x", world.clone), ["one"])


def test_a_folder_that_cannot_be_made_is_told_to_doctor(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot make" in (LocalForge(tmp_path / "file" / "forge").explain_unusable() or "")


def test_the_settings_choose_the_forge(tmp_path: Path) -> None:
    class Some:
        forge = ForgeSettings()
        repos: ClassVar[dict[str, RepoSettings]] = {}
        workspace = WorkspaceSettings(*[tmp_path] * 5)

    forge = make_forge(Some())  # type: ignore[arg-type]
    assert isinstance(forge, LocalForge)
    assert forge.root == tmp_path / "forge"
    assert FORGE_KINDS.own_names == ("forgejo", "gitea", "github", "gitlab", forge.kind)


# --- several processes, and kills ------------------------------------------------------------


def test_of_two_processes_that_open_at_once_one_wins(world: LocalWorld) -> None:
    world.branch("one", "a")
    program = (
        "import sys; from pathlib import Path; from orchestr.forges.base import *\n"
        "from orchestr.forges.local import LocalForge\n"
        "forge, repo = LocalForge(Path(sys.argv[1])), RepoRef('platform', Path(sys.argv[2]))\n"
        "sys.stdin.readline()\n"
        "try:\n"
        "    made = forge.open_pull_request("
        "repo, head='one', base='main', title='', body='', draft=True)\n"
        "    print('opened', made.number)\n"
        "except PRExists as error: print('exists', error.pr.number)\n"
    )
    argv = [sys.executable, "-c", program, str(world.root), str(world.clone)]
    pipe = subprocess.PIPE
    children = [subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    for child in children:
        assert child.stdin
        child.stdin.write("go\n")
        child.stdin.flush()
    said = sorted(child.communicate()[0] for child in children)

    assert said == ["exists 1\n", "opened 1\n"]
    assert [path.name for path in world.file(1).parent.glob("[0-9]*")] == ["1.toml"]


def killed_at(line: int, act: Callable[[], object]) -> bool:
    """Fork, act, and SIGKILL the fork at the n-th line it runs in our forge; True if it was."""
    own = "/orchestr/files.py"
    return is_killed_at(line, act, lambda name: "/orchestr/forges/" in name or name.endswith(own))


@pytest.mark.slow
def test_a_kill_at_any_line_of_opening_leaves_one_pull_request(world: LocalWorld) -> None:
    sha = world.branch("one", "a")
    line, step, killed = 0, 7, True
    while killed:
        world.root = world.forge.root = world.root.with_name(f"forge-{line}")
        git(world.origin, "update-ref", "-d", pull_ref(1))
        killed = killed_at(line, lambda: world.pull("one"))
        left = set(world.refs().values())
        assert left <= {sha}, "never a wrong ref"
        try:
            world.pull("one")
        except PRExists:
            pass
        assert world.states("one") == [(1, PRState.OPEN)]
        assert world.refs() == {pull_ref(1): sha}
        line += step
    assert line > 10 * step, "it was killed at many places"
