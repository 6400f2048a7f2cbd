"""What must be green on a candidate: its cells' checks, the feature's, the repository's.

Owns which checks those are; running them is `orchestr.checks.suite`'s, the worktree that shows
the candidate is `orchestr.cell.worktree.check_pool`'s. A result for the same tree and the same
check counts, whoever had it run in a clean checkout: so the first candidate on a target that did
not move costs nothing. One that was made in an author's worktree, or beside caches that checks of
cells can write, does not.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestr.agents.environment import ALLOWED, NETWORK, QUIET
from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.phases import cross_checks
from orchestr.cell.proof import run_checks
from orchestr.cell.proof.check_request import (
    CheckPlace,
    check_environment,
    describe_place,
    expose_upstreams,
    input_digest,
)
from orchestr.cell.proof.read_inputs import make_input_reader
from orchestr.cell.worktree.check_pool import CheckPool
from orchestr.cell.worktree.check_worktree import CheckWorktree
from orchestr.cell.worktree.links_back import find_links_back
from orchestr.cell.worktree.wall import wall_checks
from orchestr.checks.base import CheckResult as SuiteResult
from orchestr.checks.cache import ResultCache
from orchestr.checks.kinds.command import CommandCheck
from orchestr.checks.named_files import find_named_files
from orchestr.checks.suite import SuiteRequest, all_passed, evidence_text, summarize_results
from orchestr.errors import Interrupted, NotEvaluated
from orchestr.git.repo import CommitId, Repo
from orchestr.landing.events import LandingChange
from orchestr.landing.ports import lease_ports
from orchestr.process.redaction import filter_env
from orchestr.process.tree import WORKTREE
from orchestr.spec.checks import CheckDef, check_to_row
from orchestr.spec.phases import Action
from orchestr.state.results import digest

EVIDENCE = 8000  # characters of what is red that are journalled and go to the agent
NO_CHECKS = "no checks"  # the note of a candidate that nothing was asked of
KEPT = 40  # candidates whose logs are kept, in each repository


@dataclass(frozen=True, slots=True)
class CheckOrder:
    """A candidate to be checked, shown at ``path``; ``content``: the keys of all changes in it.
    ``checkout`` is the check worktree at ``path``, for who runs something there."""

    repo: str
    path: Path
    commit: str
    tree: str
    changes: tuple[LandingChange, ...]
    content: frozenset[str] = frozenset()
    stop: threading.Event = field(default_factory=threading.Event)
    warn: Callable[[str], None] = lambda _: None
    checkout: CheckWorktree | None = None


@dataclass(frozen=True, slots=True)
class CandidateVerdict:
    """The verdict on one candidate; ``detail`` is the evidence when it is red, else a note.
    ``seconds``: what those checks took that ran; 0 when all results were known. ``named``: the
    files that its output names where it is about what is red; ``mentioned``: all that it names.
    """

    green: bool
    detail: str = ""
    seconds: float = 0.0
    named: tuple[str, ...] = ()
    mentioned: tuple[str, ...] = ()


Check = Callable[[CheckOrder], CandidateVerdict]


def collect_checks(runs: Sequence[FeatureRun], order: CheckOrder) -> tuple[CheckDef, ...]:
    """What cells and repository ask for, each once.

    A revert is checked by the repository's own checks: what its cell had to show is undone.
    """
    found: list[CheckDef] = []
    settings = runs[0].settings.repo_settings(order.repo)
    by_name = {run.feature.name: run for run in runs}
    for change in order.changes:
        feature, _, cell = change.key.partition("/")
        if change.reverts:
            found += settings.checks
        elif feature in by_name:
            found += run_checks.cell_checks(by_name[feature].cell_context(cell), order.path)
    found += [
        CommandCheck(name=command, timeout=runs[0].settings.limits.timeout,
                     run=("sh", "-c", command))
        for command in settings.land_checks
    ]  # fmt: skip
    found = [check for check in found if not check.needs_base]  # shown for the cell's own head
    return tuple({repr(check_to_row(check)): check for check in found}.values())


def collect_cross_checks(
    runs: Sequence[FeatureRun], order: CheckOrder
) -> list[tuple[FeatureRun, tuple[CheckDef, ...]]]:
    """The features whose cells of this repository are all in the candidate, and their cross
    checks: they wait for the last of them."""
    found = []
    undoes = any(change.reverts for change in order.changes)
    for run in () if undoes else runs:
        mine = {f"{run.feature.name}/{c.name}" for c in run.feature.cells if c.repo == order.repo}
        if mine and mine <= order.content and mine & {c.key for c in order.changes}:
            checks = tuple(c.check for c in run.feature.cross_checks if c.repo == order.repo)
            found += [(run, checks)] if checks else []
    return found


def make_default_check(runs: Sequence[FeatureRun], allowed_red: Collection[str] = ()) -> Check:
    """Run what is wanted; nothing wanted passes, and says so.

    ``allowed_red``: features that a person lets land in spite of their cross checks.
    """
    strict = [run for run in runs if run.feature.name not in allowed_red]
    settings = runs[0].settings
    cache = ResultCache(settings.workspace.state / "cache" / "checks")

    def check_candidate(order: CheckOrder) -> CandidateVerdict:
        checks, across = collect_checks(runs, order), collect_cross_checks(strict, order)
        if not checks and not across:
            return CandidateVerdict(True, NO_CHECKS)
        foreign = find_links_back(runs[0], order.repo, order.path)
        if foreign:
            raise NotEvaluated(
                f"not evaluated: {'; '.join(map(str, foreign))}, which is not what lands",
                hint=f"[repos.{order.repo}] {foreign[0].remedy} instead of link or copy, or "
                "allow_links_back = true there; then the same command again",
            )
        logs = settings.workspace.state / "landing" / order.repo / "logs"
        _prune_logs(logs)
        with ExitStack() as stack:
            leased = lease_ports(
                _first_cell_with_ports(runs, order), order.path, order.stop, order.warn
            )
            shown = show_readable_cells(runs, order)
            request = _make_suite_request(
                runs, order, logs, stack.enter_context(leased), stack.enter_context(shown)
            )
            results = run_checks.run_suite_unchanged(checks, request, order.checkout, cache)
            for run, more in across:
                if not (results and results[-1].stopped):
                    seen = stack.enter_context(
                        cross_checks.show_cell_trees(run, CheckPool.LANDING, order.stop.is_set)
                    )
                    crossed = _make_cross_request(run, request, order, seen)
                    results += run_checks.run_suite_unchanged(more, crossed, order.checkout, cache)
        return combine_results(results, request.rename_paths)

    return check_candidate


def combine_results(
    results: Sequence[SuiteResult], rename: Callable[[str], str] = lambda text: text
) -> CandidateVerdict:
    """What the results come to. Raises Interrupted when the run was stopped, NotEvaluated when
    the machine lacks what a check needs: that is no verdict, and nothing for an agent to repair.
    """
    if not results or results[-1].stopped:
        raise Interrupted("stopped; the same command goes on")
    seconds = sum(result.seconds for result in results if not result.cached)
    if all_passed(results):
        known = sum(result.cached for result in results)
        note = f"{len(results)} check{'s' if len(results) > 1 else ''}"
        note = f"{note}, {known} known from this tree" if known else note
        return CandidateVerdict(True, note, seconds)
    if not any(result.is_red for result in results):
        missing = "; ".join(f"{r.name}: {r.detail}" for r in results if r.unavailable)
        raise NotEvaluated(
            f"not evaluated: {missing}", hint="provide what is missing, then the same command again"
        )
    text = f"{summarize_results(results)}\n\n{evidence_text(results, rename=rename)}"
    logs = "\n".join(f"log of {r.name}: {r.log}" for r in results if not r.passed and r.log)
    evidence = f"{text[:EVIDENCE]}\n{logs}".strip()
    return CandidateVerdict(False, evidence, seconds, *find_named_files(results))


@contextmanager
def show_readable_cells(runs: Sequence[FeatureRun], order: CheckOrder) -> Iterator[dict[str, str]]:
    """The variables of where the upstreams of the candidate's first cell can be read."""
    own = _first_cell(runs, order)
    if own is None or not own.has_checks:
        yield {}
        return
    with expose_upstreams(own, CheckPool.LANDING, order.stop.is_set) as shown:
        yield shown


