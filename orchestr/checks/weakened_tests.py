"""Tests that a change deletes, skips or loses: a repair may not make red green that way.

Pure over a diff. It errs to the side of asking: what it finds is shown, and fails the cell unless
the spec says ``allow_skipped_tests: true``. Moved tests are no finding (their names come back
elsewhere in the diff), nor is a test that only got another name in the same place.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from orchestr.git import unified_diff
from orchestr.git.unified_diff import ChangedBlock, FileChanges


class Weakening(StrEnum):
    """What happened to a test."""

    DELETED_FILE = "deleted_file"
    REMOVED_TEST = "removed_test"
    SKIPPED = "skipped"
    DESELECTED = "deselected"


@dataclass(frozen=True, slots=True)
class WeakenedTest:
    """One weakened test. ``line`` counts in the new file, for removed tests in the old one; 0 for a
    whole file."""

    kind: Weakening
    file: str
    line: int
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {_WORDS[self.kind]}: {self.text}"


_WORDS = {
    Weakening.DELETED_FILE: "test file deleted",
    Weakening.REMOVED_TEST: "test removed",
    Weakening.SKIPPED: "test skipped",
    Weakening.DESELECTED: "tests taken out by settings",
}

_PYTHON, _GO, _JAVA, _JS, _RUST = "python", "go", "java", "js", "rust"
_LANGUAGES = {
    ".py": _PYTHON, ".go": _GO, ".java": _JAVA, ".kt": _JAVA, ".kts": _JAVA, ".scala": _JAVA,
    ".groovy": _JAVA, ".js": _JS, ".jsx": _JS, ".ts": _JS, ".tsx": _JS, ".mjs": _JS, ".cjs": _JS,
    ".mts": _JS, ".cts": _JS, ".vue": _JS, ".rs": _RUST,
}  # fmt: skip

# What skips tests. JS: `only` leaves out all the others.
_SKIPS = {
    _PYTHON: re.compile(
        r"\bmark\.(skip|skipif|xfail)\b|\bpytest\.(skip|xfail|importorskip)\s*\("
        r"|\bunittest\.(skip|skipIf|skipUnless|expectedFailure|SkipTest)\b|\.skipTest\s*\("
        r"|@(skip|skipIf|skipUnless|expectedFailure)\b|\bcollect_ignore(_glob)?\b"
        r"|\b__test__\s*=\s*False"
    ),
    _GO: re.compile(r"\b[a-z]\w*\.(Skip|Skipf|SkipNow)\s*\(|^//go:build\s+ignore\b"),
    _JAVA: re.compile(
        r"@(\w+\.)*(Disabled\w*|Ignore|EnabledIf\w*)\b|\bassume(True|False|That)\s*\("
        r"|\benabled\s*=\s*false\b"
    ),
    _JS: re.compile(
        r"\b(it|test|describe|context|suite|bench)(\.\w+)*\.(skip|todo|only|fails|skipIf|runIf)\b"
        r"|\b(xit|xtest|xdescribe|xcontext|xspecify|fit|fdescribe)\s*(\.\w+\s*)*\("
        r"|\bthis\.skip\s*\(|\bt\.skip\s*\("
    ),
    _RUST: re.compile(r"#\[\s*ignore\b|#\[\s*cfg_attr\([^)]*\bignore\b"),
}
_TESTS = {
    _PYTHON: re.compile(r"^\s*(?:async\s+)?def\s+(test\w*)\s*\(|^\s*class\s+(Test\w*)\b"),
    _GO: re.compile(r"^func\s+(?:\([^)]*\)\s*)?((?:Test|Fuzz|Example)\w*)\s*\("),
    _JS: re.compile(
        r"\b(?:it|test|specify)(?:\.(?!skip|todo|only)\w+(?:\([^)]*\))?)*\s*\(\s*"
        r"(['\"`].*?['\"`])\s*,"
    ),
}
# Tests that an annotation makes: only their number can be compared.
_MARKS = {
    _JAVA: re.compile(r"^\s*@(?:\w+\.)*(?:Test|ParameterizedTest|RepeatedTest|Property)\b"),
    _RUST: re.compile(r"^\s*#\[\s*(?:\w+::)*test\b"),
}
_COMMENTS = {_PYTHON: ("#",), _GO: ("//", "/*", "*"), _JAVA: ("//", "/*", "*"),
             _JS: ("//", "/*", "*"), _RUST: ("//", "/*", "*")}  # fmt: skip
_SETTINGS = frozenset(
    ("pytest.ini", "pyproject.toml", "setup.cfg", "tox.ini", "conftest.py", "package.json",
     "jest.config.js", "jest.config.ts", "vitest.config.ts", "vitest.config.js", "pom.xml")
)  # fmt: skip
_DESELECTS = re.compile(
    r"--ignore(?:-glob)?\b|--deselect\b|\bnorecursedirs\b|(?<![\w-])-k[ =]['\"]?not\b"
    r"|\btestPathIgnorePatterns\b|--passWithNoTests\b|\bskipTests\b|maven\.test\.skip"
    r"|testFailureIgnore|<skip>\s*true"
)


def find_weakened_tests(diff: str) -> tuple[WeakenedTest, ...]:
    """What a diff from base to head takes away from the tests, by file and line.

    ``diff`` is the text of ``git diff`` with `orchestr.git.unified_diff.DIFF_OPTIONS`.
    """
    files = unified_diff.parse_diff(diff)
    back = Counter(name for file in files for name in _list_declared_names(file, added=True))
    skips = Counter(text for file in files for _, text in _list_skip_lines(file, added=False))
    found: list[WeakenedTest] = []
    for file in files:
        found += _find_new_skips(file, skips)
        found += _find_deselections(file)
        if file.old and not file.new and is_test_file(file.old):
            names = [name for name, _ in _list_removed_declarations(file)]
            if names and all(back[name] > 0 for name in names):
                back.subtract(names)  # moved
                continue
            found.append(WeakenedTest(Weakening.DELETED_FILE, file.old, 0, _join_names(names)))
            continue
        found += _find_removed_tests(file, back)
    return tuple(sorted(set(found), key=lambda f: (f.file, f.line, f.kind)))


def render_findings(findings: Iterable[WeakenedTest]) -> str:
    """The findings as lines of text, empty for none."""
    return "".join(f"{finding}\n" for finding in findings)


def is_test_file(path: str) -> bool:
    """Whether a file's name says that it holds tests."""
    pure = PurePosixPath(path)
    name, stem = pure.name, pure.name.partition(".")[0]
    language = _LANGUAGES.get(pure.suffix)
    if language is None:
        return False
    if language == _PYTHON:
        return name.startswith("test_") or stem.endswith("_test") or name == "tests.py"
    if language == _GO:
        return name.endswith("_test.go")
    if language == _JAVA:
        named = re.search(r"(?:Test|Tests|IT|Spec)$", stem) or stem.startswith("Test")
        return bool(named) or "/src/test/" in f"/{path}"
    if language == _JS:
        return bool(re.search(r"\.(test|spec|cy|e2e)\.", name)) or "__tests__" in pure.parts
    return "tests" in pure.parts[:-1]


