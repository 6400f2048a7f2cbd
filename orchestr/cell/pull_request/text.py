"""What `publish` writes into a pull request: the facts of a cell for `orchestr.forges.body`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from orchestr.cell.context import CellContext, FeatureRun, observed_prs
from orchestr.cell.notes import NOT_EVALUATED, read_notes
from orchestr.cell.pull_request.chosen_base import apply_chosen_base
from orchestr.cell.pull_request.options import pull_request_options
from orchestr.forges import body, body_evidence
from orchestr.forges.base import PRState
from orchestr.forges.body import PRLink
from orchestr.forges.depends_on import list_depends_on, render_depends_on
from orchestr.forges.markdown_escape import literal_text
from orchestr.process.redact_stream import hide_secret_values
from orchestr.spec.phases import Action
from orchestr.state import repairs
from orchestr.state.pictures import read_pictures
from orchestr.state.results import (
    CHECKS,
    NO_PR,
    PR_URL,
    REVIEW,
    Evidence,
    HeadRecord,
    ImplementOutcome,
    ImplementRecord,
    PlanDeviation,
    PublishRecord,
    WorktreeMarker,
    digest,
    read_line,
    valid_checks,
)


def pr_title(ctx: CellContext) -> str:
    """The title of the cell's pull request; it says so when it is partial."""
    whole, partial = pr_titles(ctx)
    return partial if is_partial(ctx) else whole


def pr_titles(ctx: CellContext) -> tuple[str, str]:
    """The title of a whole pull request, and of a partial one."""
    return _title_forms(ctx, None)


def own_titles(ctx: CellContext, known: PublishRecord | None) -> set[str]:
    """The titles that we gave the pull request: any other one is a person's, and stays.

    ``known`` is the record of its publication. A forgotten cell has none, and one of an early
    version no title: then those count that a version without `metadata.type` gave.
    """
    kind = "test" if ctx.cell.action is Action.PUSH else body.DEFAULT_TYPE
    given = {known.title} if known is not None and known.title else {*_title_forms(ctx, kind)}
    return {*given, *pr_titles(ctx)}


def _title_forms(ctx: CellContext, type_: str | None) -> tuple[str, str]:
    title = body.render_title(ctx.run.feature, ctx.cell, type_)
    title = hide_secret_values(title, os.environ)
    return title, f"[partial] {title}"[: body.TITLE_LIMIT]


def body_block(
    ctx: CellContext,
    links: Mapping[str, PRLink] | None = None,
    *,
    draft: bool | None = None,
    base: str | None = None,
) -> str:
    """Our part of the text, from what is known now. Equal facts give an equal text.

    ``links`` are the feature's (`feature_links`), for a caller that writes several bodies at one
    moment; by default they are read here. ``draft`` and ``base`` are what the pull request is going
    to have, where it is changed with its text.
    """
    marker = WorktreeMarker.read(ctx.dir)
    checks, review = Evidence.read(ctx.dir / CHECKS), Evidence.read(ctx.dir / REVIEW)
    notes = read_notes(ctx, ctx.read_head())
    known = feature_links(ctx.run) if links is None else links
    text = body.render_block(
        ctx.run.feature,
        ctx.cell,
        base=base or apply_chosen_base(ctx.dir, marker.base_ref if marker else ""),
        links=known,
        stack=ctx.plan.stack,
        draft=_shows_draft(ctx) if draft is None else draft,
        partial=is_partial(ctx),
        evidence=(
            body_evidence.render_checks(valid_checks(checks, review), notes.unchecked),
            _render_unproved_tests(notes.test_first),
            _render_deviation(notes.deviation),
            body_evidence.render_repairs(counted_repairs(ctx)),
            body_evidence.render_reviews(review.items if review else ()),
            _render_pictures(ctx),
        ),
        depends_on=render_depends_on(list_depends_on(ctx.run.feature, ctx.cell, known)),
    )
    return hide_secret_values(text, os.environ)  # it is for more eyes than ours


