"""Both sides' lines, and where they are refused."""

from __future__ import annotations

import pytest

from orchestr.landing.resolve.conflict import FileConflict
from orchestr.landing.resolve.union import resolve_union

TESTS = 'test("a") do\nend\n'


@pytest.mark.parametrize(
    ("path", "base", "ours", "theirs", "merged"),
    [
        ("a_test.rb", TESTS, TESTS + "x = 1\n", TESTS + "y = 2\n", TESTS + "x = 1\ny = 2\n"),
        ("words.txt", "a\r\n", "a\r\nb\r\n", "a\r\nc\r\n", "a\r\nb\r\nc\r\n"),
        ("words.txt", "a", "a\nb", "a\nc", "a\nb\nc"),
        ("words.txt", "a\n", "a\n\nb\nend\n", "a\n\nc\nend\n", "a\n\nb\nc\nend\n"),
        ("both.txt", None, "a\n", "b\n", "a\nb\n"),
        ("a.py", "", "def a(): ...\n", "def a(): pass\n", None),
        ("a.go", "", "func (t *T) A() {}\n", "func (t *T) A() { f() }\n", None),
        ("a.md", "", "## 1.0\nx\n", "## 1.0\ny\n", "## 1.0\nx\ny\n"),
        ("a.md", "", "x\n## 1.0\n", "y\n## 1.0\n!\n", None),
        ("a.ini", "[a]\n", "[a]\nx = 1\n", "[a]\nx = 2\n", None),
        ("a.py", "x = 1\n", "x = 2\n", "x = 3\n", None),
        ("a.bin", "", "a\0\n", "b\n", None),
        ("mixed.txt", "", "a\r\nb\n", "c\n", None),
    ],
)
def test_union(path: str, base: str | None, ours: str, theirs: str, merged: str | None) -> None:
    old = None if base is None else base.encode()
    found = resolve_union(FileConflict(path, old, ours.encode(), theirs.encode()))
    assert found == (None if merged is None else merged.encode())
    swapped = resolve_union(FileConflict(path, old, theirs.encode(), ours.encode()))
    assert (swapped is None) == (merged is None)
