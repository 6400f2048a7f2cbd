"""Texts that YAML cut at a comma: ``[apply(price, percent) in x.py]`` are two items, silently.

Inside of ``[...]`` and ``{...}`` a comma ends a text without quotes, whatever brackets or quotes it
has inside. That is hard to see in the file, and an agent gets half sentences. So a text there that
opens a round bracket it does not close, or a quote that a later text closes, is reported, with
the whole of it in quotes. A bracket that only closes (``a) first, b) second``) and an apostrophe
open nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from orchestr.spec.field_types import escape_unprintable

QUOTES = "\"'`"
_TRAILING_COMMENT = re.compile(r"\s+#.*$")


@dataclass(frozen=True, slots=True)
class SplitText:
    """A text that was cut. ``path`` and ``mark`` are those of its first part; ``whole`` is what it
    would be in one piece; empty if nothing closes what is ``opened``."""

    path: tuple[str | int, ...]
    mark: Any
    first: str
    opened: str
    whole: str


@dataclass(frozen=True, slots=True)
class _Part:
    """A place between two commas; ``text`` is empty for what is no plain text."""

    path: tuple[str | int, ...]
    start: Any
    end: Any
    text: str


def find_split_texts(root: Any, lines: Sequence[str]) -> Iterator[SplitText]:
    """Every cut text below a composed node, in the order of the file. ``lines`` are the file's."""
    seen: set[int] = set()
    todo: list[tuple[Any, tuple[str | int, ...]]] = [(root, ())]
    while todo:
        node, path = todo.pop()
        if isinstance(node, yaml.ScalarNode) or id(node) in seen:
            continue
        seen.add(id(node))
        children = list(_list_children(node, path))
        todo += reversed([(child, where) for child, where, _ in children])
        if node.flow_style:
            yield from _compare_parts([_make_part(*child) for child in children], lines)


def _list_children(
    node: Any, path: tuple[str | int, ...]
) -> Iterator[tuple[Any, tuple[str | int, ...], Any]]:
    """Child, its path, and its key where it has one."""
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield item, (*path, index), None
    else:
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            yield value, (*path, name), key


def _make_part(node: Any, path: tuple[str | int, ...], key: Any) -> _Part:
    """A plain text; of ``{title: f(a, b)}`` the second one is the key ``b)`` of nothing, and
    ``[f(x: int, y)]`` begins with a mapping that was not meant.
    """
    pair = _read_bare_pair(node) if key is None else None
    if pair is not None:
        return _Part(path, node.start_mark, pair[1].end_mark, f"{pair[0].value}: {pair[1].value}")
    if key is not None and isinstance(node, yaml.ScalarNode) and not node.value and not node.style:
        node = key
    plain = isinstance(node, yaml.ScalarNode) and not node.style  # libyaml: ""
    return _Part(path, node.start_mark, node.end_mark, node.value if plain else "")


def _read_bare_pair(node: Any) -> tuple[Any, Any] | None:
    """Key and value of ``[key: value]``, a mapping of plain texts without braces."""
    if not isinstance(node, yaml.MappingNode) or len(node.value) != 1:
        return None
    key, value = node.value[0]
    plain = all(isinstance(n, yaml.ScalarNode) and not n.style for n in (key, value))
    bare = plain and node.start_mark.index == key.start_mark.index
    return (key, value) if bare else None


def _compare_parts(parts: Sequence[_Part], lines: Sequence[str]) -> Iterator[SplitText]:
    index = 0
    while index < len(parts):
        part = parts[index]
        opened = find_open_mark(part.text)
        last = _find_closing_part(parts, index, opened) if opened else None
        if opened and (last is not None or opened == "("):
            whole = "" if last is None else _cut_source(lines, part.start, parts[last].end)
            yield SplitText(part.path, part.start, part.text, opened, whole)
            index = index if last is None else last
        index += 1


def _find_closing_part(parts: Sequence[_Part], index: int, opened: str) -> int | None:
    """The first later part with which the text is whole."""
    text = parts[index].text
    for later in range(index + 1, len(parts)):
        text += f", {parts[later].text}"
        if find_open_mark(text) is None:
            return later if opened in ")(" or opened in parts[later].text else None
    return None


def find_open_mark(text: str) -> str | None:
    """The bracket or quote that is opened first and not closed, or None."""
    open_: list[str] = []
    for index, char in enumerate(text):
        inside = open_[-1] if open_ and open_[-1] in QUOTES else None
        if inside is not None:
            if char == inside and not _continues_word(text, index):
                open_.pop()
        elif char == "(":
            open_.append(char)
        elif char == ")":
            if open_:
                open_.pop()
        elif char in QUOTES and _starts_word(text, index):
            open_.append(char)
    return open_[0] if open_ else None


def _starts_word(text: str, index: int) -> bool:
    """Whether a quote opens: something stands right behind it, and no letter before."""
    before, after = text[index - 1 : index] if index else "", text[index + 1 : index + 2]
    return not before.isalnum() and before not in tuple(QUOTES) and after.strip() != ""


def _continues_word(text: str, index: int) -> bool:
    """Whether a quote is an apostrophe: letters on both sides."""
    return index > 0 and text[index - 1].isalnum() and text[index + 1 : index + 2].isalnum()


def _cut_source(lines: Sequence[str], start: Any, end: Any) -> str:
    """What stands in the file from one mark to the other, as one line in quotes."""
    if start.line == end.line:
        text = lines[start.line][start.column : end.column]
    else:
        rows = [lines[start.line][start.column :], *lines[start.line + 1 : end.line]]
        rows = [_TRAILING_COMMENT.sub("", row) for row in rows]
        text = " ".join([*map(str.strip, rows), lines[end.line][: end.column].strip()])
    return escape_unprintable(quote_text(text))


def quote_text(text: str) -> str:
    """A text as YAML writes it in quotes."""
    if '"' not in text and "\\" not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "''") + "'"
