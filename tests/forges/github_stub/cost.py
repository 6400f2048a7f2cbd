"""The price of a query, by GitHub's published formula, from the query itself.

Each connection counts once for each entry of those around it (their ``first`` or ``last``); a
hundred of them are a point, rounded, at least one. A call may ask for 500,000 entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

NODES = 500_000


class Price:
    """Connections and entries that a query asks for; raises ValueError as GitHub refuses them."""

    def __init__(self, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self.connections = 0
        self.entries = 0
        self._variables = variables
        self._fragments = {
            each.name.value: each
            for each in document.definitions
            if isinstance(each, FragmentDefinitionNode)
        }
        for each in document.definitions:
            if isinstance(each, OperationDefinitionNode):
                self._count(each.selection_set, 1)
        if self.entries > NODES:
            raise ValueError(f"requests up to {self.entries} possible nodes, {NODES} are allowed")

    @property
    def points(self) -> int:
        return max(1, round(self.connections / 100))

    def _count(self, selected: SelectionSetNode, times: int) -> None:
        for each in selected.selections:
            if isinstance(each, FragmentSpreadNode):
                self._count(self._fragments[each.name.value].selection_set, times)
            elif isinstance(each, InlineFragmentNode):
                self._count(each.selection_set, times)
            elif isinstance(each, FieldNode) and each.selection_set is not None:
                self._count(each.selection_set, times * self._count_field(each, times))

    def _count_field(self, field: FieldNode, times: int) -> int:
        """How many entries are below a field for each of those around it."""
        given = {arg.name.value: arg.value for arg in field.arguments or ()}
        if "ids" in given:
            ids = self._value(given["ids"])
            return len(ids)
        sizes = [self._value(given[name]) for name in ("first", "last") if name in given]
        below = {
            each.name.value
            for each in (field.selection_set.selections if field.selection_set else ())
            if isinstance(each, FieldNode)
        }
        if not sizes:
            if below & {"nodes", "edges"}:
                raise ValueError(
                    f"You must provide a `first` or `last` value on {field.name.value}"
                )
            return 1
        if not 1 <= sizes[0] <= 100:
            raise ValueError(f"`first` and `last` of {field.name.value} are within 1 to 100")
        self.connections += times
        self.entries += times * sizes[0]
        return int(sizes[0])

    def _value(self, node: Any) -> Any:
        if isinstance(node, VariableNode):
            return self._variables.get(node.name.value)
        if isinstance(node, IntValueNode):
            return int(node.value)
        if isinstance(node, ListValueNode):
            return [self._value(each) for each in node.values]
        return getattr(node, "value", None)
