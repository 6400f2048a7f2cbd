"""After a kill: what agents planted in clones and in the user's config of git is put back before
our git is started, by whatever command comes first.

Agents, checks and reviewers go on when their run is killed, and a pre-flight runs hooks of a clone.
Only files are compared here, without git, and then objects, without which git does nothing; the
cells' own ends do the rest, and say what was put back.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from orchestr.cell.worktree.clone_config import FileJudge, compare_clone_files
from orchestr.cell.worktree.clone_judge import make_judge
from orchestr.cell.worktree.clone_snapshot import (
    GUARD,
    CloneSnapshot,
    clone_key,
    key_folder,
    list_snapshots,
    lock_of,
    objects_folder,
    parse_snapshot,
    read_clone_files,
    read_git_record,
    save_snapshot,
    snapshot_file,
)
from orchestr.cell.worktree.harm_record import GUARD_HARM, HARM, note_harm
from orchestr.cell.worktree.object_guard import find_lost_objects
from orchestr.cell.worktree.user_guard import recover_user_files
from orchestr.state import attempts
from orchestr.state.layout import WorkspaceLayout

KILLED = "was at work in a run that was killed"


def recover_clones(layout: WorkspaceLayout) -> list[str]:
    """Put back what is no person's in the files of every picture; what that was, for people."""
    texts = [
        text for path in list_snapshots(layout) for text in _recover_picture(layout, path, KILLED)
    ]
    return [*texts, *recover_user_files(layout, lambda keys: _judge_for(layout, keys, KILLED))]


def recover_clone(layout: WorkspaceLayout, common: Path) -> None:
    """The same for one clone whose agents are at work, before our git looks into its worktrees for
    another cell; their own end says it."""
    _recover_picture(layout, snapshot_file(layout, clone_key(common)), "was at work")


def _recover_picture(layout: WorkspaceLayout, path: Path, what: str) -> list[str]:
    with lock_of(layout, path.stem):
        before = parse_snapshot(path)
        if before is None or not before.common or not Path(before.common).is_dir():
            return []
        common, judge = Path(before.common), _judge_for(layout, before.holders, what)
        now = read_clone_files(common)
        found = compare_clone_files(common, before.files, now, judge, before.covers_file)
        if found.restored:  # what a person changed is found again by the end, which says it
            found.put_back()
            recovered = (*before.recovered, *found.restored)
            before = replace(before, recovered=recovered)
            save_snapshot(path, before)
        if what != KILLED:  # of those that are at work, the end says which objects are gone
            return found.restored
        lost = _put_back_objects(layout, path, before)
        if lost:
            save_snapshot(path, replace(before, recovered=(*before.recovered, *lost)))
    return [*found.restored, *lost]


def _put_back_objects(layout: WorkspaceLayout, path: Path, before: CloneSnapshot) -> list[str]:
    """Put back the objects that are gone. It is harm of the one cell that was at work; where there
    were others, it is a warning for whoever ends first."""
    commands = [one for key in before.holders for one in read_git_record(layout, key)]
    lost = find_lost_objects(
        objects_folder(path), Path(before.common), commands, was_kept=before.keeps_objects
    )
    if lost.found and len(before.holders) == 1:
        folder = key_folder(layout, before.holders[0])
        newest = attempts.current_attempt(folder)
        if (folder / GUARD).exists() or newest is None:
            note_harm(folder / GUARD_HARM, lost.found)
        else:
            note_harm(attempts.attempt_folder(folder, newest.number) / HARM, lost.found)
    harm, pruned = lost.put_back()
    return [*harm, *pruned]


def _judge_for(layout: WorkspaceLayout, holders: tuple[str, ...], what: str) -> FileJudge:
    """All of them are taken for one: whose change it was does not matter here."""
    first = holders[0] if holders else ""
    folder = key_folder(layout, first)
    newest = attempts.current_attempt(folder)
    number = newest.number if newest is not None else 0
    kept = attempts.attempt_folder(folder, number) / "changed"
    return make_judge(layout, first, holders[1:], kept, f"{first.replace('/', ':')} {what}")
