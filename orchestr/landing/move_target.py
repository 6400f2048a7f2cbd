"""How a target is moved to a candidate that is green: our own push, or the forge does it.

`push`: the candidate itself, as a plain push of a commit that descends from the target; git refuses
it when the target moved. `api`: the forge's merge button for exactly the head that was checked; the
forge compares the head but not the base, so the base is looked at just before, and the tree that
came out afterwards: another one than the checked one is said and checked at once. `forge`: into the
forge's own queue, which checks and lands by itself; we wait for it.

What survives a crash: the intent is journalled before, and each way looks first at what happened.
"""

from __future__ import annotations

import time

from orchestr.cell.context import CellContext, FeatureRun
from orchestr.errors import Interrupted, OrchestrError, UsageError
from orchestr.forges.base import (
    ForgeAway,
    ForgeError,
    MergeMethod,
    MergingForge,
    PRState,
    PullRequest,
)
from orchestr.forges.routed import forge_for
from orchestr.git.errors import PushStatus
from orchestr.git.repo import Branch, CommitId
from orchestr.landing import after_landing, changes, workers
from orchestr.landing.candidates import commit_message
from orchestr.landing.events import CandidateSpec, Landed, NotLanded
from orchestr.landing.session import API, FORGE, PUSH, LandingSession

POLL = 5.0  # s between two looks at the forge's queue
CATCH_UP = 20.0  # s that a merge may take to be seen at the origin


def choose_landing_method(run: FeatureRun, repo: str, strategy: str | None = None) -> str:
    """How a repository's target is moved. Raises UsageError for what the forge cannot do."""
    settings, landing = run.settings.repo_settings(repo), run.settings.landing
    named = settings.land or landing.land
    how = strategy or settings.strategy or landing.strategy
    forge = forge_for(run.forge, repo)
    if named in (API, FORGE) and not isinstance(forge, MergingForge):
        raise UsageError(
            f'[repos.{repo}] land = "{named}" needs a forge that merges; {forge.kind} does not',
            hint="leave it out",
        )
    if how == "fast-forward" and named == API:
        raise UsageError(
            f"{forge.kind} cannot fast-forward {repo} by its merge button",
            hint=f'[repos.{repo}] land = "push", or another strategy',
        )
    if named is not None:
        return named
    return API if isinstance(forge, MergingForge) and how != "fast-forward" else PUSH


def move_target(session: LandingSession, spec: CandidateSpec, commit: str) -> Landed | NotLanded:
    """Move the target from ``spec.base`` to ``commit``, or say why not. Raises ForgeAway, GitError,
    Interrupted (of the wait for the forge's queue).
    """
    lane, tip = spec.lane, session.fetch_target_tip(spec.lane)
    items = [session.queue.items[key] for key in spec.keys]
    if session.target_contains(lane, tip, commit):
        return landed_event(session, spec, commit, tip)
    if any(item.frozen for item in items):  # of a killed process with other features
        return NotLanded(spec, tip)
    if any(item.change.reverts for item in items) or session.ways[lane.repo] == PUSH:
        return _push_candidate(session, spec, commit, tip)
    (key,) = spec.keys  # no batches where the forge merges
    try:
        if session.ways[lane.repo] == API:
            return _merge_by_forge_api(session, spec, session.cell_context(key), commit, tip)
        return _merge_by_forge_queue(session, spec, session.cell_context(key), tip)
    except ForgeAway:
        raise
    except ForgeError as error:
        tip = session.fetch_target_tip(lane)
        refused = f"{error.message} ({error.hint})" if error.hint else error.message
        return NotLanded(spec, tip, "" if tip != spec.base else refused)


def _push_candidate(
    session: LandingSession, spec: CandidateSpec, commit: str, tip: str
) -> Landed | NotLanded:
    lane = spec.lane
    if tip != spec.base:
        return NotLanded(spec, tip)
    repo = session.repo(lane.repo)
    result = repo.push(
        repo.remotes.base, CommitId(commit), Branch(lane.target), expected=CommitId(spec.base)
    )
    tip = session.fetch_target_tip(lane)
    if session.target_contains(lane, tip, commit):
        return landed_event(session, spec, commit, tip)
    result.raise_if_not_stored(f"{lane.target} of {lane.repo}")
    if result.status is PushStatus.REJECTED and tip == spec.base:
        return NotLanded(spec, tip, f"{lane.target} of {lane.repo}: {result.reason}")
    return NotLanded(spec, tip)


def landed_event(session: LandingSession, spec: CandidateSpec, commit: str, tip: str) -> Landed:
    """The answer for a candidate that is in the target, with what each of its parts came to."""
    if len(spec.parts) == 1 or commit == spec.base:
        return Landed(spec, commit, tip)
    known = session.queue.candidates.get(spec)
    if known is not None and known.commit == commit and known.steps:
        return Landed(spec, commit, tip, known.steps)
    try:  # made by an earlier version
        steps = changes.assemble_candidate(session, spec).steps
    except KeyError:  # a batch with a feature that this process was not asked for
        steps = ()
    return Landed(spec, commit, tip, steps)


# --- the forge merges -----------------------------------------------------------------------------


