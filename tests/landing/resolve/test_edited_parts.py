"""A part without a name is still the same one after an edit: what both sides add inside is kept."""

from __future__ import annotations

from orchestr.landing.resolve.conflict import FileConflict
from orchestr.landing.resolve.structure import resolve_structure

BASE = """\
CASES = [
    case(make(["--flag"]), {"name": "flag", "hidden": False}, id="flag"),
    case(make(["--text"]), {"name": "text", "hidden": True}, id="text"),
]
"""


def merge(ours: str, theirs: str) -> str | None:
    sides = (text.encode() for text in (BASE, ours, theirs))
    merged = resolve_structure(FileConflict("cases.py", *sides))
    return None if merged is None else merged.decode()


def add(key: str, text: str = BASE) -> str:
    return text.replace('"hidden": False', f'"hidden": False, "{key}": False')


def test_both_add_a_key_inside_of_the_same_call() -> None:
    assert merge(add("cache"), add("count")) == add("count", BASE).replace(
        '"count"', '"cache": False, "count"'
    )


def test_another_call_in_its_place_is_not_the_same_one() -> None:
    other = BASE.replace(
        'case(make(["--flag"]), {"name": "flag", "hidden": False}, id="flag")',
        'case(build("--size", kind=int), {"size": 3}, marks=slow)',
    )
    assert merge(other, add("count")) is None
    assert merge(add("count"), other) is None


def test_the_same_key_with_two_values_is_refused() -> None:
    assert merge(add("cache"), add("cache").replace('"cache": False', '"cache": None')) is None


def test_a_keyword_that_one_side_no_longer_needs_is_no_name() -> None:
    base = "def a():\n    pass\n\n\ndef z():\n    return 1\n"
    ours = base.replace("    pass", "    return 2")
    more = "\n\nclass B(Exception):\n    pass\n"
    theirs = base.replace("    pass", "    pass\n\n\ndef b():\n    pass") + more
    sides = (text.encode() for text in (base, ours + more.replace("B", "C"), theirs))
    merged = resolve_structure(FileConflict("names.py", *sides))
    assert merged is not None
    assert b"class B" in merged and b"class C" in merged and b"return 2" in merged
