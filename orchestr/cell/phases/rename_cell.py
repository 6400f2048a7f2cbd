"""A cell or feature with `was:` in its spec: everything that was built under the old name is kept.

Its records, worktree, claim and pull request move to the new name, before anything else that a verb
changes; no agent starts. The branch stays what it is (its default follows `was`), the text of the
pull request names the new cell after the next `publish`.

What survives a crash: the intent is journalled, each step looks at what is there, and the rename
that the next look decides by comes last: the cell's folder, and the journal of a feature. Until
then the records count as those of the old name (`WorkspaceLayout.former`), and it is done again.
"""

from __future__ import annotations

from pathlib import Path

from orchestr.cell.agent.stop_agent import has_running_agent
from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.phases.former_names import former_cell_names, note_former_names
from orchestr.cell.phases.rename_branch import move_results
from orchestr.cell.upstreams import rename_upstreams
from orchestr.cell.worktree.setup import mark_setup_pending
from orchestr.codec import replace
from orchestr.errors import OrchestrError
from orchestr.git.repo import Repo
from orchestr.git.worktrees import repair_worktree
from orchestr.state import attempts
from orchestr.state.candidates import has_candidates
from orchestr.state.events import EventKind
from orchestr.state.journal import Journal
from orchestr.state.results import PublishRecord, WorktreeMarker


def follow_new_names(run: FeatureRun) -> None:
    """Move what is kept under former names. Raises PhaseFailed while an agent works there.

    The caller holds the lease of the feature, and of its former name.
    """
    layout, feature = run.layout, run.feature
    if feature.name not in layout.former and not former_cell_names(layout, feature):
        return
    cells = [run.cell_context(cell.name) for cell in feature.cells]
    for ctx in cells:
        _refuse_running_agent(ctx)
    if feature.name in layout.former:
        _move_feature(run, layout.former[feature.name])
    for ctx in cells:
        if f"{feature.name}/{ctx.cell.name}" in layout.former:
            _move_cell(ctx, cells)
    for ctx in cells:
        ctx.find_records()


def _refuse_running_agent(ctx: CellContext) -> None:
    if has_candidates(ctx.dir):
        raise ctx.fail(
            "its candidates are at work under the former name of the cell",
            hint=f"take `was` out of {ctx.run.feature.path} until they have ended",
        )
    newest = attempts.current_attempt(ctx.dir)
    if newest is not None and newest.is_open and has_running_agent(ctx.dir, newest):
        raise ctx.fail(
            f"its agent works on {newest.label} under the former name of the cell",
            hint=f"orchestr abort {ctx.name}, or take `was` out of {ctx.run.feature.path} until it"
            " has ended",
        )


def _move_feature(run: FeatureRun, was: str) -> None:
    layout, name = run.layout, run.feature.name
    run.emit(EventKind.CELL_MOVED, what="feature", old=was, new=name)
    for entry in run.registry.entries():
        feature, _, cell = entry.key.partition("/")
        if feature == was:
            new = layout.worktrees / name / cell
            _move_worktree(Path(entry.path), new, entry.common_dir)
            run.registry.rename_key(entry.key, f"{name}/{cell}", str(new))
    for folder in (layout.state / "cells", layout.state / "cross"):
        _move_folder(folder / was, folder / name)
    if (layout.state / "cells" / name).is_dir():
        for place in sorted((layout.state / "cells" / name).iterdir()):
            if place.is_dir():
                _publish_again(place)
    run.emit(EventKind.CELL_MOVED, what="feature", old=was, new=name, done=True)
    _move_folder(layout.journal_file(name), layout.state / "journal" / f"{name}.jsonl")
    note_former_names(layout, run.feature)
    run.journal = Journal(layout.journal_file(name), run=run.journal.run, names=run.journal.names)
    for cell_of in run.feature.cells:
        run.cell_context(cell_of.name).find_records()


def _move_cell(ctx: CellContext, cells: list[CellContext]) -> None:
    """The cell's folder moves last: by it the next look decides whether this is done."""
    layout, feature, was = ctx.run.layout, ctx.run.feature.name, ctx.cell.was
    assert was is not None
    key = f"{feature}/{ctx.cell.name}"
    ctx.emit(EventKind.CELL_MOVED, what="cell", old=was, new=ctx.cell.name)
    new = layout.worktrees / feature / ctx.cell.name
    if _move_worktree(ctx.worktree, new, str(ctx.repo.common_dir())):
        mark_setup_pending(ctx)  # what was set up there may hold the old path
    ctx.run.registry.rename_key(f"{feature}/{was}", key, str(new))
    _publish_again(ctx.dir)
    for other in cells:
        marker = WorktreeMarker.read(other.dir)
        if marker is not None and was in marker.upstreams:
            trees = rename_upstreams(marker.upstreams, {was: ctx.cell.name})
            move_results(other, marker, replace(marker, upstreams=trees))
    ctx.emit(EventKind.CELL_MOVED, what="cell", old=was, new=ctx.cell.name, done=True)
    old = ctx.dir
    layout.former.pop(key)
    ctx.find_records()
    _move_folder(old, ctx.dir)


def _publish_again(folder: Path) -> None:
    """The pull request names the cell: `publish` writes its text again."""
    published = PublishRecord.read(folder)
    if published is not None and published.key:
        replace(published, key="").write(folder)


def _move_worktree(old: Path, new: Path, clone: str) -> bool:
    """Move a worktree and let git know; whether there is one. Safe to repeat.

    By rename and repair: `git worktree move` refuses every worktree that has submodules.
    """
    _move_folder(old, new)
    if not (new / ".git").exists():
        return False
    repo = Repo(Path(clone))
    try:
        repo.run_with_retry("worktree", "repair", str(new))
        repair_worktree(repo, new)
    except OrchestrError:
        pass  # whoever needs the worktree next repairs it, or says what is wrong with it
    return True


def _move_folder(old: Path, new: Path) -> None:
    """Rename, unless it was done; what is there under the new name is never replaced."""
    if old == new or not old.exists() or new.exists():
        return
    new.parent.mkdir(parents=True, exist_ok=True)
    old.rename(new)