def _file_language(file: FileChanges) -> str | None:
    return _LANGUAGES.get(PurePosixPath(file.path).suffix)


def _list_removed_declarations(file: FileChanges) -> list[tuple[str, int]]:
    """The tests that removed lines declared, with their lines in the old file."""
    pattern = _TESTS.get(_file_language(file) or "")
    if pattern is None:
        return []
    return [
        (name, line.number)
        for line in file.removed_lines()
        if (name := _match_declared_name(pattern, line.text))
    ]


def _list_declared_names(file: FileChanges, *, added: bool) -> list[str]:
    pattern = _TESTS.get(_file_language(file) or "")
    if pattern is None or not file.new:
        return []
    lines = file.added_lines() if added else file.removed_lines()
    return [name for line in lines if (name := _match_declared_name(pattern, line.text))]


def _match_declared_name(pattern: re.Pattern[str], text: str) -> str | None:
    """The name that a line declares; a class counts apart from a function of that name."""
    match = pattern.search(text)
    if match is None:
        return None
    return next((group for group in match.groups() if group), None)


def _find_removed_tests(file: FileChanges, back: Counter[str]) -> list[WeakenedTest]:
    """Tests that are gone. ``back`` are declarations that came, each stands for one that went."""
    language = _file_language(file) or ""
    if not file.old:
        return []
    marks = _MARKS.get(language)
    if marks is not None:
        gone = [line for line in file.removed_lines() if marks.search(line.text)]
        came = [line for line in file.added_lines() if marks.search(line.text)]
        return [
            WeakenedTest(Weakening.REMOVED_TEST, file.old, line.number, line.text.strip())
            for line in gone[len(came) :]
        ]
    pattern = _TESTS.get(language)
    if pattern is None or not (is_test_file(file.old) or language in (_PYTHON, _JS)):
        return []
    found = []
    for block in file.blocks:
        if _only_renames(block, pattern):
            continue
        for line in block.removed:
            name = _match_declared_name(pattern, line.text)
            if name is None:
                continue
            if back[name] > 0:
                back[name] -= 1
            else:
                found.append(WeakenedTest(Weakening.REMOVED_TEST, file.old, line.number, name))
    return found


def _only_renames(block: ChangedBlock, pattern: re.Pattern[str]) -> bool:
    """Whether declarations only got other names: as many went as came, and nothing else did."""
    lines = [*block.removed, *block.added]
    return len(block.removed) == len(block.added) and all(
        _match_declared_name(pattern, line.text) for line in lines
    )


def _list_skip_lines(file: FileChanges, *, added: bool) -> list[tuple[int, str]]:
    language = _file_language(file)
    if language is None:
        return []
    pattern, comments = _SKIPS[language], _COMMENTS[language]
    lines = file.added_lines() if added else file.removed_lines()
    found = []
    for line in lines:
        text = line.text.strip()
        commented = text.startswith(comments) and not text.startswith("//go:build")
        if not commented and pattern.search(text):
            found.append((line.number, text))
    return found


def _find_new_skips(file: FileChanges, before: Counter[str]) -> list[WeakenedTest]:
    """New lines that skip tests; one that was only moved or indented stood there before."""
    found = []
    for number, text in _list_skip_lines(file, added=True):
        if before[text] > 0:
            before[text] -= 1
        else:
            found.append(WeakenedTest(Weakening.SKIPPED, file.new, number, _shorten_text(text)))
    return found


def _find_deselections(file: FileChanges) -> list[WeakenedTest]:
    if PurePosixPath(file.new).name not in _SETTINGS:
        return []
    before = Counter(
        word for line in file.removed_lines() for word in _DESELECTS.findall(line.text)
    )
    found = []
    for line in file.added_lines():
        for word in _DESELECTS.findall(line.text):
            if before[word] > 0:
                before[word] -= 1
            else:
                text = _shorten_text(line.text.strip())
                found.append(WeakenedTest(Weakening.DESELECTED, file.new, line.number, text))
    return found


def _join_names(names: list[str]) -> str:
    if not names:
        return "(its tests cannot be named)"
    rest = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + rest


def _shorten_text(text: str) -> str:
    return text if len(text) <= 160 else text[:157] + "..."
