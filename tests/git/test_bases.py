"""A base is what the remote answered: who moves refs in a clone cannot change it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.git.bases import base_ref_name, fetch_base, find_base, keep_base, list_base_tips
from orchestr.git.errors import NoSuchRef
from orchestr.git.repo import CommitId, Repo
from tests.conftest import MakeRepo


def test_a_moved_remote_branch_is_no_base(make_repo: MakeRepo, tmp_path: Path) -> None:
    box = make_repo()
    repo, said = Repo(box.path), box.git("rev-parse", "main")
    fetch_base(repo, "main", locks=tmp_path / "locks")
    evil = box.git("commit-tree", "HEAD^{tree}", "-m", "evil")
    box.git("update-ref", "refs/remotes/origin/main", evil)
    assert find_base(repo, "main") == said
    assert list_base_tips(repo, "main") == {base_ref_name("main"): said, "refs/heads/main": said}
    with pytest.raises(NoSuchRef):
        fetch_base(repo, "nobody", locks=tmp_path / "locks")


def test_a_clone_of_an_earlier_version_is_read_as_it_was_left(make_repo: MakeRepo) -> None:
    box = make_repo()
    newer = box.commit({"a": "a"})
    assert list(list_base_tips(Repo(box.path), "main").items()) == [
        ("refs/remotes/origin/main", box.git("rev-parse", "origin/main")),
        ("refs/heads/main", newer),
    ]
    box.git("update-ref", "-d", "refs/remotes/origin/main")
    assert find_base(Repo(box.path), "main") == newer
    assert find_base(Repo(box.path), "nobody") is None


def test_what_the_remote_named_is_kept_and_fetched(make_repo: MakeRepo, tmp_path: Path) -> None:
    box, locks = make_repo(), tmp_path / "locks"
    repo = Repo(box.path)
    assert box.origin is not None
    there = Repo(box.origin)
    tree = there.resolve_tree("main")
    newer = there.commit_tree(tree, [CommitId(box.git("rev-parse", "main"))], "newer")
    there.update_ref("refs/heads/main", newer)
    assert repo.resolve_commit(newer) is None
    keep_base(repo, "main", newer, locks=locks)
    assert find_base(repo, "main") == newer
    older = box.git("rev-parse", "main")
    keep_base(repo, "main", older, locks=locks)  # here already: no question
    assert find_base(repo, "main") == older
