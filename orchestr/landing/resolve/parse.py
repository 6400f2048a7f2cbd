"""From text to tree (`orchestr.landing.resolve.tree`), for Python, brace languages, JSON and TOML.

No grammar: strings, comments and brackets are read exactly, lines are joined where a language goes
on, and Python nests by indentation. What does not fit (a bracket that nothing closes) is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from orchestr.landing.resolve.languages import GO, RUST, SCRIPT, Kind, Language
from orchestr.landing.resolve.tree import (
    Block,
    Element,
    Group,
    Item,
    Node,
    Refused,
    Token,
    first_token,
    iterate_tokens,
    move_item,
    with_lead,
)

CLOSERS = {"(": ")", "[": "]", "{": "}"}
DEEPEST = 100  # nested brackets

# A line that ends or goes on with one of these is continued on the next.
_GOES_ON = frozenset(
    {
        "=", "+", "-", "&&", "||", "?", "=>", "|", "&", ".", ":=", "+=", "-=", "*=", "==", "!=",
        "<", ">", "<=", ">=", "->",
    }
)  # fmt: skip
_CONTINUES = frozenset({".", "?.", "&&", "||", "+", "?", ":", "=", "|", "where"})
_AFTER_BRACE = frozenset({"else", "catch", "finally"})
_GO_LISTS = frozenset({"import", "const", "var", "type"})
_LABELS = frozenset({"case", "default"})


@lru_cache(maxsize=32)
def parse_tree(text: str, language: Language) -> Block:
    """The tree of a text that ends with a newline or is empty. Raises Refused."""
    parser = _Parser(_read_tokens(text, language), language)
    block = parser.read_block("")
    if language.kind is Kind.INDENTED:
        block = replace(block, items=_nest_by_indentation(block.items))
    elif language.kind is Kind.TOML:
        block = replace(block, items=_nest_below(block.items, _is_table_header))
    if block.source != text:
        raise Refused("the tree is not the text")
    return block


def _read_tokens(text: str, language: Language) -> list[Token]:
    """All tokens, newlines among them; the last is empty and has what is left as its ``lead``."""
    found: list[Token] = []
    lead = ""
    pieces = [(piece.lastgroup or "", piece[0]) for piece in language.pieces.finditer(text)]
    at = 0
    while at < len(pieces):
        kind, piece = pieces[at]
        at += 1
        if kind in ("space", "comment"):
            lead += piece
            continue
        if kind == "op" and piece == '"' and language is not SCRIPT:
            raise Refused("a string that is not closed")
        tail, end = "", at
        while kind != "newline" and end < len(pieces) and pieces[end][0] in ("space", "comment"):
            tail += pieces[end][1]
            end += 1
        if tail.strip(" \t\f\r\\\n") and end < len(pieces) and pieces[end][0] == "newline":
            at = end
        else:
            tail = ""
        found.append(Token(piece, kind, lead, tail))
        lead = ""
    return [*found, Token("", "end", lead)]


@dataclass
class _Parser:
    tokens: list[Token]
    language: Language
    at: int = 0
    depth: int = 0

    def read_block(self, closing: str) -> Block:
        """Items up to ``closing``, which is left to the caller; "" is the end of the text."""
        items: list[Item] = []
        while True:
            pending = self._skip_newlines()
            token = self.tokens[self.at]
            if token.kind == "end" or token.text in CLOSERS.values():
                if token.text != closing:
                    raise Refused("brackets do not match")
                return Block(tuple(items), pending + (token.lead if not closing else ""))
            item = self._read_item()
            items.append(move_item(item, pending + item.lead) if pending else item)

    def _skip_newlines(self) -> str:
        pending = ""
        while self.tokens[self.at].kind == "newline":
            pending += self.tokens[self.at].source
            self.at += 1
        return pending

    def _read_item(self) -> Item:
        nodes: list[Node] = []
        line = 0  # where in `nodes` the physical or decorator line began
        while True:
            token = self.tokens[self.at]
            if token.kind == "end" or token.text in CLOSERS.values():
                return Item(tuple(nodes), "")
            if token.kind != "newline":
                nodes.append(self._read_node(nodes))
                continue
            start = self.at
            pending = self._skip_newlines()
            if not self._goes_on(nodes[line:], pending):
                self.at = start + 1
                return Item(tuple(nodes), token.source)
            line = len(nodes)
            node = self._read_node(nodes)
            nodes.append(with_lead((node,), pending + first_token((node,)).lead)[0])

    def _goes_on(self, line: list[Node], pending: str) -> bool:
        following = self.tokens[self.at]
        if following.kind == "end" or following.text in CLOSERS.values():
            return False
        first = first_token(tuple(line)).text
        if self.language.kind is Kind.INDENTED:
            return first == "@"
        if self.language.kind is not Kind.BRACED:
            return False
        if _is_annotation(line, self.language):
            return True
        *_, last = iterate_tokens(line[-1])
        if last.text in _GOES_ON and last.kind == "op":
            return True
        if following.text == "{":
            return last.text not in (";", "}", ",", "{") and pending.count("\n") == 1
        if following.text in _AFTER_BRACE:
            return last.text == "}"
        return following.text in _CONTINUES and following.kind in ("op", "word")

    def _read_node(self, before: list[Node]) -> Node:
        token = self.tokens[self.at]
        if token.kind != "op" or token.text not in CLOSERS:
            self.at += 1
            return token
        self.depth += 1
        if self.depth > DEEPEST:
            raise Refused("brackets are nested too deeply")
        self.at += 1
        if self._holds_block(token, before):
            start = self.tokens[self.at]
            if start.kind == "newline":
                self.at += 1
                token = replace(token, tail=token.tail + start.source)
            block = self.read_block(CLOSERS[token.text])
            block = replace(block, items=_nest_below(block.items, _is_label))
            group = Group(token, self._read_closing(), block=block)
        else:
            elements = self._read_elements(CLOSERS[token.text])
            pending = self._skip_newlines()
            closing = self._read_closing()
            group = Group(token, replace(closing, lead=pending + closing.lead), elements)
        self.depth -= 1
        return group

    def _read_closing(self) -> Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def _read_elements(self, closing: str) -> tuple[Element, ...]:
        found: list[Element] = []
        nodes: list[Node] = []
        whole = False  # commas in it separate no elements: a comprehension, a for loop's head
        while True:
            start = self.at
            pending = self._skip_newlines()
            token = self.tokens[self.at]
            if token.kind == "end" or token.text in CLOSERS.values():
                if token.text != closing:
                    raise Refused("brackets do not match")
                self.at = start
                break
            node = self._read_node(nodes)
            if pending:
                (node,) = with_lead((node,), pending + first_token((node,)).lead)
            if isinstance(node, Token) and node.text == "," and node.kind == "op":
                if not nodes:
                    raise Refused("an element is missing")
                found.append(Element(tuple(nodes), node))
                nodes = []
                continue
            if isinstance(node, Token):
                whole = whole or node.text == ";" or self._is_no_list(node)
            nodes.append(node)
        if nodes:
            found.append(Element(tuple(nodes)))
        return _join_elements(found) if whole else tuple(found)

    def _is_no_list(self, node: Token) -> bool:
        return self.language.kind is Kind.INDENTED and node.text in ("for", "lambda")

    def _holds_block(self, opening: Token, before: list[Node]) -> bool:
        if self.language.kind is not Kind.BRACED or opening.text == "[":
            return False
        if opening.text == "(":
            words = [node.text if isinstance(node, Token) else "" for node in before]
            return self.language is GO and len(words) == 1 and words[0] in _GO_LISTS
        return not self._looks_like_list()

    def _looks_like_list(self) -> bool:
        """Whether commas separate what stands behind this brace: an object, not statements."""
        depth, at, commas, last = 0, self.at, 0, ","
        words: list[Token] = []
        while True:
            token = self.tokens[at]
            at += 1
            if token.kind == "end":
                raise Refused("brackets do not match")
            if token.kind == "newline":
                following = self.tokens[at]
                ends = following.kind == "newline" or following.text == "}"
                if depth == 0 and last != "," and not ends:
                    return False
                continue
            if token.text in CLOSERS and token.kind == "op":
                depth += 1
            elif token.text in CLOSERS.values() and token.kind == "op":
                depth -= 1
                if depth < 0:
                    break
            elif depth == 0 and (
                token.text == ";" or (token.text == "=>" and self.language is RUST)
            ):
                return False
            elif depth == 0 and token.text == ",":
                commas += 1
            words.append(token)
            last = token.text
        if commas:
            return words[0].text not in _LABELS
        key = len(words) > 1 and words[1].text == ":" and words[0].text not in _LABELS
        return (len(words) == 1 and words[0].kind != "op") or key


def _is_annotation(line: list[Node], language: Language) -> bool:
    first = line[0]
    if not isinstance(first, Token):
        return False
    if first.text == "#" and language is RUST:
        return len(line) in (2, 3) and isinstance(line[-1], Group)
    if first.text != "@" or language is GO:
        return False
    shape = "".join(node.kind[0] if isinstance(node, Token) else "g" for node in line)
    while shape.endswith("ow"):
        shape = shape[:-2]
    return shape in ("", "owg", "owowg") or (shape.endswith("g") and set(shape[:-1]) <= set("ow"))


def _join_elements(elements: list[Element]) -> tuple[Element, ...]:
    nodes: list[Node] = []
    for element in elements[:-1]:
        nodes += [*element.nodes, *([element.comma] if element.comma else [])]
    last = elements[-1]
    return (Element((*nodes, *last.nodes), last.comma),)


def _nest_by_indentation(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Give every line that ends with a colon the deeper lines behind it."""
    stack: list[tuple[int, list[Item]]] = [(-1, [])]
    for item in items:
        indentation = len(item.lead.rpartition("\n")[2].expandtabs(8))
        while len(stack) > 1 and stack[-1][0] > indentation:
            _close_suite(stack)
        if stack[-1][0] < indentation:
            if len(stack) > 1 and not _opens_suite(stack[-1][1][-1]):
                raise Refused("unexpected indentation")
            stack.append((indentation, []))
        stack[-1][1].append(item)
    while len(stack) > 2:
        _close_suite(stack)
    return tuple(stack[-1][1]) if len(stack) > 1 else ()


def _close_suite(stack: list[tuple[int, list[Item]]]) -> None:
    _, inner = stack.pop()
    if not stack[-1][1]:
        raise Refused("unexpected indentation")
    owner = stack[-1][1].pop()
    stack[-1][1].append(replace(owner, body=Block(tuple(inner))))


def _opens_suite(item: Item) -> bool:
    return item.head[-1].key == ":"


def _nest_below(items: tuple[Item, ...], opens: Callable[[Item], bool]) -> tuple[Item, ...]:
    """Give every item that opens a block the lines behind it, up to the next one that does."""
    found: list[Item] = []
    for item in items:
        if opens(item):
            found.append(replace(item, body=Block()))
        elif found and (body := found[-1].body) is not None:
            found[-1] = replace(found[-1], body=replace(body, items=(*body.items, item)))
        else:
            found.append(item)
    return tuple(found)


def _is_label(item: Item) -> bool:
    """Whether it is a case of a switch."""
    return first_token(item.head).text in _LABELS and _opens_suite(item)


def _is_table_header(item: Item) -> bool:
    """Whether it is a header of TOML."""
    return isinstance(item.head[0], Group)
