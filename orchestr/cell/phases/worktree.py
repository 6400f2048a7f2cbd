"""Phase `worktree`: fetch, choose the base, add the worktree, link and set up.

Its result is the marker `worktree.toml`, which outlives the worktree; the directory itself can be
removed (`clean`) and is made again by whoever needs it. The base is recorded once: a moved base
branch alone changes nothing, unless `track_base` is set (else each merge of other people would
start every agent again) or `--fresh` starts again: then from the newest base, as what landed may
have been rolled back there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestr.cell.context import CellContext
from orchestr.cell.inputs import phase_digest
from orchestr.cell.origin_looks import BaseFetch
from orchestr.cell.phases.run_phase import PhaseResult
from orchestr.cell.pull_request import adopt
from orchestr.cell.pull_request.claim import claim_branch
from orchestr.cell.record import CellRecord, Decision
from orchestr.cell.upstreams import is_built_on_product, rename_upstreams
from orchestr.cell.worktree.ensure import base_branch, ensure_worktree, find_checkout
from orchestr.cell.worktree.setup import set_up_worktree
from orchestr.codec import replace as replace_record
from orchestr.errors import CellBlocked
from orchestr.git.bases import fetch_base, find_base
from orchestr.git.errors import GitError
from orchestr.git.merge import merge_heads
from orchestr.git.repo import CommitId
from orchestr.spec.phases import Action, Phase
from orchestr.state import attempts
from orchestr.state.events import EventKind
from orchestr.state.results import HeadRecord, ImplementRecord, WorktreeMarker, read_tree

if TYPE_CHECKING:
    from orchestr.forges.base import PullRequest

FETCH_AGE = 60.0  # s for which a fetch counts within a run: cells begin many at once


class WorktreeStep(StrEnum):
    """What the phase can do."""

    KEEP = "keep"  # the marker is for these inputs
    RESTORE = "restore"  # the result is there, its marker is not
    ADOPT = "adopt"  # the cell has a pull request already
    BLOCKED = "blocked"  # an upstream has no result
    RECORD_CHECKOUT = "record checkout"  # a person's branch (`action: push`)
    MAKE = "make"  # the worktree, from the base


@dataclass(frozen=True, slots=True)
class WorktreeInputs:
    """``key``: the digest of the phase. ``trees``: what the `tree` file of every direct upstream
    says, None where there is none. ``pr``: the pull request to adopt, asked for before a step is
    performed. ``only_renamed``: the name of its branch is all that differs from the marker;
    ``renamed_base``: the name of now of the branch below, where that was renamed."""

    key: str
    trees: Mapping[str, str | None]
    is_push: bool = False
    track_base: bool = False
    ignore_deps: bool = False
    pr: PullRequest | None = None
    only_renamed: bool = False
    renamed_base: str | None = None
    former_names: Mapping[str, str] = field(default_factory=dict)  # of upstreams that were renamed
    standing: Mapping[str, str] = field(default_factory=dict)  # those of the marker that still do

    @property
    def missing_upstream(self) -> str | None:
        """The first upstream without a result."""
        return next((name for name, tree in self.trees.items() if tree is None), None)

    @property
    def known_trees(self) -> dict[str, str]:
        """The trees for a marker of something new."""
        return {name: tree for name, tree in self.trees.items() if tree is not None}

    @property
    def kept_trees(self) -> dict[str, str]:
        """The trees for the marker of what is not built again."""
        return {**self.known_trees, **self.standing}


def decide(record: CellRecord, inputs: WorktreeInputs) -> Decision[WorktreeStep]:
    """What the phase does now and why; ``why`` is None where only the base may have moved. Pure."""
    why = _reason(record, inputs)
    if why is None and not inputs.track_base:
        return Decision(WorktreeStep.KEEP, None)
    if _has_lost_marker(record) and not inputs.is_push:
        return Decision(WorktreeStep.RESTORE, why)
    if inputs.pr is not None:
        return Decision(WorktreeStep.ADOPT, why)
    if inputs.missing_upstream is not None and not inputs.ignore_deps:
        return Decision(WorktreeStep.BLOCKED, why)
    return Decision(WorktreeStep.RECORD_CHECKOUT if inputs.is_push else WorktreeStep.MAKE, why)


def _has_lost_marker(record: CellRecord) -> bool:
    """Whether a result is there whose marker was removed: the result says what that was."""
    is_fresh = record.fresh_request is not None
    return record.marker is None and record.implemented is not None and not is_fresh


def _reason(record: CellRecord, inputs: WorktreeInputs) -> str | None:
    marker = record.marker
    if marker is None:
        return "it has no worktree marker yet"
    if inputs.only_renamed:
        return f"its branch {marker.branch} has another name in the spec"
    if marker.phase != inputs.key:
        return "repository, branch, base or set-up changed"
    known, kept = rename_upstreams(marker.upstreams, inputs.former_names), inputs.kept_trees
    for name, tree in inputs.trees.items():
        if tree is None:
            return f"upstream {name} has no result yet"
        if known.get(name) != kept[name]:
            return f"upstream {name} has another tree"
    if set(known) != set(inputs.trees):
        return "its upstreams changed"
    if record.fresh_request is not None:
        return "it starts again from the base"
    if inputs.renamed_base is not None:
        return f"branch {marker.base_ref}, which it is stacked on, was renamed"
    return None


def read_inputs(ctx: CellContext, record: CellRecord) -> WorktreeInputs:
    """The inputs of `decide`, by files alone."""
    marker, ups = record.marker, ctx.upstreams()
    former_names = {up.cell.was: up.cell.name for up in ups if up.cell.was}
    known = {} if marker is None else rename_upstreams(marker.upstreams, former_names)
    trees = {up.cell.name: read_tree(up.dir) for up in ups}
    standing = {
        name: known[name]
        for up in ups
        if (name := up.cell.name) in known and is_built_on_product(up, known[name], trees[name])
    }
    return WorktreeInputs(
        phase_digest(ctx, Phase.WORKTREE),
        trees,
        is_push=ctx.cell.action is Action.PUSH,
        track_base=ctx.cell.track_base,
        ignore_deps=ctx.run.overrides.ignore_deps,
        only_renamed=marker is not None and is_only_renamed(ctx, marker),
        renamed_base=None if marker is None else find_renamed_base(ctx, marker),
        former_names=former_names,
        standing=standing,
    )


def is_only_renamed(ctx: CellContext, marker: WorktreeMarker) -> bool:
    """Whether the name of its branch is all that differs from when the worktree was made."""
    if marker.branch == ctx.cell.branch or ctx.cell.action is Action.PUSH:
        return False
    before = CellContext(ctx.run, replace(ctx.cell, branch=marker.branch), ctx.plan)
    return marker.phase == phase_digest(before, Phase.WORKTREE)


def find_renamed_base(ctx: CellContext, marker: WorktreeMarker) -> str | None:
    """The name of now of the branch below a stacked cell, when that was renamed."""
    if len(ctx.plan.stack) != 1:
        return None
    upstream = ctx.run.cell_context(ctx.plan.stack[0])
    if marker.base_ref == upstream.cell.branch:
        return None
    now = stacked_ref(ctx, upstream)
    entries = ctx.run.registry.entries()
    return now if any(e.branch == now and marker.base_ref in e.former for e in entries) else None


def reason_to_run(ctx: CellContext) -> str | None:
    """Why the phase would run, or None. Reads files only."""
    record = CellRecord.of_cell(ctx)
    return decide(record, read_inputs(ctx, record)).why


def run(ctx: CellContext) -> PhaseResult:
    """Make the marker, and the worktree it describes. See the module."""
    record = CellRecord.of_cell(ctx)
    inputs = read_inputs(ctx, record)
    decision = decide(record, inputs)
    why = decision.why
    if decision.step is not WorktreeStep.KEEP and (moved := _follow_names(ctx, record, inputs)):
        record = CellRecord.of_cell(ctx)
        inputs = read_inputs(ctx, record)
        decision = decide(record, inputs)
        if decision.step is WorktreeStep.KEEP:
            return PhaseResult.built(why or "", branch=moved.branch, base_ref=moved.base_ref)
    if decision.step is not WorktreeStep.KEEP:
        inputs = replace(inputs, pr=adopt.find_adoptable_pr(ctx))
        decision = decide(record, inputs)
    match decision.step:
        case WorktreeStep.KEEP:
            return PhaseResult.up_to_date()
        case WorktreeStep.RESTORE if record.implemented is not None:
            return _restore_marker(ctx, record.implemented, inputs)
        case WorktreeStep.ADOPT if inputs.pr is not None:
            adopt.build_adopted_marker(ctx, inputs.pr, inputs.key).write(ctx.dir)
            return PhaseResult.built("its branch has a pull request already", url=inputs.pr.url)
        case WorktreeStep.RECORD_CHECKOUT:
            return _record_checkout(ctx, record.marker, inputs)
        case WorktreeStep.MAKE:
            return _make_worktree(ctx, record.marker, inputs, why)
        case _:
            # doit starts upstreams first, but one that stands still (ignored, or not in `--only`)
            # may never have had a result.
            missing = inputs.missing_upstream or ""
            upstream = ctx.run.cell_context(missing).name
            raise CellBlocked(f"upstream {missing} has no result yet", upstream=missing,
                              hint=f"orchestr explain {upstream}")  # fmt: skip


def _follow_names(
    ctx: CellContext, record: CellRecord, inputs: WorktreeInputs
) -> WorktreeMarker | None:
    """The marker after a rename of the cell's branch, or of the one below; None without one."""
    from orchestr.cell.phases.rename_branch import follow_renamed_branch, is_renamed

    old = marker = record.marker
    if old is None or marker is None:
        return None
    if is_renamed(ctx, old):
        digest = inputs.key if inputs.only_renamed else old.phase
        marker = follow_renamed_branch(ctx, old, digest)
    if inputs.renamed_base is not None:
        marker = replace_record(marker, base_ref=inputs.renamed_base)
        marker.write(ctx.dir)
    return marker if marker is not old else None


