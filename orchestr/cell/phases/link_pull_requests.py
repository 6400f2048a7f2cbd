"""The pull requests of a feature name each other. Idempotent.

One question a repository, one edit a body that differs, each cell's records read once. What it
writes is what `publish` wrote, with the addresses that are known now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.phases.publish import update_pull_request
from orchestr.cell.pull_request.text import body_block, feature_links
from orchestr.errors import OrchestrError
from orchestr.forges.base import PRState, PullRequest
from orchestr.forges.body import PRLink
from orchestr.state.results import NO_PR, PublishRecord


def read_addresses(run: FeatureRun, cells: Iterable[str]) -> dict[str, str]:
    """Cell -> the address of its pull request by its records, or `none`."""
    urls = {}
    for name in cells:
        ctx = run.cell_context(name)
        done = PublishRecord.read(ctx.dir)
        urls[name] = done.url if done is not None and ctx.read_head() is not None else NO_PR
    return urls


def link_pull_requests(run: FeatureRun, urls: Mapping[str, str]) -> None:
    """Bring our part of the bodies of these cells' pull requests up to date.

    ``urls`` are `read_addresses`. A pull request that is gone or closed is left. Raises PhaseFailed
    naming the cell, ForgeAway.
    """
    by_repo: dict[str, list[CellContext]] = {}
    for name, url in urls.items():
        if url != NO_PR:
            ctx = run.cell_context(name)
            by_repo.setdefault(ctx.cell.repo, []).append(ctx)
    links = feature_links(run) if by_repo else {}
    for mine in by_repo.values():
        found = run.forge.find_pull_requests(mine[0].repo_ref, [ctx.cell.branch for ctx in mine])
        for ctx in mine:
            for pr in found.get(ctx.cell.branch, ()):
                if pr.url == urls[ctx.cell.name] and pr.state is PRState.OPEN:
                    _update_body(ctx, pr, links)


def _update_body(ctx: CellContext, pr: PullRequest, links: Mapping[str, PRLink]) -> None:
    try:
        update_pull_request(ctx, pr, body_block(ctx, links), base=None, title=None)
    except OrchestrError as error:
        raise ctx.fail(f"{pr.url} could not be linked: {error.reason}", hint=error.hint) from error
