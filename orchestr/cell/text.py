"""What `publish` writes into a pull request: the facts of a cell for `orchestr.forges.body`."""

from __future__ import annotations

from orchestr.cell.context import CellContext, observed
from orchestr.cell.prompt import pr_of
from orchestr.cell.records import Head, Marker, Outcome
from orchestr.forges import body
from orchestr.forges.base import PRState
from orchestr.forges.body import PRLink


def title_of(ctx: CellContext) -> str:
    """The title of the cell's pull request."""
    return body.render_title(ctx.run.feature, ctx.cell)


def body_block(ctx: CellContext) -> str:
    """Our part of the text, from what is known now. Equal facts give an equal text."""
    marker = Marker.read(ctx.dir)
    cells = [ctx.run.cell(cell.name) for cell in ctx.run.feature.cells]
    return body.render_block(
        ctx.run.feature,
        ctx.cell,
        base=marker.base_ref if marker else "",
        links={other.cell.name: link_of(other) for other in cells},
        stack=ctx.plan.stack,
        draft=ctx.run.settings.forge.draft,
    )


def link_of(ctx: CellContext) -> PRLink:
    """What is known here of a cell's pull request: by its files, and as this run saw it."""
    head, url = Head.read(ctx.dir), pr_of(ctx)
    if head is not None and head.outcome is Outcome.NO_CHANGE_NEEDED:
        return PRLink(no_change=True)
    for pr in observed(ctx.run, ctx.cell):
        if pr.url == url or (url is None and pr.state is not PRState.CLOSED):
            return PRLink.of(pr)  # a forgotten cell keeps its pull request
    if url is None:
        return PRLink()
    return PRLink(url, PRState.OPEN, ctx.run.settings.forge.draft)
