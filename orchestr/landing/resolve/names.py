"""What an item or an element is called: what makes it the same one after a change, and what must
not stand twice beside each other."""

from __future__ import annotations

import re
from enum import Enum

from orchestr.landing.resolve.languages import GO, PYTHON, RUST, Kind, Language
from orchestr.landing.resolve.prose import find_line_name
from orchestr.landing.resolve.tree import (
    Element,
    Group,
    Item,
    Node,
    Token,
    first_token,
    iterate_tokens,
    join_keys,
)


class Sort(Enum):
    """What an item does."""

    IMPORT = "import"
    DEFINITION = "definition"  # a function, a class, a type
    VALUE = "value"  # a constant, a field, a key, an enum's member: a name and what it stands for
    CASE = "case"  # a test, a case of a switch, a table's header: a block with a title
    STATEMENT = "statement"


_PYTHON_WORDS = frozenset({"def", "class"})
_BRACED_WORDS = frozenset(
    {
        "func", "function", "class", "interface", "struct", "enum", "trait", "fn", "type", "mod",
        "namespace", "module", "record", "union", "object", "message", "service", "rpc",
        "protocol", "extension", "typedef", "macro_rules",
    }
)  # fmt: skip
_MODIFIERS = frozenset(
    {
        "public", "private", "protected", "static", "final", "abstract", "async", "export",
        "default", "pub", "const", "let", "var", "val", "override", "readonly", "unsafe",
        "extern", "inline", "virtual", "synchronized", "native", "mut", "declare", "lateinit",
        "internal", "sealed", "open", "data", "partial", "constexpr", "explicit", "friend",
    }
)  # fmt: skip
_CONTROL = frozenset(
    {
        "if", "for", "while", "switch", "match", "return", "else", "try", "catch", "finally",
        "do", "loop", "select", "defer", "go", "throw", "raise", "with", "elif", "except",
        "assert", "del", "global", "nonlocal", "pass", "break", "continue", "yield", "await",
        "delete", "new", "goto", "case", "default", "print", "panic",
    }
)  # fmt: skip
KEYWORDS = _BRACED_WORDS | _MODIFIERS | _CONTROL
_TESTS = frozenset(
    {
        "it", "test", "describe", "context", "suite", "beforeEach", "afterEach", "before",
        "after", "each", "Run", "specify", "step",
    }
)  # fmt: skip


def classify_item(item: Item, language: Language) -> tuple[Sort, str | None]:
    """What an item does, and its name; None: it has none, and only its text tells it apart."""
    nodes = _skip_decorators(item.head)
    if not nodes:
        return Sort.STATEMENT, None
    words = [node.text for node in nodes if isinstance(node, Token)]
    first = words[0] if words else ""
    match language.kind:
        case Kind.TOML:
            return _classify_toml(item)
        case Kind.JSON:
            return Sort.VALUE, "root"
        case Kind.PROSE | Kind.YAML:
            return _classify_line(nodes[0])
        case Kind.INDENTED:
            return _classify_python(nodes, words, first)
        case Kind.BRACED:
            return _classify_braced(nodes, words, first, language)
        case _:
            return Sort.STATEMENT, None


def decorators_of(head: tuple[Node, ...]) -> tuple[Node, ...]:
    """What stands in the lines before a definition."""
    return head[: len(head) - len(_skip_decorators(head))]


def _skip_decorators(head: tuple[Node, ...]) -> tuple[Node, ...]:
    """The head without what stands in the lines before a definition."""
    at = start = 0
    while start < len(head):
        first = head[start]
        if not isinstance(first, Token) or first.text not in ("@", "#") or first.kind != "op":
            break
        at = start + 1
        while at < len(head) and "\n" not in first_token(head[at : at + 1]).lead:
            at += 1
        start = at
    return head[start:]


def _classify_line(node: Node) -> tuple[Sort, str | None]:
    if not isinstance(node, Token):
        return Sort.STATEMENT, None
    sorts = {"heading": Sort.CASE, "key": Sort.VALUE, "definition": Sort.VALUE}
    return sorts.get(node.kind, Sort.STATEMENT), find_line_name(node)


