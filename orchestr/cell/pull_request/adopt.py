"""Adoption: a cell without records whose own pull request is open or merged.

An earlier workspace or (with `adopt: true`) a person did the work already. Its files are made from
the pull request's head, no agent is started: the work is not paid for twice. Each file is still
written by its own phase: the marker by `worktree`, `implement.toml` by `implement`.

A pull request is the cell's own when its markers or the registry name the cell. One of another
cell is refused (`orchestr.cell.pull_request.claim`), and so is an open one that names no cell,
unless the cell says `adopt: true`. After `forget`, `--force` and `--fresh` nothing is adopted: an
attempt starts on the branch.
"""

from __future__ import annotations

from orchestr.cell.context import CellContext, observed_prs
from orchestr.cell.pull_request.claim import refuse_foreign_pr
from orchestr.cell.pull_request.forks import refuse_unnamed_fork
from orchestr.cell.pull_request.observe import observe_new_clone
from orchestr.errors import MachineFault, OrchestrError
from orchestr.forges.base import PRState, PullRequest
from orchestr.forges.body_markers import read_owner
from orchestr.git.bases import list_base_tips
from orchestr.git.repo import CommitId
from orchestr.spec.phases import Action, Phase
from orchestr.state import attempts
from orchestr.state.events import EventKind
from orchestr.state.results import ImplementOutcome, ImplementRecord, WorktreeMarker, read_tree


def find_adoptable_pr(ctx: CellContext) -> PullRequest | None:
    """The pull request to adopt, or None. A cell with an attempt or a result has its own.

    Raises PhaseFailed when the forge cannot be asked (away is not "no pull request"), and when an
    open pull request is not the cell's own.
    """
    if ctx.cell.action is Action.PUSH or not _has_no_records(ctx):
        return None
    observe_new_clone(ctx.run, ctx.cell.repo)
    away = ctx.run.forge_away.get(ctx.cell.repo)
    if away is not None and Phase.PUBLISH in ctx.cell.phases:
        remote = ctx.repo.remotes.push
        if not ctx.repo.has_remote(remote):
            raise ctx.fail(
                f"{ctx.repo_path} has no remote {remote!r}, so nothing can be published",
                hint=f"git -C {ctx.repo_path} remote add {remote} URL, or drop publish from phases",
            )
        raise ctx.fail(
            f"whether {ctx.cell.branch} has a pull request cannot be asked now: {away}",
            hint=ctx.run.forge_hints.get(ctx.cell.repo)
            or "the same command, when it answers again",
        )
    refuse_unnamed_fork(ctx)
    for pr in ctx.run.foreign_prs.get(f"{ctx.cell.repo}:{ctx.cell.branch}", ()):
        if pr.state is PRState.OPEN:
            raise refuse_foreign_pr(ctx, pr)
    if attempts.is_rebuild_requested(ctx.dir):
        return None
    for pr in observed_prs(ctx.run, ctx.cell):
        if pr.state in (PRState.OPEN, PRState.MERGED) and _is_own_pr(ctx, pr):
            return pr
    return None


def _is_own_pr(ctx: CellContext, pr: PullRequest) -> bool:
    """Whether a pull request may be adopted. Raises PhaseFailed for an open one of no cell."""
    known = ctx.run.registry.lookup(ctx.key)
    named = known is not None and known.branch == ctx.cell.branch
    if named or ctx.cell.adopt or read_owner(pr.body) is not None:
        return True
    if pr.state is not PRState.OPEN:
        return False  # of earlier work with the same name; what is left of it is seen at the branch
    raise ctx.fail(
        f"branch {ctx.cell.branch} has a pull request that names no cell: {pr.url}",
        hint=f"to take it as the work of cell {ctx.cell.name}, set `adopt: true` there in "
        f"{ctx.run.feature.path}; else set another `branch`",
    )


def _has_no_records(ctx: CellContext) -> bool:
    return not attempts.attempt_numbers(ctx.dir) and ImplementRecord.read(ctx.dir) is None


def build_adopted_marker(ctx: CellContext, pr: PullRequest, phase: str) -> WorktreeMarker:
    """The marker of an adopted cell: its base is where the pull request left its own base."""
    head = fetch_pr_head(ctx, pr)
    base = None
    for tip in list_base_tips(ctx.repo, pr.base).values():
        base = ctx.repo.merge_base(tip, head)
        if base is not None:
            break
    trees = {up.cell.name: read_tree(up.dir) for up in ctx.upstreams()}
    known = {name: tree for name, tree in trees.items() if tree is not None}
    return WorktreeMarker(ctx.cell.branch, base or head, pr.base, known, phase)


def adopt_pr_head(
    ctx: CellContext, pr: PullRequest, marker: WorktreeMarker, key: str
) -> ImplementRecord:
    """The result of an adopted cell: the head of its pull request."""
    head = fetch_pr_head(ctx, pr)
    branch = f"refs/heads/{ctx.cell.branch}"
    if ctx.repo.resolve_commit(branch) is None:
        ctx.repo.run_git("update-ref", branch, head)
    ctx.emit(
        EventKind.CELL_ADOPTED, phase=Phase.IMPLEMENT, url=pr.url, head=head, state=str(pr.state)
    )
    return ImplementRecord(
        key, head, ctx.repo.resolve_tree(head), marker.base, ImplementOutcome.ADOPTED
    )


def fetch_pr_head(ctx: CellContext, pr: PullRequest) -> CommitId:
    """The commit of a pull request, fetched when it is not here."""
    found = ctx.repo.resolve_commit(pr.head_sha)
    if found is None:
        remotes = ctx.repo.remotes
        places = ((remotes.base, pr.head_ref), (remotes.push, f"refs/heads/{pr.head}"))
        for remote, ref in places:
            try:
                ctx.repo.fetch(remote, ref, locks=ctx.run.layout.locks_dir)
            except MachineFault:
                raise
            except OrchestrError:
                continue
            found = ctx.repo.resolve_commit(pr.head_sha)
            if found is not None:
                break
    if found is None:
        raise ctx.fail(
            f"commit {pr.head_sha[:12]} of {pr.url} cannot be fetched",
            hint=f"git -C {ctx.repo_path} fetch {ctx.repo.remotes.base}",
        )
    return found
