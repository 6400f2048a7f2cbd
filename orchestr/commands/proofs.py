"""What `explain` tells of a cell's proof: its checks, its repairs, its reviews, by the files."""

from __future__ import annotations

from orchestr.cell import attempt as attempts
from orchestr.cell import rounds
from orchestr.cell.context import CellContext
from orchestr.cell.records import CHECKS, REVIEW, Evidence
from orchestr.cell.text import is_partial
from orchestr.render.text import clean, headline

MOST = 8  # checks, rounds and issues that are told


def lines(ctx: CellContext) -> list[str]:
    """A line for each check, repair and reviewer of the newest result; none without any."""
    checks, review = Evidence.read(ctx.dir / CHECKS), Evidence.read(ctx.dir / REVIEW)
    rows = review.checks if review is not None and review.checks is not None else None
    if rows is None:
        rows = checks.items if checks else ()
    said = [
        f"check {clean(str(row.get('name')))}: "
        f"{'passed' if row.get('passed') is True else 'RED'} ({headline(str(row.get('detail')))})"
        for row in rows[:MOST]
    ]
    said += _repairs(ctx)
    for row in (review.items if review else ())[:MOST]:
        issues = row.get("issues")
        count = len(issues) if isinstance(issues, list) else 0
        words = f"{count} issue{'s' if count != 1 else ''}" if count else "no issues"
        said.append(f"review by {clean(str(row.get('reviewer')))}: {words}")
    if is_partial(ctx):
        said.append("partial: red was allowed to stay (allow_partial), the pull request says so")
    return said


def _repairs(ctx: CellContext) -> list[str]:
    newest = attempts.newest(ctx.dir)
    if newest is None:
        return []
    found = rounds.every(ctx.dir, newest.number)[-MOST:]
    return [
        f"repair {one.number} in {one.phase}, {one.outcome}"
        + (f" to {one.after[:10]}" if one.outcome == rounds.CHANGED else "")
        + f": {headline(one.why)}"
        for one in found
    ]