def _classify_toml(item: Item) -> tuple[Sort, str | None]:
    if isinstance(item.head[0], Group):
        name = item.head[0].key
        return Sort.CASE, None if name.startswith("[[") else name
    key = "".join(token.text for token in iterate_tokens(item)).partition("=")[0]
    return Sort.VALUE, key


def _classify_python(
    nodes: tuple[Node, ...], words: list[str], first: str
) -> tuple[Sort, str | None]:
    if first in ("import", "from"):
        return Sort.IMPORT, _name_import(words, first)
    start = words[1:] if first == "async" else words
    if start and start[0] in _PYTHON_WORDS and len(start) > 1:
        return Sort.DEFINITION, start[1]
    if len(nodes) == 1 and isinstance(nodes[0], Token) and nodes[0].kind == "string":
        return Sort.STATEMENT, "docstring"
    if first in _CONTROL:
        simple = first in ("return", "raise", "else", "try", "finally", "yield")
        return Sort.STATEMENT, first if simple else join_keys(nodes)
    target = _find_target(nodes)
    if target is not None:
        return Sort.VALUE, target
    return Sort.STATEMENT, join_keys(take_before_group(nodes)) or None


def _name_import(words: list[str], first: str) -> str:
    if first == "from" and "import" in words:
        return "from " + "".join(words[1 : words.index("import")])
    return " ".join(words)


def _find_target(nodes: tuple[Node, ...]) -> str | None:
    """The dotted name that is assigned or annotated; None for anything else."""
    target = ""
    for node in nodes:
        if not isinstance(node, Token):
            return None
        if node.text in ("=", ":", ":="):
            return target or None
        if node.kind not in ("word", "op") or (node.kind == "op" and node.text != "."):
            return None
        target += node.text
    return None