def _make_suite_request(
    runs: Sequence[FeatureRun],
    order: CheckOrder,
    logs: Path,
    ports: tuple[int, ...],
    more: Mapping[str, str],
) -> SuiteRequest:
    """With the environment of the cell's own checks; a revert belongs to no cell."""
    tree, others, own = order.tree, "", _first_cell(runs, order)
    if own is not None:
        patterns = order.checkout.patterns if order.checkout is not None else ()
        place = CheckPlace(order.path, CommitId(order.commit), patterns, order.checkout)
        env = {**check_environment(own, place), **more}
        tree, others = input_digest(own, tree), input_digest(own, "")
    else:
        env = {**filter_env(Repo(order.path).build_env(), (*ALLOWED, *NETWORK, "GIT_*")), **QUIET}
        env[WORKTREE] = str(order.path)
    return SuiteRequest(
        worktree=order.path,
        head=order.commit,
        tree=tree,
        read_inputs=make_input_reader(Repo(order.path), order.commit, others),
        folder=logs / order.commit[:16],
        marker=f"landing-{digest(str(order.path))}",  # another workspace has such paths, too
        env=env,
        environ=os.environ,
        ports=ports,
        stop=order.stop,
        place=describe_place(_place_users(runs, order), CheckPool.LANDING),
        shown_as=own.worktree if own is not None else None,
        is_unchanged=lambda: order.checkout is None or not order.checkout.find_harm(),
        raw_logs=runs[0].settings.workspace.raw_logs,
        wall=wall_checks(find_cell_of_repo(runs, order.repo), "landing"),
        owner=f"landing of {order.repo}",
        tell_wait=lambda reason: order.warn(f"checks wait: {reason}") if reason else None,
    )


