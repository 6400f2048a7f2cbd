"""Whether two pieces of code may stand in either order, as far as their names show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestr.landing.resolve.tree import Element, Group, Item, Node, Token, iterate_tokens

# What leaves the lines behind it undone, or depends on where it stands.
_LEAVES = frozenset(
    {
        "return", "break", "continue", "goto", "yield", "await", "exit", "panic", "defer", "else",
        "elif", "except", "catch", "finally", "fallthrough", "throw", "raise",
    }
)  # fmt: skip
_ONLY_BARE = frozenset({"throw", "raise", "panic", "exit"})  # fine in a block of a condition
_ASSIGNS = frozenset(
    {
        "=", ":=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<-", "++", "--",
    }
)  # fmt: skip
_CONDITIONS = frozenset({"if", "elif", "unless", "when"})


def are_independent(ours: Sequence[Item], theirs: Sequence[Item]) -> bool:
    """Whether no side leaves the function, and none writes what the other reads or writes.

    A method's call counts as a write of what it is called on: nothing is known of methods.
    """
    if any(_leaves(item) for item in (*ours, *theirs)):
        return False
    our_writes, our_names = _collect_effects(ours)
    their_writes, their_names = _collect_effects(theirs)
    return not _touch(our_writes, their_names) and not _touch(their_writes, our_names)


def _leaves(item: Item) -> bool:
    """Whether running it may skip what stands behind it other than by an error."""
    first = next(iterate_tokens(item))
    guarded = first.text in _CONDITIONS
    words = {token.text for token in iterate_tokens(item) if token.kind == "word"}
    return bool(words & (_LEAVES - _ONLY_BARE if guarded else _LEAVES))


def _touch(writes: set[str], names: set[str]) -> bool:
    """Whether a written name is one of these, a part of one, or what one is a part of."""
    return any(
        name == write or name.startswith(write + ".") or write.startswith(name + ".")
        for write in writes
        for name in names
    )


def _collect_effects(items: Iterable[Item]) -> tuple[set[str], set[str]]:
    writes: set[str] = set()
    names: set[str] = set()
    for item in items:
        _collect_line(item.head, writes, names)
        if item.body:
            inner = _collect_effects(item.body.items)
            writes |= inner[0]
            names |= inner[1]
    return writes, names


def _collect_line(nodes: Sequence[Node], writes: set[str], names: set[str]) -> None:
    pending: list[str] = []  # names that an assignment in this line would write
    path = ""
    for at, node in enumerate(nodes):
        if isinstance(node, Group):
            if path and node.opening.text == "(" and "." in path:
                writes.add(path.rpartition(".")[0])
            elif node.opening.text in "([" and not path:
                pending += [token.text for token in iterate_tokens(node) if token.kind == "word"]
            for part in node.elements:
                _collect_element(part, writes, names)
            if node.block:
                inner = _collect_effects(node.block.items)
                writes |= inner[0]
                names |= inner[1]
            continue
        if node.kind == "string":
            continue
        if node.text == "." and path:
            path += "."
        elif node.kind == "word":
            path = path + node.text if path.endswith(".") else node.text
            following = nodes[at + 1] if at + 1 < len(nodes) else None
            if isinstance(following, Token) and following.text == ".":
                continue
            names.add(path)
            pending.append(path)
        elif node.text in _ASSIGNS or (node.text == ":" and at):
            writes.update(pending if node.text != ":" else pending[-1:])
            pending, path = [], ""
        else:
            path = ""


def _collect_element(element: Element, writes: set[str], names: set[str]) -> None:
    nodes = element.nodes
    second = nodes[1] if len(nodes) > 1 else None
    keyword = isinstance(second, Token) and second.text in ("=", ":")
    _collect_line(nodes[2:] if keyword else nodes, writes, names)
