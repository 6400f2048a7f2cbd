"""Forecast conflicts of built cells: their heads from the result files, merges in a scratch room.

No network, nothing is written into a clone: what the merges make goes into a temporary object
folder. Known pairs come from `orchestr.landing.forecast_cache`, so a look at unchanged heads starts
no git; at most `MERGES` new ones are merged by one command.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.worktree.operations import unfinished_operation
from orchestr.errors import OrchestrError
from orchestr.git.branch_tip import read_base_tip
from orchestr.git.open_clone import open_clone
from orchestr.git.path_changes import read_changed_paths
from orchestr.git.repo import CommitId, Repo
from orchestr.landing.forecast import (
    ConflictForecast,
    ExpectedConflict,
    HeadKind,
    HeadPair,
    PairMerge,
    PublishedHead,
    choose_pairs,
    describe_outcome,
    interpret_merges,
)
from orchestr.landing.forecast_cache import ForecastCache, rules_digest
from orchestr.landing.lane import Lane
from orchestr.plan.edge_suggestion import suggest_edges
from orchestr.spec.phases import Action
from orchestr.state.results import WorktreeMarker
from orchestr.state.states import CellState
from orchestr.state.view import FeatureView

if TYPE_CHECKING:
    from orchestr.landing.ladder import LadderRules

MERGES = 50  # new ones in one command
PATHS = 5000  # of one head; one with more of them is merged with all others
GONE = (CellState.LANDED, CellState.ROLLED_BACK, CellState.IGNORED)


@dataclass(slots=True)
class _Survey:
    """What one command has merged so far."""

    merged: int = 0
    left: int = 0
    notes: list[str] = field(default_factory=list)


def forecast_conflicts(
    runs: Sequence[FeatureRun],
    asked: Iterable[str],
    views: Mapping[str, FeatureView] | None = None,
    others: Sequence[PublishedHead] = (),
) -> ConflictForecast:
    """The conflicts of the features ``asked`` with each other, with those of the other ``runs`` and
    with their targets. ``views``: newer ones than the runs have; ``others``: heads that are no
    cell's. What cannot be compared is noted; nothing is raised for it.
    """
    names, by_repo = frozenset(asked), dict[str, list[PublishedHead]]()
    contexts: dict[str, CellContext] = {}
    for run in runs:
        view = (views or {}).get(run.feature.name, run.past)
        for ctx, head in list_published_heads(run, view, asked=run.feature.name in names):
            contexts[head.name] = ctx
            by_repo.setdefault(ctx.cell.repo, []).append(head)
    survey, found = _Survey(), list[ExpectedConflict]()
    for repo, heads in by_repo.items():
        if not any(head.asked for head in heads):
            continue
        foreign = [head for head in others if head.lane.repo == repo]  # they are there already
        try:
            found += _forecast_repository(runs[0], repo, [*foreign, *heads], survey)
        except (OrchestrError, OSError) as error:
            why = describe_failure(error)
            survey.notes.append(f"conflicts in {repo} are not known: {why}")
    if survey.left:
        survey.notes.append(
            f"{survey.left} more pairs of heads change the same files and are not compared yet; "
            f"the same command compares the next {MERGES}"
        )
    explained = tuple(_explain_conflict(one, contexts) for one in found)
    return ConflictForecast(explained, tuple(survey.notes))


def describe_failure(error: OrchestrError | OSError) -> str:
    """Why something could not be compared, in a line."""
    what = error.message if isinstance(error, OrchestrError) else str(error)
    return what.splitlines()[0]


def list_published_heads(
    run: FeatureRun, view: FeatureView, *, asked: bool
) -> Iterator[tuple[CellContext, PublishedHead]]:
    """The heads of a feature that have not landed, in plan order."""
    names = {plan.name: f"{run.feature.name}:{plan.name}" for plan in run.plan.cells}
    for plan in run.plan.cells:
        ctx = run.cell_context(plan.name)
        if view.cell(plan.name).state in GONE:
            continue
        head = ctx.read_head()
        target = find_target(ctx) if head is not None else ""
        if head is None or not target or head.head == head.base:
            continue
        below = frozenset(names[name] for name in _list_below(run, plan.name))
        lane = Lane(ctx.cell.repo, target)
        yield ctx, PublishedHead(ctx.name, lane, head.head, head.base, below=below, asked=asked)


def find_target(ctx: CellContext) -> str:
    """The branch that a cell lands on, from the files alone; "" where they do not say."""
    named = ctx.cell.base or ctx.repo_settings.base
    if named:
        return named
    bottom = ctx
    while bottom.plan.stack:
        bottom = ctx.run.cell_context(bottom.plan.stack[0])
    marker = WorktreeMarker.read(bottom.dir)
    return bottom.cell.base or (marker.base_ref if marker is not None else "")


def _list_below(run: FeatureRun, name: str) -> set[str]:
    """The cells whose work is in this one's branch."""
    found: set[str] = set()
    todo = list(run.plan.cell(name).stack)
    while todo:
        if (below := todo.pop()) not in found:
            found.add(below)
            todo += run.plan.cell(below).stack
    return found


