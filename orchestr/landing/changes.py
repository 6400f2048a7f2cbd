"""From cells to changes: what of a feature may land, what holds it back, how it is made.

Reads result files, journal and git; decides nothing about order (`orchestr.landing.queue`).
"""

from __future__ import annotations

from dataclasses import replace

from orchestr.cell.context import CellContext, FeatureRun, observed_prs
from orchestr.cell.phases.publish import is_base_of_person, pr_base
from orchestr.cell.phases.run_phase import phase_module
from orchestr.cell.pull_request.chosen_base import apply_chosen_base
from orchestr.cell.pull_request.text import is_partial, pr_title
from orchestr.cell.worktree.ensure import base_branch
from orchestr.errors import OrchestrError, Unavailable
from orchestr.forges.base import PRState
from orchestr.git.errors import GitError
from orchestr.git.merge import merge_heads
from orchestr.git.repo import CommitId, Repo, TreeId
from orchestr.landing.candidates import (
    ATTEMPT,
    CELL,
    FEATURE,
    REVERTS,
    BuiltCandidate,
    Climb,
    Recipe,
    build_candidate,
    hold_candidate,
    landed_by_trailers,
)
from orchestr.landing.events import CandidateSpec, Conflicted, LandingChange, Made, Offered, Stage
from orchestr.landing.ladder import read_ladder_rules
from orchestr.landing.lane import Lane
from orchestr.landing.rung import Rung
from orchestr.landing.session import LandingSession, may_check_apart
from orchestr.spec.phases import Phase
from orchestr.state.results import HeadRecord, ImplementOutcome, ImplementRecord
from orchestr.state.states import CellState

NOT_BUILT = "it is not built"
NEEDS_APPROVAL = "the cell needs approval"
IGNORED = "it is ignored"
LANDED_ONCE = (CellState.LANDED, CellState.ROLLED_BACK)


def lane_of(ctx: CellContext) -> Lane:
    """Where a cell lands: its base branch, also when it is stacked. Raises PhaseFailed."""
    return Lane(ctx.cell.repo, base_branch(ctx))


def offer_changes(session: LandingSession, run: FeatureRun) -> list[Offered]:
    """Every cell of a feature as a change, in plan order."""
    found = []
    for order, plan in enumerate(run.plan.cells):
        ctx = run.cell_context(plan.name)
        head = ctx.read_head()
        paths = changed_paths_of(ctx, head.head) if head else None
        needs = tuple(f"{run.feature.name}/{name}" for name in plan.upstreams)
        try:
            lane, why = lane_of(ctx), hold_reason(ctx, head)
        except Unavailable:
            raise  # it says nothing of the change
        except OrchestrError as error:  # its repository is not here, or has no such branch
            lane = Lane(ctx.cell.repo, "")
            why = error.message if head is not None else NOT_BUILT
        change = LandingChange(ctx.key, lane, head.head if head else "", order,
                        run.feature.name, needs, why, paths)  # fmt: skip
        nothing = head is not None and head.outcome is ImplementOutcome.NO_CHANGE_NEEDED
        found.append(Offered(change, landed=nothing and not change.hold))
    return found


def hold_reason(ctx: CellContext, head: HeadRecord | None) -> str:
    """Why a cell must not land: not done on its current head, ignored, waits for a person."""
    state = ctx.run.past.cell(ctx.cell.name).state
    if state in (CellState.IGNORED, CellState.APPROVAL):
        return NEEDS_APPROVAL if state is CellState.APPROVAL else IGNORED
    for phase in ctx.cell.task_phases:
        if phase == Phase.WORKTREE and head is not None and state in LANDED_ONCE:
            continue
        try:
            why = phase_module(phase).reason_to_run(ctx)
        except Unavailable:
            raise
        except OrchestrError as error:
            why = error.message
        if why is not None:
            return f"{phase}: {why}" if head is not None else NOT_BUILT
    if head is None:
        return NOT_BUILT
    own = pr_base(ctx)
    chosen = apply_chosen_base(ctx.dir, own)
    for pr in observed_prs(ctx.run, ctx.cell)[:1]:
        if pr.state is PRState.OPEN and is_base_of_person(ctx, pr.base):
            chosen = pr.base
    if chosen != own:  # what a person sent elsewhere does not land here
        what = f"its pull request is for {chosen}, which a person chose"
        return f"{what}: write `base: {chosen}` in its spec"
    return "it is partial: something of it is red" if is_partial(ctx) else ""


def changed_paths_of(ctx: CellContext, head: str) -> frozenset[str] | None:
    """The paths that a cell changes, where they may matter; None when git cannot say."""
    done = HeadRecord.read(ctx.dir)
    if done is None or not may_check_apart(ctx.run, ctx.cell.repo):
        return None
    try:
        return frozenset(ctx.repo.changed_paths(done.base, head))
    except GitError:
        return None


def assemble_candidate(
    session: LandingSession,
    spec: CandidateSpec,
    above: Rung | None = None,
    written: TreeId | None = None,
    *,
    generates: bool = True,
) -> BuiltCandidate:
    """Build the candidate; the same spec gives the same commit again. For ``above`` and ``written``
    see `Climb`; ``generates`` False: no file is left to a generator.

    Raises KeyError for a change of a feature that this landing was not asked for.
    """
    recipes = [make_recipe(session, key, CommitId(head)) for key, head in spec.parts]
    rules = read_ladder_rules(session.runs[0].settings, spec.lane.repo)
    if not generates:
        rules = replace(rules, rungs=rules.rungs - {Rung.REGENERATE})
    climb = Climb(rules, above, written)
    return build_candidate(session.repo(spec.lane.repo), CommitId(spec.base), recipes, climb)