def _restore_marker(ctx: CellContext, done: ImplementRecord, inputs: WorktreeInputs) -> PhaseResult:
    """The marker as the result says it. The worktree is made again by whoever needs it: what has
    landed needs none, and no agent is to work once more for a file that is gone."""
    base_ref, _ = choose_base(ctx, None)
    marker = WorktreeMarker(ctx.cell.branch, done.base, base_ref, inputs.known_trees, inputs.key)
    marker.write(ctx.dir)
    return PhaseResult.built("its marker was gone", base=done.base, base_ref=base_ref)


def _make_worktree(
    ctx: CellContext, old: WorktreeMarker | None, inputs: WorktreeInputs, why: str | None
) -> PhaseResult:
    """The worktree on the cell's branch, from the base; then the marker, if that is another."""
    base_ref, newest_base = choose_base(ctx, old)
    base = claim_branch(ctx, old, newest_base)
    trees = inputs.kept_trees if why is None else inputs.known_trees
    marker = WorktreeMarker(ctx.cell.branch, base, base_ref, trees, inputs.key)
    if old is not None and old.branch != marker.branch:
        ctx.run.registry.release(ctx.key)
    if not ensure_worktree(ctx, marker):
        set_up_worktree(ctx)
    if marker == old:
        return PhaseResult.up_to_date()
    marker.write(ctx.dir)
    return PhaseResult.built(why or "the base moved", base=base, base_ref=base_ref)