def _forecast_repository(
    run: FeatureRun, name: str, heads: Sequence[PublishedHead], survey: _Survey
) -> list[ExpectedConflict]:
    repo = open_clone(run.settings, name)
    known_pairs = ForecastCache(run.layout.state / "cache" / "forecast" / f"{name}.json")
    every = [*heads, *_list_targets(repo, heads)]
    paths = _find_paths(repo, known_pairs, every)
    merges: dict[HeadPair, PairMerge] = {}
    new = list[HeadPair]()
    pairs = choose_pairs(every, paths)

    @cache
    def read_rules() -> tuple[LadderRules, str]:
        from orchestr.landing.ladder import read_ladder_rules  # not where nothing conflicts

        rules = read_ladder_rules(run.settings, name)
        return rules, rules_digest(rules)

    for pair in pairs:
        known = known_pairs.find_merge(*pair.commits, lambda: read_rules()[1])
        if known is not None:
            merges[pair] = known
        elif survey.merged + len(new) < MERGES:
            new.append(pair)
        else:
            survey.left += 1
    survey.merged += len(new)
    if new:
        rules, digest = read_rules()
        for pair, merge in _merge_pairs(repo, new, rules):
            known_pairs.add_merge(digest, *pair.commits, merge)
            merges[pair] = merge
    known_pairs.save()
    return interpret_merges([(pair, merges[pair]) for pair in pairs if pair in merges])


def _list_targets(repo: Repo, heads: Sequence[PublishedHead]) -> list[PublishedHead]:
    """The targets as known here, one for each commit that a head was made on."""
    tips = {lane: read_base_tip(repo, lane.target) for lane in {head.lane for head in heads}}
    found = {}
    for head in heads:
        tip = tips[head.lane]
        if tip is not None and head.kind is HeadKind.CELL and head.asked and head.base != tip:
            made = PublishedHead(head.lane.target, head.lane, tip, head.base, HeadKind.TARGET)
            found[head.lane, head.base] = made
    return list(found.values())


def _find_paths(
    repo: Repo, cache: ForecastCache, heads: Sequence[PublishedHead]
) -> dict[tuple[str, str], frozenset[str] | None]:
    """What each head changes; heads that git cannot compare are left out."""
    found: dict[tuple[str, str], frozenset[str] | None] = {}
    new = []
    for head in heads:
        known, paths = cache.find_paths(head.base, head.commit)
        if known:
            found[head.base, head.commit] = None if paths is None else frozenset(paths)
        else:
            new.append((CommitId(head.base), CommitId(head.commit)))
    if not new:
        return found
    for (base, commit), paths in read_changed_paths(repo, new, PATHS).items():
        cache.add_paths(base, commit, paths)
        found[base, commit] = None if paths is None else frozenset(paths)
    return found


def _merge_pairs(
    repo: Repo, pairs: Sequence[HeadPair], rules: LadderRules
) -> Iterator[tuple[HeadPair, PairMerge]]:
    """What comes of each; pairs that git cannot merge (unrelated, gone) are left out."""
    from orchestr.landing.ladder import merge_by_ladder

    with use_scratch_objects(repo) as scratch:
        for pair in pairs:
            try:
                ours, theirs = map(CommitId, pair.commits)
                made = merge_by_ladder(scratch, ours, theirs, rules)
            except OrchestrError:
                continue
            yield (
                pair,
                PairMerge(made.rung, tuple(path for _, path in made.resolved), made.conflicts),
            )


@contextmanager
def use_scratch_objects(repo: Repo) -> Iterator[Repo]:
    """The same repository, whose new objects go into a temporary folder: a view leaves nothing in
    a clone, and a clone that cannot be written can be looked at."""
    with tempfile.TemporaryDirectory(prefix="orchestr-forecast-") as folder:
        objects = str(repo.common_dir() / "objects")
        quoted = objects.replace("\\", "\\\\").replace('"', '\\"')  # a colon would end the path
        env = {
            "GIT_OBJECT_DIRECTORY": folder,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": f'"{quoted}"',
        }
        yield repo.at_path(repo.path, env=env)


# --- words --------------------------------------------------------------------------------------


def _explain_conflict(
    conflict: ExpectedConflict, contexts: Mapping[str, CellContext]
) -> ExpectedConflict:
    """The same with what will happen, and what a person can do."""
    second = contexts.get(conflict.pair.second.name)
    repairs = second is not None and second.cell.action is not Action.PUSH
    has_agent = second is not None and repairs and second.run.settings.landing.repairs > 0
    if second is not None and has_agent:  # what its agent has tried is a person's now
        state = second.run.past.cell(second.cell.name).state
        has_agent = state is not CellState.MERGE_CONFLICT
    has_checks = second is None or second.has_landing_checks
    outcome = describe_outcome(conflict, has_agent=has_agent, has_checks=has_checks)
    hint = _make_hint(conflict, contexts) if conflict.left else ""
    return replace(conflict, outcome=outcome, hint=hint)


def _make_hint(conflict: ExpectedConflict, contexts: Mapping[str, CellContext]) -> str:
    first, second = (contexts.get(name) for name in conflict.names)
    if second is None:
        return ""
    if conflict.pair.first.kind is HeadKind.TARGET:
        if not second.worktree.exists():
            return ""
        merge = f"git -C {second.worktree} merge {conflict.pair.first.commit[:12]}"
        if unfinished_operation(Repo(second.worktree)) is not None:
            merge = f"git -C {second.worktree} status"
        return f"{merge}, resolve and commit, then: orchestr run {second.name}"
    if first is None:
        return ""
    if first.run is second.run:
        feature, root = second.run.feature, second.run.layout.root
        (edge,) = suggest_edges(feature, root, [(first.cell.name, second.cell.name)])
        return f"{edge}, then: orchestr run {second.name}"
    names = " ".join(dict.fromkeys((first.run.feature.name, second.run.feature.name)))
    return f"orchestr land {names} --dry-run shows what the second meets when the first has landed"
