"""What only Python has: docstrings, and ``from x import names``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from orchestr.landing.resolve.groups import lay_out_group
from orchestr.landing.resolve.languages import PYTHON
from orchestr.landing.resolve.order import find_order
from orchestr.landing.resolve.tree import (
    Element,
    Group,
    Node,
    Refused,
    Token,
    join_keys,
    with_lead,
)
from orchestr.landing.resolve.trivia import merge_prose, merge_white_space

Nodes = tuple[Node, ...]


def is_docstring(nodes: Nodes) -> bool:
    """Whether a head is nothing but a string in three quotes."""
    first = nodes[0]
    if len(nodes) != 1 or not isinstance(first, Token) or first.kind != "string":
        return False
    return first.text.lstrip("rRuU")[:3] in ('"""', "'''")


def merge_docstrings(base: Nodes, ours: Nodes, theirs: Nodes) -> Nodes:
    """Both sides' lines of one docstring. Raises Refused."""
    tokens = [nodes[0] for nodes in (base, ours, theirs) if isinstance(nodes[0], Token)]
    starts = {token.text[: token.text.index(token.text[-1]) + 3] for token in tokens}
    if len(starts) != 1:
        raise Refused("not the same quotes")
    (start,) = starts
    texts = [token.text[len(start) : -3] for token in tokens]
    old, mine, other = tokens
    text = start + merge_prose(texts[0], texts[1], texts[2]) + start[-3:]
    lead = merge_white_space(old.lead, mine.lead, other.lead)
    tail = merge_white_space(old.tail, mine.tail, other.tail)
    return (Token(text, "string", lead, tail),)


def merge_from_imports(base: Nodes | None, ours: Nodes, theirs: Nodes) -> Nodes:
    """Both sides' names of one ``from x import``. Raises Refused when it is not the same x."""
    splits = [_split_from_import(nodes) for nodes in (base or ours, ours, theirs)]
    if len({join_keys(before) for before, _, _ in splits}) != 1:
        raise Refused("not the same module")
    names = [elements for _, elements, _ in splits]
    if base is None:
        names[0] = ()
    merged = _merge_names(names[0], names[1], names[2])
    before, _, group = splits[1]
    _, _, other = splits[2]
    was = splits[0][2]
    lead = merge_white_space(splits[0][0][0].source, before[0].source, splits[2][0][0].source)
    first = before[0]
    if isinstance(first, Token):
        before = (replace(first, lead=lead.removesuffix(first.text)), *before[1:])
    style = group if (group is None) != (was is None) else other
    if style is None:
        return (*before, *_join_names(merged))
    shape = [item or style for item in (was, group, other)]
    return (*before, lay_out_group(merged, shape[0], shape[1], shape[2], PYTHON))


def _merge_names(
    base: tuple[Element, ...], ours: tuple[Element, ...], theirs: tuple[Element, ...]
) -> list[Element]:
    old, mine, other = ([element.key for element in names] for names in (base, ours, theirs))
    kept = [element for element in ours if element.key not in old or element.key in other]
    added = [element for element in theirs if element.key not in old and element.key not in mine]
    order = find_order(mine, other)
    if not kept and not added:
        raise Refused("nothing is left of an import")
    if order is None:
        return [*kept, *added]
    return sorted([*kept, *added], key=lambda element: order(element.key))


def is_from_import(nodes: Sequence[Node]) -> bool:
    """Whether a head is Python's ``from x import names``."""
    words = [node.text for node in nodes if isinstance(node, Token)]
    return words[:1] == ["from"] and "import" in words


def _split_from_import(
    nodes: tuple[Node, ...],
) -> tuple[tuple[Node, ...], tuple[Element, ...], Group | None]:
    """What stands before the names, the names, and the brackets around them. Raises Refused."""
    at = next(
        at for at, node in enumerate(nodes) if isinstance(node, Token) and node.text == "import"
    )
    before, names = nodes[: at + 1], nodes[at + 1 :]
    if len(names) == 1 and isinstance(names[0], Group):
        return before, names[0].elements, names[0]
    elements: list[Element] = []
    current: list[Node] = []
    for node in names:
        if isinstance(node, Group) or node.text == "*":
            raise Refused("not a list of names")
        if node.text == ",":
            elements.append(Element(tuple(current), node))
            current = []
        else:
            current.append(node)
    return before, (*elements, Element(tuple(current))), None


def _join_names(elements: Sequence[Element]) -> tuple[Node, ...]:
    """Names one after the other, without brackets."""
    nodes: list[Node] = []
    for at, element in enumerate(elements):
        nodes += with_lead(element.nodes, " ")
        if at + 1 < len(elements):
            nodes.append(replace(element.comma or Token(","), lead="", tail=""))
    return tuple(nodes)