def describe_built(
    session: LandingSession, spec: CandidateSpec, built: BuiltCandidate, red: str = ""
) -> Made | Conflicted:
    """The answer for a built candidate, which is held from now on. ``red``: see `Conflicted`."""
    if built.commit is None or built.tree is None:
        return Conflicted(spec, built.key, built.conflicts, red)
    hold_candidate(session.repo(spec.lane.repo), built.commit)
    return Made(spec, built.commit, built.tree, built.rung, built.resolved, built.generating,
                built.steps)  # fmt: skip


def make_recipe(session: LandingSession, key: str, head: CommitId) -> Recipe:
    """How a change becomes a commit."""
    item = session.queue.items[key]
    change = item.change
    if change.reverts:
        return _undo_recipe(session, change)
    ctx = session.cell_context(key)
    done = ImplementRecord.read(ctx.dir)
    trailers = (
        (FEATURE, ctx.run.feature.name),
        (CELL, ctx.cell.name),
        (ATTEMPT, str(done.attempt if done else 0)),
    )
    strategy = session.strategy or ctx.repo_settings.strategy or ctx.run.settings.landing.strategy
    own = own_base(session, ctx, head) if strategy in ("squash", "rebase") else None
    if item.landed and strategy in ("squash", "rebase") and _is_on_top(ctx.repo, item.landed, head):
        own = CommitId(item.landed)  # what landed of it is in the target as other commits
    again = bool(item.undone and item.before and item.stage is not Stage.LANDED)
    if again:  # its old commits are in the target, and reverted there
        own = ctx.repo.merge_base(CommitId(item.first or item.before), head)
    known = done is not None and bool(done.base) and not ctx.plan.stack and not again
    made_on = (lane_of(ctx).target, CommitId(done.base)) if done is not None and known else None
    return Recipe(key, head, pr_title(ctx), trailers, strategy, own,
                  again=again and head == item.again, made_on=made_on)  # fmt: skip


def _is_on_top(repo: Repo, landed: str, head: CommitId) -> bool:
    """Whether the branch goes on from what landed of it before."""
    return repo.resolve_commit(landed) is not None and repo.is_ancestor(landed, head)


def own_base(session: LandingSession, ctx: CellContext, head: CommitId) -> CommitId | None:
    """Where a stacked cell's own work begins, when what it is stacked on landed as other commits
    (squashed, rebased) that the branch does not contain.
    """
    repo = ctx.repo
    below: list[CommitId] = []
    for name in ctx.plan.stack:
        item = session.queue.items.get(f"{ctx.run.feature.name}/{name}")
        if item is None or not item.change.head:
            continue
        if item.after and repo.resolve_commit(item.after) and repo.is_ancestor(item.after, head):
            continue  # the branch took the landed commit in already
        common = repo.merge_base(head, item.change.head)
        if common is not None:
            below.append(common)
    if not below:
        return None
    whole = merge_heads(repo.with_config(ctx.sign_config), below).commit
    return whole if whole is not None and repo.is_ancestor(whole, head) else below[-1]


# --- rollback -----------------------------------------------------------------------------------


def offer_reverts(session: LandingSession, run: FeatureRun) -> list[Offered]:
    """What undoes a feature: a change for each landing that is still in its target, dependents
    before what they need. By the queue's book; what that does not know, by the trailers.
    """
    found: list[tuple[CellContext, Lane, str, str]] = []
    for plan in reversed(run.plan.cells):
        ctx = run.cell_context(plan.name)
        lane = lane_of(ctx)
        item = session.queue.items.get(ctx.key)
        repo = session.repo(lane.repo)
        tip = session.fetch_target_tip(lane)
        pairs = item.earlier if item is not None else ()
        if item is not None and item.stage is Stage.LANDED and item.after:
            pairs = (*pairs, (item.before, item.after))
        moved = [pair for pair in reversed(pairs) if pair[0] != pair[1]]  # newest first
        if item is not None and moved:
            found += [(ctx, lane, *pair) for pair in moved if repo.is_ancestor(pair[1], tip)]
            continue
        if item is not None and item.undone:
            continue
        for cell, before, done in landed_by_trailers(repo, tip, run.feature.name):
            if cell == ctx.cell.name:
                found.append((ctx, lane, before, done))
    keys = {(ctx.key, done): f"{ctx.key}~{done[:12]}" for ctx, _, _, done in found}
    offered = []
    for order, (ctx, lane, before, done) in enumerate(found):
        later = [
            keys[other.key, theirs]
            for other, _, _, theirs in found[:order]
            if other.key == ctx.key or ctx.cell.name in other.plan.upstreams
        ]
        change = LandingChange(keys[ctx.key, done], lane, f"{before}..{done}", order,
                        f"{run.feature.name}~rollback", tuple(later), reverts=ctx.key)  # fmt: skip
        offered.append(Offered(change))
    return offered


def _undo_recipe(session: LandingSession, change: LandingChange) -> Recipe:
    before, _, done = change.head.partition("..")
    ctx = session.cell_context(change.reverts)
    repo: Repo = session.repo(change.lane.repo)
    commits = repo.run_readonly(
        "rev-list", "--first-parent", f"{before}..{done}", "--"
    ).text.split()
    trailers = (
        (FEATURE, ctx.run.feature.name),
        (CELL, ctx.cell.name),
        (REVERTS, " ".join(commits[:50]) or done),
    )
    title = f'Revert "{pr_title(ctx)}"\n\nRolled back by `orchestr rollback`: {done}.'
    return Recipe(change.key, CommitId(done), title, trailers,
                  undo=(CommitId(before), CommitId(done)))  # fmt: skip
