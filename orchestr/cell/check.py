"""Phase `check`: nothing is configured in this version, so it passes the head through.

Writes `checks.json` for exactly the head of `implement.toml`; evidence for another head is void.
"""

from __future__ import annotations

from orchestr.cell.context import CellContext
from orchestr.cell.records import CHECKS, Evidence, Implemented
from orchestr.cell.result import Result
from orchestr.spec.records import Phase


def reason(ctx: CellContext) -> str | None:
    """Why the phase would run, or None."""
    done = Implemented.read(ctx.dir)
    if done is None:
        return "there is nothing to check yet"
    evidence = Evidence.read(ctx.dir / CHECKS)
    if evidence is None:
        return "it was not checked yet"
    if evidence.head != done.head:
        return "its evidence is for another head"
    return None if evidence.key == ctx.digest_of(Phase.CHECK) else "its checks changed"


def run(ctx: CellContext) -> Result:
    """Write the evidence. Raises PhaseFailed when there is no head."""
    why = reason(ctx)
    if why is None:
        return Result.kept()
    done = Implemented.read(ctx.dir)
    if done is None:
        raise ctx.fail("it has no result to check", hint=f"orchestr run {ctx.name}")
    Evidence(done.head, ctx.digest_of(Phase.CHECK)).write(ctx.dir / CHECKS)
    return Result.built(why, head=done.head)
