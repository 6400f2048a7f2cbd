"""The cells that a cell builds on, near and far."""

from __future__ import annotations

from orchestr.cell.context import CellContext


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
