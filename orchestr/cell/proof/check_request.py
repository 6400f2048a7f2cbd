"""What a suite of a cell's checks is given: a place, an environment, ports, a way to be stopped.

A place is a check worktree that shows the head, or with `checks_in = "worktree"` the author's. What
the cell depends on can be read beside it, as it is committed. Nothing here runs a check.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestr.agents.environment import agent_env
from orchestr.cell.context import CellContext
from orchestr.cell.proof.read_inputs import make_input_reader
from orchestr.cell.worktree.check_pool import CheckPool, lend_check_worktree
from orchestr.cell.worktree.check_worktree import CheckWorktree
from orchestr.cell.worktree.ensure import find_checkout
from orchestr.cell.worktree.node_modules import install_in_author_worktree
from orchestr.cell.worktree.ports import lease_cell_ports, write_ports_file
from orchestr.cell.worktree.variables import cell_variables, upstream_prefix
from orchestr.cell.worktree.wall import wall_checks
from orchestr.cell.worktree.worktree_guard import checks_marker, find_harm
from orchestr.checks.cache import IN_WORKTREE
from orchestr.checks.suite import SuiteRequest
from orchestr.git.agent_environment import agent_git_env
from orchestr.git.repo import CommitId
from orchestr.process.tree import WORKTREE
from orchestr.spec.phases import Action, Phase
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind
from orchestr.state.results import digest, read_tree


@dataclass(frozen=True, slots=True)
class CheckPlace:
    """Where checks on ``head`` run: a check worktree, or (``checkout`` None) the author's.

    ``patterns`` are what git passes over there besides the user's excludes.
    """

    path: Path
    head: CommitId
    patterns: Sequence[str] = ()
    checkout: CheckWorktree | None = None


@contextmanager
def open_check_place(
    ctx: CellContext, head: CommitId
) -> Iterator[tuple[CheckPlace, dict[str, str], tuple[int, ...]]]:
    """Where checks on ``head`` run, variables of what they can read beside it, and their ports.

    The ports come first: who waits for some must not hold a check worktree that others wait for.
    Raises Interrupted, PhaseFailed for a set-up, GitError.
    """
    ports = lease_check_ports(ctx)
    if ctx.checks_in_worktree:
        install_in_author_worktree(ctx)
        yield CheckPlace(ctx.worktree, head, ctx.unseen.patterns), {}, ports
        return
    with lend_check_worktree(ctx, head) as checkout:
        if ports:
            write_ports_file(checkout.tree, ports)
        place = CheckPlace(checkout.path, head, checkout.patterns, checkout)
        with expose_upstreams(ctx, CheckPool.READING, ctx.is_cancelled) as shown:
            yield place, shown, ports


@contextmanager
def expose_upstreams(
    ctx: CellContext, pool: CheckPool, cancelled: Callable[[], bool]
) -> Iterator[dict[str, str]]:
    """The variables of where the upstreams of a cell can be read while its checks run."""
    with show_cells(ctx.upstreams(), pool, cancelled) as shown:
        yield {f"{upstream_prefix(up)}_WORKTREE": str(there.path) for up, there in shown}


@contextmanager
def show_cells(
    cells: Iterable[CellContext], pool: CheckPool, cancelled: Callable[[], bool]
) -> Iterator[list[tuple[CellContext, CheckWorktree]]]:
    """What cells came to, in a checkout each: as it is committed, not as their authors' worktrees
    are now. Those without a result are left out."""
    with ExitStack() as stack:
        found = []
        for ctx in cells:
            head = ctx.read_head()
            if head is not None:
                lent = lend_check_worktree(ctx, CommitId(head.head), pool, cancelled=cancelled)
                found.append((ctx, stack.enter_context(lent)))
        yield found


def make_suite_request(
    ctx: CellContext,
    place: CheckPlace,
    folder: Path,
    *,
    ports: tuple[int, ...] = (),
    more: Mapping[str, str] | None = None,
    phase: Phase = Phase.CHECK,
    base: str = "",
) -> SuiteRequest:
    """What a suite on a head of the cell is given; its results lie in ``folder``. ``more`` are
    further variables."""
    return SuiteRequest(
        worktree=place.path,
        head=place.head,
        tree=input_digest(ctx, ctx.repo.resolve_tree(place.head)),
        read_inputs=make_input_reader(ctx.repo, place.head, input_digest(ctx, "")),
        folder=folder,
        marker=checks_marker(ctx),
        env={**check_environment(ctx, place), **(more or {})},
        environ=os.environ,
        ports=ports,
        stop=CellStopEvent(ctx),
        places=locate_checks(ctx),
        place=IN_WORKTREE if place.checkout is None else describe_place([ctx], CheckPool.CELLS),
        shown_as=find_author_checkout(ctx),
        raw_logs=ctx.run.settings.workspace.raw_logs,
        wall=wall_checks(ctx),
        is_unchanged=lambda: not find_place_harm(ctx, place),
        base=base,
        owner=ctx.name,
        tell_wait=lambda reason: tell_wait(ctx, phase, reason),
    )


def tell_wait(ctx: CellContext, phase: Phase, reason: str | None) -> None:
    """Journal what a check of the cell waits for; None: it goes on."""
    if reason is None:
        ctx.emit(EventKind.CELL_WAITING, phase=phase, over=True)
    else:
        ctx.emit(EventKind.CELL_WAITING, phase=phase, reason=reason)


def find_author_checkout(ctx: CellContext) -> Path:
    """Where the author of what is checked works: the cell's worktree, or a person's checkout."""
    if ctx.cell.action is Action.PUSH:
        return find_checkout(ctx) or ctx.repo_path
    return ctx.worktree


def find_place_harm(ctx: CellContext, place: CheckPlace) -> list[str]:
    """What programs have changed of what they were to judge."""
    if place.checkout is not None:
        return place.checkout.find_harm()
    return find_harm(ctx, place.head)


def describe_place(cells: Iterable[CellContext], pool: CheckPool) -> str:
    """The kind of place that a check worktree is, for the cache of results: where caches stay in
    it, or in what is read beside it, from check to check, it is another one for each pool."""
    seen = [other for ctx in cells for other in (ctx, *ctx.upstreams())]
    warm = any(ctx.repo_settings.cache for ctx in seen)
    return f"checkout with caches of {pool}" if warm else "checkout"


def locate_checks(ctx: CellContext) -> dict[str, str]:
    """Where each of the cell's checks is defined, by its name, for people."""
    of_repo = {c.name: f"[repos.{ctx.cell.repo}] checks" for c in ctx.repo_settings.checks}
    return {**of_repo, **{check.name: ctx.run.feature.path for check in ctx.cell.proof.checks}}


