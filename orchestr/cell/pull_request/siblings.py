"""What CI of a pull request has to check out besides its own repository.

The addresses come from `Depends-On` lines (`orchestr.forges.depends_on`), or from what a workspace
knows of a branch or a feature. Without a workspace nothing but the address is known, so the ref
that the forge keeps of the pull request's head is what to check out; with one the forge names the
commit. Reads only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.pull_request.text import feature_links, pull_request_url
from orchestr.errors import MachineFault, OrchestrError, UsageError
from orchestr.forges.base import PullRequest
from orchestr.forges.depends_on import PullRequestAddress, list_depends_on, parse_address
from orchestr.git.runner import YES_OR_NO_REMOTE


@dataclass(frozen=True, slots=True)
class SiblingCheckout:
    """One repository to check out. ``checkout`` is a commit where the forge was asked, else a ref
    of the repository; ``clone`` is where to clone it from, empty where that is not known."""

    repository: str
    checkout: str
    url: str
    clone: str = ""
    number: int = 0
    commit: str | None = None
    state: str | None = None
    cell: str | None = None

    def to_table(self) -> dict[str, str | int | None]:
        """As JSON."""
        return {name: getattr(self, name) or None for name in self.__slots__}


def describe_address(address: PullRequestAddress) -> SiblingCheckout:
    """What an address says by itself. Pure."""
    scheme = "http" if address.url.startswith("http://") else "https"
    clone = f"{scheme}://{address.host}/{address.repository}" if address.host else ""
    return SiblingCheckout(address.repository, address.ref, address.url, clone, address.number)


def select_trusted(
    addresses: Iterable[PullRequestAddress], environ: Mapping[str, str]
) -> tuple[list[PullRequestAddress], list[str]]:
    """The addresses of the owner whose CI this is, and the others. Pure.

    Whoever can open a pull request writes its body. On GitHub Actions (`GITHUB_REPOSITORY`) and in
    GitLab's CI (`CI_PROJECT_PATH`) only repositories of the same host and owner (of the same
    top-level group) count, so that a body brings in no code of strangers.
    """
    project, server = environ.get("GITHUB_REPOSITORY", ""), "https://github.com"
    server = environ.get("GITHUB_SERVER_URL", server)
    if environ.get("GITLAB_CI") and environ.get("CI_PROJECT_PATH"):
        project, server = environ["CI_PROJECT_PATH"], environ.get("CI_SERVER_URL", "")
    owner, slash, _ = project.partition("/")
    ours = f"{server.partition('://')[2].rstrip('/')}/{owner}/".lower()
    kept: list[PullRequestAddress] = []
    strangers: list[str] = []
    for address in addresses:
        same = f"{address.host}/{address.repository}".lower().startswith(ours)
        if slash and not same:
            strangers.append(address.url)
        else:
            kept.append(address)
    return kept, strangers


def addresses_of_branch(runs: Sequence[FeatureRun], branch: str) -> list[PullRequestAddress]:
    """What the body of that branch's pull request names. Raises UsageError."""
    name = branch.removeprefix("refs/heads/")
    cells = [
        run.cell_context(c.name) for run in runs for c in run.feature.cells if c.branch == name
    ]
    if not cells:
        raise UsageError(f"no cell has the branch {name!r}", hint="orchestr status shows the cells")
    if len(cells) > 1:
        names = ", ".join(ctx.name for ctx in cells)
        raise UsageError(
            f"several cells have the branch {name!r}: {names}", hint="choose one with --feature F"
        )
    ctx = cells[0]
    urls = list_depends_on(ctx.run.feature, ctx.cell, feature_links(ctx.run))
    return [found for found in map(parse_address, urls) if found is not None]


def addresses_of_feature(run: FeatureRun) -> list[PullRequestAddress]:
    """The pull requests of a feature, upstreams first."""
    urls = [pull_request_url(run.cell_context(plan.name)) for plan in run.plan.cells]
    return [found for url in urls if url and (found := parse_address(url)) is not None]


def ask_forge(
    runs: Sequence[FeatureRun], addresses: Sequence[PullRequestAddress]
) -> tuple[list[SiblingCheckout], list[str]]:
    """Addresses with what the workspace and its forge know, and warnings.

    A pull request that belongs to no cell, or a forge that is away, leaves what the address says.
    """
    wanted = {address.url for address in addresses}
    owners: dict[str, CellContext] = {}
    for run in runs:
        for cell in run.feature.cells:
            url = (pull_request_url(run.cell_context(cell.name)) or "").rstrip("/")
            if url in wanted:
                owners[url] = run.cell_context(cell.name)
    seen, warnings = _find_pull_requests(owners.values())
    found = []
    for address in addresses:
        plain, ctx, pr = describe_address(address), owners.get(address.url), seen.get(address.url)
        if ctx is None:
            found.append(replace(plain, clone=plain.clone or _find_clone(runs, plain.repository)))
            continue
        commit = pr.head_sha if pr is not None else None
        found.append(
            SiblingCheckout(
                plain.repository, commit or plain.checkout, plain.url,
                plain.clone or _origin_of(ctx), plain.number, commit,
                str(pr.state) if pr is not None else None, ctx.name,
            )
        )  # fmt: skip
    return found, warnings


def _find_pull_requests(
    cells: Collection[CellContext],
) -> tuple[dict[str, PullRequest], list[str]]:
    """Address -> pull request, one question a repository."""
    found: dict[str, PullRequest] = {}
    warnings = []
    by_repo: dict[str, list[CellContext]] = {}
    for ctx in cells:
        by_repo.setdefault(ctx.cell.repo, []).append(ctx)
    for repo, mine in by_repo.items():
        branches = [ctx.cell.branch for ctx in mine]
        try:
            answer = mine[0].run.forge.find_pull_requests(mine[0].repo_ref, branches)
        except MachineFault:
            raise
        except OrchestrError as error:
            warnings.append(f"{repo}: {error.message}; its ref is named instead of a commit")
            continue
        found |= {pr.url.rstrip("/"): pr for prs in answer.values() for pr in prs}
    return found, warnings


def _find_clone(runs: Sequence[FeatureRun], name: str) -> str:
    """The origin of a repository of the workspace. In the sandbox of the local CI the records are
    hidden, and the settings and clones below the workspace are not."""
    cells = (run.cell_context(c.name) for run in runs for c in run.feature.cells if c.repo == name)
    return next((_origin_of(ctx) for ctx in cells), "")


def _origin_of(ctx: CellContext) -> str:
    """Where the clone of a cell's repository came from; empty without one."""
    try:
        done = ctx.repo.run_readonly(
            "remote", "get-url", "--", ctx.repo_ref.remote, answers=YES_OR_NO_REMOTE
        )
    except MachineFault:
        raise
    except OrchestrError:
        return ""
    return done.text.strip() if done.code == 0 else ""
