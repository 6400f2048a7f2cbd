"""Observe a feature's pull requests: one query a repository, changes go to the journal.

`run` asks when it begins, `status --fetch` when a person wants to know; everything else reads
the journal, so that it works without a network.
"""

from __future__ import annotations

from orchestr.cell.context import FeatureRun
from orchestr.errors import OrchestrError
from orchestr.forges.base import PullRequest
from orchestr.forges.body_markers import is_owned_by_other
from orchestr.spec.phases import Phase
from orchestr.state.events import EventKind
from orchestr.state.view import CellView


def observe_pull_requests(run: FeatureRun) -> None:
    """Fill `run.seen` and, for repositories that could not be asked, `run.forge_away`."""
    by_repo: dict[str, list[str]] = {}
    for cell in run.feature.cells:
        if Phase.PUBLISH in cell.phases:
            by_repo.setdefault(cell.repo, []).append(cell.branch)
    names = {(cell.repo, cell.branch): cell.name for cell in run.feature.cells}
    for repo, branches in by_repo.items():
        ref = run.cell_context(names[repo, branches[0]]).repo_ref
        if not ref.path.is_dir() and not (run.forge.real and ref.url):
            continue  # this run makes it: its forge can hold no pull request of ours
        try:
            found = run.forge.find_pull_requests(ref, branches)
        except OrchestrError as error:
            run.forge_away[repo] = error.message
            run.emit(EventKind.FORGE_AWAY, repo=repo, reason=error.message, hint=error.hint)
            continue
        for branch, every in found.items():
            name = names[repo, branch]
            prs = tuple(
                pr for pr in every if not is_owned_by_other(pr.body, run.feature.name, name)
            )
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


def pull_request_changed(view: CellView, pr: PullRequest) -> bool:
    """Whether the observed pull request differs from the journal's."""
    known = (view.pr_url, view.pr_state, view.pr_draft, view.pr_checks, view.pr_review)
    return known != (pr.url, str(pr.state), pr.draft, pr.checks, pr.review)
