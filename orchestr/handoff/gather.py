"""What a hand-off starts from: the records of every cell, and what the forge shows of it.

Reads only. `orchestr.run` has observed the forge before (`observe_pull_requests`); its answer is in
`FeatureRun.seen`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace

from orchestr.cell import approval
from orchestr.cell.agent.plan_deviation import find_plan_deviation, read_last_words
from orchestr.cell.agent.plan_prompt import read_plan
from orchestr.cell.context import CellContext, FeatureRun, observed_prs
from orchestr.cell.gates import current_gate_digest
from orchestr.cell.notes import explain_unchecked
from orchestr.cell.phases.cross_checks import cross_check_reasons, cross_check_results
from orchestr.cell.phases.publish import pr_base
from orchestr.cell.pull_request.chosen_base import apply_chosen_base
from orchestr.cell.pull_request.text import (
    body_block,
    feature_links,
    is_evidence_green,
    own_titles,
    pr_title,
)
from orchestr.errors import MachineFault, OrchestrError
from orchestr.forges.base import PRState, PullRequest
from orchestr.forges.body import PRLink, splice_block
from orchestr.git.diff import DiffLimits, read_diffs
from orchestr.git.repo import CommitId
from orchestr.handoff.decide import digest_seen
from orchestr.handoff.readiness import CellReadiness
from orchestr.handoff.records import Choice, HandoffRecord, PullRequestText
from orchestr.handoff.text import (
    WORDS,
    Approval,
    ChangedPath,
    HandoffFacts,
    find_issues,
    read_handoff,
    render_handoff,
    splice_handoff,
)
from orchestr.process.redact_stream import hide_secret_values
from orchestr.spec.phases import Phase
from orchestr.state.results import (
    CHECKS,
    NO_PR,
    REVIEW,
    Evidence,
    HeadRecord,
    PublishRecord,
    valid_checks,
)
from orchestr.state.states import CellState
from orchestr.tasks.loader import ignored_cells
from orchestr.tasks.stale import audit_reasons, stale_phases

COUNTS_ONLY = DiffLimits(file=0, pair=0, total=0, files=200)


def read_cells(run: FeatureRun) -> list[CellReadiness]:
    """Every cell in merge order: by its records, and as the forge showed it."""
    ignored = ignored_cells(run)
    return [_read_cell(run.cell_context(p.name), p.name in ignored) for p in run.plan.cells]


def _read_cell(ctx: CellContext, ignored: bool) -> CellReadiness:
    stale = stale_phases(ctx)
    if ctx.cell.track_base:
        stale.pop(Phase.WORKTREE, None)  # it is looked at in every run, whatever is there
    head, done = ctx.read_head(), PublishRecord.read(ctx.dir)
    url = done.url if done is not None and done.url != NO_PR else None
    view = ctx.run.past.cell(ctx.cell.name)
    parked = view.state in (CellState.NEEDS_PERSON, CellState.MERGE_CONFLICT)
    return CellReadiness(
        name=ctx.name,
        stale=tuple(f"{phase}: {why}" for phase, why in stale.items()),
        head=head.head if head is not None else None,
        published=done.head if done is not None else None,
        url=url,
        is_green=is_evidence_green(ctx),
        is_ignored=ignored,
        needs_person=(view.reason or str(view.state)) if parked else None,
        pr=find_pull_request(ctx, url),
        away=ctx.run.forge_away.get(ctx.cell.repo) if url is not None else None,
    )


def find_pull_request(ctx: CellContext, url: str | None) -> PullRequest | None:
    """The pull request of that address as this run saw it."""
    return next((pr for pr in observed_prs(ctx.run, ctx.cell) if pr.url == url), None)


def describe_cross_checks(run: FeatureRun) -> tuple[list[str], list[str]]:
    """What is not green of the cross checks and the audit, and a line for each that is."""
    green = [
        f"{repo}: {row.get('told') or 'green'}"
        for repo, row, current in cross_check_results(run)
        if current and row.get("passed") is True
    ]
    red = cross_check_reasons(run) if run.feature.cross_checks else []
    unproven = audit_reasons(run)
    if run.feature.has_audit and not unproven:
        green.append("audit: passed")
    return [*red, *unproven], green


def read_facts(ctx: CellContext, head: HeadRecord) -> HandoffFacts:
    """What the text of a cell's pull request is made of."""
    checks, review = Evidence.read(ctx.dir / CHECKS), Evidence.read(ctx.dir / REVIEW)
    pair = (CommitId(head.base), CommitId(head.head))
    diff = read_diffs(ctx.repo, [pair], COUNTS_ONLY).get(pair)
    deviation = find_plan_deviation(ctx, head) if ctx.cell.has_plan_phase else None
    feature = ctx.run.feature
    return HandoffFacts(
        head=head.head,
        agent=ctx.agent_name if ctx.cell.todo else "",
        words=_read_words(ctx),
        paths=tuple(ChangedPath(f.path, f.added, f.removed) for f in diff.files) if diff else (),
        more_paths=diff.more if diff else 0,
        added=diff.added if diff else 0,
        removed=diff.removed if diff else 0,
        checks=valid_checks(checks, review),
        unchecked=explain_unchecked(ctx),
        reviews=tuple(review.items) if review is not None else (),
        plan=(read_plan(ctx) or "") if ctx.cell.has_plan_phase else "",
        deviation=deviation.files if deviation is not None else None,
        explanation=deviation.explanation if deviation is not None else "",
        plan_names_files=deviation.plan_names_files if deviation is not None else True,
        approvals=_read_approvals(ctx),
        issues=find_issues(feature.jira, (feature.title, ctx.cell.title or "", *ctx.cell.todo)),
        todo=ctx.cell.todo,
    )


