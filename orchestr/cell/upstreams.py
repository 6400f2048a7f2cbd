"""The cells that a cell builds on, near and far."""

from __future__ import annotations

from orchestr.cell.context import CellContext
from orchestr.state.results import HeadRecord, read_tree


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


def stands_for(up: CellContext, known: str) -> bool:
    """Whether what was built on the product ``known`` of an upstream needs nothing done again: it
    is the product, or what its target had since was brought to it."""
    product = read_tree(up.dir)
    if product == known:
        return True
    head = HeadRecord.read(up.dir)
    return head is not None and head.product == product and known in (head.stands_for or ())
