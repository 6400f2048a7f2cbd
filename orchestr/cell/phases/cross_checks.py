"""Cross checks: a feature's checks on the merge of all its cells' heads in one repository.

Made without a checkout of anybody's (`git merge-tree`) and shown in a check worktree. The other
cells can be read there through `ORCHESTR_CELL_<NAME>_WORKTREE`, each in a clean checkout. They run
as the last step of the feature, after its pull requests are open: red fails the run, closes
nothing, and lands nothing. The result is kept in `cross-checks.json`; the same heads are not
checked again while it is green.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.proof.check_request import (
    CellStopEvent,
    CheckPlace,
    check_environment,
    describe_place,
    show_cells,
)
from orchestr.cell.proof.read_inputs import make_input_reader
from orchestr.cell.proof.run_checks import evidence_row, result_details, run_suite_unchanged
from orchestr.cell.worktree.check_pool import CheckPool, lend_check_worktree
from orchestr.cell.worktree.links_back import explain_links_back
from orchestr.cell.worktree.wall import wall_checks
from orchestr.checks.base import CheckResult
from orchestr.checks.cache import ResultCache
from orchestr.checks.suite import SuiteRequest, summarize_results
from orchestr.errors import NotEvaluated, PhaseFailed
from orchestr.files import read_json, write_json
from orchestr.git.merge import MergedHeads, merge_heads
from orchestr.git.repo import CommitId
from orchestr.process.tree import kill_marked
from orchestr.spec.checks import CheckDef, check_to_row
from orchestr.state.events import EventKind
from orchestr.state.results import HeadRecord, ImplementOutcome, digest, read_tree

FILE = "cross-checks.json"  # beside the cells


@dataclass(frozen=True, slots=True)
class CrossOutcome:
    """What the cross checks of one repository came to. ``rows`` are kept, ``results`` are those
    that were made now; ``conflicts``: the files in which the heads cannot be merged. ``missing``:
    why nothing was evaluated."""

    repo: str
    passed: bool
    told: str
    rows: tuple[Mapping[str, Any], ...] = ()
    results: tuple[CheckResult, ...] = ()
    conflicts: tuple[str, ...] = ()
    missing: NotEvaluated | None = None


def run_cross_checks(run: FeatureRun) -> None:
    """Check every repository that has cross checks and whose cells are all built.

    Raises PhaseFailed with what is red, Interrupted; NotEvaluated, which is no result and not kept.
    """
    outcomes = check_merges(run)
    missing = [one.missing for one in outcomes if one.missing is not None]
    red = [f"{one.repo}: {one.told}" for one in outcomes if not one.passed and not one.missing]
    folder = run.layout.feature_dir(run.feature.name)
    if red:
        raise PhaseFailed(
            f"cross checks of {run.feature.name} are red: {'; '.join(red)}",
            hint=f"look into {folder / 'cross-checks'}, mend a cell, then: "
            f"orchestr run {run.feature.name}",
        )
    if missing:
        raise missing[0]


def check_merges(run: FeatureRun) -> list[CrossOutcome]:
    """The cross checks of every repository that has some and whose cells are all built: those that
    are known to be green for these heads, and those that are made now. Raises Interrupted."""
    folder = run.layout.feature_dir(run.feature.name)
    kept = _read_results(folder / FILE)
    found: list[CrossOutcome] = []
    for repo in dict.fromkeys(cross.repo for cross in run.feature.cross_checks):
        cells = [run.cell_context(c.name) for c in run.feature.cells if c.repo == repo]
        heads = [head for ctx in cells if (head := ctx.read_head()) is not None]
        if not cells or len(heads) < len(cells):
            continue  # a run of some cells only: the last of them brings it about
        checks = _repo_checks(run, repo)
        key = _result_key(run, heads, checks)
        known = kept.get(repo, {})
        if known.get("key") == key and known.get("passed") is True:
            found.append(CrossOutcome(repo, True, str(known.get("told")), tuple(known["rows"])))
            continue
        try:
            outcome, commit = _check_merge(run, repo, cells[0], heads, checks)
        except NotEvaluated as error:
            found.append(CrossOutcome(repo, False, error.message, missing=error))
            continue
        kept[repo] = {"key": key, "passed": outcome.passed, "told": outcome.told}
        kept[repo] |= ({"commit": commit} if commit else {}) | {"rows": list(outcome.rows)}
        write_json(folder / FILE, {"schema": 1, "repos": kept})
        found.append(outcome)
    return found


def merge_cell_heads(ctx: CellContext, heads: Sequence[HeadRecord]) -> MergedHeads:
    """The merge of the heads of all cells in the repository of ``ctx``. Raises GitError."""
    changed = [
        CommitId(h.head) for h in heads if h.outcome is not ImplementOutcome.NO_CHANGE_NEEDED
    ]
    unsigned = ctx.repo.with_config({"commit.gpgSign": "false"})  # it never leaves this machine
    return merge_heads(unsigned, changed or [CommitId(heads[0].head)])


def cross_check_results(run: FeatureRun) -> list[tuple[str, dict[str, Any], bool]]:
    """For who shows them: repository, what is kept, and whether it is of the heads of now."""
    kept = _read_results(run.layout.feature_dir(run.feature.name) / FILE)
    found = []
    for repo in dict.fromkeys(one.repo for one in run.feature.cross_checks):
        contexts = [run.cell_context(c.name) for c in run.feature.cells if c.repo == repo]
        heads = [head for ctx in contexts if (head := ctx.read_head()) is not None]
        row = kept.get(repo, {})
        current = bool(row) and row.get("key") == _result_key(run, heads, _repo_checks(run, repo))
        found.append((repo, row, current))
    return found


def red_cross_checks(run: FeatureRun) -> list[str]:
    """What is red for the heads as they are now, a line for each repository."""
    return [f"{repo}: {row.get('told') or 'red'}"
            for repo, row, current in cross_check_results(run)
            if current and row.get("passed") is not True]  # fmt: skip


def cross_check_reasons(run: FeatureRun) -> list[str]:
    """Why cross checks would run with the next `run`, a line for each repository."""
    found = []
    for repo, row, current in cross_check_results(run):
        if current and row.get("passed") is True:
            continue
        why = f"red ({row.get('told') or 'no result'})" if current else "not made for these heads"
        found.append(f"cross checks in {repo}: {why}")
    return found


def _repo_checks(run: FeatureRun, repo: str) -> tuple[CheckDef, ...]:
    return tuple(c.check for c in run.feature.cross_checks if c.repo == repo)


def _result_key(run: FeatureRun, heads: list[HeadRecord], checks: tuple[CheckDef, ...]) -> str:
    return digest([h.head for h in heads], [check_to_row(c) for c in checks], cell_trees(run))


def cross_check_digest(run: FeatureRun) -> str:
    """What makes the feature's last step run again, besides its cells; empty without any."""
    rows = [[cross.repo, check_to_row(cross.check)] for cross in run.feature.cross_checks]
    return digest(rows) if rows else ""