def _record_checkout(
    ctx: CellContext, old: WorktreeMarker | None, inputs: WorktreeInputs
) -> PhaseResult:
    """A person's branch: nothing is made, it must be checked out somewhere."""
    base_ref = base_branch(ctx)
    head = ctx.repo.resolve_commit(f"refs/heads/{ctx.cell.branch}")
    place = find_checkout(ctx)
    if head is None or place is None:
        found = ctx.repo.head_branch() or "a detached head"
        raise ctx.fail(
            f"its branch {ctx.cell.branch} is checked out nowhere; {ctx.repo_path} is on {found}",
            hint=f"git -C {ctx.repo_path} switch {ctx.cell.branch}",
        )
    tip = _newest_base_commit(ctx, base_ref)
    base = ctx.repo.merge_base(tip, head)
    if base is None:
        raise ctx.fail(f"branch {ctx.cell.branch} has no commit in common with {base_ref}")
    marker = WorktreeMarker(ctx.cell.branch, base, base_ref, inputs.kept_trees, inputs.key)
    if marker == old:
        return PhaseResult.up_to_date()
    marker.write(ctx.dir)
    return PhaseResult.built("a person's branch", path=str(place), base=base)


def choose_base(ctx: CellContext, old: WorktreeMarker | None) -> tuple[str, CommitId]:
    """The branch the pull request is for and the commit the work starts from.

    One same-repository upstream: its branch and head. Several: their merge, made without a
    checkout. None: the recorded base, else (and after `--fresh`) the base branch after a fetch.
    """
    heads: list[tuple[CellContext, HeadRecord]] = []
    for name in ctx.plan.stack:
        upstream = ctx.run.cell_context(name)
        head = upstream.read_head()
        if head is None:
            if ctx.run.overrides.ignore_deps:
                continue
            raise ctx.fail(f"upstream {name} has no head yet", hint=f"orchestr run {upstream.name}")
        heads.append((upstream, head))
    if len(heads) == 1:
        upstream, head = heads[0]
        return stacked_ref(ctx, upstream), CommitId(head.head)
    if heads:
        repo = ctx.repo.with_config(ctx.sign_config)
        merged = merge_heads(repo, [CommitId(head.head) for _, head in heads])
        if merged.commit is None:
            blamed = {merged.ours, merged.theirs}
            names = " and ".join(up.name for up, head in heads if head.head in blamed)
            names = names or " and ".join(up.name for up, _ in heads)
            files = ", ".join(merged.conflicts[:5])
            raise ctx.fail(
                f"its upstreams {names} conflict in {files}",
                hint=f"make one of them depend on the other in {ctx.run.feature.path}",
            )
        return base_branch(ctx), merged.commit
    base_ref = base_branch(ctx)
    again = ctx.cell.track_base or attempts.fresh_request(ctx.dir) is not None
    if old is not None and not again and old.base_ref == base_ref:
        return base_ref, CommitId(old.base)
    return base_ref, _newest_base_commit(ctx, base_ref)


