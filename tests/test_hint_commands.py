"""The commands that errors, hints and views name in the code exist, with those options."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

from tests.test_docs import OPTION, ROOT, help_text, verbs

PACKAGE = ROOT / "orchestr"
MODULES = sorted(str(path.relative_to(ROOT)) for path in PACKAGE.rglob("*.py"))
OURS = re.compile(r"(?<![\w./-])orchestr ([a-z]+)(?=[\s`;,.:)]|$)([^\n;`,)]*)")
GITS = re.compile(r"(?<![\w./-])git -C \S+ ([a-z][a-z-]+)(?=[\s`;,)]|$)")
# after `orchestr` in a sentence: no command
PROSE = frozenset(
    [
        "is",
        "are",
        "was",
        "made",
        "does",
        "has",
        "or",
        "and",
        "itself",
        "wrote",
        "can",
        "cannot",
        "reads",
        "starts",
        "knows",
        "may",
        "needs",
        "did",
        "to",
        "keeps",
        "leaves",
        "for",
        "in",
        "the",
        "of",
        "that",
        "as",
        "will",
        "must",
        "version",
        "package",
        "feature",
    ]
)


@cache
def texts_of(path: Path) -> list[tuple[int, str]]:
    """Every text of a module but docstrings, a placeholder as ``X``; with its line."""
    tree = ast.parse(path.read_text())
    documented = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
              for part in ast.walk(node) if part is not node}  # fmt: skip
    found = []
    for node in ast.walk(tree):
        if id(node) in documented or id(node) in inside:
            continue
        if isinstance(node, ast.JoinedStr):
            parts = [
                str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values
            ]
            found.append((node.lineno, "".join(parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append((node.lineno, node.value))
    return found


@cache
def git_verbs() -> frozenset[str]:
    done = subprocess.run(
        ["git", "--list-cmds=main,others,nohelpers"], capture_output=True, text=True, check=True
    )
    return frozenset(done.stdout.split()) | {"lfs"}


def commands_of(module: str) -> list[tuple[int, str, str]]:
    return [
        (line, found[1], found[2])
        for line, text in texts_of(ROOT / module)
        for found in OURS.finditer(text)
        if found[1] not in PROSE
    ]


def test_commands_in_messages_exist() -> None:
    wrong = []
    for module, line, verb, rest in ((m, *found) for m in MODULES for found in commands_of(m)):
        if verb not in verbs():
            wrong.append(f"{module}:{line}: orchestr {verb}{rest}: no such verb")
            continue
        if verb == "help":
            continue
        known = set(OPTION.findall(help_text(verb)))
        wrong += [
            f"{module}:{line}: orchestr {verb}: no option {option}"
            for option in OPTION.findall(rest)
            if option not in known
        ]
    assert wrong == []


def test_git_commands_in_messages_exist() -> None:
    wrong = [
        f"{module}:{line}: git {found[1]}"
        for module in MODULES
        for line, text in texts_of(ROOT / module)
        if " -C " in text
        for found in GITS.finditer(text)
        if found[1] not in git_verbs()
    ]
    assert wrong == []


def test_commands_are_found_in_the_code() -> None:
    """The patterns above match something: the verbs that a hint can name are named."""
    named = {verb for module in MODULES for _, verb, _ in commands_of(module)}
    assert {"run", "doctor", "explain", "logs", "approve", "land", "retire", "amend"} <= named
