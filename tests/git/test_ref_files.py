"""Refs and worktrees read from files are what git says of them, or git is asked."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from orchestr.git import ref_files
from orchestr.git.config import CommitId
from orchestr.git.ref_files import AskGit, RefFiles
from orchestr.git.repo import Repo
from orchestr.git.runner import YES_OR_NO
from orchestr.git.worktree_files import list_worktree_files
from orchestr.git.worktree_list import WorktreeEntry, parse_worktrees
from tests.conftest import git

NONE: frozenset[str] = frozenset()
PATTERNS = (("refs/heads",), ("refs/heads/", "refs/tags/"), ("refs/remotes/", "refs/orchestr/base"),
            ("refs/stash",), ("refs/heads/deep",), ("refs/heads/main", "refs/pull/"))  # fmt: skip
REVS = ("HEAD", "refs/heads/main", "refs/heads/deep/er", "refs/tags/light", "refs/tags/heavy",
        "refs/remotes/origin/main", "refs/remotes/origin/HEAD", "refs/heads/none")  # fmt: skip


def make_clone(place: Path) -> Path:
    """A clone with two commits, branches, tags, an origin, refs of ours and two worktrees."""
    origin, clone = place / "origin.git", place / "clone"
    git(place, "init", "-q", "-b", "main", "start")
    start = place / "start"
    for name in ("one", "two"):
        (start / name).write_text(name)
        git(start, "add", "-A")
        git(start, "commit", "-q", "-m", name)
    git(place, "clone", "-q", "--bare", str(start), str(origin))
    git(place, "clone", "-q", str(origin), str(clone))
    git(clone, "branch", "deep/er")
    git(clone, "tag", "light", "HEAD~1")
    git(clone, "tag", "-a", "-m", "heavy", "heavy")
    git(clone, "update-ref", "refs/orchestr/base/origin/main", "HEAD")
    git(clone, "worktree", "add", "-q", "-b", "side", str(place / "side"))
    git(clone, "worktree", "add", "-q", "--detach", str(place / "loose tree"))
    return clone


def ask_refs(place: Path, patterns: tuple[str, ...]) -> dict[str, str]:
    words = ("for-each-ref", "--format=%(refname) %(objectname)", *patterns)
    text = Repo(place).run_readonly(*words).text
    return dict(line.split(" ") for line in text.splitlines())


def ask_commit(place: Path, rev: str) -> str | None:
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}")
    done = Repo(place).run_readonly(*words, answers=(*YES_OR_NO, 128))
    return done.text.strip() if done.code == 0 else None


def ask_tree(place: Path, commit: str) -> str:
    return Repo(place).run_readonly("rev-parse", "--verify", f"{commit}^{{tree}}").text.strip()


def ask_worktrees(place: Path) -> list[WorktreeEntry]:
    return parse_worktrees(Repo(place).run_readonly("worktree", "list", "--porcelain", "-z").out)


def compare(place: Path) -> tuple[int, int]:
    """How often the files answered, and how often git has to. Every answer is git's."""
    answered = asked = 0
    known = git(place, "rev-parse", "refs/heads/side")
    for rev in (*REVS, known):
        try:
            assert RefFiles(place, NONE).resolve_commit(rev) == ask_commit(place, rev)
            answered += 1
        except AskGit:
            asked += 1
    for patterns in PATTERNS:
        try:
            found = RefFiles(place, NONE).list_refs(patterns)
            assert list(found.items()) == list(ask_refs(place, patterns).items())
            answered += 1
        except AskGit:
            asked += 1
    try:
        assert RefFiles(place, NONE).resolve_tree(known) == ask_tree(place, known)
        answered += 1
    except AskGit:
        asked += 1
    try:
        target = RefFiles(place, NONE).read_symbolic("refs/remotes/origin/HEAD")
        assert target == git(place, "symbolic-ref", "refs/remotes/origin/HEAD")
        answered += 1
    except AskGit:
        asked += 1
    try:
        assert list_worktree_files(RefFiles(place, NONE)) == ask_worktrees(place)
        answered += 1
    except AskGit:
        asked += 1
    return answered, asked


def test_plain_repositories_need_no_git(tmp_path: Path) -> None:
    clone = make_clone(tmp_path)
    for place in (clone, tmp_path / "side", tmp_path / "loose tree"):
        assert compare(place) == (15, 3)  # an annotated tag, a symbolic ref, one that is not there
    git(clone, "gc", "-q")
    assert compare(clone) == (14, 4)  # a commit in a pack is not unpacked


def test_what_is_asked_most_starts_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = make_clone(tmp_path)
    head = CommitId(git(clone, "rev-parse", "HEAD"))
    monkeypatch.setenv("PATH", "")
    repo = Repo(clone)
    assert repo.head() == head
    assert repo.head_branch() == "main"
    assert repo.resolve_commit("refs/heads/side") == head
    assert repo.list_refs("refs/heads/") == {
        f"refs/heads/{name}": head for name in ("deep/er", "main", "side")
    }
    assert [entry.branch for entry in repo.list_worktrees()] == ["main", None, "side"]
    assert Repo(tmp_path / "loose tree").head_branch() is None


def _break_ref(clone: Path) -> None:
    (clone / ".git" / "refs" / "heads" / "deep" / "er").write_text("nonsense\n")


def _empty_ref(clone: Path) -> None:
    (clone / ".git" / "refs" / "heads" / "main").write_text("")


def _dangling(clone: Path) -> None:
    git(clone, "symbolic-ref", "refs/heads/alias", "refs/heads/nowhere")


