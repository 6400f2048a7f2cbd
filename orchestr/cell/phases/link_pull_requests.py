"""The last step of a feature: its pull requests name each other. Idempotent.

One question a repository, one edit a body that differs. What it writes is what `publish` wrote,
with the addresses that are known now.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.phases.publish import update_pull_request
from orchestr.cell.pull_request.text import body_block
from orchestr.errors import OrchestrError
from orchestr.forges.base import PRState, PullRequest
from orchestr.state.results import NO_PR, PublishRecord


def link_pull_requests(run: FeatureRun, cells: Iterable[str]) -> dict[str, str]:
    """Bring our part of the bodies up to date. Returns each cell's address, or `none`.

    A pull request that is gone or closed is left. Raises PhaseFailed naming the cell, ForgeAway.
    """
    urls: dict[str, str] = {}
    by_repo: dict[str, list[CellContext]] = {}
    for name in cells:
        ctx = run.cell_context(name)
        done = PublishRecord.read(ctx.dir)
        urls[name] = done.url if done is not None and ctx.read_head() is not None else NO_PR
        if urls[name] != NO_PR:
            by_repo.setdefault(ctx.cell.repo, []).append(ctx)
    for mine in by_repo.values():
        found = run.forge.find_pull_requests(mine[0].repo_ref, [ctx.cell.branch for ctx in mine])
        for ctx in mine:
            for pr in found.get(ctx.cell.branch, ()):
                if pr.url == urls[ctx.cell.name] and pr.state is PRState.OPEN:
                    _update_body(ctx, pr)
    return urls


def _update_body(ctx: CellContext, pr: PullRequest) -> None:
    try:
        update_pull_request(ctx, pr, body_block(ctx), base=None, title=None)
    except OrchestrError as error:
        raise ctx.fail(f"{pr.url} could not be linked: {error.reason}", hint=error.hint) from error
