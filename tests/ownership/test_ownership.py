"""Whose a path is: patterns, contracts, the words that go back."""

from __future__ import annotations

import subprocess

import pytest

from orchestr.cell.ownership import PathClaims, judge_paths
from orchestr.spec.checks import Contract
from tests.conftest import MakeRepo, git

API = Contract("api/**", "api")


@pytest.mark.parametrize(
    ("claims", "changed", "outside", "breached"),
    [
        (PathClaims("a"), ["x", "y/z"], (), ()),
        (PathClaims("a", owned=("src/",)), ["src/x", "src2/x", "x"], ("src2/x", "x"), ()),
        (PathClaims("a", owned=("*.go",)), ["deep/er/x.go", "x.py"], ("x.py",), ()),
        (PathClaims("a", owned=("/x.go",)), ["x.go", "deep/x.go"], ("deep/x.go",), ()),
        (PathClaims("a", owned=("src/", "!src/gen")), ["src/x", "src/gen/y"], ("src/gen/y",), ()),
        (
            PathClaims("a", owned=("src/",), shared=("go.mod",)),
            ["go.mod", "go.sum"],
            ("go.sum",),
            (),
        ),
        (PathClaims("a", shared=("go.mod",)), ["anything"], (), ()),
        (PathClaims("a", contracts=(API,)), ["api/x/y", "apis/x"], (), ("api/x/y",)),
        (PathClaims("api", owned=("src/",), contracts=(API,)), ["api/x", "x"], ("x",), ()),
        (PathClaims("a", owned=("api/",), contracts=(API,)), ["api/x"], (), ("api/x",)),
        # The last contract that matches counts, like in a .gitignore.
        (PathClaims("a", contracts=(API, Contract("api/a.txt", "a"))), ["api/a.txt"], (), ()),
        (PathClaims("a", contracts=(Contract("api/a.txt", "a"), API)), ["api/a.txt"], (),
         ("api/a.txt",)),
    ],
)  # fmt: skip
def test_whose_a_path_is(
    claims: PathClaims, changed: list[str], outside: tuple[str, ...], breached: tuple[str, ...]
) -> None:
    found = judge_paths(claims, changed)
    assert (found.outside, tuple(b.path for b in found.breaches)) == (outside, breached)
    assert found.ok is not bool(outside or breached)
    assert bool(found.findings) is not found.ok


def test_the_words_name_every_path_and_a_command_that_puts_them_back(make_repo: MakeRepo) -> None:
    """Changed, deleted, new, and with names that a shell and git would read otherwise."""
    sandbox = make_repo()
    sandbox.commit({"old.txt": "1\n", "gone.txt": "1\n", "keep.txt": "1\n"}, "base")
    base = sandbox.git("rev-parse", "HEAD").strip()
    names = {"old.txt": "2\n", "it's new.txt": "n\n", "*.txt": "star\n", "keep.txt": "2\n"}
    (sandbox.path / "gone.txt").unlink()
    sandbox.commit(names, "work")
    changed = git(sandbox.path, "diff", "--name-only", "-z", base, "HEAD").strip("\0").split("\0")
    found = judge_paths(PathClaims("a", owned=("keep.txt",)), changed, base)
    assert sorted(found.outside) == ["*.txt", "gone.txt", "it's new.txt", "old.txt"]

    command = next(
        line for line in found.message_to_agent.splitlines() if line.startswith("    git restore")
    )
    subprocess.run(["sh", "-c", command], cwd=sandbox.path, check=True)
    sandbox.git("commit", "-qam", "put back")
    after = git(sandbox.path, "diff", "--name-only", base, "HEAD").split()
    assert after == ["keep.txt"]


def test_many_paths_are_told_in_part() -> None:
    found = judge_paths(PathClaims("a", owned=("x",)), [f"f{i}" for i in range(80)])
    assert "and 30 more" in found.message_to_agent
    assert found.findings == ("changed outside owned_paths: f0, f1, f2, f3, f4 and 75 more",)


def test_odd_names_can_be_written_down() -> None:
    found = judge_paths(PathClaims("a", owned=("x",)), ["new\nline", "bytes\udcff"])
    assert found.findings[0].encode() == rb"changed outside owned_paths: new\nline, bytes\udcff"
    assert rb"- bytes\udcff" in found.message_to_agent.encode()