def _alias(clone: Path) -> None:
    git(clone, "symbolic-ref", "refs/heads/alias", "refs/heads/main")
    git(clone, "symbolic-ref", "HEAD", "refs/heads/alias")


def _lose_object(clone: Path) -> None:
    (clone / "three").write_text("three")
    git(clone, "add", "-A")
    git(clone, "commit", "-q", "-m", "three")
    name = git(clone, "rev-parse", "HEAD")
    (clone / ".git" / "objects" / name[:2] / name[2:]).unlink()


def _cut_object(clone: Path) -> None:
    (clone / "three").write_text("three")
    git(clone, "add", "-A")
    git(clone, "commit", "-q", "-m", "three")
    name = git(clone, "rev-parse", "HEAD")
    place = clone / ".git" / "objects" / name[:2] / name[2:]
    place.chmod(0o600)
    place.write_bytes(b"")


def _unborn(clone: Path) -> None:
    git(clone, "symbolic-ref", "HEAD", "refs/heads/unborn")


def _link_head(clone: Path) -> None:
    (clone / ".git" / "HEAD").unlink()
    (clone / ".git" / "HEAD").symlink_to("refs/heads/main")


def _stray_file(clone: Path) -> None:
    (clone / ".git" / "refs" / "heads" / "odd~name").write_text("0" * 40 + "\n")


def _gone_tree(clone: Path) -> None:
    (clone.parent / "side" / ".git").unlink()


def _locked(clone: Path) -> None:
    git(clone, "worktree", "lock", "--reason", "on a disk", str(clone.parent / "side"))
    git(clone, "worktree", "lock", str(clone.parent / "loose tree"))


def _rebase(clone: Path) -> None:
    for side, text in (("main", "m"), ("deep/er", "d")):
        git(clone, "checkout", "-q", side)
        (clone / "one").write_text(text)
        git(clone, "commit", "-q", "-a", "-m", text)
    with suppress(Exception):
        git(clone, "rebase", "main")


def _bare_config(clone: Path) -> None:
    git(clone, "config", "core.bare", "true")


def _stash(clone: Path) -> None:
    (clone / "one").write_text("other")
    git(clone, "stash")


def _pack(clone: Path) -> None:
    git(clone, "pack-refs", "--all", "--prune")
    git(clone, "update-ref", "refs/heads/main", "HEAD~1")
    git(clone, "gc", "-q", "--prune=now")


def _shallow(clone: Path) -> None:
    git(clone, "fetch", "-q", "--depth=1", f"file://{clone.parent}/origin.git")


def _replace(clone: Path) -> None:
    git(clone, "replace", "--graft", "HEAD")
    (clone / "one").write_text("other")
    git(clone, "commit", "-q", "-a", "-m", "three")
    git(clone, "replace", "HEAD", "HEAD~1")


ODD: tuple[Callable[[Path], None], ...] = (
    _break_ref, _empty_ref, _dangling, _alias, _lose_object, _cut_object, _unborn, _link_head,
    _stray_file, _gone_tree, _locked, _rebase, _bare_config, _stash, _pack, _shallow, _replace,
)  # fmt: skip


@pytest.mark.parametrize("spoil", ODD, ids=lambda one: one.__name__.strip("_"))
def test_in_odd_states_the_answer_is_git_s_or_none(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    clone = make_clone(tmp_path)
    spoil(clone)
    compare(clone)
    for name in ("side", "loose tree"):
        with suppress(Exception):  # git itself knows no such worktree any longer
            git(tmp_path / name, "rev-parse", "HEAD")
            compare(tmp_path / name)


def test_a_bare_repository_says_what_git_says(tmp_path: Path) -> None:
    make_clone(tmp_path)
    bare = tmp_path / "origin.git"
    assert RefFiles(bare, NONE).list_refs(("refs/heads/",)) == ask_refs(bare, ("refs/heads/",))
    assert RefFiles(bare, NONE).resolve_commit("HEAD") == ask_commit(bare, "HEAD")
    with pytest.raises(AskGit):
        RefFiles(bare, frozenset({"GIT_DIR"}))


def test_after_any_commands_the_answer_is_git_s(tmp_path: Path) -> None:
    clone = make_clone(tmp_path)
    dice = random.Random(17)
    for turn in range(15):
        name = dice.choice(("a", "b", "a-b", "c/d"))
        tree = str(tmp_path / f"tree{dice.randrange(2)}")
        words = dice.choice((
            ("branch", "-f", name, dice.choice(("HEAD", "HEAD~1", "main"))),
            ("branch", "-D", name),
            ("tag", "-f", name), ("tag", "-f", "-a", "-m", name, name),
            ("checkout", "-q", name), ("checkout", "-q", "--detach"),
            ("commit", "-q", "--allow-empty", "-m", str(turn)),
            ("pack-refs", "--all"), ("gc", "-q", "--prune=now"), ("repack", "-q", "-d"),
            ("worktree", "add", "-q", "-f", tree, name), ("worktree", "remove", "--force", tree),
            ("worktree", "lock", tree), ("worktree", "unlock", tree),
        ))  # fmt: skip
        with suppress(Exception):
            git(clone, *words)
        compare(clone)


def test_a_large_file_of_packed_refs_is_git_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = make_clone(tmp_path)
    git(clone, "pack-refs", "--all")
    monkeypatch.setattr(ref_files, "LARGEST", 10)
    with pytest.raises(AskGit):
        RefFiles(clone, NONE).list_refs(("refs/heads",))
    assert len(Repo(clone).list_refs("refs/heads")) == 3
