"""A todo that says it uses what another cell makes, in a cell that does not wait for it.

Without an edge the two agents start at once, and the one that needs the other's code does not find
it. A cell's name is often a plain word (`api`, `tests`), so a name alone says nothing: it counts
behind words of use, and only where it can be nothing but the cell. ``what the api cell makes`` and
``built by c0`` are reported; ``add tests to the api`` is not.

`find_missing_edges` is pure; `missing_edge_problems` adds the lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from orchestr.errors import Problem
from orchestr.spec.locate import locate_cell_fields
from orchestr.spec.records import Cell, Feature

_MADE = (
    r"(?:adds?|added|build|builds|built|changes|changed|creates?|created|defines?|defined|delivers?|"
    r"delivered|exports?|exported|generates?|generated|implements?|implemented|introduces?|"
    r"introduced|made|makes?|offers?|offered|produces?|produced|provides?|provided|publishes|"
    r"published|writes?|wrote|written)"
)
_THING = (
    r"(?:api|branch|change|changes|client|code|function|module|output|result|results|type|work)"
)
_USE = (
    r"(?:after|against|based on|builds? on|calls?|consumes?|depends? on|from|imports?|needs?|"
    r"on top of|relies on|rely on|uses?|using|waits? for)"
)
_NAME = "\x00"  # stands for the name that is looked for: one expression serves all names
_BARE = re.compile(r"(?<![\w/.-])[a-z](?:[a-z0-9-]*[a-z0-9])?(?![\w/-]|\.\w)")
_QUOTED = rf"[`'\"]{_NAME}[`'\"]"
_CELL = rf"(?:the )?(?:{_NAME}|{_QUOTED})"
_WAYS = [
    rf"\bwhat {_CELL}(?: cell)? (?:has |will )?{_MADE}\b",
    rf"\b{_MADE} (?:by|in|from) (?:the )?(?:cell {_CELL}|{_CELL} cell)(?![\w-])",
    rf"\b{_USE} (?:[\w-]+ ){{0,4}}?(?:cell {_CELL}|{_CELL} cell)(?![\w-])",
    rf"\b{_MADE} by {_CELL}(?![\w-])",
    rf"\b(?:that|which) {_CELL}(?: cell)? (?:has |will )?{_MADE}\b",
    rf"\b{_USE} {_QUOTED}'s {_THING}\b",
]
_PLAIN = re.compile("|".join(_WAYS))
# For a name that can hardly be anything else.
_DISTINCT = re.compile(
    "|".join(
        [
            *_WAYS,
            rf"\b{_USE} (?:the )?(?:[\w-]+ ){{0,2}}?(?:of |from |in )?{_CELL}(?![\w-])",
            rf"\b{_USE} {_NAME}'s\b",
        ]
    )
)
_WORD = re.compile(r"[a-z](?:[a-z0-9-]*[a-z0-9])?")
_NOT = re.compile(r"\b(?:not|never|no longer|without|instead of|unlike|rather than|n't)\b|n't\b")


class MissingEdge(NamedTuple):
    """``cell`` names ``upstream`` in its todo ``item`` and does not depend on it."""

    cell: str
    item: int
    upstream: str


def find_missing_edges(feature: Feature) -> tuple[MissingEdge, ...]:
    """Each pair of cells once, in spec order; a way between them in either direction is enough."""
    cells = {cell.name: cell for cell in feature.cells}
    repos = frozenset(cell.repo for cell in feature.cells)
    return tuple(edge for cell in feature.cells for edge in _find_in_cell(cell, cells, repos))


def missing_edge_problems(feature: Feature, root: Path) -> list[Problem]:
    """A warning for each, at the todo. ``root``: the workspace."""
    found = find_missing_edges(feature)
    paths = [(edge.cell, "todo", edge.item) for edge in found]
    places = locate_cell_fields(root, feature.path, paths)
    return [
        Problem(
            *place,
            "",
            f"the todo of {edge.cell} seems to use what {edge.upstream} makes, and does not wait "
            "for it",
            f"write `depends_on: [{edge.upstream}]` in {edge.cell}, or name it otherwise",
            "warning",
        )
        for edge, place in zip(found, places, strict=True)
    ]


def _find_in_cell(
    cell: Cell, cells: dict[str, Cell], repos: frozenset[str]
) -> Iterator[MissingEdge]:
    told: set[str] = set()
    linked: set[str] | None = None
    for index, todo in enumerate(cell.todo):
        text = todo.lower()
        for name in dict.fromkeys(_WORD.findall(text)):
            if name not in cells or name == cell.name or name in told:
                continue
            pattern = _DISTINCT if _is_distinct(name, repos) else _PLAIN
            sentences = _split_sentences(_mark_name(text, name))
            if not any(_is_meant(sentence, pattern) for sentence in sentences):
                continue
            linked = _list_upstreams(cell.name, cells) if linked is None else linked
            if name not in linked and cell.name not in _list_upstreams(name, cells):
                told.add(name)
                yield MissingEdge(cell.name, index, name)


def _mark_name(text: str, name: str) -> str:
    """The text with the mark where the name stands alone, not as a part of a path or a word."""
    return _BARE.sub(lambda found: _NAME if found[0] == name else found[0], text)


def _is_meant(sentence: str, pattern: re.Pattern[str]) -> bool:
    return pattern.search(sentence) is not None and _NOT.search(sentence) is None


def _split_sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.;!?])\s+|\n", text)


def _is_distinct(name: str, repos: frozenset[str]) -> bool:
    """Whether the name can hardly be a plain word or a repository's."""
    return name not in repos and re.search(r"[0-9-]", name) is not None


def _list_upstreams(name: str, cells: dict[str, Cell]) -> set[str]:
    """Every upstream, near and far."""
    found: set[str] = set()
    todo = [name]
    while todo:
        for upstream in cells[todo.pop()].depends_on:
            if upstream in cells and upstream not in found:
                found.add(upstream)
                todo.append(upstream)
    return found