def take_before_group(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The nodes up to the first bracket."""
    for at, node in enumerate(nodes):
        if isinstance(node, Group):
            return nodes[:at]
    return nodes


def _classify_braced(
    nodes: tuple[Node, ...], words: list[str], first: str, language: Language
) -> tuple[Sort, str | None]:
    if first == "#" and len(words) > 1:
        name = join_keys(nodes)
        return (Sort.IMPORT if words[1] == "include" else Sort.STATEMENT), name
    plain = [word for word in words if word not in _MODIFIERS]
    imports = ("import", "using", "use") if language is RUST else ("import", "using")
    if first in imports or (plain and plain[0] in imports[::2]):
        return Sort.IMPORT, " ".join(words)
    if first in ("case", "default"):
        head = join_keys(nodes).partition(":")[0]
        return Sort.CASE, head
    if first in _CONTROL and first not in ("default", "new"):
        return Sort.STATEMENT, join_keys(_before_block(nodes))
    called = _name_test(nodes)
    if called is not None:
        return Sort.CASE, called
    for at, node in enumerate(nodes):
        if isinstance(node, Token) and node.text == "impl":
            return Sort.DEFINITION, join_keys(take_before_group(nodes))
        if isinstance(node, Token) and node.text in _BRACED_WORDS and node.kind == "word":
            return Sort.DEFINITION, _name_definition(nodes[at + 1 :], language)
        if isinstance(node, Group):
            break
    return _classify_member(nodes, words, plain, language)


def _before_block(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    for at, node in enumerate(nodes):
        if isinstance(node, Group) and node.opening.text == "{":
            return nodes[:at]
    return nodes[:1] if isinstance(nodes[0], Token) and nodes[0].text == "return" else nodes


def _name_test(nodes: tuple[Node, ...]) -> str | None:
    """The title of a call such as ``it("adds", () => {...})``."""
    group = next((node for node in nodes if isinstance(node, Group)), None)
    before = take_before_group(nodes)
    if group is None or group.opening.text != "(" or not before or not group.elements:
        return None
    last = before[-1]
    if not isinstance(last, Token) or last.text not in _TESTS:
        return None
    title = group.elements[0].nodes
    if len(title) == 1 and isinstance(title[0], Token) and title[0].kind == "string":
        return f"{join_keys(before)} {title[0].text}"
    return None


def _name_definition(nodes: tuple[Node, ...], language: Language) -> str | None:
    receiver = ""
    if language is GO and nodes and isinstance(nodes[0], Group):
        tokens = [token.text for token in iterate_tokens(nodes[0]) if token.kind == "word"]
        receiver = f"{tokens[-1]}." if tokens else "."
        nodes = nodes[1:]
    for node in nodes:
        if isinstance(node, Token) and node.kind == "word" and node.text not in _BRACED_WORDS:
            return receiver + node.text
        if isinstance(node, Group):
            return None
    return None


def _classify_member(
    nodes: tuple[Node, ...], words: list[str], plain: list[str], language: Language
) -> tuple[Sort, str | None]:
    if language is RUST and "=>" in words:
        arm = next(at for at, node in enumerate(nodes) if node.key == "=>")
        return Sort.CASE, join_keys(nodes[:arm])
    groups = [node for node in nodes if isinstance(node, Group)]
    round_ = next((node for node in groups if node.opening.text == "("), None)
    has_body = bool(groups) and groups[-1].opening.text == "{" and isinstance(nodes[-1], Group)
    assigned = next(
        (at for at, node in enumerate(nodes)
         if isinstance(node, Token) and node.text in ("=", ":=", ":")), None
    )  # fmt: skip
    called = nodes.index(round_) if round_ is not None else len(nodes)
    if round_ is not None and has_body and (assigned is None or assigned > called):
        name = nodes[called - 1] if called else None
        if isinstance(name, Token) and name.kind == "word":
            return Sort.DEFINITION, f"{name.text}{_count_parameters(round_)}"
        return Sort.STATEMENT, None
    if assigned is not None and assigned < called:
        left = [node for node in nodes[:assigned] if not _is_modifier(node)]
        names = [node for node in left if isinstance(node, Token) and node.kind != "op"]
        if any(isinstance(node, Group) for node in left) or not names:
            return Sort.STATEMENT, None
        dotted = any(isinstance(node, Token) and node.text == "." for node in left)
        return Sort.VALUE, join_keys(left).replace(" ", "") if dotted else names[-1].text
    if round_ is not None:
        return Sort.STATEMENT, join_keys(nodes[:called]) or None
    if len(plain) == 1 or (len(plain) == 2 and plain[1] == ",") or plain[-1:] == [","]:
        return Sort.VALUE, plain[0]  # an enum's member, a short field
    found = [word for word in plain if re.fullmatch(r"[^\W\d]\w*", word)]
    if len(found) > 1:
        # `Type name;` where statements end so, `name Type` elsewhere
        return Sort.VALUE, found[-1] if words[-1] == ";" else found[0]
    return Sort.STATEMENT, None


def _is_modifier(node: Node) -> bool:
    return isinstance(node, Token) and node.text in _MODIFIERS


def _count_parameters(group: Group) -> str:
    return "(" + ",".join(element.key for element in group.elements) + ")"


def name_element(element: Element, language: Language) -> str | None:
    """The keyword, parameter or key that an element begins with, or the string or name that is all
    of it; None for any other expression."""
    nodes = element.nodes
    first = nodes[0]
    if not isinstance(first, Token):
        return None
    if len(nodes) == 1:
        return first.text if first.kind in ("word", "string") else None
    second = nodes[1]
    if isinstance(second, Token) and second.text in ("=", ":", "=>", ":="):
        return first.text
    if first.text in ("*", "**", "...") and isinstance(second, Token):
        return first.text + second.text
    if language is PYTHON or not all(isinstance(node, Token) for node in nodes):
        return None
    words = [node.text for node in nodes if isinstance(node, Token) and node.kind == "word"]
    operators = [node for node in nodes if isinstance(node, Token) and node.text in "=+-*/|&"]
    if len(words) > 1 and not operators:  # a typed parameter
        return words[0] if language is GO else words[-1]
    return None


def identify_element(element: Element, language: Language) -> str | None:
    """What makes a changed element the same one: its name, or what its brackets begin with."""
    first = element.nodes[0]
    if len(element.nodes) == 1 and isinstance(first, Group):
        return first.opening.text + (first.elements[0].key if first.elements else "")
    last = element.nodes[-1]
    if isinstance(last, Group) and last.block is not None and len(element.nodes) > 1:
        return "{}"  # a function without a name
    return name_element(element, language)
