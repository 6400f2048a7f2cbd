"""A file as a tree whose texts, one after the other, are the file.

A *block* is a sequence of *items*: logical lines, each with what belongs to it (the suite of a
`def`, the section below a heading). An item's head is made of tokens and *groups*; a group is what
stands in brackets: elements between commas, or a block. White space and comments belong to the
token behind them (``lead``), a comment at the end of a line to the one before it (``tail``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property


class Refused(Exception):
    """The merge cannot be proven here; the file stays conflicted."""


class NameTwice(Refused):
    """Both sides give one name another meaning: no order and no choice of lines is right."""


@dataclass(frozen=True)
class Token:
    """``kind``: word, number, string, op, line (of prose), newline (inside a head)."""

    text: str
    kind: str = "op"
    lead: str = ""
    tail: str = ""

    @property
    def key(self) -> str:
        """What it is, without white space and comments."""
        return self.text

    @property
    def source(self) -> str:
        return self.lead + self.text + self.tail


@dataclass(frozen=True)
class Element:
    """One of a group's elements, with the comma behind it."""

    nodes: tuple[Node, ...]
    comma: Token | None = None

    @cached_property
    def key(self) -> str:
        return join_keys(self.nodes)

    @cached_property
    def source(self) -> str:
        return join_sources(self.nodes) + (self.comma.source if self.comma else "")


@dataclass(frozen=True)
class Group:
    """What stands in brackets: ``elements``, or a ``block``."""

    opening: Token
    closing: Token
    elements: tuple[Element, ...] = ()
    block: Block | None = None

    @cached_property
    def key(self) -> str:
        inner = self.block.key if self.block else ",".join(item.key for item in self.elements)
        return f"{self.opening.text}{inner}{self.closing.text}"

    @cached_property
    def source(self) -> str:
        inner = self.block.source if self.block else join_sources(self.elements)
        return self.opening.source + inner + self.closing.source


Node = Token | Group


@dataclass(frozen=True)
class Item:
    """A logical line and what belongs to it; ``end`` is the white space and newline behind it."""

    head: tuple[Node, ...]
    end: str = "\n"
    body: Block | None = None

    @cached_property
    def key(self) -> str:
        return join_keys(self.head) + ("\n" + self.body.key if self.body else "")

    @cached_property
    def source(self) -> str:
        return join_sources(self.head) + self.end + (self.body.source if self.body else "")

    @property
    def lead(self) -> str:
        return first_token(self.head).lead


@dataclass(frozen=True)
class Block:
    """``tail``: white space and comments behind the last item."""

    items: tuple[Item, ...] = ()
    tail: str = ""

    @cached_property
    def key(self) -> str:
        return "\n".join(item.key for item in self.items)

    @cached_property
    def source(self) -> str:
        return join_sources(self.items) + self.tail


def join_keys(nodes: Iterable[Node]) -> str:
    """The keys of nodes, one after the other."""
    return " ".join(node.key for node in nodes)


def join_sources(parts: Iterable[Node | Element | Item]) -> str:
    """The text of parts, one after the other."""
    return "".join(part.source for part in parts)


def first_token(nodes: tuple[Node, ...]) -> Token:
    """The token that nodes begin with."""
    node = nodes[0]
    return node if isinstance(node, Token) else node.opening


def with_lead(nodes: tuple[Node, ...], lead: str) -> tuple[Node, ...]:
    """The same nodes with other white space before them."""
    node = nodes[0]
    if isinstance(node, Token):
        return (replace(node, lead=lead), *nodes[1:])
    return (replace(node, opening=replace(node.opening, lead=lead)), *nodes[1:])


def move_item(item: Item, lead: str) -> Item:
    """The same item with other white space before it."""
    return replace(item, head=with_lead(item.head, lead))


def iterate_tokens(part: Node | Element | Item | Block) -> Iterator[Token]:
    """All tokens of a part, in order; commas of groups are left out."""
    match part:
        case Token():
            yield part
        case Element(nodes=nodes):
            for node in nodes:
                yield from iterate_tokens(node)
        case Group():
            yield part.opening
            for inner in (part.block,) if part.block else part.elements:
                yield from iterate_tokens(inner)
            yield part.closing
        case Item():
            for node in part.head:
                yield from iterate_tokens(node)
            if part.body:
                yield from iterate_tokens(part.body)
        case Block(items=items):
            for item in items:
                yield from iterate_tokens(item)
