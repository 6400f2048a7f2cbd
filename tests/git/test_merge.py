"""Heads are merged without a checkout, the same way every time; marks of a merge are found."""

from __future__ import annotations

import os
from itertools import permutations
from pathlib import Path

import pytest

from orchestr.git.errors import NoMergeBase
from orchestr.git.merge import find_conflict_markers, merge_heads
from orchestr.git.repo import CommitId, GitError, Repo
from tests.conftest import MakeRepo, Sandbox, git

LINES = "".join(f"{n}\n" for n in range(30))
MARKED = "<<<<<<< ours\na\n=======\nb\n>>>>>>> theirs\n"


@pytest.fixture
def box(make_repo: MakeRepo) -> Sandbox:
    return make_repo(files={"a.txt": LINES, "b.txt": "b\n"})


def branch(box: Sandbox, name: str, files: dict[str, str | bytes], start: str = "main") -> CommitId:
    box.git("switch", "--quiet", "-c", name, start)
    made = box.commit(files, name)
    box.git("switch", "--quiet", "main")
    return CommitId(made)


def test_trees_merge_or_name_their_conflicts(box: Sandbox) -> None:
    repo = Repo(box.path)
    one = branch(box, "one", {"a.txt": LINES.replace("3\n", "three\n", 1), "new\nline": "1"})
    two = branch(box, "two", {"b.txt": "two\n"})
    three = branch(box, "three", {"b.txt": "three\n", "new\nline": "3"})
    index = (box.path / ".git/index").read_bytes()
    merged = repo.merge_trees(one, two)
    assert merged.tree and merged.conflicts == ()
    assert box.git("show", f"{merged.tree}:b.txt") == "two"
    assert repo.merge_trees(two, three).conflicts == ("b.txt",)
    assert repo.merge_trees(one, three).conflicts == ("new\nline",)
    assert repo.merge_trees(two, three).tree is None
    assert (box.path / ".git/index").read_bytes() == index
    with pytest.raises(GitError):
        repo.merge_trees(one, "1" * 40)


def test_a_merge_base_can_be_given_to_git_2_38(box: Sandbox) -> None:
    repo = Repo(box.path)
    one = branch(box, "one", {"b.txt": "one\n"})
    two = branch(box, "two", {"b.txt": "two\n"}, start="one")
    picked = repo.merge_trees("main", two, base=one)  # a cherry-pick of `two` onto main
    assert picked.conflicts == ("b.txt",)
    more = branch(box, "more", {"c.txt": "c\n"}, start="one")
    picked = repo.merge_trees("main", more, base=one)
    assert picked.tree and box.git("ls-tree", "--name-only", picked.tree).split() == [
        "a.txt", "b.txt", "c.txt",
    ]  # fmt: skip
    assert box.git("show", f"{picked.tree}:b.txt") == "b"


def test_the_same_heads_in_any_order_give_the_same_commit(
    box: Sandbox, make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = Repo(box.path)
    heads = [branch(box, name, {f"{name}.txt": name}) for name in ("x", "y", "z")]
    base = repo.require_head()
    made: set[CommitId | None] = set()
    for order in permutations([*heads, base]):  # main is behind all of them: no difference
        merged = merge_heads(repo, order)
        assert merged.commit is not None
        made.add(merged.commit)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    made.add(merge_heads(Repo(box.path), heads).commit)
    assert len(made) == 1
    commit = made.pop()
    assert commit and all(repo.is_ancestor(head, commit) for head in heads)
    assert merge_heads(repo, [base, heads[0]]).commit == heads[0]
    assert merge_heads(repo, [commit]).commit == commit


def test_two_heads_in_conflict_are_named(box: Sandbox) -> None:
    repo = Repo(box.path)
    quiet = branch(box, "quiet", {"q.txt": "q"})
    left = branch(box, "left", {"b.txt": "left\n"})
    right = branch(box, "right", {"b.txt": "right\n"})
    for order in permutations([quiet, left, right]):
        merged = merge_heads(repo, order)
        assert merged.commit is None and merged.conflicts == ("b.txt",)
        assert {merged.ours, merged.theirs} == {left, right}


def test_heads_without_common_history_are_an_error_that_says_so(
    box: Sandbox, tmp_path: Path
) -> None:
    one = branch(box, "one", {"1.txt": "1"})
    box.git("checkout", "--quiet", "--orphan", "lone")
    lone = CommitId(box.commit({"lone.txt": "l"}))
    with pytest.raises(NoMergeBase, match="share no history"):
        merge_heads(Repo(box.path), [one, lone])
    box.git("push", "--quiet", "origin", "one")
    box.git("switch", "--quiet", "main")
    box.commit({"m.txt": "m"}, push=True)
    clone = tmp_path / "shallow"
    git(
        tmp_path,
        "clone",
        "-q",
        "--depth=1",
        "--no-single-branch",
        f"file://{box.origin}",
        str(clone),
    )
    shallow = Repo(clone)
    assert shallow.is_shallow()
    heads = [CommitId(str(shallow.resolve_commit(f"origin/{name}"))) for name in ("main", "one")]
    assert shallow.merge_base(*heads) is None
    with pytest.raises(NoMergeBase, match="shallow clone") as caught:
        merge_heads(shallow, heads)
    assert caught.value.hint is not None and "--unshallow" in caught.value.hint


def test_added_conflict_markers_are_found_in_any_file(box: Sandbox) -> None:
    repo = Repo(box.path)
    base = CommitId(
        box.commit({"old.md": MARKED, "gone.md": MARKED, "half.md": "", ".gitattributes": ""})
    )
    (box.path / "gone.md").unlink()
    head = box.commit(
        {
            "a.txt": LINES + MARKED,
            "new\nline ü.txt": MARKED,
            "old.md": MARKED + "one more line\n",
            "half.md": "<<<<<<< only the beginning\n",
            "title.md": "=======\n>>>>>>> no beginning\n",
            "quoted.md": "  <<<<<<< ours\n  >>>>>>> theirs\n",
            "binary.bin": b"\0\1" + MARKED.encode(),
            "one-line.txt": "<<<<<<< ours >>>>>>> theirs",
        }
    )
    assert sorted(find_conflict_markers(repo, base, head)) == ["a.txt", "new\nline ü.txt"]
    assert find_conflict_markers(repo, head, base) == ["gone.md"]
    assert find_conflict_markers(repo, head, head) == []


@pytest.mark.slow
def test_a_file_of_300_mb_does_no_harm(box: Sandbox) -> None:
    repo = Repo(box.path)
    base = repo.require_head()
    with (box.path / "big.txt").open("wb") as big:
        for _ in range(300):
            big.write(b"x" * 1023 + b"\n" + b"y" * ((1 << 20) - 1024))
    head = box.commit({"a.txt": LINES + MARKED})
    assert find_conflict_markers(repo, base, head) == ["a.txt"]
