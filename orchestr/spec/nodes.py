"""YAML's nodes: reading and making them. A node is changed by making another in its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import yaml

SECTIONS = ("cells", "repos")  # the parts of a spec that hold cells
NULL = "tag:yaml.org,2002:null"
_STR = "tag:yaml.org,2002:str"


def pairs_of(node: Any) -> Iterable[tuple[Any, Any]]:
    """Key and value of a mapping; nothing for others."""
    return node.value if isinstance(node, yaml.MappingNode) else ()


def text_of(node: Any) -> str | None:
    """What is written at a scalar; None for others."""
    return node.value if isinstance(node, yaml.ScalarNode) else None


def value_of(node: Any, name: str) -> Any:
    """The value of a key of a mapping, or None."""
    return next((value for key, value in pairs_of(node) if text_of(key) == name), None)


def make_scalar(node: Any, text: str) -> Any:
    """A text that stands where ``node`` does."""
    tag = node.tag if text == node.value else _STR
    return yaml.ScalarNode(tag, text, node.start_mark, node.end_mark, style=node.style)


def make_mapping(node: Any, pairs: list[tuple[Any, Any]]) -> Any:
    """A mapping that stands where ``node`` does."""
    return yaml.MappingNode(
        node.tag, pairs, node.start_mark, node.end_mark, flow_style=node.flow_style
    )


def make_sequence(node: Any, items: list[Any]) -> Any:
    """A list that stands where ``node`` does."""
    return yaml.SequenceNode(
        node.tag, items, node.start_mark, node.end_mark, flow_style=node.flow_style
    )


def iter_nodes(root: Any) -> Iterator[Any]:
    """Every node below ``root``, each once."""
    seen: set[int] = set()
    todo = [root]
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        todo += children_of(node)


def children_of(node: Any) -> list[Any]:
    """The nodes directly below one, keys too."""
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def count_nodes(node: Any) -> int:
    """Nodes below and with ``node``; a shared one counts as often as it stands there."""
    return 1 + sum(map(count_nodes, children_of(node)))


def measure_depth(node: Any) -> int:
    """Levels below and with ``node``; 0 for None."""
    return 0 if node is None else 1 + max(map(measure_depth, children_of(node)), default=0)


def plain_value(node: Any) -> Any:
    """A node as values that can be compared."""
    if isinstance(node, yaml.ScalarNode):
        return node.value
    if isinstance(node, yaml.MappingNode):
        return [(plain_value(key), plain_value(value)) for key, value in node.value]
    return [plain_value(item) for item in node.value]
