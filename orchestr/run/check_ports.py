"""Before a run: whether a cell that wants ports could get some."""

from __future__ import annotations

from collections.abc import Sequence

from orchestr.cell.context import CellContext
from orchestr.cell.worktree.ports import port_owner
from orchestr.run.check_programs import has_ports
from orchestr.run.diagnostic import Diagnostic
from orchestr.state.ports import SHORTAGE_HINT, explain_shortage


def check_ports(cells: Sequence[CellContext]) -> list[Diagnostic]:
    """Other programs hold every block, and one of these cells, which have something to do, wants
    one. A block that a cell holds becomes free: a run waits for it."""
    for ctx in cells:
        if has_ports(ctx):
            ports = ctx.run.settings.ports
            why = explain_shortage(ctx.run.registry, port_owner(ctx), ports.base, ports.slots)
            return [Diagnostic("error", why, SHORTAGE_HINT)] if why is not None else []
    return []
