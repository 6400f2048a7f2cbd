"""Retire a cell that no spec names any more: nothing of it is lost, and nothing of it is left over.

Its head is kept under `refs/orchestr/retired/FEATURE/CELL`, its pull request closed, its worktree,
branch, claim and ports given back, its records moved to `.orchestr/retired/`. Work that is not
committed is refused, and so is a pull request that cannot be asked about.

What survives a crash: the intent is journalled first, the ref comes before whatever it keeps is
removed, and the claim, which names the repository, goes last. Called again, each step looks at what
is there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection

from orchestr.cell.agent.stop_agent import has_running_agent, stop_attempt_agents
from orchestr.cell.candidate import with_candidates
from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.phases.candidates import end_candidates
from orchestr.cell.pull_request.claim import is_own_open
from orchestr.cell.removed_cells import RemovedCell
from orchestr.cell.worktree.check_pool import remove_idle_worktrees
from orchestr.cell.worktree.operations import unfinished_operation
from orchestr.cell.worktree.readable_checkout import remove_checkouts
from orchestr.cell.worktree.salvage import find_free_ref, is_same_repository
from orchestr.cell.worktree.setup import run_teardown
from orchestr.forges.base import ClosingForge, PullRequest
from orchestr.git.repo import CommitId
from orchestr.git.worktrees import remove_worktree
from orchestr.plan.dag import make_plan
from orchestr.settings.records import Settings
from orchestr.spec.records import Cell, Feature
from orchestr.state import attempts
from orchestr.state.events import EventKind
from orchestr.state.journal import Journal
from orchestr.state.layout import WorkspaceLayout
from orchestr.state.replay import replay
from orchestr.state.results import read_url

Say = Callable[[str], None]
RETIRED = "This work was retired: no spec asks for it any more."


def removed_cell_context(
    settings: Settings, layout: WorkspaceLayout, cell: RemovedCell, feature: Feature | None
) -> CellContext:
    """A cell as its records describe it, beside those that the spec names."""
    known = feature or Feature(cell.feature, cell.feature, cell.feature, ())
    record = Cell(cell.name, cell.repo, cell.branch)
    whole = dataclasses.replace(known, cells=(*known.cells, record))
    journal = Journal(layout.journal_file(cell.feature))
    run = FeatureRun(settings, layout, whole, make_plan(whole), journal)
    run.past = replay(journal.read())
    return run.cell_context(cell.name)


def retire_cell(
    ctx: CellContext, *, user: str, others: Collection[str], stop: bool, say: Say
) -> None:
    """Put everything of the cell away. Raises PhaseFailed where work would be lost.

    ``others`` are the branches of its repository that cells of the specs have; ``stop`` ends its
    agent. The caller holds the feature's lease.
    """
    refuse_lost_work(ctx, stop=stop)
    newest = attempts.current_attempt(ctx.dir)
    if stop and newest is not None and newest.is_open:
        stop_attempt_agents(ctx, newest)
    end_candidates(ctx, "its cell was retired")
    shared = ctx.cell.branch in others or not ctx.cell.branch
    prs = [] if shared else find_open_prs(ctx)
    tip = ctx.repo.resolve_commit(f"refs/heads/{ctx.cell.branch}") if ctx.cell.branch else None
    url = prs[0].url if prs else read_url(ctx.dir)
    ref = _keep_heads(ctx, tip)

    def journal_step(*, done: bool) -> None:
        ctx.emit(EventKind.CELL_RETIRED, branch=ctx.cell.branch, head=tip, ref=ref, url=url,
                 path=str(ctx.worktree), user=user, done=done)  # fmt: skip

    journal_step(done=False)
    for pr in prs:
        _close(ctx, pr, say)
    _remove_worktree(ctx, say)
    if shared:
        say(f"branch {ctx.cell.branch} is another cell's now; it was left alone\n")
    else:
        _remove_branches(ctx, tip, say)
    if ref:
        say(f"kept its head as {ref}\n")
    _move_records(ctx)
    ctx.run.registry.remove(ctx.key)
    remove_idle_worktrees(ctx.run, ctx.cell.repo)
    journal_step(done=True)


def refuse_lost_work(ctx: CellContext, *, stop: bool) -> None:
    """Raises PhaseFailed for a living agent and for work that is not committed."""
    for one in with_candidates(ctx):
        newest = attempts.current_attempt(one.dir)
        works = newest is not None and newest.is_open and has_running_agent(one.dir, newest)
        if not stop and newest is not None and works:
            raise ctx.fail(
                f"its agent works on {newest.label}", hint=f"orchestr retire {ctx.name} --stop"
            )
    if not ctx.worktree.exists():
        return
    if not is_same_repository(ctx):
        raise ctx.fail(
            f"{ctx.worktree} is not a worktree of its repository any more",
            hint=f"look into it, then: mv {ctx.worktree} {ctx.worktree}.old",
        )
    dirty, under_way = ctx.worktree_repo.dirty_paths(), unfinished_operation(ctx.worktree_repo)
    if dirty or under_way is not None:
        what = f"an unfinished {under_way}" if under_way else f"changes in {', '.join(dirty[:3])}"
        place = f"git -C {ctx.worktree}"
        raise ctx.fail(
            f"its worktree has {what} that no commit holds",
            hint=f"{place} add -A && {place} commit -m 'before it is retired'",
        )


def find_open_prs(ctx: CellContext) -> list[PullRequest]:
    """The cell's own open pull requests. Raises PhaseFailed where they cannot be closed."""
    url = read_url(ctx.dir)
    if not ctx.repo.has_remote():
        return []
    found = ctx.run.forge.find_pull_requests(ctx.repo_ref, [ctx.cell.branch])[ctx.cell.branch]
    prs = [pr for pr in found if is_own_open(ctx, pr, url)]
    if prs and not isinstance(ctx.run.forge, ClosingForge):
        raise ctx.fail(
            f"the forge {ctx.run.forge.kind} cannot close {prs[0].url} for you",
            hint="close it there, then the same command",
        )
    return prs


