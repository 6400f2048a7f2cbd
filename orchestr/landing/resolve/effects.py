"""Whether two pieces of code may stand in either order, as far as their names show.

Nothing is known of what a call does, but its author wrote it without the other side's new names:
what stands nowhere in a side's file is nothing that this side's code can read or write. So only
names that both sides know count. A method's call is taken for a write of what it is called on, a
call whose result nothing takes for a write of its arguments: it is made for what it does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from textwrap import dedent

from orchestr.landing.resolve.languages import PYTHON, Language
from orchestr.landing.resolve.tree import (
    Group,
    Item,
    Node,
    Refused,
    Token,
    iterate_tokens,
    join_sources,
)

# What leaves the lines behind it undone, or depends on where it stands.
_LEAVES = frozenset(
    {
        "return", "break", "continue", "goto", "yield", "await", "exit", "panic", "defer",
        "fallthrough", "throw",
    }
)  # fmt: skip
_ONLY_BARE = frozenset({"throw", "panic", "exit"})  # fine in the block of a condition
_ASSIGNS = frozenset(
    {"=", ":=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<-", "++", "--"}
)  # fmt: skip
_KEYWORDS = frozenset({"var", "let", "const", "else", "try", "if", "for", "new", "mut", "final"})
_LEAVING = (ast.Return, ast.Yield, ast.YieldFrom)
_LOOPS = (ast.For, ast.While, ast.AsyncFor)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass
class Effects:
    """Dotted names that code writes, and all that it names."""

    writes: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)


def are_independent(
    ours: Sequence[Item],
    theirs: Sequence[Item],
    our_words: frozenset[str],
    their_words: frozenset[str],
    language: Language,
) -> bool:
    """Whether no side skips what stands behind it, and none writes what the other reads or writes.
    ``our_words``, ``their_words``: all words of each side's file."""
    try:
        mine, other = (_collect_effects(items, language) for items in (ours, theirs))
    except Refused:
        return False
    known = our_words & their_words
    pairs = ((mine, other), (other, mine))
    return not any(_touch_names(one.writes, two.names, known) for one, two in pairs)


def _touch_names(writes: set[str], names: set[str], known: frozenset[str]) -> bool:
    """Whether a written name is one of these, a part of one, or what one is a part of."""
    return any(
        f"{name}.".startswith(f"{write}.") or f"{write}.".startswith(f"{name}.")
        for write in writes
        if write.rpartition(".")[2] in known
        for name in names
        if name.rpartition(".")[2] in known
    )


def _collect_effects(items: Sequence[Item], language: Language) -> Effects:
    effects = Effects()
    if language is PYTHON:
        _collect_python(items, effects)
    else:
        _collect_items(items, effects)
    return effects


# --- Python -------------------------------------------------------------------------------------


def _collect_python(items: Sequence[Item], effects: Effects) -> None:
    text = dedent(join_sources(items).lstrip("\n"))
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise Refused("no statements by themselves") from error
    for statement in tree.body:
        if isinstance(statement, ast.Raise) or _leaves_python(statement, in_loop=False):
            raise Refused("what stands behind may not be reached")
        _collect_node(statement, effects)


def _leaves_python(node: ast.AST, *, in_loop: bool) -> bool:
    """Whether running a statement may skip what stands behind it other than by an error."""
    if isinstance(node, _SCOPES):
        return False
    if isinstance(node, _LEAVING):
        return True
    if isinstance(node, (ast.Break, ast.Continue)):
        return not in_loop
    inside = in_loop or isinstance(node, _LOOPS)
    return any(_leaves_python(child, in_loop=inside) for child in ast.iter_child_nodes(node))


