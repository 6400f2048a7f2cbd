"""A conflict is resolved when its file is, whatever the index says."""

from __future__ import annotations

import pytest

from orchestr.git.open_conflicts import list_open_conflicts
from orchestr.git.repo import Repo
from tests.conftest import MakeRepo, Sandbox, write

BASE = {"a.txt": "1\n2\n3\n", "b.bin": b"\0base", "gone.txt": "x\n", "c.lock": "l\n",
        ".gitattributes": "*.lock -merge\n"}  # fmt: skip


@pytest.fixture
def merging(make_repo: MakeRepo) -> Sandbox:
    """A clone in the middle of a merge with a conflict of every kind."""
    box = make_repo(files=BASE)
    box.git("switch", "--quiet", "-c", "side")
    box.commit({"a.txt": "1\nside\n3\n", "b.bin": b"\0side", "gone.txt": "y\n", "c.lock": "s\n"})
    box.git("switch", "--quiet", "main")
    box.git("rm", "--quiet", "gone.txt")
    box.commit({"a.txt": "1\nmain\n3\n", "b.bin": b"\0main", "c.lock": "m\n"})
    assert not Repo(box.path).merge("side", "merge").clean
    return box


BOTH: dict[str, str | bytes] = {"a.txt": "1\nboth\n3\n", "b.bin": b"\0both", "c.lock": "both\n"}
UNMARKED = ["b.bin", "c.lock", "gone.txt"]
ACTS: dict[str, tuple[dict[str, str | bytes], list[str]]] = {
    "nothing": ({}, ["a.txt", *UNMARKED]),
    "text": ({"a.txt": "1\nboth\n3\n"}, UNMARKED),
    "one side": ({"a.txt": "1\nmain\n3\n"}, UNMARKED),
    "a marker is left": ({"a.txt": "1\nboth\n>>>>>>> side\n3\n"}, ["a.txt", *UNMARKED]),
    "all but one": ({**BOTH}, ["gone.txt"]),
}


@pytest.mark.parametrize("name", ACTS)
def test_what_is_not_resolved_is_open(merging: Sandbox, name: str) -> None:
    files, still_open = ACTS[name]
    write(merging.path, files)
    assert sorted(list_open_conflicts(Repo(merging.path))) == still_open


def test_what_is_resolved_is_committed_without_an_index(merging: Sandbox) -> None:
    write(merging.path, BOTH)
    (merging.path / "gone.txt").unlink()
    repo = Repo(merging.path)
    assert list_open_conflicts(repo) == []
    head = repo.commit_all("merged")
    assert head is not None and len(merging.git("log", "-1", "--format=%P").split()) == 2
    assert (merging.git("show", "HEAD:a.txt"), repo.unmerged_paths()) == ("1\nboth\n3", ())
