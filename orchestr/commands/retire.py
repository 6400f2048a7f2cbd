"""`retire FEATURE:CELL ... [--dry-run]`: put away what a cell left that no spec names any more."""

from __future__ import annotations

from typing import Any

from orchestr.cell.context import CellContext
from orchestr.cell.phases.retire_cell import (
    find_open_prs,
    is_retirement_unfinished,
    refuse_lost_work,
    removed_cell_context,
    retire_cell,
)
from orchestr.cell.removed_cells import RemovedCell, find_orphaned_features, find_removed_cells
from orchestr.commands.base.options import flag_option
from orchestr.commands.base.person import login_name
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import ExitCode, SpecError, UsageError
from orchestr.process.lease import Lease
from orchestr.run.start import lease_record
from orchestr.run.workspace import Session
from orchestr.spec.goal_names import FEATURE_PREFIX
from orchestr.state.events import EventKind
from orchestr.state.layout import create_state_dirs
from orchestr.views.terminal.output import confirm_reasons, write_stdout


class Retire(PlainVerb):
    """Closes the pull request, keeps the head under a ref, removes worktree, branch and ports."""

    doc_purpose = "put away a cell that was taken out of its spec"
    doc_usage = "FEATURE:CELL ..."
    help_group = "build"
    examples = (
        ("retire mlkem:old-sdk", "close its pull request, keep its commits under refs/orchestr/"),
        ("retire mlkem:old-sdk --dry-run", "only say what would go"),
    )
    cmd_options = (
        flag_option("dry_run", "say what would be done, and do nothing", long="dry-run"),
        flag_option("stop", "end its agent, if it works still"),
        flag_option("yes", "do not ask", short="y"),
    )

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Exit 1 when one of them could not be put away."""
        if not args:
            raise UsageError("which cell?", hint="orchestr retire FEATURE:CELL")
        if session.specs.problems:  # what a broken spec names is not known
            raise SpecError(session.specs.problems)
        create_state_dirs(session.layout)
        return max(_retire_word(session, word, params) for word in args)


def _retire_word(session: Session, word: str, params: Any) -> int:
    feature, _, name = word.removeprefix(FEATURE_PREFIX).partition(":")
    known = session.specs.features.get(feature)
    if known is not None:
        session.find_feature(feature)
        if any(cell.name == name for cell in known.cells):
            raise UsageError(
                f"cell {feature}:{name} is in {known.path} still",
                hint="take it out there first; its pull request and its commits stay until then",
            )
    found = _find_cell(session, feature, name)
    if found is None:
        return _finish_or_refuse(session, feature, name)
    ctx = removed_cell_context(session.settings, session.layout, found, known)
    with Lease.acquire(session.layout.lease_file(feature), lease_record((feature,), 1)):
        others = _branches_of_others(session, found)
        if params["dry_run"]:
            return _describe(ctx, others, stop=params["stop"])
        real = ctx.run.forge.real and found.url is not None
        if real and not params["yes"]:
            closed = [f"{found.url} will be closed."]
            if not confirm_reasons(closed, unheard="this closes a pull request"):
                return int(ExitCode.DONE)
        user = login_name()
        retire_cell(ctx, user=user, others=others, stop=params["stop"], say=write_stdout)
    write_stdout(f"retired {feature}:{name}\n")
    return int(ExitCode.DONE)


def _find_cell(session: Session, feature: str, name: str) -> RemovedCell | None:
    known = session.specs.features.get(feature)
    if known is not None:
        cells = find_removed_cells(session.layout, known, everything=True)
    else:
        cells = find_orphaned_features(session.layout, session.specs.features.values())
    return next((c for c in cells if (c.feature, c.name) == (feature, name)), None)


def _finish_or_refuse(session: Session, feature: str, name: str) -> int:
    """Nothing is left of the cell: a kill came before the last line, or there never was one."""
    journal = session.open_journal(feature)
    if not is_retirement_unfinished(journal, name):
        raise UsageError(
            f"there is no cell {feature}:{name} to retire",
            hint="orchestr doctor names the cells that no spec names any more",
        )
    gone = RemovedCell(feature, name, "", "", None, None)
    known = session.specs.features.get(feature)
    ctx = removed_cell_context(session.settings, session.layout, gone, known)
    ctx.run.registry.remove(ctx.key)
    ctx.emit(EventKind.CELL_RETIRED, done=True)
    write_stdout(f"retired {feature}:{name}\n")
    return int(ExitCode.DONE)


def _branches_of_others(session: Session, cell: RemovedCell) -> set[str]:
    """The branches of the same repository that cells of the specs have."""
    features = session.specs.features.values()
    return {c.branch for f in features for c in f.cells if c.repo == cell.repo}


def _describe(ctx: CellContext, others: set[str], *, stop: bool) -> int:
    refuse_lost_work(ctx, stop=stop)
    shared = ctx.cell.branch in others
    for pr in [] if shared else find_open_prs(ctx):
        write_stdout(f"would close {pr.url}\n")
    if ctx.worktree.exists():
        write_stdout(f"would remove {ctx.worktree}\n")
    if not shared and ctx.cell.branch:
        ref = f"refs/orchestr/retired/{ctx.key}/branch"
        write_stdout(f"would keep {ctx.cell.branch} as {ref} and delete the branch\n")
    return int(ExitCode.DONE)
