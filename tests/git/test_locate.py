"""What is read from the disk is what git says; where git refuses, git is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestr.git.locate import locate_git_dirs
from orchestr.git.repo import GitError, Repo
from tests.conftest import MakeRepo, git


def ask_git(path: Path) -> tuple[Path, Path]:
    """The git dir and the common dir of the repository at ``path``, by git itself."""
    words = git(path, "rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir")
    one, other = words.splitlines()
    return Path(one).resolve(), Path(other).resolve()


@pytest.mark.parametrize(
    "kind", ["main", "worktree", "moved worktree", "relative worktree", "submodule", "detached"]
)
def test_the_disk_says_what_git_says(kind: str, make_repo: MakeRepo, tmp_path: Path) -> None:
    repo, place = make_repo(), tmp_path / "tree"
    if kind == "main":
        place = repo.path
    elif kind == "submodule":
        inner = make_repo("inner")
        repo.git("submodule", "--quiet", "add", str(inner.origin), "inside")
        place = repo.path / "inside"
    elif kind == "detached":
        repo.git("checkout", "--quiet", "--detach")
        place = repo.path
    else:
        repo.git("worktree", "add", "--quiet", "-b", "work", str(place))
    if kind == "moved worktree":
        repo.git("worktree", "move", str(place), str(tmp_path / "elsewhere"))
        place = tmp_path / "elsewhere"
    if kind == "relative worktree":
        (place / ".git").write_text("gitdir: ../repo/.git/worktrees/tree\r\n")
    assert locate_git_dirs(place) == ask_git(place)
    assert (Repo(place).git_dir(), Repo(place).common_dir()) == ask_git(place)


def test_a_link_to_a_repository_is_followed(make_repo: MakeRepo, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(make_repo().path)
    assert (Repo(link).git_dir(), Repo(link).common_dir()) == ask_git(link)


def test_the_rest_is_asked_of_git(make_repo: MakeRepo, tmp_path: Path) -> None:
    repo = make_repo(files={"below/file": "x"})
    assert repo.origin is not None
    places = [repo.origin, repo.path / "below", tmp_path]
    assert [locate_git_dirs(place) for place in places] == [None] * 3
    assert Repo(repo.origin).common_dir() == repo.origin.resolve()
    for nothing in places[1:]:
        with pytest.raises(GitError):
            Repo(nothing).git_dir()
    given = Repo(tmp_path, env={"GIT_DIR": str(repo.origin)})
    assert given.git_dir() == repo.origin.resolve()


DAMAGE: dict[str, Callable[[Path, Path], object]] = {
    "no HEAD": lambda admin, _: (admin / "HEAD").unlink(),
    "a HEAD of nothing": lambda admin, _: (admin / "HEAD").write_text("nothing\n"),
    "no folder of git": lambda admin, _: admin.rename(admin.with_name("gone")),
    "no objects": lambda _, common: (common / "objects").rename(common / "gone"),
    "another file": lambda _, common: (common.parents[1] / "tree/.git").write_text("hello\n"),
    "a common dir of nowhere": lambda admin, _: (admin / "commondir").write_text("/nowhere\n"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_gits_to_refuse(
    damage: str, make_repo: MakeRepo, tmp_path: Path
) -> None:
    repo = make_repo()
    repo.git("worktree", "add", "--quiet", "-b", "work", str(tmp_path / "tree"))
    admin, common = ask_git(tmp_path / "tree")
    DAMAGE[damage](admin, common)
    assert locate_git_dirs(tmp_path / "tree") is None
    with pytest.raises(GitError):
        Repo(tmp_path / "tree").common_dir()
