"""A repository inside of a worktree runs nothing in our name, and what is changed in it is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.git.inner_repositories import list_filled, open_inner
from orchestr.git.repo import Repo
from orchestr.git.snapshot import take_snapshot
from orchestr.git.status import read_changes
from tests.conftest import MakeRepo, Sandbox, git, write

PROGRAM = "touch {mark}; cat"


@pytest.fixture
def box(make_repo: MakeRepo) -> Sandbox:
    """A clone with a submodule `sub` that an agent made: its config names programs."""
    box = make_repo(files={"a.txt": "a\n"})
    sub = box.path / "sub"
    sub.mkdir()
    git(sub, "init", "--quiet", ".")
    write(sub, {".gitattributes": "* filter=x diff=x merge=x\n", "f": "f\n"})
    git(sub, "add", "-A")
    git(sub, "commit", "--quiet", "-m", "inner")
    commit = git(sub, "rev-parse", "HEAD")
    box.git("update-index", "--add", "--cacheinfo", f"160000,{commit},sub")
    box.commit({"b.txt": "b\n"})
    return box


def plant(box: Sandbox, mark: Path) -> None:
    sub, program = box.path / "sub", PROGRAM.format(mark=mark)
    hooks = sub / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("fsmonitor", "post-checkout", "post-index-change", "reference-transaction"):
        (hooks / name).write_text(f"#!/bin/sh\n{program}\n")
        (hooks / name).chmod(0o755)
    for key in ("filter.x.clean", "filter.x.smudge", "diff.x.textconv", "merge.x.driver"):
        git(sub, "config", key, program)
    git(sub, "config", "core.fsmonitor", str(hooks / "fsmonitor"))
    git(sub, "config", "core.worktree", str(box.path))  # elsewhere


@pytest.mark.parametrize("planted", [False, True])
@pytest.mark.parametrize(
    ("files", "letters"),
    [({}, None), ({"f": "other\n"}, "M"), ({"new": "n\n"}, "U"), ({"f": "x\n", "n": "x"}, "MU")],
)
def test_what_is_changed_inside_is_seen_and_starts_nothing(
    box: Sandbox, tmp_path: Path, files: dict[str, str | bytes], letters: str | None, planted: bool
) -> None:
    mark = tmp_path / "planted"
    write(box.path / "sub", files)
    if planted:
        plant(box, mark)
    repo = Repo(box.path)
    assert {c.path: c.submodule for c in read_changes(repo)} == (
        {"sub": letters} if letters else {}
    )
    assert repo.dirty_paths() == (["sub"] if letters else [])
    shot = take_snapshot(repo, "kept")
    assert shot.submodules == (("sub",) if letters else ())
    assert repo.commit_all("nothing of ours") is None
    assert not mark.exists()


def test_another_commit_inside_is_committed(box: Sandbox, tmp_path: Path) -> None:
    sub, repo = box.path / "sub", Repo(box.path)
    write(sub, {"f": "new\n"})
    git(sub, "commit", "--quiet", "-am", "more")
    plant(box, tmp_path / "planted")
    assert [(c.path, c.submodule) for c in read_changes(repo)] == [("sub", "C")]
    repo.commit_all("moves it")
    (sub / ".git/config").unlink()
    assert box.git("rev-parse", "HEAD:sub") == (sub / ".git/refs/heads/main").read_text().strip()
    assert list_filled(repo) == {"sub": box.git("rev-parse", "HEAD:sub")}
    assert not (tmp_path / "planted").exists()


def test_no_git_inside_reaches_a_server(box: Sandbox) -> None:
    _, env = open_inner(Repo(box.path), "sub").build_command("status")
    assert (env["GIT_ALLOW_PROTOCOL"], env["GIT_NO_LAZY_FETCH"]) == ("none", "1")


def test_a_file_that_a_flag_hides_inside_is_seen(box: Sandbox) -> None:
    """Also where the config inside names a folder that is not there."""
    sub = box.path / "sub"
    git(sub, "update-index", "--skip-worktree", "f")
    write(sub, {"f": "other\n"})
    git(sub, "config", "core.worktree", str(box.path / "nowhere"))
    assert {c.path: c.submodule for c in read_changes(Repo(box.path))} == {"sub": "M"}
