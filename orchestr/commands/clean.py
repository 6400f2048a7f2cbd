"""`clean TARGET... [--dry-run]`: remove worktrees. Result files stay, so nothing is built again.

Nothing dirty, unpushed or alive is deleted: such a worktree is refused with what to do. Before
anything goes, the head is kept under `refs/orchestr/` (DESIGN, nothing is lost).
"""

from __future__ import annotations

from typing import Any

from doit.cmd_clean import Clean as DoitClean

from orchestr.cell.agent.run_agent import is_alive
from orchestr.cell.context import CellContext
from orchestr.cell.pull_request.foreign_commits import pushed
from orchestr.cell.worktree.salvage import keep, same_repository
from orchestr.cell.worktree.setup import tear_down
from orchestr.commands.base.verb import Verb, attach
from orchestr.errors import OrchestrError, UsageError
from orchestr.git.worktrees import remove_worktree
from orchestr.run.goals import Goals
from orchestr.run.start import leases
from orchestr.spec.phases import Action
from orchestr.state import attempts
from orchestr.state.events import Kind
from orchestr.state.layout import prepare
from orchestr.state.results import Published
from orchestr.tasks.generate import Selection
from orchestr.views.terminal.output import tell


class Clean(Verb, DoitClean):  # type: ignore[misc]
    """doit's `clean` for worktrees only."""

    doc_purpose = "remove worktrees that hold nothing unsaved; results stay"
    doc_usage = "FEATURE[:CELL] ..."
    doc_description = None  # doit's speaks of default tasks

    def execute(self, params: Any, args: list[str]) -> int:
        """Exit 1 when something was refused."""
        loader = attach(self)
        session = loader.session
        if not args:
            raise UsageError("which features or cells?", hint="orchestr clean FEATURE")
        words, theirs = loader.split(args)
        if theirs:
            loader.features = ()
            super().execute(params, theirs)
            if not words:
                return 0
        targets = session.targets(words)
        prepare(session.layout)
        features = dict.fromkeys(target.feature for target in targets)
        goals = [Goals(session.run(name), [], Selection(), []) for name in features]
        with leases(goals, break_lock=False):  # no run may begin under our hands
            done = [
                clean_cell(ctx, forced=False, dry_run=params["dryrun"])
                for ctx in session.cells(targets)
            ]
        if all(one is None for one in done):
            tell("nothing to clean\n")
        return 1 if False in done else 0


def clean_cell(ctx: CellContext, *, forced: bool, dry_run: bool = False) -> bool | None:
    """Remove one worktree. True: removed, None: there was none, False: refused, with words."""
    if ctx.cell.action is Action.PUSH:
        return None
    if not ctx.worktree.exists():
        ctx.run.registry.release(ctx.key)
        return None
    why = None if forced else unsaved(ctx)
    if why is not None:
        tell(f"kept {ctx.worktree}: {why[0]}\n  hint: {why[1]}\n")
        return False
    if dry_run:
        tell(f"would remove {ctx.worktree}\n")
        return True
    newest = attempts.newest(ctx.dir)
    head = keep(ctx, newest.number if newest else 0)
    for failure in tear_down(ctx):  # told, and no reason to keep the worktree
        tell(f"{failure}\n")
    why = None if forced else unsaved(ctx)
    if why is not None:  # the teardown itself, or somebody meanwhile
        tell(f"kept {ctx.worktree}: {why[0]}\n  hint: {why[1]}\n")
        return False
    try:
        remove_worktree(ctx.repo, ctx.worktree, locks=ctx.run.layout.locks, force=True)
    except OrchestrError as error:
        tell(f"kept {ctx.worktree}: {error.message}\n")
        return False
    ctx.run.registry.release(ctx.key)
    ctx.emit(Kind.WORKTREE_REMOVED, path=str(ctx.worktree), head=head)
    tell(f"removed {ctx.worktree}\n")
    return True


def unsaved(ctx: CellContext) -> tuple[str, str] | None:
    """Why a worktree must stay and what to do, or None."""
    newest = attempts.current(ctx.dir)
    if newest is not None and newest.is_open and is_alive(ctx.dir, newest):
        return "its agent works there", f"orchestr abort {ctx.name}"
    if not same_repository(ctx):
        return "it is not a worktree of its repository any more", "orchestr doctor"
    repo = ctx.tree_repo
    dirty = repo.dirty()
    if dirty:
        names = ", ".join(dirty[:3])
        return f"uncommitted changes ({names})", f"git -C {ctx.worktree} status"
    head, published = repo.resolve("HEAD"), Published.read(ctx.dir)
    if head is None or (published is not None and head == published.head):
        return None
    if head in pushed(ctx.run.journal, ctx.cell.name):
        return None
    marker_base = ctx.run.registry.lookup(ctx.key)
    if marker_base is not None and head == marker_base.base:
        return None
    return "commits that were not published", f"orchestr run {ctx.name}"
