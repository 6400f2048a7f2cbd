"""What the merge queue, or `follow`, asks of a cell whose head conflicts with its target or is red
on it.

Owns `landing.md` in the cell's folder, which goes into the prompt of the next attempt, and the
folder `landing-proven`, where the results lie that the repair puts aside. Both are written by
`orchestr.landing.repair`, the first is removed when the repair is published.
"""

from __future__ import annotations

from orchestr.cell.context import CellContext
from orchestr.cell.inputs import attempt_key
from orchestr.state.attempts import Attempt
from orchestr.state.results import HeadRecord, ImplementRecord, WorktreeMarker

EVIDENCE = "landing.md"
PROVEN = "landing-proven"


def find_landing_head(ctx: CellContext, attempt: Attempt) -> str | None:
    """The published head that an attempt makes fit for its target as that is now, to land or
    because `follow` takes the base in; None for an attempt that is for something else too: an
    edited spec, another upstream, a fresh start."""
    folder = ctx.dir / PROVEN
    if attempt.fresh or not (ctx.dir / EVIDENCE).exists():
        return None
    kept, marker = ImplementRecord.read(folder), WorktreeMarker.read(folder)
    head = HeadRecord.read(ctx.dir)
    if kept is None or marker is None or head is None or attempt_key(ctx, marker) != kept.key:
        return None
    return head.head
