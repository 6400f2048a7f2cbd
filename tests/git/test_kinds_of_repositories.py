"""Submodules, LFS pointers without git-lfs, bare and separate repositories do no harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.git.repo import Branch, CommitRefused, Repo
from orchestr.git.worktree_state import WorktreeFinding, validate_worktree
from orchestr.git.worktrees import (
    WorktreeProvision,
    WorktreeRefused,
    add_detached,
    add_worktree,
    remove_worktree,
)
from tests.conftest import MakeRepo, git, write

B = Branch("feat")
POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


def test_a_submodule_stays_empty_and_is_no_obstacle(make_repo: MakeRepo, tmp_path: Path) -> None:
    inner, box = make_repo("inner"), make_repo("outer")
    box.git(
        "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.origin), "sub"
    )
    box.commit({}, "with submodule", push=True)
    box.git("config", "submodule.recurse", "true")
    repo, path, locks = Repo(box.path), tmp_path / "w", tmp_path / "locks"
    add_worktree(repo, path, B, repo.require_head(), locks=locks)
    tree = Repo(path)
    assert list((path / "sub").iterdir()) == []
    assert tree.dirty_paths() == []
    repo.fetch("origin", locks=locks)
    write(path, {"x": "1"})
    head = tree.commit_all("beside a submodule")
    assert head and tree.changed_paths("main", head) == ["x"]
    assert remove_worktree(repo, path, locks=locks)


def test_a_submodule_that_somebody_filled_is_not_removed_with_its_commits(
    make_repo: MakeRepo, tmp_path: Path
) -> None:
    inner, box = make_repo("inner"), make_repo("outer")
    allow = ("-c", "protocol.file.allow=always")
    box.git(*allow, "submodule", "--quiet", "add", str(inner.origin), "sub")
    box.commit({}, "with submodule")
    repo, path, locks = Repo(box.path), tmp_path / "w", tmp_path / "locks"
    add_worktree(repo, path, B, repo.require_head(), locks=locks)
    git(path, *allow, "submodule", "--quiet", "update", "--init")
    with pytest.raises(WorktreeRefused, match="submodules"):
        remove_worktree(repo, path, locks=locks)
    assert (path / "sub" / "README.md").exists()


@pytest.mark.parametrize("hook", [False, True])
def test_lfs_pointers_are_checked_out_as_they_are(
    make_repo: MakeRepo,
    tmp_path: Path,
    hook: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Installed beside git, as on some machines, it cannot be taken out of PATH alone.
    monkeypatch.setattr("orchestr.git.config._has_lfs", lambda path: False)
    box = make_repo(files={".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
                           "big.bin": POINTER, "a.txt": "a\n"})  # fmt: skip
    box.git("config", "filter.lfs.process", "git-lfs-is-not-here filter-process")
    box.git("config", "filter.lfs.smudge", "git-lfs-is-not-here smudge -- %f")
    box.git("config", "filter.lfs.required", "true")
    if hook:  # the one that `git lfs install` writes
        place = box.path / ".git/hooks/post-checkout"
        place.parent.mkdir(exist_ok=True)
        place.write_text("#!/bin/sh\necho 'git-lfs was not found on your path' >&2\nexit 2\n")
        place.chmod(0o755)
    repo, path = Repo(box.path), tmp_path / "w"
    assert (
        add_worktree(repo, path, B, repo.require_head(), locks=tmp_path / "l")
        is WorktreeProvision.CREATED
    )
    assert (path / "big.bin").read_text() == POINTER
    assert (path / "a.txt").read_text() == "a\n"
    tree = Repo(path)
    assert tree.dirty_paths() == []
    assert validate_worktree(repo, path, B).finding is WorktreeFinding.OK
    write(path, {"a.txt": "new\n", "copy.bin": POINTER})
    assert tree.commit_all("no raw file in it")
    write(path, {"raw.bin": "12345 bytes that belong to git-lfs"})
    with pytest.raises(CommitRefused, match=r"git-lfs is not installed, so raw\.bin"):
        tree.commit_all("never")


def test_a_post_checkout_hook_runs_as_for_worktree_add(make_repo: MakeRepo, tmp_path: Path) -> None:
    box = make_repo()
    hook = box.path / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\npwd > made-by-hook.txt\n")
    hook.chmod(0o755)
    repo, path = Repo(box.path), tmp_path / "w"
    add_worktree(repo, path, B, repo.require_head(), locks=tmp_path / "locks")
    assert (path / "made-by-hook.txt").read_text().strip() == str(path)


def test_a_bare_repository_has_worktrees_too(make_repo: MakeRepo, tmp_path: Path) -> None:
    box = make_repo(files={"a.txt": "a\n"})
    assert box.origin is not None
    repo, path, locks = Repo(box.origin), tmp_path / "w", tmp_path / "locks"
    assert repo.is_bare()
    base = repo.require_head()
    add_worktree(repo, path, B, base, locks=locks)
    add_worktree(repo, tmp_path / "m", Branch("main"), base, locks=locks)  # HEAD of a bare one
    tree = Repo(path)
    assert not tree.is_bare()
    assert tree.main_worktree() == box.origin
    assert tree.common_dir() == box.origin.resolve()
    write(path, {"x": "1"})
    assert tree.commit_all("in a bare repository's worktree")
    assert repo.default_branch() == "main"
    assert remove_worktree(repo, path, locks=locks)


def test_a_detached_main_checkout_is_left_as_it_is(make_repo: MakeRepo, tmp_path: Path) -> None:
    box = make_repo()
    box.git("checkout", "--quiet", "--detach")
    repo = Repo(box.path)
    base = repo.require_head()
    add_worktree(repo, tmp_path / "w", B, base, locks=tmp_path / "locks")
    add_detached(repo, tmp_path / "d", base, locks=tmp_path / "locks")
    assert repo.head_branch() is None and repo.head() == base


def test_a_repository_with_its_git_folder_elsewhere(make_repo: MakeRepo, tmp_path: Path) -> None:
    box = make_repo(origin=False)
    box.git("init", "--quiet", "--separate-git-dir", str(tmp_path / "elsewhere"))
    repo = Repo(box.path)
    add_worktree(repo, tmp_path / "w", B, repo.require_head(), locks=tmp_path / "locks")
    assert validate_worktree(repo, tmp_path / "w", B).finding is WorktreeFinding.OK
    assert Repo(tmp_path / "w").common_dir() == (tmp_path / "elsewhere").resolve()


def test_through_a_symlink_it_is_the_same_worktree(make_repo: MakeRepo, tmp_path: Path) -> None:
    box = make_repo()
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    repo, locks = Repo(box.path), tmp_path / "locks"
    path = tmp_path / "link" / "w"
    assert (
        add_worktree(repo, path, B, repo.require_head(), locks=locks) is WorktreeProvision.CREATED
    )
    assert add_worktree(repo, path, B, repo.require_head(), locks=locks) is WorktreeProvision.REUSED
    assert Repo(path).dirty_paths() == []
    assert remove_worktree(repo, path, locks=locks)


def test_file_names_with_newlines_are_checked_out_and_completed(
    make_repo: MakeRepo, tmp_path: Path
) -> None:
    names = ["new\nline.txt", "a b", "ü", ":(top)x", "*"]
    box = make_repo(files=dict.fromkeys(names, "content\n"))
    repo, path, locks = Repo(box.path), tmp_path / "w", tmp_path / "locks"
    box.git("worktree", "add", "-q", "--no-checkout", "-b", B, str(path))
    write(path, dict.fromkeys(names[:4], "con"))
    assert (
        add_worktree(repo, path, B, repo.require_head(), locks=locks) is WorktreeProvision.COMPLETED
    )
    assert Repo(path).dirty_paths() == []


def test_a_repository_without_any_file(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "empty")
    git(tmp_path / "empty", "commit", "--quiet", "--allow-empty", "-m", "start")
    repo, path = Repo(tmp_path / "empty"), tmp_path / "w"
    add_worktree(repo, path, B, repo.require_head(), locks=tmp_path / "locks")
    assert validate_worktree(repo, path, B).finding is WorktreeFinding.OK
