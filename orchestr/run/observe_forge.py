"""Observe a feature's pull requests: one query a repository, changes go to the journal.

`run` asks when it begins, `status --fetch` when a person wants to know; everything else reads
the journal, so that it works without a network.
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
    by_repo: dict[str, list[str]] = {}
    former: dict[tuple[str, str], str] = {}  # repository and old branch -> the branch of now
    for cell in run.feature.cells:
        if Phase.PUBLISH in cell.phases:
            by_repo.setdefault(cell.repo, []).append(cell.branch)
            former |= {(cell.repo, name): cell.branch for name in _former_branches(run, cell)}
    names = {(cell.repo, cell.branch): cell.name for cell in run.feature.cells}
    for repo, branches in by_repo.items():
        ref = run.cell_context(names[repo, branches[0]]).repo_ref
        if not ref.path.is_dir() and not (run.forge.real and ref.url):
            continue  # this run makes it: its forge can hold no pull request of ours
        old = {name: new for (of, name), new in former.items() if of == repo}
        old = {name: new for name, new in old.items() if name not in branches}
        try:
            found = run.forge.find_pull_requests(ref, [*branches, *old])
        except OrchestrError as error:
            run.forge_away[repo] = error.message
            run.emit(EventKind.FORGE_AWAY, repo=repo, reason=error.message, hint=error.hint)
            continue
        for name, new in old.items():
            theirs = found.pop(name)
            found[new] = (*found[new], *(pr for pr in theirs if read_owner(pr.body) is not None))
        for branch, every in found.items():
            name = names[repo, branch]
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