def input_digest(ctx: CellContext, tree: str) -> str:
    """What a result depends on besides the check: the tree that is checked, and the upstreams'
    where they can be read (`ORCHESTR_UPSTREAM_*_WORKTREE`)."""
    others = {up.cell.name: read_tree(up.dir) for up in ctx.upstreams()}
    return digest(tree, others) if others else tree


def check_environment(ctx: CellContext, place: CheckPlace) -> dict[str, str]:
    """The allow-listed environment of the cell's checks: no way to push, no secrets."""
    cell = cell_variables(ctx, Attempt(0, "", "", place.head), Path())
    cell[WORKTREE] = str(place.path)
    for name in ("ORCHESTR_ATTEMPT", "ORCHESTR_PROMPT_FILE"):
        cell.pop(name, None)
    git = agent_git_env(
        ctx.repo,
        place.path,
        ctx.run.layout.excludes_file,
        patterns=place.patterns,
        record=ctx.git_record,
    )
    no_gh = {"GH_CONFIG_DIR": str(ctx.run.layout.state / "no-gh")}
    quiet = {"CI": "1", "NO_COLOR": "1", "TERM": "dumb", "PAGER": "cat"}
    inside = ctx.mark_inside("a check")
    return {**agent_env(os.environ, ()), **no_gh, **quiet, **cell, **git, **inside}


def lease_check_ports(ctx: CellContext) -> tuple[int, ...]:
    """The cell's ports, leased now if they are not; a person's branch has none of its own."""
    return () if ctx.cell.action is Action.PUSH else lease_cell_ports(ctx, Phase.CHECK)


class CellStopEvent(threading.Event):
    """Set when the run, or this cell alone, is asked to stop."""

    def __init__(self, ctx: CellContext) -> None:
        super().__init__()
        self._ctx = ctx

    def is_set(self) -> bool:
        return self._ctx.is_cancelled()

    def wait(self, timeout: float | None = None) -> bool:
        """As `threading.Event.wait`, seeing a cell's own abort at the latest afterwards."""
        return self._ctx.run.stop.wait(timeout) or self.is_set()
