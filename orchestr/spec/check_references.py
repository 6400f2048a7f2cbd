"""What is wrong between checks, reviewers, contracts and the rest of a spec.

Works on the raw values, like `orchestr.spec.references`, whose second half this is: agents that are
not there, cells and repositories that nobody has, names used twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from orchestr.errors import Problem
from orchestr.spec.field_types import show, suggest
from orchestr.spec.yaml_source import Document

Path_ = tuple[str | int, ...]


def check(
    document: Document, section: str, repos: Collection[str], agents: Collection[str] | None
) -> Iterable[Problem]:
    """Every problem; ``repos`` are those of the cells, ``agents`` None means: any will do."""
    raw = document.value
    cells = raw.get(section)
    names = list(cells) if isinstance(cells, dict) else []
    levels: list[tuple[Path_, Any]] = [(("defaults",), raw.get("defaults"))]
    levels += [((section, name), cells[name]) for name in names]
    for here, fields in levels:
        if not isinstance(fields, dict):
            continue
        for word in ("checks", "screenshots", "reviewers"):
            yield from _twice(document, (*here, word), fields.get(word))
        if agents is not None:
            yield from _agents(document, (*here, "reviewers"), fields.get("reviewers"), agents)
    yield from _twice(document, ("cross_checks",), raw.get("cross_checks"))
    yield from _repos(document, raw.get("cross_checks"), repos)
    yield from _owners(document, raw.get("contracts"), names)


def _items(listed: Any, field: str) -> list[tuple[int, str]]:
    """(index, value) of a text field of the mappings in a list."""
    if not isinstance(listed, list):
        return []
    found = ((i, item.get(field)) for i, item in enumerate(listed) if isinstance(item, dict))
    return [(i, value) for i, value in found if isinstance(value, str)]


def _twice(document: Document, here: Path_, listed: Any) -> Iterable[Problem]:
    seen: set[str] = set()
    for index, name in _items(listed, "name"):
        if name in seen:
            message = f"{show(name)} is the name of another one, too"
            yield document.problem((*here, index, "name"), message, "rename one of them")
        seen.add(name)


def _agents(
    document: Document, here: Path_, listed: Any, agents: Collection[str]
) -> Iterable[Problem]:
    for index, name in _items(listed, "agent"):
        if name not in agents:
            declare = "declare it in orchestr.toml, like [agents.my-agent]"
            hint = suggest(name, agents) or declare
            yield document.problem((*here, index, "agent"), f"there is no agent {show(name)}", hint)


def _repos(document: Document, listed: Any, repos: Collection[str]) -> Iterable[Problem]:
    for index, name in _items(listed, "repo"):
        if name not in repos:
            message = f"no cell works in a repository {show(name)}"
            yield document.problem(("cross_checks", index, "repo"), message, suggest(name, repos))


def _owners(document: Document, listed: Any, cells: Collection[str]) -> Iterable[Problem]:
    for index, name in _items(listed, "owner"):
        if name not in cells:
            message = f"there is no cell {show(name)}"
            yield document.problem(("contracts", index, "owner"), message, suggest(name, cells))
