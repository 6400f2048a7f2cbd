"""`clean TARGET... [--dry-run]`: remove worktrees. Result files stay, so nothing is built again.

Nothing dirty, unpushed or alive is deleted: such a worktree is refused with what to do. Before
anything goes, the head is kept under `refs/orchestr/`, so that no work is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from doit.cmd_clean import Clean as DoitClean

from orchestr.cell.agent.stop_agent import has_running_agent
from orchestr.cell.context import CellContext
from orchestr.cell.pull_request.foreign_commits import pushed_commits
from orchestr.cell.worktree.salvage import is_same_repository, salvage_worktree
from orchestr.cell.worktree.setup import run_teardown
from orchestr.commands.base.verb import Verb, attach_loader
from orchestr.errors import OrchestrError, UsageError
from orchestr.git.worktrees import remove_worktree
from orchestr.run.goals import FeatureGoals
from orchestr.run.start import hold_leases
from orchestr.run.workspace import Session
from orchestr.spec.phases import Action
from orchestr.state import attempts
from orchestr.state.events import EventKind
from orchestr.state.layout import create_state_dirs
from orchestr.state.results import PublishRecord
from orchestr.tasks.generate import CellSelection
from orchestr.views.terminal.output import write_stdout


class Clean(Verb, DoitClean):  # type: ignore[misc]
    """doit's `clean` for worktrees only."""

    purpose = "remove worktrees that hold nothing unsaved; results stay"
    usage = "FEATURE[:CELL] ..."
    help_group = "build"
    examples = (
        ("clean mlkem", "remove worktrees that hold nothing unsaved"),
        ("clean mlkem --dry-run", "only say which"),
    )
    doc_description = None  # doit's speaks of default tasks
    refused_options: ClassVar[Mapping[str, str]] = {
        "cleandep": "name the cells, or the whole feature: orchestr clean FEATURE",
        "cleanall": "name the features: orchestr clean FEATURE ...",
        "cleanforget": "orchestr forget FEATURE afterwards",
    }

    def execute(self, params: Any, args: list[str]) -> int:
        """Exit 1 when something was refused."""
        loader = attach_loader(self)
        session: Session = loader.session
        if not args:
            raise UsageError("which features or cells?", hint="orchestr clean FEATURE")
        words, theirs = loader.split_words(args)
        if words:
            self.refuse_options(params)
        if theirs:
            loader.features = ()
            super().execute(params, theirs)
            if not words:
                return 0
        targets = session.parse_targets(words)
        create_state_dirs(session.layout)
        features = dict.fromkeys(target.feature for target in targets)
        goals = [FeatureGoals(session.load_run(name), [], CellSelection(), []) for name in features]
        with hold_leases(goals, break_lock=False):  # no run may begin under our hands
            done = [
                clean_cell(ctx, forced=False, dry_run=params["dryrun"])
                for ctx in session.select_cells(targets)
            ]
        if all(one is None for one in done):
            write_stdout("nothing to clean\n")
        return 1 if False in done else 0


def clean_cell(ctx: CellContext, *, forced: bool, dry_run: bool = False) -> bool | None:
    """Remove one worktree. True: removed, None: there was none, False: refused, with words."""
    if ctx.cell.action is Action.PUSH:
        return None
    if not ctx.worktree.exists():
        ctx.run.registry.release(ctx.key)
        return None
    why = None if forced else reason_to_keep(ctx)
    if why is not None:
        write_stdout(f"kept {ctx.worktree}: {why[0]}\n  hint: {why[1]}\n")
        return False
    if dry_run:
        write_stdout(f"would remove {ctx.worktree}\n")
        return True
    newest = attempts.newest_attempt(ctx.dir)
    head = salvage_worktree(ctx, newest.number if newest else 0)
    for failure in run_teardown(ctx):  # reported, and no reason to keep the worktree
        write_stdout(f"{failure}\n")
    why = None if forced else reason_to_keep(ctx)
    if why is not None:  # the teardown itself, or a person meanwhile
        write_stdout(f"kept {ctx.worktree}: {why[0]}\n  hint: {why[1]}\n")
        return False
    try:
        remove_worktree(ctx.repo, ctx.worktree, locks=ctx.run.layout.locks_dir, force=True)
    except OrchestrError as error:
        write_stdout(f"kept {ctx.worktree}: {error.message}\n")
        return False
    ctx.run.registry.release(ctx.key)
    ctx.emit(EventKind.WORKTREE_REMOVED, path=str(ctx.worktree), head=head)
    write_stdout(f"removed {ctx.worktree}\n")
    return True


def reason_to_keep(ctx: CellContext) -> tuple[str, str] | None:
    """Why a worktree must stay and what to do, or None."""
    newest = attempts.current_attempt(ctx.dir)
    if newest is not None and newest.is_open and has_running_agent(ctx.dir, newest):
        return "its agent works there", f"orchestr abort {ctx.name}"
    if not is_same_repository(ctx):
        return "it is not a worktree of its repository any more", "orchestr doctor"
    repo = ctx.worktree_repo
    dirty = repo.dirty_paths()
    if dirty:
        names = ", ".join(dirty[:3])
        return f"uncommitted changes ({names})", f"git -C {ctx.worktree} status"
    head, published = repo.resolve_commit("HEAD"), PublishRecord.read(ctx.dir)
    if head is None or (published is not None and head == published.head):
        return None
    if head in pushed_commits(ctx.run.journal, ctx.cell.name):
        return None
    marker_base = ctx.run.registry.lookup(ctx.key)
    if marker_base is not None and head == marker_base.base:
        return None
    return "commits that were not published", f"orchestr run {ctx.name}"
