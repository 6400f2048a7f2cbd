"""The pull requests of a feature name each other. Idempotent.

One question a repository, one edit a body that differs, each cell's records read once. What it
writes is what `publish` wrote, with the addresses that are known now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.phases.publish import update_pull_request
from orchestr.cell.pull_request.text import body_block, feature_links
from orchestr.errors import OrchestrError
from orchestr.forges.base import PRState, PullRequest
from orchestr.forges.body import PRLink
from orchestr.forges.followed import DressingForge
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
        numbers: dict[str, int] = {}
        found = run.forge.find_pull_requests(mine[0].repo_ref, [ctx.cell.branch for ctx in mine])
        for ctx in mine:
            for pr in found.get(ctx.cell.branch, ()):
                if pr.url == urls[ctx.cell.name] and pr.state is PRState.OPEN:
                    numbers[ctx.cell.name] = pr.number
                    _update_body(ctx, pr, links)
        _link_stacks(mine, numbers)


def _link_stacks(cells: Sequence[CellContext], numbers: Mapping[str, int]) -> None:
    """Tell a forge that knows stacks of those in one repository. Elsewhere their bases show them,
    so a forge that cannot is no fault."""
    forge = cells[0].run.forge
    if not isinstance(forge, DressingForge) or cells[0].repo_ref.upstream is not None:
        return  # from a fork all are for the same base
    for chain in find_chains({ctx.cell.name: ctx.plan.stack for ctx in cells}, numbers):
        forge.link_stack(cells[0].repo_ref, [numbers[name] for name in chain])


def find_chains(
    stacks: Mapping[str, Sequence[str]], there: Collection[str]
) -> list[tuple[str, ...]]:
    """The longest chains of cells that each stand on exactly one, the bottom one first. Pure.

    ``stacks``: cell -> the cells that its branch starts from, of those in ``there``. A cell that
    two stand on ends its chain: forges know no trees.
    """
    below = {n: s[0] for n, s in stacks.items() if n in there and len(s) == 1 and s[0] in there}
    above = {down: [n for n, d in below.items() if d == down] for down in below.values()}
    chains = []
    for bottom in (name for name in stacks if name in there):
        starts = bottom not in below or len(above[below[bottom]]) > 1
        chain = [bottom]
        while len(above.get(chain[-1], ())) == 1:
            chain.append(above[chain[-1]][0])
        if starts and len(chain) > 1:
            chains.append(tuple(chain))
    return chains


def _update_body(ctx: CellContext, pr: PullRequest, links: Mapping[str, PRLink]) -> None:
    try:
        update_pull_request(ctx, pr, body_block(ctx, links), base=None, title=None)
    except OrchestrError as error:
        raise ctx.fail(f"{pr.url} could not be linked: {error.reason}", hint=error.hint) from error