def _render_unproved_tests(test_first: str) -> str:
    """That the tests were not shown to come first; the proof itself is one of the checks."""
    unproved = test_first.startswith(NOT_EVALUATED)
    return f"> **Tests first**: {literal_text(test_first)}." if unproved else ""


def _render_deviation(deviation: PlanDeviation | None) -> str:
    if deviation is None:
        return ""
    return body_evidence.render_deviation(
        deviation.files, deviation.explanation, names_files=deviation.plan_names_files
    )


def _render_pictures(ctx: CellContext) -> str:
    head = ctx.read_head()
    found = read_pictures(ctx.dir, head.head) if head is not None else ()
    return body_evidence.render_pictures(found, f"orchestr report {ctx.run.feature.name}")


def is_partial(ctx: CellContext) -> bool:
    """Whether something stayed red that the spec allows to."""
    checks, review = (Evidence.read(ctx.dir / name) for name in (CHECKS, REVIEW))
    if review is not None and review.checks is not None:
        return review.partial  # checked again there: the verdict of before is void
    return any(e is not None and e.partial for e in (checks, review))


def is_evidence_green(ctx: CellContext) -> bool:
    """Whether all that was checked passed, and nothing stayed red that the spec allows to."""
    checks, review = (Evidence.read(ctx.dir / name) for name in (CHECKS, REVIEW))
    rows = valid_checks(checks, review)
    return not is_partial(ctx) and all(row.get("passed") is True for row in rows)


def opens_as_draft(ctx: CellContext) -> bool:
    """Whether a pull request that is opened now is a draft."""
    ready = pull_request_options(ctx).ready
    if ready is None:
        return ctx.run.settings.forge.draft
    return not (ready and is_evidence_green(ctx))


def _shows_draft(ctx: CellContext) -> bool:
    """Whether the pull request is a draft with this text: as this run saw it, else as it opens."""
    draft, url = opens_as_draft(ctx), pull_request_url(ctx)
    seen = (pr for pr in observed_prs(ctx.run, ctx.cell) if pr.url == url)
    return draft and next((pr.draft for pr in seen if pr.state is PRState.OPEN), draft)


def evidence_digest(ctx: CellContext) -> str:
    """A digest of the evidence that the text tells; empty without any."""
    found = [Evidence.read(ctx.dir / name) for name in (CHECKS, REVIEW)]
    told = [[e.items, e.checks, e.partial] for e in found if e is not None]
    return digest(told) if any(any(t) for t in told) else ""


def counted_repairs(ctx: CellContext) -> list[Mapping[str, Any]]:
    """The rounds that made this head of what the work came to, oldest first."""
    done = ImplementRecord.read(ctx.dir)
    if done is None or not done.attempt:
        return []
    return [
        {"why": one.why, "outcome": one.outcome, "after": one.after}
        for one in repairs.read_rounds(ctx.dir, done.attempt)
        if one.origin == done.origin and one.outcome in repairs.COUNTED
    ]


def feature_links(run: FeatureRun) -> dict[str, PRLink]:
    """Cell -> what is known of its pull request, for all cells of the feature."""
    return {cell.name: pr_link(run.cell_context(cell.name)) for cell in run.feature.cells}


def pr_link(ctx: CellContext) -> PRLink:
    """What is known here of a cell's pull request: by its files, and as this run saw it."""
    head, url = HeadRecord.read(ctx.dir), pull_request_url(ctx)
    if head is not None and head.outcome is ImplementOutcome.NO_CHANGE_NEEDED:
        return PRLink(no_change=True)
    for pr in observed_prs(ctx.run, ctx.cell):
        if pr.url == url or (url is None and pr.state is not PRState.CLOSED):
            return PRLink.from_pull_request(pr)  # a forgotten cell keeps its pull request
    if url is None:
        return PRLink()
    return PRLink(url, PRState.OPEN, opens_as_draft(ctx))


def pull_request_url(ctx: CellContext) -> str | None:
    """The address of a cell's pull request, None when it has none (yet)."""
    url = read_line(ctx.dir / PR_URL)
    return None if url == NO_PR else url
