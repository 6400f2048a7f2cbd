"""What may be a branch's name is what git says, without asking it for each."""

from __future__ import annotations

import os
import random
import subprocess

import pytest

from orchestr.errors import UsageError
from orchestr.git.config import branch_name

PARTS = (
    "a", "B", "0", "é", "\u2028", "@", "{", "}", "@{", "-", ".", "..", ".lock", "lock", ".locked",
    "/", "//", "HEAD", " ", "~", "^", ":", "?", "*", "[", "]", "\\", "\t", "\n", "\x7f", "\x01",
    "#", "!", "'", '"', "$", "%", "(", "|", "<", "+", ",", ";", "=", "_", "\udce4",
)  # fmt: skip


def make_names() -> list[str]:
    """Every part alone, at the start, at the end, in the middle; and some of several parts."""
    chance = random.Random(7)
    shapes = ("{}", "{}x", "x{}", "x{}x", "{}/x", "x/{}", "x/{}/x")
    names = [shape.replace("{}", part) for part in PARTS for shape in shapes]
    return names + ["".join(chance.choices(PARTS, k=4)) for _ in range(200)]


def is_taken(name: str) -> bool:
    try:
        return branch_name(name) == name
    except UsageError:
        return False


def test_the_names_that_git_takes_are_taken() -> None:
    argv = ["git", "check-ref-format"]
    ours = {name: is_taken(name) for name in make_names()}
    gits = {
        name: subprocess.run([*argv, b"refs/heads/" + os.fsencode(name)], check=False).returncode
        == 0
        and not name.startswith("-")
        and name != "HEAD"
        for name in ours
    }
    assert ours == gits
    assert 50 < sum(gits.values()) < len(gits) - 50


@pytest.mark.parametrize("name", ["", "-x", "HEAD", "a\0b", "\ud800"])
def test_what_git_takes_and_we_do_not(name: str) -> None:
    assert not is_taken(name)