def _check_merge(
    run: FeatureRun,
    repo: str,
    ctx: CellContext,
    heads: list[HeadRecord],
    checks: tuple[CheckDef, ...],
) -> tuple[CrossOutcome, str]:
    """What came out, and the commit that was checked. Raises NotEvaluated, Interrupted."""
    merged = merge_cell_heads(ctx, heads)
    if merged.commit is None:
        names = _blamed_cells(run, repo, {str(merged.ours), str(merged.theirs)})
        files = ", ".join(merged.conflicts[:5])
        told = f"{names} conflict in {files}"
        return CrossOutcome(repo, False, told, conflicts=merged.conflicts), ""
    logs = run.layout.feature_dir(run.feature.name) / "cross-checks" / repo
    cache = ResultCache(run.layout.state / "cache" / "checks")
    with (
        lend_check_worktree(ctx, merged.commit) as checkout,
        show_cell_trees(run, CheckPool.READING, ctx.is_cancelled) as shown,
    ):
        foreign = explain_links_back(ctx, checkout.path)
        if foreign is not None:
            raise NotEvaluated(
                f"cross checks of {run.feature.name} in {repo} are not evaluated: {foreign}",
                hint=f"then: orchestr run {run.feature.name} (no agent starts for it)",
            )
        place = CheckPlace(checkout.path, merged.commit, checkout.patterns, checkout)
        request = SuiteRequest(
            worktree=checkout.path,
            head=merged.commit,
            tree=digest(ctx.repo.resolve_tree(merged.commit), cell_trees(run)),
            read_inputs=make_input_reader(ctx.repo, merged.commit, digest(cell_trees(run))),
            folder=logs,
            marker=cross_checks_marker(run),
            env={**check_environment(ctx, place), **shown},
            environ=os.environ,
            stop=CellStopEvent(ctx),
            places=dict.fromkeys((check.name for check in checks), run.feature.path),
            place=describe_place(read_cells(run), CheckPool.CELLS),
            raw_logs=run.settings.workspace.raw_logs,
            wall=wall_checks(ctx),
            is_unchanged=lambda: not checkout.find_harm(),
            owner=f"cross checks of {run.feature.name}",
            tell_wait=lambda reason: _tell_wait(run, repo, reason),
        )
        results = run_suite_unchanged(
            checks,
            request,
            checkout,
            cache,
            slot=lambda: run.slot_pool("checks").hold_slot(0.0, run.stop.is_set),
        )
        ctx.check_cancelled()
    for result in results:
        run.emit(EventKind.CHECK_DONE, repo=repo, **result_details(result))
    if not any(result.is_red for result in results):
        missing = "; ".join(f"{one.name}: {one.detail}" for one in results if one.unavailable)
        if missing:
            raise NotEvaluated(
                f"cross checks of {run.feature.name} in {repo} are not evaluated: {missing}",
                hint=f"provide what is missing (logs in {logs}), then: "
                f"orchestr run {run.feature.name} (no agent starts for it)",
            )
    passed, told = all(result.passed for result in results), summarize_results(results)
    rows = tuple(evidence_row(result) for result in results)
    return CrossOutcome(repo, passed, told, rows, tuple(results)), str(merged.commit)


