"""Before anything starts: what is missing, each finding with its fix.

Reads only, but for the questions to the origins of the cells that have something to do
(`orchestr.run.check_origins`) and a signature that is thrown away. A finding with severity
`error` stops the run unless `--skip-preflight`.
"""

from __future__ import annotations

from collections.abc import Collection

from orchestr.agents.catalogue import suggest_install
from orchestr.cell.agent.prompt import check_template
from orchestr.cell.budget import has_usd_limit
from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.removed_cells import removed_cells_of
from orchestr.cell.worktree.links_back import find_links_back
from orchestr.errors import OrchestrError
from orchestr.files import cache_record_reads
from orchestr.forges.capabilities import list_half_done
from orchestr.forges.routed import list_members
from orchestr.git.repo import GitError, Repo, git_version
from orchestr.plan.missing_edges import missing_edge_problems
from orchestr.plan.overlap_warnings import overlap_problems
from orchestr.run.agents_lock import check_agents_lock
from orchestr.run.cell_agents import list_cell_agents, requested_reviewers
from orchestr.run.check_branches import check_branches
from orchestr.run.check_checkouts import check_checkouts
from orchestr.run.check_forks import check_forks
from orchestr.run.check_lock import check_lock
from orchestr.run.check_options import check_options
from orchestr.run.check_origins import check_origins
from orchestr.run.check_phases import check_own_phases
from orchestr.run.check_ports import check_ports
from orchestr.run.check_programs import check_programs
from orchestr.run.check_sandbox import check_own_sandboxes, check_sandbox
from orchestr.run.check_signing import check_signing
from orchestr.run.check_surroundings import check_surroundings
from orchestr.run.check_trust import check_trust
from orchestr.run.check_worktrees import check_worktrees
from orchestr.run.diagnostic import Diagnostic
from orchestr.settings.repo_paths import repo_path
from orchestr.spec.phases import Action, Phase
from orchestr.state.layout import check_disk
from orchestr.tasks.generate import is_made_on_demand
from orchestr.tasks.stale import stale_phases

MIN_GIT = (2, 38)


def check_prerequisites(
    run: FeatureRun, cells: Collection[str], *, ask: bool = False, forced: Collection[str] = ()
) -> list[Diagnostic]:
    """Everything that would make these cells fail for a reason known beforehand.

    ``ask``: the forge may be asked over the network what it lets us do. ``forced`` are cells that
    will be built though they are up to date.
    """
    found = check_git()
    short = check_disk(run.layout.state, run.settings.limits.min_disk_mb)
    if short is not None:
        found.append(Diagnostic("error", short, "free some room, e.g. orchestr clean FEATURE"))
    chosen = [run.cell_context(name) for name in cells]
    for name in sorted({ctx.cell.repo for ctx in chosen}):
        found += check_repository(run, name)
        checked = [ctx for ctx in chosen if ctx.cell.repo == name and ctx.has_checks]
        found += check_links(run, name) if checked else []
    for problem in check_template(run.settings, [run.feature]):
        found.append(
            Diagnostic("error", f"{problem.location}: {problem.message}", problem.hint or "")
        )
    agents = list_cell_agents(chosen)
    agents |= {auditor.agent for auditor in run.feature.auditors}
    dollars = has_usd_limit(run.settings.limits, run.purse)
    for name in sorted(agents):
        why = run.agent_adapter(name).explain_unusable()
        if why is not None:
            fix = suggest_install(run.settings.agents[name])
            found.append(Diagnostic("error", f"agent {name}: {why}", fix))
        elif late := find_late_budget(run, name):
            found.append(late)
        elif dollars and run.agent_adapter(name).paid and not run.agent_adapter(name).tells_cost:
            what = f"agent {name} does not say what it costs: a budget in dollars cannot be kept"
            fix = f"set [agents.{name}] price_input_usd and price_output_usd, or budget tokens"
            found.append(Diagnostic("warning", what, fix))
    found += check_agents_lock(run.layout.root, chosen)
    published = {ctx.cell.repo: ctx.repo_ref for ctx in chosen if Phase.PUBLISH in ctx.cell.phases}
    why = run.forge.explain_unusable(tuple(published.values()), ask=ask) if published else None
    if why is not None:
        found.append(Diagnostic("error", f"forge: {why}", "see [forge] in orchestr.toml"))
    for member in list_members(run.forge) if ask else ():
        if lacks := list_half_done(member):
            what = f"forge {member.kind}: parts that it does not have as a whole are not used; it"
            fix = "docs/forges.md: a part counts with all of its methods"
            found.append(Diagnostic("warning", f"{what} lacks {', '.join(lacks)}", fix))
    found += check_reviewers(run, cells)
    found += check_programs(chosen)
    found += check_own_phases(chosen)
    found += check_options(chosen)
    found += check_trust(chosen)
    found += check_worktrees(chosen)
    busy = find_cells_to_run(run, cells, forced)
    found += check_sandbox(busy)
    found += check_own_sandboxes(busy)
    found += check_signing(busy)
    found += check_origins(busy)
    found += check_forks(busy, ask=ask)
    found += check_checkouts(busy)
    found += check_branches(busy)
    found += check_ports(busy)
    found += check_surroundings(busy)
    for problem in (
        *check_lock(run),
        *overlap_problems(run.feature, run.layout.root),
        *missing_edge_problems(run.feature, run.layout.root),
    ):
        what = f"{problem.location}: {problem.message}"
        found.append(Diagnostic(problem.severity, what, problem.hint or ""))
    for cell in removed_cells_of(run):
        found.append(Diagnostic("warning", cell.description, cell.remedy))
    return found


