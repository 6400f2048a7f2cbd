"""Phase `publish`: push, verify, find or open the pull request, write `pr-url`.

Every step observes the remote first and may be repeated after a kill at any point: the push is
skipped when the remote has the head, the pull request is found by its branch before one is
opened. Never a plain force: only after `--fresh` a lease on exactly the old head of ours, and where
that is refused, no force at all (`orchestr.cell.pull_request.join_heads`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from orchestr.cell import approval
from orchestr.cell.agent.plan_deviation import record_plan_deviation
from orchestr.cell.context import CellContext, FeatureRun, observed_prs
from orchestr.cell.inputs import phase_digest
from orchestr.cell.phases.push_head import push_head
from orchestr.cell.phases.run_phase import PhaseResult
from orchestr.cell.pull_request.chosen_base import (
    ChosenBase,
    apply_chosen_base,
    is_choice_withdrawn,
)
from orchestr.cell.pull_request.claim import is_foreign, refuse_foreign_pr
from orchestr.cell.pull_request.dress import dress_pull_request
from orchestr.cell.pull_request.foreign_commits import pushed_commits
from orchestr.cell.pull_request.forks import refuse_unnamed_fork
from orchestr.cell.pull_request.former_branches import (
    close_former_prs,
    delete_former_branches,
    find_former_branches,
    read_former_prs,
    refuse_unmerged_commits,
)
from orchestr.cell.pull_request.text import (
    body_block,
    evidence_digest,
    opens_as_draft,
    own_titles,
    pr_title,
)
from orchestr.cell.record import CellRecord, Decision
from orchestr.forges.base import PRExists, PRState, PullRequest
from orchestr.forges.body import splice_block
from orchestr.spec.checks import Gate
from orchestr.spec.phases import Phase
from orchestr.spec.records import Cell
from orchestr.state.events import EventKind
from orchestr.state.results import (
    NO_PR,
    HeadRecord,
    ImplementOutcome,
    PublishRecord,
    WorktreeMarker,
    digest,
    read_url,
)

LAG = (0.2, 0.5, 1, 2, 4, 8, 15, 30)  # s between looks at a pull request that is behind a push


class PublishStep(StrEnum):
    """What the phase can do."""

    KEEP = "keep"  # the pull request shows this head with this text
    CANNOT = "cannot"  # there is no head
    SKIP = "skip"  # the phase is not listed, or the cell changed nothing
    RECORD_MERGED = "record merged"  # a merged pull request has exactly this head
    PUSH = "push"  # push, then open or update the pull request


@dataclass(frozen=True, slots=True)
class PublishInputs:
    """``key``: what text and place depend on; ``listed``: whether the spec lists the phase."""

    key: str
    listed: bool


def decide(record: CellRecord, inputs: PublishInputs) -> Decision[PublishStep]:
    """What the phase does now and why. Pure."""
    why = _reason(record, inputs.key)
    if why is None:
        return Decision(PublishStep.KEEP, None)
    if record.head is None:
        return Decision(PublishStep.CANNOT, why)
    if not inputs.listed or record.head.outcome is ImplementOutcome.NO_CHANGE_NEEDED:
        return Decision(PublishStep.SKIP, why)
    if _find_merged_pr(record) is not None:
        return Decision(PublishStep.RECORD_MERGED, why)
    return Decision(PublishStep.PUSH, why)


def _reason(record: CellRecord, key: str) -> str | None:
    head, done = record.head, record.published
    if head is None:
        return "it has no head to publish yet"
    if done is None or record.url is None:
        return "it was not published yet"
    if done.head != head.head:
        return "its head changed"
    if done.branch is not None:
        return "its branch was renamed"
    if done.key != key:
        return "title, scenarios, base or evidence of its pull request changed"
    return closed_reason(record.prs, done.url)


def read_inputs(ctx: CellContext, record: CellRecord) -> PublishInputs:
    """The inputs of `decide`; without a head there is no text yet, so no key."""
    key = publish_key(ctx) if record.head is not None else ""
    return PublishInputs(key, Phase.PUBLISH in ctx.cell.phases)


def reason_to_run(ctx: CellContext) -> str | None:
    """Why the phase would run, or None. The forge was asked when the run began, not here."""
    record = CellRecord.of_cell(ctx)
    return decide(record, read_inputs(ctx, record)).why


def closed_reason(prs: Sequence[PullRequest], url: str) -> str | None:
    """A pull request that was closed without a merge is opened again: the work is not there."""
    state = next((pr.state for pr in prs if pr.url == url), None)
    return "its pull request was closed without a merge" if state is PRState.CLOSED else None


def saw_pr_closed(ctx: CellContext) -> bool:
    """Whether this run saw the recorded pull request closed; a file is read only if so."""
    prs = observed_prs(ctx.run, ctx.cell)
    if all(pr.state is not PRState.CLOSED for pr in prs):
        return False
    return closed_reason(prs, read_url(ctx.dir) or "") is not None


def is_pr_merged(run: FeatureRun, cell: Cell) -> bool:
    """Whether the newest pull request of a cell's branch is merged: as this run saw it, else as
    the journal has it (a verb that only reads does not ask the forge, nor does one answer that
    is away)."""
    seen = run.seen.get(f"{cell.repo}:{cell.branch}")
    if seen is None:
        return run.past.cell(cell.name).pr_state == PRState.MERGED
    return bool(seen) and seen[0].state is PRState.MERGED


def merged_upstreams(ctx: CellContext) -> str:
    """The base as far as it can differ without a change of the marker: a merged upstream."""
    return ",".join(
        up for up in ctx.plan.stack if is_pr_merged(ctx.run, ctx.run.cell_context(up).cell)
    )


def publish_key(ctx: CellContext) -> str:
    """What the text and place of the pull request depend on."""
    proof = evidence_digest(ctx)
    return digest(phase_digest(ctx, Phase.PUBLISH), pr_base(ctx), *([proof] if proof else []))


def pr_base(ctx: CellContext) -> str:
    """The branch the pull request is for: below a merged upstream the one that it was for. From a
    fork it is never the branch of another cell, which the upstream repository does not have."""
    return _pr_bases(ctx)[-1]


def _pr_bases(ctx: CellContext) -> list[str]:
    """The branches that the pull request was for, one after the other, and the one of now."""
    marker = WorktreeMarker.read(ctx.dir)
    base = marker.base_ref if marker else ""
    found = [base]
    cells, is_fork = ctx.run.feature.cells, ctx.repo_settings.upstream is not None
    for _ in cells:
        here = (c for c in cells if c.branch == base and c.repo == ctx.cell.repo)
        below = next(here, None)
        if below is None or not (is_fork or is_pr_merged(ctx.run, below)):
            break
        under = WorktreeMarker.read(ctx.run.cell_context(below.name).dir)
        base = under.base_ref if under else base
        found.append(base)
    return found


def run(ctx: CellContext) -> PhaseResult:
    """Publish the head. Raises PhaseFailed; ForgeError with what the forge answered."""
    record = CellRecord.of_cell(ctx)
    inputs = read_inputs(ctx, record)
    decision, head = decide(record, inputs), record.head
    match decision.step:
        case PublishStep.KEEP:
            return PhaseResult.up_to_date()
        case PublishStep.SKIP if head is not None:
            PublishRecord(inputs.key, head.head, NO_PR).write(ctx.dir)
            return PhaseResult.built("nothing to publish", url=NO_PR)
        case PublishStep.RECORD_MERGED if head is not None and (pr := _find_merged_pr(record)):
            PublishRecord(inputs.key, head.head, pr.url, pr_title(ctx)).write(ctx.dir)
            return PhaseResult.built("its pull request is merged", url=pr.url)
        case PublishStep.PUSH if head is not None:
            pr, head = _publish_head(ctx, head)
            dressed = dress_pull_request(ctx, pr)
            PublishRecord(
                inputs.key, head.head, pr.url, pr_title(ctx), dressed=dressed, base=pr.base
            ).write(ctx.dir)
            ctx.run.registry.touch_phase(ctx.key, Phase.PUBLISH)
            return PhaseResult.built(decision.why or "", url=pr.url, base=pr.base)
        case _:
            raise ctx.fail("it has no head to publish", hint=f"orchestr run {ctx.name}")


def _publish_head(ctx: CellContext, head: HeadRecord) -> tuple[PullRequest, HeadRecord]:
    """Ask for the approval, push, and return the pull request and the head that it shows."""
    if ctx.run.followed:
        refuse_closed_pr(ctx)
    record_plan_deviation(ctx, head)
    if Gate.PUBLISH in ctx.cell.proof.approve:
        value, title = gate_digest(ctx, head), pr_title(ctx)
        # Its upstream has landed: the same work is for another base, and needs no new yes.
        earlier = [approval.publish_digest(ctx.dir, head=head.head, title=title, base=base)
                   for base in _pr_bases(ctx)[:-1]]  # fmt: skip
        approval.carry_approval(ctx, Gate.PUBLISH, earlier, value)
        approval.require_approval(ctx, Gate.PUBLISH, value)
    former = read_former_prs(ctx, find_former_branches(ctx))
    refuse_unmerged_commits(ctx, former, head.head)
    head, new = push_head(ctx, head, partial(gate_digest, ctx))
    pr = _wait_for_head(ctx, open_or_update_pr(ctx, new_branch=new), head)
    if pr.head_sha != head.head:
        raise ctx.fail(
            f"{pr.url} shows {pr.head_sha[:12]}, but {head.head[:12]} was pushed",
            hint=f"orchestr run {ctx.name}",
        )
    close_former_prs(ctx, former, pr)
    for cell in (ctx, *(ctx.run.cell_context(name) for name in ctx.plan.stack)):
        delete_former_branches(cell)  # of an upstream: this pull request was the last one for it
    return pr, head


def gate_digest(ctx: CellContext, head: HeadRecord) -> str:
    """What a person approves: exactly what would be published now."""
    return approval.publish_digest(ctx.dir, head=head.head, title=pr_title(ctx), base=pr_base(ctx))


def _find_merged_pr(record: CellRecord) -> PullRequest | None:
    """A merged pull request with exactly this head: the cell is done."""
    return next(
        (
            pr
            for pr in record.prs
            if record.head is not None
            and pr.state is PRState.MERGED
            and pr.head_sha == record.head.head
        ),
        None,
    )


def _wait_for_head(ctx: CellContext, pr: PullRequest, head: HeadRecord) -> PullRequest:
    """The pull request once it shows the head; a real forge learns of a push by and by.

    Only an older head of ours is waited for: anything else is a push of someone else.
    """
    for pause in LAG:
        if pr.head_sha == head.head or pr.head_sha not in pushed_commits(
            ctx.run.journal, ctx.cell.name
        ):
            break
        if ctx.run.stop.wait(pause):
            ctx.check_cancelled()
        found = ctx.run.forge.find_pull_requests(ctx.repo_ref, [ctx.cell.branch])[ctx.cell.branch]
        pr = next((other for other in found if other.number == pr.number), pr)
    return pr


def refuse_closed_pr(ctx: CellContext) -> None:
    """In a run that `follow` began: a pull request that a person closed or merged meanwhile
    is not replaced by another one. Raises PhaseFailed.
    """
    branch, url = ctx.cell.branch, read_url(ctx.dir) or ""
    prs = ctx.run.forge.find_pull_requests(ctx.repo_ref, [branch]).get(branch, ())
    state = next((pr.state for pr in prs if pr.url == url), PRState.OPEN)
    if state is PRState.OPEN or any(pr.state is PRState.OPEN for pr in prs):
        return
    again = "open it again at the forge, then" if state is PRState.CLOSED else "for another one"
    raise ctx.fail(
        f"{url} was {state} meanwhile: what was made after it is kept here and not pushed",
        hint=f"{again}: orchestr run {ctx.name}",
    )


def open_or_update_pr(ctx: CellContext, *, new_branch: bool = False) -> PullRequest:
    """The open pull request of the branch, made when there is none, its text brought up to date.

    A ``new_branch`` has none: a forge closes what loses its branch. So it is not asked.
    """
    forge, title = ctx.run.forge, pr_title(ctx)
    base = apply_chosen_base(ctx.dir, pr_base(ctx))
    block = body_block(ctx)
    found = None if new_branch else _find_open_pr(ctx)
    if found is None:
        if PublishRecord.read(ctx.dir) is None:
            refuse_unnamed_fork(ctx)
        ctx.emit(EventKind.PR_INTENDED, phase=Phase.PUBLISH, head=ctx.cell.branch, base=base)
        try:
            made = forge.open_pull_request(
                ctx.repo_ref,
                head=ctx.cell.branch,
                base=base,
                title=title,
                body=splice_block("", block),
                draft=opens_as_draft(ctx),
            )
        except PRExists as error:
            found = error.pr
            if is_foreign(ctx, found):
                raise refuse_foreign_pr(ctx, found) from error
        else:
            ctx.emit(EventKind.PR_OPENED, phase=Phase.PUBLISH, url=made.url, draft=made.draft)
            return made
    base = keep_chosen_base(ctx, found.base, base)
    ours = found.title in own_titles(ctx, PublishRecord.read(ctx.dir))
    return update_pull_request(ctx, found, block, base=base, title=title if ours else None)


def is_base_of_person(ctx: CellContext, there: str) -> bool:
    """Whether a person put the pull request onto the branch ``there``: it is none that we gave it,
    or we had given it the one that we would give it now."""
    wanted = apply_chosen_base(ctx.dir, pr_base(ctx))
    of_cells = {cell.branch for cell in ctx.run.feature.cells}  # as it was before one landed
    if there == wanted or there in of_cells:
        return False
    if is_choice_withdrawn(ctx.dir, there):
        return True
    known = PublishRecord.read(ctx.dir)
    if known is not None and known.base:
        return known.base == wanted or there not in {known.base, *_pr_bases(ctx)}
    given = {str(event.data.get("base")) for event in ctx.run.journal.read()
             if event.cell == ctx.cell.name and event.kind is EventKind.PR_INTENDED}  # fmt: skip
    return bool(given) and there not in {*given, *_pr_bases(ctx)}  # forgotten, or an older record


def keep_chosen_base(ctx: CellContext, there: str, wanted: str) -> str:
    """The base that an open pull request is to have: a person's choice is kept, also for later."""
    if not is_base_of_person(ctx, there):
        return wanted
    ChosenBase(there, pr_base(ctx), is_seen=True).write(ctx.dir)
    text = f"its pull request was put onto {there} by a person, and stays there"
    ctx.emit(EventKind.CELL_WARNED, phase=Phase.PUBLISH, reason=text)
    return there


def _find_open_pr(ctx: CellContext) -> PullRequest | None:
    prs = ctx.run.forge.find_pull_requests(ctx.repo_ref, [ctx.cell.branch]).get(ctx.cell.branch, ())
    found = [pr for pr in prs if pr.state is PRState.OPEN]
    own = next((pr for pr in found if not is_foreign(ctx, pr)), None)
    if own is None and found:
        raise refuse_foreign_pr(ctx, found[0])  # its text and its base are another cell's
    return own


def update_pull_request(
    ctx: CellContext, pr: PullRequest, block: str, *, base: str | None, title: str | None
) -> PullRequest:
    """Edit what differs, and only that; what a person wrote outside our markers stays."""
    body = splice_block(pr.body, block)
    new_body = body if body != pr.body else None
    new_base = base if base is not None and base != pr.base else None
    new_title = title if title is not None and title != pr.title else None
    if new_body is None and new_base is None and new_title is None:
        return pr
    edited = ctx.run.forge.edit_pull_request(
        ctx.repo_ref, pr.number, title=new_title, body=new_body, base=new_base
    )
    ctx.emit(EventKind.PR_UPDATED, phase=Phase.PUBLISH, url=edited.url, draft=edited.draft)
    return edited