def _merge_by_forge_api(
    session: LandingSession, spec: CandidateSpec, ctx: CellContext, commit: str, tip: str
) -> Landed | NotLanded:
    """Merge by the forge's button, and see that what came out is what was checked."""
    lane, ((key, head),) = spec.lane, spec.parts
    forge = forge_for(ctx.run.forge, ctx.cell.repo)
    assert isinstance(forge, MergingForge)
    pr = _find_pull_request(ctx, head)
    if pr.state is PRState.OPEN and tip != spec.base:
        return NotLanded(spec, tip)
    recipe = changes.make_recipe(session, key, CommitId(head))
    method = MergeMethod(recipe.strategy)
    if pr.state is PRState.OPEN and pr.base != lane.target:
        ctx.run.forge.edit_pull_request(ctx.repo_ref, pr.number, base=lane.target)
    words = commit_message("", recipe.trailers).strip()
    pr = forge.land_pull_request(
        ctx.repo_ref, pr.number, sha=head, method=method, title=recipe.title, message=words
    )
    made = pr.merged_as
    tip = _wait_for_merged_tip(session, spec, made or head)
    if made is None:
        return _landed_at_tip(session, spec, tip)
    before = _target_before_merge(session, spec, made, method)
    repo = session.repo(lane.repo)
    if repo.resolve_tree(CommitId(made)) != repo.resolve_tree(CommitId(commit)):
        workers.check_forge_merge(session, spec, made)
    return Landed(spec, made, tip, ((before, made),))


def _merge_by_forge_queue(
    session: LandingSession, spec: CandidateSpec, ctx: CellContext, tip: str
) -> Landed | NotLanded:
    """Into the forge's own queue, and wait until it says merged, or lets it go."""
    lane, ((_, head),) = spec.lane, spec.parts
    forge = forge_for(ctx.run.forge, ctx.cell.repo)
    assert isinstance(forge, MergingForge)
    pr = _find_pull_request(ctx, head)
    if pr.state is PRState.OPEN and pr.base != lane.target:
        ctx.run.forge.edit_pull_request(ctx.repo_ref, pr.number, base=lane.target)
    if pr.state is PRState.OPEN:
        forge.enqueue_pull_request(ctx.repo_ref, pr.number, sha=head)
    while pr.state is PRState.OPEN and forge.is_queued(ctx.repo_ref, pr.number):
        if ctx.run.stop.wait(POLL):
            raise Interrupted("stopped; the same command goes on")
    pr = _find_pull_request(ctx, head)
    if pr.state is PRState.OPEN:
        raise ForgeError(f"{pr.url} was taken out of the merge queue", hint="its page says why")
    pr = ctx.run.forge.merge_pull_request(
        ctx.repo_ref, pr.number, sha=head
    )  # merged: it only tells as what
    tip = _wait_for_merged_tip(session, spec, pr.merged_as or head)
    if pr.merged_as is None:
        return _landed_at_tip(session, spec, tip)
    recipe = changes.make_recipe(session, spec.keys[0], CommitId(head))
    before = _target_before_merge(session, spec, pr.merged_as, MergeMethod(recipe.strategy))
    return Landed(spec, pr.merged_as, tip, ((before, pr.merged_as),))


def _find_pull_request(ctx: CellContext, head: str) -> PullRequest:
    """The pull request with exactly this head, open or merged. Raises ForgeError."""
    pr = after_landing.newest_pr(ctx)
    if pr is None or pr.state is PRState.CLOSED:
        where = f"{pr.url} is closed" if pr else f"{ctx.cell.branch} has no pull request"
        raise ForgeError(where, hint=f"orchestr run {ctx.name}")
    if pr.head_sha != head:
        raise ForgeError(f"{pr.url} is at {pr.head_sha[:12]}, not at {head[:12]}",
                         hint=f"orchestr run {ctx.name}")  # fmt: skip
    return pr


def _wait_for_merged_tip(session: LandingSession, spec: CandidateSpec, made: str) -> str:
    """The target once the origin shows the merge. Raises OrchestrError when it does not."""
    end = time.monotonic() + CATCH_UP
    while True:
        tip = session.fetch_target_tip(spec.lane)
        if session.target_contains(spec.lane, tip, made) or session.target_contains(
            spec.lane, tip, spec.parts[0][1]
        ):
            return tip
        if time.monotonic() > end:
            raise OrchestrError(
                f"the forge says merged, but {spec.lane.target} of {spec.lane.repo} does not show"
                f" {made[:12]}", hint="the same command again",
            )  # fmt: skip
        time.sleep(0.5)


def _landed_at_tip(session: LandingSession, spec: CandidateSpec, tip: str) -> Landed:
    """Where the forge does not tell the commit: the target as it is now."""
    return Landed(spec, tip, tip, ((spec.base, tip),))


def _target_before_merge(
    session: LandingSession, spec: CandidateSpec, made: str, method: MergeMethod
) -> str:
    """The target before the forge merged: the base, unless another push came first."""
    repo = session.repo(spec.lane.repo)
    parent = repo.resolve_commit(f"{made}^")
    if parent is None or parent == spec.base:
        return spec.base
    if method is MergeMethod.REBASE:
        span = (f"^{spec.base}", spec.parts[0][1], "--no-merges", "--count")
        back = repo.resolve_commit(
            f"{made}~{repo.run_readonly('rev-list', *span, '--').text.strip()}"
        )
        return back or parent
    return parent
