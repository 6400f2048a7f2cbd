"""Observe the pull requests of a repository: one query, changes go to the journal.

`run` asks when it begins, `status --fetch` when a person wants to know; everything else reads
the journal, so that it works without a network. A repository that this run clones can be asked
only after that: whoever needs the answer first asks then.
"""

from __future__ import annotations

from orchestr.cell.context import FeatureRun
from orchestr.cell.pull_request.claim import is_foreign
from orchestr.errors import OrchestrError
from orchestr.forges.base import PullRequest
from orchestr.forges.body_markers import read_owner
from orchestr.spec.phases import Phase
from orchestr.spec.records import Cell
from orchestr.state.events import EventKind
from orchestr.state.results import PublishRecord, WorktreeMarker
from orchestr.state.view import CellView


def observe_pull_requests(run: FeatureRun) -> None:
    """Fill `run.seen` and, for repositories that could not be asked, `run.forge_away`."""
    for repo in dict.fromkeys(c.repo for c in run.feature.cells if Phase.PUBLISH in c.phases):
        observe_repository(run, repo)


def observe_new_clone(run: FeatureRun, repo: str) -> None:
    """Ask about a repository that was not there when the run began; once."""
    with run.unobserved_lock:
        if repo in run.unobserved:
            observe_repository(run, repo)


def observe_repository(run: FeatureRun, repo: str) -> None:
    """One query for the cells of a repository that publish."""
    former: dict[str, str] = {}  # old branch -> the branch of now
    names: dict[str, str] = {}
    for cell in run.feature.cells:
        if Phase.PUBLISH in cell.phases and cell.repo == repo:
            names[cell.branch] = cell.name
            former |= dict.fromkeys(_former_branches(run, cell), cell.branch)
    if not names:
        return
    ref = run.cell_context(next(iter(names.values()))).repo_ref
    if not ref.path.is_dir() and not (run.forge.real and ref.url):
        run.unobserved.add(repo)  # this run makes it
        return
    run.unobserved.discard(repo)
    old = {name: new for name, new in former.items() if name not in names}
    try:
        found = run.forge.find_pull_requests(ref, [*names, *old])
    except OrchestrError as error:
        run.forge_away[repo] = error.message
        run.forge_hints[repo] = error.hint or ""
        run.emit(EventKind.FORGE_AWAY, repo=repo, reason=error.message, hint=error.hint)
        return
    for name, new in old.items():
        theirs = found.pop(name)
        found[new] = (*found[new], *(pr for pr in theirs if read_owner(pr.body) is not None))
    for branch, every in found.items():
        _note_pull_requests(run, repo, branch, names[branch], every)


def _note_pull_requests(
    run: FeatureRun, repo: str, branch: str, name: str, every: tuple[PullRequest, ...]
) -> None:
    """Note the pull requests of a cell's branch; a change of its newest goes to the journal."""
    prs = tuple(pr for pr in every if not is_foreign(run.cell_context(name), pr))
    run.seen[f"{repo}:{branch}"] = prs
    run.foreign_prs[f"{repo}:{branch}"] = tuple(pr for pr in every if pr not in prs)
    if prs and pull_request_changed(run.past.cell(name), prs[0]):
        run.emit(
            EventKind.PR_SEEN,
            cell=name,
            url=prs[0].url,
            state=str(prs[0].state),
            draft=prs[0].draft,
            checks=prs[0].checks,
            review=prs[0].review,
        )


def _former_branches(run: FeatureRun, cell: Cell) -> set[str]:
    """The names that a renamed branch still has in the cell's records."""
    folder = run.cell_context(cell.name).dir
    marker, published = WorktreeMarker.read(folder), PublishRecord.read(folder)
    found = {marker.branch if marker else None, published.branch if published else None}
    return {name for name in found if name is not None and name != cell.branch}


def pull_request_changed(view: CellView, pr: PullRequest) -> bool:
    """Whether the observed pull request differs from the journal's."""
    known = (view.pr_url, view.pr_state, view.pr_draft, view.pr_checks, view.pr_review)
    return known != (pr.url, str(pr.state), pr.draft, pr.checks, pr.review)
