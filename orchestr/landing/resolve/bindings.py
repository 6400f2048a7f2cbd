"""What names mean in each scope of a Python file: two sides may not give a new one two meanings."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache

from orchestr.landing.resolve.tree import NameTwice

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_NO_SCOPES = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
Bindings = Mapping[tuple[str, str], frozenset[str]]


def check_bindings(base: str, ours: str, theirs: str) -> None:
    """Raises NameTwice when both sides bind a name that its scope did not have (by an import, a
    definition, an assignment), in two ways: what comes last would count for both. All compile.
    """
    old, mine, other = (read_bindings(text) for text in (base, ours, theirs))
    for place in mine.keys() & other.keys() - old.keys():
        if mine[place] != other[place]:
            raise NameTwice(f"both sides give {place[1]!r} a meaning")


@lru_cache(maxsize=64)
def read_bindings(text: str) -> Bindings:
    """By scope (dotted names of what it is in; "" is the file) and name: what it is bound to."""
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for scope, name, meaning in _list_bindings(ast.parse(text), ""):
        found[scope, name].add(meaning)
    return {place: frozenset(meanings) for place, meanings in found.items()}


def _list_bindings(node: ast.AST, scope: str) -> Iterator[tuple[str, str, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _NO_SCOPES):
            continue
        if isinstance(child, _SCOPES):
            yield scope, child.name, "definition"
            yield from _list_bindings(child, f"{scope}{child.name}.")
            continue
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            source = f"{child.module} {child.level}" if isinstance(child, ast.ImportFrom) else ""
            for alias in child.names:
                bound = alias.asname or alias.name.partition(".")[0]
                meant = alias.name if alias.asname or source else bound
                yield scope, bound, f"import {source} {meant}"
        elif isinstance(child, (ast.Assign, ast.AnnAssign)) and child.value is not None:
            targets = child.targets if isinstance(child, ast.Assign) else [child.target]
            for name in (one for target in targets for one in ast.walk(target)):
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                    yield scope, name.id, ast.dump(child.value)
        yield from _list_bindings(child, scope)
