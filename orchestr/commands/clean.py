"""`clean TARGET... [--dry-run]`: remove worktrees. Result files stay, so nothing is built again.

Nothing dirty, unpushed or alive is deleted: such a worktree is refused with what to do. Before
anything goes, all of it is kept under `refs/orchestr/` and compared with what is there; with
`--kept` that is enough for a worktree with unsaved work, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from doit.cmd_clean import Clean as DoitClean

from orchestr.cell.agent.stop_agent import has_running_agent
from orchestr.cell.candidate import list_candidates
from orchestr.cell.context import CellContext
from orchestr.cell.ownership import format_paths
from orchestr.cell.phases.candidates import end_candidates
from orchestr.cell.pull_request.foreign_commits import pushed_commits
from orchestr.cell.worktree.check_pool import remove_idle_worktrees
from orchestr.cell.worktree.damage import belongs_to_clone
from orchestr.cell.worktree.discard import remove_cell_worktree
from orchestr.cell.worktree.misplaced import describe_misplaced, suggest_return
from orchestr.cell.worktree.readable_checkout import remove_checkouts
from orchestr.cell.worktree.salvage import salvage_worktree
from orchestr.cell.worktree.setup import run_teardown
from orchestr.commands.base.options import flag_option
from orchestr.commands.base.verb import Verb, attach_loader
from orchestr.errors import OrchestrError, UsageError
from orchestr.git.worktree_state import WorktreeFinding, validate_worktree
from orchestr.run.goals import FeatureGoals
from orchestr.run.start import hold_leases
from orchestr.run.workspace import Session
from orchestr.spec.phases import Action
from orchestr.state import attempts
from orchestr.state.events import EventKind
from orchestr.state.layout import create_state_dirs
from orchestr.state.results import PublishRecord
from orchestr.state.states import CellState
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
        ("clean mlkem:java-sdk --kept", "also one with leftovers, once a ref holds all of them"),
    )
    doc_description = None  # doit's speaks of default tasks
    refused_options: ClassVar[Mapping[str, str]] = {
        "cleandep": "name the cells, or the whole feature: orchestr clean FEATURE",
        "cleanall": "name the features: orchestr clean FEATURE ...",
        "cleanforget": "orchestr forget FEATURE afterwards",
    }

    cmd_options = (
        *DoitClean.cmd_options,
        flag_option("kept", "also worktrees with unsaved work: it is kept below refs/orchestr/"),
    )

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
            cells = session.select_cells(targets)
            done = [clean_cell(c, kept=params["kept"], dry_run=params["dryrun"]) for c in cells]
            if not params["dryrun"]:
                _remove_check_worktrees(cells)
        if all(one is None for one in done):
            write_stdout("nothing to clean\n")
        return 1 if False in done else 0


def _remove_check_worktrees(cells: Iterable[CellContext]) -> None:
    """Remove the check worktrees of the repositories in which no cell has a worktree any more."""
    for ctx in {ctx.cell.repo: ctx for ctx in cells}.values():
        if remove_idle_worktrees(ctx.run, ctx.cell.repo):  # how many there were depends on the load
            write_stdout(f"removed the check worktrees of {ctx.cell.repo}\n")


def clean_cell(ctx: CellContext, *, kept: bool = False, dry_run: bool = False) -> bool | None:
    """Remove one worktree. True: removed, None: there was none, False: refused, with words.

    ``kept``: what is unsaved there is no reason to keep it, as a ref holds it afterwards.
    """
    if not dry_run:
        remove_checkouts(ctx)
    if ctx.cell.action is Action.PUSH:
        return None
    if (reason := _refuse_candidates(ctx, kept=kept)) is not None:
        return _print_refusal(ctx, *reason)
    if kept and not dry_run:
        end_candidates(ctx, "cleaned away by a person")
    if not ctx.worktree.exists():
        ctx.run.registry.release(ctx.key)
        return None
    reason = _refusal(ctx, kept=kept)
    if reason is not None:
        return _print_refusal(ctx, *reason)
    if dry_run:
        write_stdout(f"would remove {ctx.worktree}{_describe_work(ctx)}\n")
        return True
    newest = attempts.newest_attempt(ctx.dir)
    number = newest.number if newest else 0
    work = _describe_work(ctx)
    salvage_worktree(ctx, number)  # before the commands of the repository touch anything
    for failure in run_teardown(ctx):  # reported, and no reason to keep the worktree
        write_stdout(f"{failure}\n")
    reason = _refusal(ctx, kept=kept)
    if reason is not None:  # the teardown itself, or a person meanwhile
        return _print_refusal(ctx, *reason)
    try:
        done = remove_cell_worktree(ctx, number)
    except OrchestrError as error:
        return _print_refusal(ctx, error.message, error.hint or f"orchestr explain {ctx.name}")
    ctx.run.registry.release(ctx.key)
    ctx.emit(EventKind.WORKTREE_REMOVED, path=str(ctx.worktree), head=done.commit)
    write_stdout(f"removed {ctx.worktree}{work}; kept as {done.ref}\n")
    if done.moved:
        write_stdout(f"  moved to {done.left}: {format_paths(list(done.moved))}\n")
    if done.undeleted is not None:
        write_stdout(f"  {done.undeleted.message}\n  hint: {done.undeleted.hint}\n")
        return False
    return True


def _print_refusal(ctx: CellContext, why: str, hint: str) -> bool:
    write_stdout(f"kept {ctx.worktree}: {why}\n  hint: {hint}\n")
    return False


def _describe_work(ctx: CellContext) -> str:
    """What a worktree that may go holds, for people: work that is not done is named."""
    state = ctx.run.past.cell(ctx.cell.name).state
    if state in (CellState.DONE, CellState.LANDED):
        return ""
    repo, claim = ctx.worktree_repo, ctx.run.registry.lookup(ctx.key)
    dirty = repo.dirty_paths()
    if dirty:
        return f" ({state.label}; uncommitted: {format_paths(dirty)})"
    untouched = claim is not None and repo.head() == claim.base
    return f" ({state.label}; {'no work was in it' if untouched else 'its commits stay'})"


def _refusal(ctx: CellContext, *, kept: bool) -> tuple[str, str] | None:
    """Why a worktree must stay and what to do, or None."""
    newest = attempts.current_attempt(ctx.dir)
    if newest is not None and newest.is_open and has_running_agent(ctx.dir, newest):
        return "its agent works there", f"orchestr abort {ctx.name}"
    if not belongs_to_clone(ctx):
        return "it is not a worktree of its repository any more", "orchestr doctor"
    return None if kept else _find_unsaved_work(ctx)


def _refuse_candidates(ctx: CellContext, *, kept: bool) -> tuple[str, str] | None:
    """Why attempts side by side must stay, or None: an agent works, or a run would take one."""
    candidates = list_candidates(ctx)
    for one in candidates:
        newest = attempts.current_attempt(one.dir)
        if newest is not None and newest.is_open and has_running_agent(one.dir, newest):
            return f"an agent works in {one.worktree}", f"orchestr abort {ctx.name}"
    if not candidates or kept:
        return None
    keep = f"orchestr clean --kept {ctx.name} (it keeps all of it below refs/orchestr/)"
    return "none of its candidates was taken yet", f"orchestr run {ctx.name}, or: {keep}"


def _find_unsaved_work(ctx: CellContext) -> tuple[str, str] | None:
    repo = ctx.worktree_repo
    remove = f"orchestr clean --kept {ctx.name} (it keeps all of it below refs/orchestr/)"
    dirty = repo.dirty_paths()
    if dirty:
        look = f"git -C {ctx.worktree} status, or remove it: {remove}"
        return f"uncommitted changes ({format_paths(dirty)})", look
    head, published = repo.resolve_commit("HEAD"), PublishRecord.read(ctx.dir)
    if head is None or (published is not None and head == published.head):
        return None
    if head in pushed_commits(ctx.run.journal, ctx.cell.name):
        return None
    claim = ctx.run.registry.lookup(ctx.key)
    if claim is not None and head == claim.base:
        return None
    verdict = validate_worktree(ctx.repo, ctx.worktree, ctx.cell.branch)
    if verdict.finding in (WorktreeFinding.DETACHED, WorktreeFinding.WRONG_BRANCH):
        back = suggest_return(ctx.repo, ctx.worktree, ctx.cell.branch, verdict)
        return f"commits {describe_misplaced(verdict)}", f"{back}; or: {remove}"
    return "commits that were not published", f"orchestr run {ctx.name}, or: {remove}"