def _tell_wait(run: FeatureRun, repo: str, reason: str | None) -> None:
    if reason is not None:
        run.emit(EventKind.CELL_WARNED, reason=f"cross checks in {repo} wait: {reason}")


def cross_checks_marker(run: FeatureRun) -> str:
    """ORCHESTR_ATTEMPT_ID of the cross checks of a feature, which run one after the other. The
    folder is in it: another workspace may have a feature of that name."""
    return f"{run.feature.name}//checks/{digest(str(run.layout.feature_dir(run.feature.name)))}"


def kill_leftover_cross_checks(run: FeatureRun) -> int:
    """End cross checks that a killed run left at work; how many processes there were."""
    return kill_marked(cross_checks_marker(run)) if run.feature.cross_checks else 0


def _blamed_cells(run: FeatureRun, repo: str, blamed: set[str]) -> str:
    cells = [run.cell_context(c.name) for c in run.feature.cells if c.repo == repo]
    found = [c.cell.name for c in cells if (h := c.read_head()) is not None and h.head in blamed]
    return " and ".join(found or [c.cell.name for c in cells])


def cell_trees(run: FeatureRun) -> dict[str, str | None]:
    """The product of every cell: a cross check may read all of them."""
    return {c.name: read_tree(run.cell_context(c.name).dir) for c in run.feature.cells}


def read_cells(run: FeatureRun) -> list[CellContext]:
    """The cells that a cross check can read."""
    return [run.cell_context(cell.name) for cell in run.feature.cells]


@contextmanager
def show_cell_trees(
    run: FeatureRun, pool: CheckPool, cancelled: Callable[[], bool]
) -> Iterator[dict[str, str]]:
    """The variables of where every cell's tree can be read: in a clean checkout of its head."""
    with show_cells(read_cells(run), pool, cancelled) as shown:
        found = {}
        for ctx, checkout in shown:
            name = ctx.cell.name.upper().replace("-", "_")
            found[f"ORCHESTR_CELL_{name}_WORKTREE"] = str(checkout.path)
            found[f"ORCHESTR_CELL_{name}_HEAD"] = checkout.commit
        yield found


def _read_results(path: Path) -> dict[str, dict[str, Any]]:
    """What is kept; a row of another form is none, and its checks run again."""
    raw = read_json(path)
    repos = raw.get("repos") if isinstance(raw, dict) else None
    rows = repos.items() if isinstance(repos, dict) else ()
    return {name: dict(row) for name, row in rows
            if isinstance(row, dict) and isinstance(row.get("rows"), list)}  # fmt: skip
