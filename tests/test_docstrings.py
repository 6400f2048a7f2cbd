"""Names in the docstrings of the package exist: `module.name`, `Class.method`, `orchestr.x.y`.

A dotted name in backticks is looked up when its first part is the name of a module of ours or is
spelled as a class; a name spelled as a class of several words is looked up without a dot, too.
Names of other things that look the same are left alone: files, keys of the settings, kinds of
events, what a file imports from another package. Nothing is imported: the sources are read.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator, Set
from functools import cache
from pathlib import Path

from orchestr.settings.sections import KEYS
from orchestr.state.events import EventKind

PACKAGE = Path(__file__).parents[1] / "orchestr"
FILES = sorted(PACKAGE.rglob("*.py"))
DOTTED = re.compile(r"(?<!`)(`{1,2})([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)(?:\([^`]*\))?\1(?!`)")
CLASS = re.compile(r"(?<!`)`([A-Z][a-z0-9]+(?:[A-Z][a-z0-9]+)+)`(?!`)")
SETTING_OF_GIT = re.compile(r"[a-z]+[A-Z]\w*")  # core.hooksPath
FILE_ENDINGS = frozenset(
    ["py", "md", "toml", "yaml", "json", "jsonl", "db", "txt", "lock", "log", "j2", "com", "org"]
)
Members = dict[str, ast.AST | None]


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    return name.removesuffix(".__init__")


MODULES = {module_name(path): path for path in FILES}


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def members_of(body: list[ast.stmt]) -> Members:
    """Every name that statements bind, with the definition of a class or function."""
    found: Members = {}
    for statement in body:
        match statement:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                found[name] = statement
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found |= {alias.asname or alias.name: statement for alias in names}
            case ast.If() | ast.Try() | ast.With():
                inner = [child for child in ast.walk(statement) if isinstance(child, ast.stmt)]
                found |= members_of([child for child in inner if not hasattr(child, "body")])
            case _:
                targets = (n for n in ast.walk(statement) if isinstance(n, ast.Name))
                found |= {n.id: None for n in targets if isinstance(n.ctx, ast.Store)}
    return found


@cache
def classes() -> dict[str, list[ast.ClassDef]]:
    found: dict[str, list[ast.ClassDef]] = {}
    for path in FILES:
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(node)
    return found


def class_has(node: ast.ClassDef, name: str) -> bool:
    """Whether a class of ours, or one of its bases, has the member; a foreign base may have it."""
    if name in members_of(node.body):
        return True
    assigned = (n for n in ast.walk(node) if isinstance(n, ast.Attribute))
    if any(n.attr == name and isinstance(n.ctx, ast.Store) for n in assigned):
        return True
    bases = [ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases]
    return any(
        any(class_has(known, name) for known in classes()[base])
        if base in classes()
        else base not in {"Protocol", "Generic", "ABC", "Exception"}
        for base in bases
    )


def resolves(parts: list[str], *, start: str = "") -> bool:
    """Whether the rest of a dotted name is found in a module of ours."""
    if not parts:
        return True
    longer = f"{start}.{parts[0]}" if start else parts[0]
    if longer in MODULES:
        return resolves(parts[1:], start=longer)
    if start not in MODULES:
        return False
    members = members_of(parse(MODULES[start]).body)
    if parts[0] not in members:
        return False
    node = members[parts[0]]
    if len(parts) > 1 and isinstance(node, ast.ClassDef):
        return class_has(node, parts[1])
    return True


@cache
def modules_named(first: str) -> frozenset[str]:
    """The modules and packages of ours whose name ends so."""
    return frozenset(name for name in MODULES if name.rsplit(".", 1)[-1] == first)


@cache
def other_names() -> frozenset[str]:
    """Keys of the settings, and kinds of events: they look like names of modules."""
    keys = {f"{section}.{key}" for section, known in KEYS.items() for key in known}
    return frozenset({*keys, *EventKind})


def is_wrong(name: str, path: Path, local: Set[str]) -> bool:
    parts = name.split(".")
    if parts[-1] in FILE_ENDINGS or parts[0] in local or SETTING_OF_GIT.fullmatch(parts[-1]):
        return False
    if parts[0] == "orchestr":
        return not resolves(parts)
    if parts[0] in classes():
        return not any(class_has(node, parts[1]) for node in classes()[parts[0]])
    if parts[0][0].isupper():  # a class by its spelling, and none of ours has that name
        return not is_foreign(parts[0], path)
    if name in other_names() or is_imported_from_elsewhere(parts[0], path):
        return False
    modules = modules_named(parts[0])
    return bool(modules) and not any(resolves(parts[1:], start=module) for module in modules)


def is_foreign(name: str, path: Path) -> bool:
    """Whether a class is none of ours: a built-in, or a name that the file binds by an import."""
    return hasattr(builtins, name) or name in imports(path)


def is_imported_from_elsewhere(name: str, path: Path) -> bool:
    return not imports(path).get(name, "orchestr").startswith("orchestr")


@cache
def imports(path: Path) -> dict[str, str]:
    """Every name that a file imports, and the module that it is from."""
    found: dict[str, str] = {}
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: node.module or "" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.asname or alias.name: alias.name for alias in node.names}
    return found


def docstrings(path: Path) -> Iterator[tuple[int, str, frozenset[str]]]:
    """Line, text, and the names that mean something else there: arguments and fields."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            text = ast.get_docstring(node)
            if text:
                within = [] if isinstance(node, ast.Module) else ast.walk(node)
                local = {n.arg for n in within if isinstance(n, ast.arg)}
                local |= {
                    s.target.id
                    for s in node.body
                    if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)
                }
                yield node.body[0].lineno, text, frozenset(local - {"self"})


def wrong_names(path: Path) -> list[str]:
    where = path.relative_to(PACKAGE.parent)
    found: list[str] = []
    for line, text, local in docstrings(path):
        wrong = [name for _, name in DOTTED.findall(text) if is_wrong(name, path, local)]
        wrong += [
            name
            for name in CLASS.findall(text)
            if name not in classes() and not is_foreign(name, path)
        ]
        found += [f"{where}:{line}: {name}" for name in wrong]
    return found


def test_names_in_docstrings_exist() -> None:
    assert [wrong for path in FILES for wrong in wrong_names(path)] == []


def test_names_that_do_not_exist_are_found() -> None:
    path = PACKAGE / "registry.py"
    wrong = ["orchestr.cli.nothing", "Registry.nothing", "registry.nothing", "Nothing.at_all"]
    right = ["orchestr.cli.main", "Registry.load", "Registry.what", "registry.VERBS", "a.b"]
    assert [name for name in wrong + right if is_wrong(name, path, frozenset())] == wrong
    assert not is_wrong("registry.nothing", path, frozenset({"registry"}))
