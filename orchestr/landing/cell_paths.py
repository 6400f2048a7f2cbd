"""Which paths the head of a cell changes, for those who judge changes by their paths."""

from __future__ import annotations

from orchestr.cell.context import CellContext
from orchestr.errors import OrchestrError
from orchestr.state.results import HeadRecord


def list_cell_paths(ctx: CellContext) -> list[str]:
    """What the head of a cell changes; nothing where git cannot say."""
    head = HeadRecord.read(ctx.dir)
    if head is None:
        return []
    try:
        return ctx.repo.changed_paths(head.base, head.head)
    except OrchestrError:
        return []
