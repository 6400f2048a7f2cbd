"""Every kind of bad spec, with the whole answer: file, line, column, field, what to do."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from orchestr.errors import SpecError
from orchestr.spec.reader import compile_spec

FOLDER = Path(__file__).parent / "bad"


def problems(data: bytes) -> str:
    with pytest.raises(SpecError) as caught:
        compile_spec(data, "specs/demo.yaml", "", ("scripted",))
    return "".join(f"{problem}\n" for problem in caught.value.problems)


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_every_problem_is_named_with_its_place(name: str) -> None:
    """``bad/<name>.yaml`` is the spec, ``bad/<name>.txt`` all that is said of it."""
    expected = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")

    assert problems((FOLDER / f"{name}.yaml").read_bytes()) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a: b\nc: \xff", "2:4: error: byte 0xff is not UTF-8\n  hint: save the file as UTF-8"),
        (b"\xff\xfea\0", "1:1: error: byte 0xff is not UTF-8\n  hint: save the file as UTF-8"),
        (b"a: b\nc: \0", "2:4: error: control character U+0000 in the file\n  hint: remove it"),
        (b"a: \x1b[31m", "1:4: error: control character U+001B in the file\n  hint: remove it"),
    ],
    ids=["latin-1", "utf-16", "nul", "escape"],
)
def test_bytes_that_are_no_text(data: bytes, expected: str) -> None:
    assert problems(data) == f"specs/demo.yaml:{expected}\n"


def test_a_huge_file_is_refused_before_it_is_parsed() -> None:
    assert problems(b"#" * (5 << 20)) == (
        "specs/demo.yaml: error: the file has 5.0 MiB, a spec has at most 4 MiB\n"
    )


@pytest.mark.parametrize("part", ["[", "- ", "{a: ", "? "])
def test_depth_is_refused_before_it_can_crash_the_parser(part: str) -> None:
    """By us or by PyYAML (which has a limit of its own since 6.0.4): refused, where, what next."""
    told = problems(part.encode() * 100_000)
    first, hint = told.splitlines()
    assert re.fullmatch(r"specs/demo\.yaml:1:\d+: error: nested more than 50 levels deep", first)
    assert hint.startswith("  hint: a spec needs fewer than ten levels; look for a bracket")


def test_an_alias_bomb_is_refused_by_counting() -> None:
    names = "abcdefghij"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for above, name in pairwise(names):
        lines.append(f"{name}: &{name} [{', '.join(['*' + above] * 9)}]")
    expected = (
        "specs/demo.yaml:5:4: error: aliases (`*name`) would add more than 10,000 values\n"
        "  hint: write them out\n"
    )
    assert problems("\n".join(lines).encode()) == expected