def _keep_heads(ctx: CellContext, tip: CommitId | None) -> str:
    """The ref that holds the branch; a detached worktree and the origin's branch get one, too."""
    place = f"refs/orchestr/retired/{ctx.key}"
    heads = {"branch": tip}
    if ctx.worktree.exists():
        heads["worktree"] = ctx.worktree_repo.resolve_commit("HEAD")
    heads["origin"] = _fetch_origin_head(ctx)
    kept = ""
    for name, head in heads.items():
        if head is None or (name != "branch" and tip and ctx.repo.is_ancestor(head, tip)):
            continue
        ref = find_free_ref(ctx, f"{place}/{name}", head)
        ctx.repo.update_ref(ref, head)
        kept = kept or ref
    return kept


def _fetch_origin_head(ctx: CellContext) -> CommitId | None:
    """Where the branch is at the origin, with its commits here."""
    if not ctx.cell.branch or not ctx.repo.has_remote():
        return None
    ref = f"refs/heads/{ctx.cell.branch}"
    there = ctx.repo.ls_remote(ctx.repo.remotes.push, ref).get(ref)
    if there is not None and ctx.repo.resolve_commit(there) is None:
        ctx.repo.fetch(ctx.repo.remotes.push, ref, locks=ctx.run.layout.locks_dir)
    return None if there is None else CommitId(there)


def _close(ctx: CellContext, pr: PullRequest, say: Say) -> None:
    forge = ctx.run.forge
    assert isinstance(forge, ClosingForge)
    forge.comment_once(ctx.repo_ref, pr.number, RETIRED)
    forge.close_pull_request(ctx.repo_ref, pr.number)
    say(f"closed {pr.url}\n")


def _remove_worktree(ctx: CellContext, say: Say) -> None:
    remove_checkouts(ctx)
    if not ctx.worktree.exists():
        return
    for failure in run_teardown(ctx):  # reported, and no reason to keep the worktree
        say(f"{failure}\n")
    refuse_lost_work(ctx, stop=True)  # the teardown itself, or a person meanwhile
    remove_worktree(ctx.repo, ctx.worktree, locks=ctx.run.layout.locks_dir)
    say(f"removed {ctx.worktree}\n")


def _remove_branches(ctx: CellContext, tip: CommitId | None, say: Say) -> None:
    """The branch here and at the origin; both are under refs now. One in use stays."""
    repo, name, forge = ctx.repo, ctx.cell.branch, ctx.run.forge
    there = _fetch_origin_head(ctx)
    if there is not None:
        if isinstance(forge, ClosingForge) and not forge.has_open_into(ctx.repo_ref, name):
            repo.delete_remote_branch(repo.remotes.push, name, there)
        else:
            say(f"branch {name} stays at the origin: a pull request is for it\n")
    used = next((e.path for e in repo.list_worktrees() if e.branch == name), None)
    if used is not None:
        say(f"branch {name} stays: it is checked out at {used}\n")
    elif tip is not None:
        repo.delete_ref(f"refs/heads/{name}", tip)


def _move_records(ctx: CellContext) -> None:
    """The cell's folder goes to `.orchestr/retired/`, never over an older one."""
    if not ctx.dir.exists():
        return
    place = ctx.run.layout.state / "retired" / ctx.run.feature.name
    place.mkdir(parents=True, exist_ok=True)
    target, copy = place / ctx.cell.name, 1
    while target.exists():
        target, copy = place / f"{ctx.cell.name}.{copy}", copy + 1
    ctx.dir.rename(target)


def is_retirement_unfinished(journal: Journal, cell: str) -> bool:
    """Whether a retirement was begun whose end the journal does not have."""
    last = None
    for event in journal.read():
        if event.kind is EventKind.CELL_RETIRED and event.cell.removesuffix(" (retired)") == cell:
            last = event
    return last is not None and last.data.get("done") is not True
