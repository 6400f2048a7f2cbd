"""Which files of a repository hold tests, and whether an output says that one of them failed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from orchestr.checks.weakened_tests import is_test_file

# Folders whose files are tests, or what tests read, in most languages.
FOLDERS = frozenset(
    ("test", "tests", "__tests__", "spec", "testdata", "fixtures", "e2e", "cypress",
     "__snapshots__")
)  # fmt: skip
_NAMES = re.compile(
    r"(?:.*[_-](?:test|tests|spec)\.(?:rb|exs|dart|php|c|cc|cpp|cxx|lua|sh|hs|ml|clj|erl|jl|r|zig)"
    r"|.*(?:Test|Tests|Spec|Specs)\.(?:php|cs|fs|vb|swift|m|mm|hs)"
    r"|test[_-].*\.(?:sh|rb|c|cc|cpp|lua|jl|el|r)|.*\.(?:bats|feature|t)|conftest\.py)"
)
_FAILS = re.compile(
    r"fail|error|panick|not ok|undefined|traceback|exception|cannot|unresolved|expected|assert"
    r"|✗|✕|✖|×|File \"",
    re.IGNORECASE,
)


def holds_tests(path: str) -> bool:
    """Whether a path is a test, or lies in a folder of tests."""
    pure = PurePosixPath(path)
    return (
        is_test_file(path)
        or bool(FOLDERS & set(pure.parts[:-1]))
        or _NAMES.fullmatch(pure.name) is not None
    )


def find_failing_lines(output: str, files: Iterable[str]) -> frozenset[str]:
    """The lines of an output that name one of the test files and sound like a failure."""
    names = {name for file in files for name in _names_of(file)}
    if not names:
        return frozenset()
    named = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, sorted(names)))})(?![\w-])")
    lines = (line.strip() for line in output.splitlines())
    return frozenset(line for line in lines if named.search(line) and _FAILS.search(line))


def _names_of(file: str) -> set[str]:
    """How an output may call a file: its name, its module, its class."""
    pure = PurePosixPath(file)
    stem = pure.name.partition(".")[0]
    return {pure.name, stem} if len(stem) > 4 else {pure.name}