def _read_words(ctx: CellContext) -> str:
    """The agent's last words; empty where its transcript or its settings are gone."""
    try:
        return read_last_words(ctx, 2 * WORDS)
    except MachineFault:
        raise
    except (OrchestrError, OSError, KeyError):
        return ""


def _read_approvals(ctx: CellContext) -> tuple[Approval, ...]:
    """The approvals that count for what is there now."""
    found = []
    for gate in ctx.cell.proof.approve:
        now, said = current_gate_digest(ctx, gate), approval.read_decision(ctx.dir, gate)
        if said is not None and now is not None and said.approves(now):
            found.append(Approval(str(gate), said.display_name, said.at))
    return tuple(found)


def make_texts(
    run: FeatureRun,
    facts: Mapping[str, HandoffFacts],
    *,
    choice: Choice,
    bases: Mapping[str, str],
    former: HandoffRecord | None = None,
) -> list[PullRequestText]:
    """The texts of the pull requests of these cells, in merge order, as they would be sent.

    What a person edited in the ``former`` hand-off of the same head stays as it was sent.
    """
    links = feature_links(run)
    kept: dict[tuple[str, str], str | None] = {}
    if former is not None:
        edited = [text for text in former.texts if text.cell in former.edited]
        kept = {(text.cell, text.head): read_handoff(text.body) for text in edited}
    if choice is not Choice.LEAVE:
        links |= {name: _as_ready(links[name]) for name in facts}
    texts = []
    for plan in run.plan.cells:
        if plan.name in facts:
            mine = facts[plan.name]
            sent = kept.get((plan.name, mine.head))
            texts.append(_make_text(run.cell_context(plan.name), mine, links, choice, bases, sent))
    return texts


def _as_ready(link: PRLink) -> PRLink:
    return replace(link, draft=False)


def _make_text(
    ctx: CellContext,
    facts: HandoffFacts,
    links: Mapping[str, PRLink],
    choice: Choice,
    bases: Mapping[str, str],
    sent: str | None,
) -> PullRequestText:
    """Title and body as they will be: what a person wrote outside of our parts stays."""
    done = PublishRecord.read(ctx.dir)
    pr = find_pull_request(ctx, done.url if done is not None else None)
    if done is None or pr is None:
        raise ctx.fail("it has no pull request", hint=f"orchestr run {ctx.name}")
    draft = pr.draft and choice is Choice.LEAVE
    own = pr_base(ctx)
    base = bases.get(ctx.cell.name) or _current_base(ctx, pr, own)
    block = body_block(ctx, links, draft=draft, base=base)
    part = hide_secret_values(render_handoff(facts), os.environ)
    if sent is not None and sent == read_handoff(pr.body):
        part = sent
    return PullRequestText(
        cell=ctx.cell.name,
        repo=ctx.cell.repo,
        number=pr.number,
        url=pr.url,
        head=facts.head,
        base=base,
        title=pr_title(ctx) if pr.title in own_titles(ctx, done) else pr.title,
        body=splice_handoff(splice_block(pr.body, block), part),
        draft=draft,
        seen=digest_seen(pr),
        own_base=own if ctx.cell.name in bases else "",
    )


def _current_base(ctx: CellContext, pr: PullRequest, own: str) -> str:
    """The base that the pull request is to have: of a merged one, the one that it went into."""
    return apply_chosen_base(ctx.dir, own) if pr.state is PRState.OPEN else pr.base


def select_cells(states: Collection[CellReadiness], skipped: Collection[str]) -> list[str]:
    """The cells whose open pull requests are handed over, in the order of ``states``."""
    names = [state.name.rpartition(":")[2] for state in states
             if state.pr is not None and state.pr.state is PRState.OPEN]  # fmt: skip
    return [name for name in names if name not in skipped]
