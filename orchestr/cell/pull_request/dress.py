"""Labels, people, milestone and the draft state of a pull request: what `publish` adds to it.

Pure decisions first. What was added once is recorded in `publish.toml` and not added again: a label
that a person took away stays away, and a reviewer who has reviewed is not asked again. A kill
before the record is written repeats the call, which adds only what is missing. What cannot be
added is a warning: a label is no reason to keep work back.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from orchestr.cell.context import CellContext
from orchestr.cell.pull_request.options import pull_request_options
from orchestr.cell.pull_request.text import is_evidence_green
from orchestr.forges.base import ForgeAway, ForgeError, PRState, PullRequest
from orchestr.forges.followed import Dressing, DressingForge
from orchestr.spec.phases import Phase
from orchestr.spec.pull_request import PullRequestOptions
from orchestr.state.events import EventKind
from orchestr.state.results import PublishRecord

READY = "ready"


@dataclass(frozen=True, slots=True)
class DressingPlan:
    """What is to be added now. ``items`` are its parts by name, as they are recorded."""

    dressing: Dressing
    mark_ready: bool
    items: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.items)


def plan_dressing(
    options: PullRequestOptions, *, given: Collection[str], is_draft: bool, is_green: bool
) -> DressingPlan:
    """What the options ask for and ``given`` does not name. Pure."""

    def missing(kind: str, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(value for value in values if f"{kind} {value}" not in given)

    milestones = missing("milestone", (options.milestone,) if options.milestone else ())
    dressing = Dressing(
        missing("label", options.labels),
        missing("reviewer", options.reviewers),
        missing("assignee", options.assignees),
        milestones[0] if milestones else None,
    )
    ready = bool(options.ready) and is_green and READY not in given
    parts = (("label", dressing.labels), ("reviewer", dressing.reviewers),
             ("assignee", dressing.assignees), ("milestone", milestones))  # fmt: skip
    items = [f"{kind} {value}" for kind, values in parts for value in values]
    return DressingPlan(dressing, ready and is_draft, (*items, *((READY,) if ready else ())))


def dress_pull_request(ctx: CellContext, pr: PullRequest) -> tuple[str, ...] | None:
    """Add what is asked for and was not added before; what is recorded then, None for nothing.

    Raises ForgeAway.
    """
    known = PublishRecord.read(ctx.dir)
    given = (known.dressed or ()) if known is not None and known.url == pr.url else ()
    plan = plan_dressing(
        pull_request_options(ctx),
        given=given,
        is_draft=pr.draft,
        is_green=is_evidence_green(ctx),
    )
    if plan and pr.state is PRState.OPEN:
        given = (*given, *_add_missing(ctx, pr, plan))
    return tuple(dict.fromkeys(given)) or None


def _add_missing(ctx: CellContext, pr: PullRequest, plan: DressingPlan) -> tuple[str, ...]:
    """Add the parts of a plan; those that count as added."""
    forge, wanted = ctx.run.forge, bool(plan.dressing or plan.mark_ready)
    if not wanted:
        return plan.items
    if not isinstance(forge, DressingForge):
        _warn(ctx, pr, f"the forge `{forge.kind}` cannot do it: {', '.join(plan.items)}")
        return ()
    try:
        lacking = list(forge.dress_pull_request(ctx.repo_ref, pr.number, plan.dressing)
                       if plan.dressing else ())  # fmt: skip
        if plan.mark_ready:
            shown = forge.mark_ready(ctx.repo_ref, pr.number)
            ctx.emit(EventKind.PR_UPDATED, phase=Phase.PUBLISH, url=shown.url, draft=shown.draft)
    except ForgeAway:
        raise
    except ForgeError as error:
        _warn(ctx, pr, f"{error.reason} (wanted: {', '.join(plan.items)})")
        return ()
    if lacking:
        _warn(ctx, pr, "; ".join(lacking))
    return plan.items


def _warn(ctx: CellContext, pr: PullRequest, why: str) -> None:
    ctx.emit(
        EventKind.CELL_WARNED,
        phase=Phase.PUBLISH,
        reason=f"{pr.url} does not get everything: {why}",
    )
