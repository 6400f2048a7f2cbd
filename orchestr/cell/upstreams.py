"""The cells that a cell builds on, near and far."""

from __future__ import annotations

from collections.abc import Mapping

from orchestr.cell.context import CellContext
from orchestr.state.results import HeadRecord


def list_all_upstreams(ctx: CellContext) -> list[CellContext]:
    """All upstreams, near ones first, each once."""
    found: dict[str, CellContext] = {}
    todo = ctx.upstreams()
    while todo:
        up = todo.pop(0)
        if up.cell.name not in found:
            found[up.cell.name] = up
            todo += up.upstreams()
    return list(found.values())


def is_built_on_product(up: CellContext, known: str, product: str | None) -> bool:
    """Whether what was built on the product ``known`` of an upstream needs nothing done again: it
    is still the ``product`` that its `tree` names, or that only brought to it what its target had
    since."""
    if product == known:
        return True
    head = HeadRecord.read(up.dir)
    return head is not None and head.product_line == product and known in (head.stands_for or ())


def rename_upstreams(trees: Mapping[str, str], former_names: Mapping[str, str]) -> dict[str, str]:
    """The trees of a marker by the names that its upstreams have now."""
    return {former_names.get(name, name): tree for name, tree in trees.items()}