def _place_users(runs: Sequence[FeatureRun], order: CheckOrder) -> list[CellContext]:
    """The cells whose repository, or those of their upstreams, checks of a candidate can read."""
    found = list(_cells_of_changes(runs, order.changes))
    return found or [find_cell_of_repo(runs, order.repo)]


def find_cell_of_repo(runs: Sequence[FeatureRun], repo: str) -> CellContext:
    """Any cell of the repository: its settings and the wall around checks are the same for all."""
    return next(
        run.cell_context(c.name) for run in runs for c in run.feature.cells if c.repo == repo
    )


def _make_cross_request(
    run: FeatureRun, request: SuiteRequest, order: CheckOrder, seen: Mapping[str, str]
) -> SuiteRequest:
    """As after a run: a cross check can read the trees of all cells of its feature."""
    trees = cross_checks.cell_trees(run)
    return replace(
        request,
        tree=digest(order.tree, trees),
        read_inputs=make_input_reader(Repo(order.path), order.commit, digest(trees)),
        folder=request.folder / f"cross-{run.feature.name}",
        env={**request.env, **seen},
        place=describe_place(cross_checks.read_cells(run), CheckPool.LANDING),
    )


def _first_cell(runs: Sequence[FeatureRun], order: CheckOrder) -> CellContext | None:
    return next(iter(_cells_of_changes(runs, order.changes)), None)


def _first_cell_with_ports(runs: Sequence[FeatureRun], order: CheckOrder) -> CellContext | None:
    """The first cell that has ports; its agent is not at work while it is in the queue."""
    cells = _cells_of_changes(runs, order.changes)
    return next((c for c in cells if c.cell.proof.ports and c.cell.action is Action.AGENT), None)


def _cells_of_changes(
    runs: Sequence[FeatureRun], changes: Iterable[LandingChange]
) -> Iterable[CellContext]:
    by_name = {run.feature.name: run for run in runs}
    for change in changes:
        feature, _, cell = change.key.partition("/")
        if not change.reverts and feature in by_name:
            yield by_name[feature].cell_context(cell)


def _prune_logs(logs: Path) -> None:
    """Leave the newest logs; a result whose log is gone is not known any more, that is all."""
    if not logs.is_dir():
        return
    old = sorted((p for p in logs.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime)
    for path in old[: -KEPT or None]:
        shutil.rmtree(path, ignore_errors=True)