def stacked_ref(ctx: CellContext, upstream: CellContext) -> str:
    """The branch below a stacked cell: its upstream's, or what that one stands on when the
    upstream changed nothing and so has no branch at the forge."""
    head = upstream.read_head()
    marker = WorktreeMarker.read(upstream.dir)
    if head is not None and marker is not None and head.head == head.base:
        return marker.base_ref
    return upstream.cell.branch


def _newest_base_commit(ctx: CellContext, base_ref: str) -> CommitId:
    """The newest commit of the base branch; a fetch that fails only warns."""
    repo = ctx.repo
    if repo.has_remote(repo.remotes.base):
        error = _fetch_base(ctx, base_ref)
        if error is not None:
            why = f"{repo.remotes.base} cannot be fetched, using what is here: {error}"
            ctx.emit(EventKind.FORGE_AWAY, phase=Phase.WORKTREE, repo=ctx.cell.repo, reason=why)
    commit = find_base(repo, base_ref)
    if commit is not None:
        return commit
    raise ctx.fail(
        f"base branch {base_ref!r} is neither at {repo.remotes.base} nor in {ctx.repo_path}",
        hint=f"set [repos.{ctx.cell.repo}] base, or push {base_ref}",
    )


def _fetch_base(ctx: CellContext, base_ref: str) -> str | None:
    """Fetch the base branch, once for all cells that begin together; why it failed, or None."""
    known = ctx.run.fetches.setdefault((ctx.cell.repo, base_ref), BaseFetch())
    with known.lock:
        if known.at is None or time.monotonic() - known.at > FETCH_AGE:
            known.error = None
            try:
                fetch_base(ctx.repo, base_ref, locks=ctx.run.layout.locks_dir)
            except GitError as error:
                known.error = error.message
            known.at = time.monotonic()
        return known.error
