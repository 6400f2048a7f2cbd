"""Where both sides' lines may be kept, parts are united before lines are."""

from __future__ import annotations

from orchestr.landing.resolve.conflict import FileConflict
from orchestr.landing.resolve.structure import resolve_structure
from orchestr.landing.resolve.union import resolve_union

BASE = """\
from app import b


def load(name):
    path = find(name)
    return open(path)
"""
OURS = """\
from app import a, b


def load(name):
    log.debug(name)
    path = find(name)
    return open(path)
"""
THEIRS = """\
from app import b, c


def load(name):
    log.count(name)
    path = find(name)
    return open(path)
"""
BOTH = """\
from app import a, b, c


def load(name):
    log.debug(name)
    log.count(name)
    path = find(name)
    return open(path)
"""


def conflict(path: str, theirs: str = THEIRS) -> FileConflict:
    return FileConflict(path, BASE.encode(), OURS.encode(), theirs.encode())


def test_statements_whose_order_may_count_are_united_only_where_that_is_allowed() -> None:
    assert resolve_structure(conflict("load.py")) is None
    assert resolve_union(conflict("load.py")) == BOTH.encode()


def test_a_name_that_both_define_is_not_united() -> None:
    more = "\n\ndef close():\n    return {}\n"
    ours, theirs = OURS + more.format(1), THEIRS + more.format(2)
    both = FileConflict("load.py", BASE.encode(), ours.encode(), theirs.encode())
    assert resolve_union(both) is None


def test_a_file_of_an_unknown_kind_is_united_by_lines() -> None:
    united = resolve_union(FileConflict("list.unknown", b"a\nz\n", b"a\nb\nz\n", b"a\nc\nz\n"))
    assert united == b"a\nb\nc\nz\n"
