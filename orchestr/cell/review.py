"""Phase `review`: nothing is configured in this version, so it passes the head through.

Its result is the head that all phases agreed on: `review.json`, `head.toml` and `tree`, the
product that dependents wait for. Written in that order, `tree` last: a kill between them leaves
dependents waiting, never with a wrong product.
"""

from __future__ import annotations

from orchestr.cell import check
from orchestr.cell.context import CellContext
from orchestr.cell.records import CHECKS, REVIEW, Evidence, Head, Implemented, read_tree
from orchestr.cell.result import Result
from orchestr.spec.records import Phase


def reason(ctx: CellContext) -> str | None:
    """Why the phase would run, or None."""
    checks = Evidence.read(ctx.dir / CHECKS)
    if checks is None:
        return "there is nothing to review yet"
    evidence = Evidence.read(ctx.dir / REVIEW)
    if evidence is None:
        return "it was not reviewed yet"
    if evidence.head != checks.head:
        return "its verdict is for another head"
    if evidence.key != ctx.digest_of(Phase.REVIEW):
        return "its reviewers changed"
    head = Head.read(ctx.dir)
    if head is None or head.head != evidence.head or read_tree(ctx.dir) is None:
        return "its head or tree file is missing"
    return None


def run(ctx: CellContext) -> Result:
    """Write the verdict, the head and the tree. Raises PhaseFailed when there is no head."""
    why = reason(ctx)
    if why is None:
        return Result.kept()
    check.run(ctx)  # a no-op, unless its file was just found to be rubbish and set aside
    done, checks = Implemented.read(ctx.dir), Evidence.read(ctx.dir / CHECKS)
    if done is None or checks is None or checks.head != done.head:
        raise ctx.fail("it has no checked result", hint=f"orchestr run {ctx.name}")
    evidence = Evidence(done.head, ctx.digest_of(Phase.REVIEW))
    restored = Evidence.read(ctx.dir / REVIEW) == evidence
    evidence.write(ctx.dir / REVIEW)
    Head(done.head, done.tree, done.base, ctx.cell.branch, done.outcome, done.anchor).write(ctx.dir)
    return Result.kept() if restored else Result.built(why, head=done.head, tree=done.tree)