def _collect_node(node: ast.AST, effects: Effects) -> None:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        effects.writes.add(node.name)
        effects.names.add(node.name)
        now: list[ast.AST] = [*node.decorator_list, *node.args.defaults]
        now += [default for default in node.args.kw_defaults if default]
        for child in now:
            _collect_node(child, effects)
        return
    if isinstance(node, (ast.ClassDef, ast.ExceptHandler)) and node.name:
        effects.writes.add(node.name)
        effects.names.add(node.name)
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        bound = {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        effects.writes |= bound
        effects.names |= bound
    if isinstance(node, ast.AugAssign):
        _visit_target(node.target, effects)
    if isinstance(node, ast.Expr):
        call = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(call, ast.Call):
            for value in (*call.args, *(keyword.value for keyword in call.keywords)):
                _visit_target(value, effects)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        _visit_target(node.func.value, effects)
    if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
        path = _find_path(node)
        if path:
            effects.names.add(path)
            if not isinstance(node.ctx, ast.Load):
                effects.writes.add(path)
            if not isinstance(node, ast.Subscript):
                return
    for child in ast.iter_child_nodes(node):
        _collect_node(child, effects)


def _visit_target(node: ast.AST, effects: Effects) -> None:
    path = _find_path(node)
    if path:
        effects.writes.add(path)
        effects.names.add(path)


def _find_path(node: ast.AST) -> str:
    """The dotted name of an expression; that of a part of a value is the value's own."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _find_path(node.value)
        return f"{before}.{node.attr}" if before else ""
    if isinstance(node, ast.Subscript):
        return _find_path(node.value)
    return ""


# --- brace languages: by their tokens -------------------------------------------------------------


def _collect_items(items: Iterable[Item], effects: Effects) -> None:
    for item in items:
        if _leaves_braced(item):
            raise Refused("what stands behind may not be reached")
        _collect_line(item.head, effects)
        effects.writes |= _list_handed_over(item.head)
        if item.body:
            _collect_items(item.body.items, effects)


def _leaves_braced(item: Item) -> bool:
    first = next(iterate_tokens(item)).text
    words = {token.text for token in iterate_tokens(item) if token.kind == "word"}
    return first == "else" or bool(words & (_LEAVES - _ONLY_BARE if first == "if" else _LEAVES))


def _list_handed_over(nodes: Sequence[Node]) -> set[str]:
    """The names among the arguments of a call whose result nothing takes."""
    ended = isinstance(nodes[-1], Token) and nodes[-1].text == ";"
    call = nodes[:-1] if ended else nodes
    path = [node.text if isinstance(node, Token) else "(" for node in call[:-1]]
    if path[:1] in (["await"], ["go"]):
        del path[0]
    group = call[-1] if call else None
    if not isinstance(group, Group) or group.opening.text != "(" or not path:
        return set()
    if any(text in _KEYWORDS or not (text[:1].isalpha() or text in "._") for text in path):
        return set()
    found = ("".join(token.text for token in iterate_tokens(part)) for part in group.elements)
    names = (text.lstrip("&*") for text in found)
    return {name for name in names if name.replace(".", "").isidentifier()}


def _collect_line(nodes: Sequence[Node], effects: Effects) -> None:
    pending: list[str] = []  # names that an assignment in this line would write
    path = ""
    for at, node in enumerate(nodes):
        if isinstance(node, Group):
            if node.opening.text == "(" and "." in path:
                effects.writes.add(path.rpartition(".")[0])
            elif node.opening.text in "([" and not path:
                pending += [token.text for token in iterate_tokens(node) if token.kind == "word"]
            for part in node.elements:
                second = part.nodes[1] if len(part.nodes) > 1 else None
                named = isinstance(second, Token) and second.text in ("=", ":")
                _collect_line(part.nodes[2:] if named else part.nodes, effects)
            if node.block:
                _collect_items(node.block.items, effects)
        elif node.text == "." and path:
            path += "."
        elif node.kind == "word" and node.text not in _KEYWORDS:
            path = path + node.text if path.endswith(".") else node.text
            following = nodes[at + 1] if at + 1 < len(nodes) else None
            if not (isinstance(following, Token) and following.text == "."):
                effects.names.add(path)
                pending.append(path)
        elif node.text in _ASSIGNS:
            effects.writes.update(pending)
            pending, path = [], ""
        elif node.kind != "string":
            path = ""