def find_late_budget(run: FeatureRun, name: str) -> Diagnostic | None:
    """A budget and an agent that tells what it takes at its end only: it can be exceeded by one
    start, and is counted against every budget then."""
    agent, limits = run.agent_adapter(name), run.settings.limits
    purse = run.purse.cap.tokens if run.purse is not None else None
    tokens = (limits.budget_tokens, limits.attempt_tokens, purse)
    wanted = has_usd_limit(limits, run.purse) or any(cap is not None for cap in tokens)
    if not wanted or getattr(agent, "live", True):
        return None
    what = f"agent {name} tells its cost at the end: a budget ends what would start after it"
    fix = "bound its time, too: limits.timeout, or `timeout` of a cell"
    return Diagnostic("warning", what, fix)


def find_cells_to_run(
    run: FeatureRun, cells: Collection[str], forced: Collection[str] = ()
) -> list[CellContext]:
    """The cells that have something to do, by the files: stale ones and those behind them."""
    found: dict[str, CellContext] = {}
    with cache_record_reads():
        for plan in run.plan.cells:
            ctx = run.cell_context(plan.name)
            if plan.name not in cells:
                continue
            behind = any(up.cell.name in found for up in ctx.upstreams())
            if behind or plan.name in forced or stale_phases(ctx):
                found[plan.name] = ctx
    return list(found.values())


def check_links(run: FeatureRun, name: str) -> list[Diagnostic]:
    """Environments of the kit through which checks would test the main checkout."""
    return [
        Diagnostic(
            "warning",
            f"{name}: {link}: checks would test that, not the cell's source; they are not "
            "evaluated",
            f"install it in each worktree, e.g. [repos.{name}] {link.remedy} instead of link or "
            "copy, or allow it there: allow_links_back = true",
        )
        for link in find_links_back(run, name)
    ]


def check_reviewers(run: FeatureRun, cells: Collection[str]) -> list[Diagnostic]:
    """Reviewers of the author's own provider: they share its blind spots."""
    found: dict[tuple[str, str], list[str]] = {}
    for ctx in map(run.cell_context, cells):
        if ctx.cell.action is Action.AGENT:
            author = ctx.agent_settings.limit_pool
            for name in dict.fromkeys(reviewer.agent for reviewer in requested_reviewers(ctx)):
                if run.settings.agents[name].limit_pool == author:
                    found.setdefault((name, author), []).append(ctx.cell.name)
    # A script may judge, too, but only one that was written for it; the demo's was not.
    named = [(n, a) for n, a in run.settings.agents.items() if a.kind != "command"]
    others = {agent.limit_pool: name for name, agent in reversed(named)}
    return [
        Diagnostic(
            "warning",
            f"{', '.join(names)}: reviewer {agent} is of the author's provider, {pool}",
            next((f"let another one judge it, e.g. reviewers: [{{agent: {name}}}]"
                  for other, name in others.items() if other != pool),
                 "set up an agent of another provider, [agents.NAME] in orchestr.toml"),
        )
        for (agent, pool), names in found.items()
    ]  # fmt: skip


def check_git() -> list[Diagnostic]:
    """git must be there and new enough for merges without a checkout."""
    try:
        version = git_version()
    except OrchestrError as error:
        return [Diagnostic("error", error.message, "install git 2.38 or newer")]
    if version < MIN_GIT:
        text = ".".join(map(str, version))
        return [Diagnostic("error", f"git {text} is too old", "install git 2.38 or newer")]
    return []


def check_repository(run: FeatureRun, name: str) -> list[Diagnostic]:
    """A repository must be there, unless it is cloned or created on demand."""
    path = repo_path(run.settings, name)
    if path.is_dir():
        repo = Repo(path)
        try:
            empty = repo.is_empty()
        except GitError:
            why = repo.explain_unusable()
            if why is None:
                raise
            return [Diagnostic("error", why[0], why[1] or f"set [repos.{name}] path to a clone")]
        if empty:
            return [Diagnostic("error", f"{path} has no commit yet, nothing to start a branch from",
                            f"git -C {path} commit --allow-empty -m start, or fetch")]  # fmt: skip
        return []
    if is_made_on_demand(run, name):
        return []
    return [
        Diagnostic(
            "error",
            f"repository {name!r} is not at {path}",
            f"git clone <url> {path}, or set [repos.{name}] path, url or create",
        )
    ]
