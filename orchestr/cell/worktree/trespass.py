"""Agents that write into a sibling's worktree: noticed, and not in the sibling's pull request.

No wall keeps an agent from the worktree of another cell, and git does not say who made a file. What
is known is when each agent wrote how much (`write_activity`), what its git did where
(`orchestr.git.trace`), and what its transcript names. A file of a worktree is a sibling's when its
own agents wrote nothing at the moment when it was made, and exactly such a sibling wrote as much;
or when they did write, but the sibling's transcript names the file's place and theirs does not.

The victim's end takes such files out of what is committed (they are kept), and its attempt goes on;
the end of the one that did it makes its attempt fail. Both cells get the reason.

What it does not see: a write in the very tenth of a second in which the sibling's own agent writes
a file, too, by an agent whose transcript does not show its commands; files that are removed; files
that got an older time (`cp -p`, `tar`); anything where no supervisor looked (not on Linux).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any

from orchestr.cell.context import CellContext
from orchestr.cell.ownership import format_paths
from orchestr.cell.worktree.clone_recovery import recover_clone
from orchestr.cell.worktree.clone_snapshot import common_dir, is_open, key_folder
from orchestr.cell.worktree.discard import left_folder
from orchestr.cell.worktree.salvage import attempt_ref, keep_worktree
from orchestr.cell.worktree.worktree_link import leads_to_clone
from orchestr.cell.worktree.write_activity import WriteEvidence, least_written
from orchestr.errors import MachineFault, OrchestrError
from orchestr.files import read_json, write_json
from orchestr.git.repo import CommitId, Repo
from orchestr.git.runner import YES_OR_FATAL
from orchestr.git.status import read_changes
from orchestr.git.trace import MOVING_HEAD, read_commands
from orchestr.process.birth_time import read_birth_time
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.candidate_places import owner_of
from orchestr.state.events import EventKind
from orchestr.state.layout import WorkspaceLayout
from orchestr.supervisor.write_samples import SLACK, WRITES

PAGE = 4096  # bytes of a page at least
MOST = 5000  # changed files of a worktree that are looked at
SUFFERED = "suffered.json"  # in an attempt's folder: what others' git did in its worktree
BLAMED = "blamed.json"  # there: what its agent did in others', as their ends found
# Git commands that change a checkout, beside those that move its branch.
CHANGING = MOVING_HEAD | {"add", "rm", "mv", "restore", "apply", "clean", "stash", "update-index"}


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another cell whose agents were at work at the same time."""

    key: str
    evidence: WriteEvidence

    @property
    def name(self) -> str:
        """FEATURE:CELL, for people."""
        return self.key.replace("/", ":")


def set_foreign_files_aside(ctx: CellContext, attempt: Attempt, start: CommitId) -> None:
    """After the agent ended, before anything is committed: take out what siblings wrote since
    ``start``.

    The whole worktree is kept under the attempt's ref first. Safe to repeat. Raises PhaseFailed
    when a sibling's git changed the branch, or a file is a sibling's and it cannot be shown which.
    """
    folder = attempts.attempt_folder(ctx.dir, attempt.number)
    noted = _read_notes(folder / SUFFERED)
    if noted:
        raise ctx.fail(
            f"in its worktree, {'; '.join(noted)}",
            hint=f"orchestr run --fresh {ctx.name}, which starts again from the base",
        )
    if not leads_to_clone(ctx.worktree, common_dir(ctx)):
        return  # a damaged worktree is judged by who commits
    try:
        found = _find_foreign_files(ctx, start)
        doubtful = {} if found else _find_doubtful_files(ctx, start)
    except MachineFault:
        raise
    except OrchestrError:
        return  # a damaged worktree is judged by who commits
    if doubtful:
        keep_worktree(ctx, attempt.number)
        for path in doubtful:
            _move_away(ctx.worktree / path, _place_of_foreign(ctx, attempt, path))
        who = ", ".join(dict.fromkeys(name for names in doubtful.values() for name in names))
        raise ctx.fail(
            f"there are more files than its agent made: one of these was written by the agent of "
            f"{who}: {format_paths(list(doubtful))}; they are kept below "
            f"{attempt_ref(ctx, attempt.number)}"
        )
    if not found:
        return
    keep_worktree(ctx, attempt.number)
    for key, paths in _sole_writers(found).items():  # first: afterwards nothing is found again
        text = f"the worktree of {ctx.name} was written to: {format_paths(paths)}"
        _note_for_cell(ctx.run.layout, key, BLAMED, text)
    tree = ctx.worktree_repo
    for path in found:
        if _content_at(tree, start, path) is not None:
            tree.run_git("checkout", start, "--", f":(top,literal){path}")
        else:
            _move_away(ctx.worktree / path, _place_of_foreign(ctx, attempt, path))
    who = ", ".join(dict.fromkeys(name for names in found.values() for name in names))
    ctx.emit(
        EventKind.CELL_WARNED,
        attempt=attempt.number,
        reason=f"{format_paths(list(found))} in its worktree was written by the agent of {who}, "
        f"not by its own: it is in none of its commits, and kept below "
        f"{attempt_ref(ctx, attempt.number)}",
    )


def find_trespass(ctx: CellContext, attempt: Attempt) -> list[str]:
    """After the agent ended: what it did in the worktrees of cells that are at work, in words."""
    layout = ctx.run.layout
    me = Neighbour(ctx.key, WriteEvidence(layout, ctx.key))
    others = [one.key for one in _list_recent(layout, ctx.key, me.evidence.began)]
    commands = read_commands(ctx.git_record)
    found: list[str] = []
    for key in others:
        if not is_open(layout, key):
            continue  # its end has recorded it, see below
        place = layout.worktrees / key
        name = key.replace("/", ":")
        ran = {c.name for c in commands if c.worktree == str(place) and c.name in CHANGING}
        if ran:
            words = f"git {', '.join(sorted(ran))}"
            found.append(f"{words} was run in the worktree of {name}")
            _note_for_cell(layout, key, SUFFERED, f"{words} was run by the agent of {ctx.name}")
        with suppress(OrchestrError, OSError):
            if not _is_safe_for_git(ctx, key, place):
                continue  # its own end judges that
            files = _files_by(me, key, layout, Repo(place), place)
            if files:
                found.append(f"the worktree of {name} was written to: {format_paths(files)}")
    # Last: who takes a file away has noted that before.
    blamed = _read_notes(attempts.attempt_folder(ctx.dir, attempt.number) / BLAMED)
    return list(dict.fromkeys([*found, *blamed]))


def _is_safe_for_git(ctx: CellContext, key: str, place: Path) -> bool:
    """Whether our git may look into the worktree of a cell at work: its agent can have planted
    programs in its clone, and can have made a repository of its own of it."""
    entry = ctx.run.registry.lookup(key)
    if entry is None:
        return False
    common = Path(entry.common_dir)
    recover_clone(ctx.run.layout, common)
    return leads_to_clone(place, common)


# --- whose a file is -------------------------------------------------------------------------


def _sole_writers(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """The key of each cell that alone can have written files -> the files."""
    blamed: dict[str, list[str]] = {}
    for path, names in found.items():
        if len(names) == 1:
            blamed.setdefault(names[0].replace(":", "/"), []).append(path)
    return blamed


def _find_foreign_files(ctx: CellContext, start: CommitId) -> dict[str, list[str]]:
    """Path -> the cells of which one wrote it."""
    tree = ctx.worktree_repo
    own = WriteEvidence(ctx.run.layout, ctx.key)
    neighbours: list[Neighbour] | None = None
    found: dict[str, list[str]] = {}
    for path in _list_changed(tree, start):
        moment = _moment_of(ctx.worktree / path)
        if moment is None or not own.was_at_work(moment):
            continue
        if neighbours is None:
            neighbours = _find_neighbours(ctx.run.layout, ctx.key, moment)
        if neighbours:
            names = _writers_of(own, neighbours, ctx.worktree, path, _content_at(tree, start, path))
            if names:
                found[path] = names
    return found


def _list_changed(tree: Repo, start: CommitId) -> list[str]:
    paths = {change.path for change in read_changes(tree, untracked="all") if not change.submodule}
    if tree.head() not in (None, start):
        paths.update(tree.changed_paths(start, "HEAD"))
    return sorted(paths)[:MOST]


def _find_doubtful_files(ctx: CellContext, start: CommitId) -> dict[str, list[str]]:
    """New files of which one is a sibling's, with who can have written it: there are more pages in
    them than the cell's own agents had made dirty by then. Only where each new file needs pages of
    its own, which is not so with reflinks."""
    if not _has_pages_of_its_own(ctx.worktree):
        return {}
    own, tree = WriteEvidence(ctx.run.layout, ctx.key), ctx.worktree_repo
    made: list[tuple[float, str, os.stat_result]] = []
    for path in _list_changed(tree, start):
        born, moment = read_birth_time(ctx.worktree / path), _moment_of(ctx.worktree / path)
        if born is None or moment is None or moment - born > SLACK or not own.was_at_work(born):
            continue
        if _content_at(tree, start, path) is None:
            made.append((moment, path, (ctx.worktree / path).lstat()))
    pages, suspects = 0, {}
    for moment, path, stat in sorted(made, key=lambda one: one[:2]):
        pages += min(-(-stat.st_size // PAGE) * PAGE, stat.st_blocks * 512)
        others = _find_neighbours(ctx.run.layout, ctx.key, moment)
        may = [
            other.name for other in others
            if (other.evidence.written_about(moment, files=True) or 0) >= stat.st_size
            and other.evidence.dirtied_about(moment, stat.st_dev) != 0
        ]  # fmt: skip
        if may:
            suspects[path] = may
        dirtied = own.dirtied_until(moment, stat.st_dev)
        if suspects and dirtied is not None and pages > dirtied:
            return suspects
    return {}


def _has_pages_of_its_own(place: Path) -> bool:
    """Whether a folder lies on a file system without reflinks, whose pages are counted."""
    try:
        device = place.stat().st_dev
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    number = f"{os.major(device)}:{os.minor(device)}"
    kinds = [line.partition(" - ")[2].split(" ")[0] for line in lines.splitlines()
             if line.split(" ")[2:3] == [number]]  # fmt: skip
    return bool(kinds) and kinds[0] in ("ext2", "ext3", "ext4")


def _files_by(
    me: Neighbour, key: str, layout: WorkspaceLayout, tree: Repo, place: Path
) -> list[str]:
    """The changed files of another cell's worktree that only ``me`` can have written."""
    own = WriteEvidence(layout, key)
    found = []
    for change in read_changes(tree, untracked="all")[:MOST]:
        moment = _moment_of(place / change.path)
        if moment is None or not own.was_at_work(moment) or not me.evidence.was_at_work(moment):
            continue
        others = _find_neighbours(layout, key, moment)
        old = _content_at(tree, "HEAD", change.path)
        if _writers_of(own, others, place, change.path, old) == [me.name]:
            found.append(change.path)
    return found


def _writers_of(
    own: WriteEvidence, others: Iterable[Neighbour], place: Path, path: str, old: bytes | None
) -> list[str]:
    """The cells of which one must have written a file that its own agents cannot have written."""
    file = place / path
    moment = _moment_of(file)
    if moment is None:
        return []
    stat = file.lstat()
    least = least_written(file, old, stat.st_size)
    born = read_birth_time(file)  # at the same moment: it was made and written in one go
    whole = old is None and born is not None and abs(born - moment) <= SLACK
    may = [
        other for other in others
        if other.evidence.was_at_work(moment)
        and (other.evidence.written_about(moment, files=True) or 0) >= least
        and not (whole and other.evidence.dirtied_about(moment, stat.st_dev) == 0)
    ]  # fmt: skip
    if may and not _is_shown_foreign(own, moment, old, stat, whole=whole):
        if own.mentions_any([file.name]):
            return []
        names = [str(file), f"../{place.name}/{path}", f"{place.parent.name}/{place.name}/{path}"]
        may = [other for other in may if other.evidence.mentions_any(names)]
    return [other.name for other in may]


def _is_shown_foreign(
    own: WriteEvidence, moment: float, old: bytes | None, stat: os.stat_result, *, whole: bool
) -> bool:
    """Whether a file's own agents cannot have written it: nothing at all then, not one page of a
    file that was made then as a ``whole``, or by then not so much as a new one holds."""
    dirtied = own.dirtied_about(moment, stat.st_dev)
    if own.written_about(moment) == 0:
        return not dirtied
    if whole and dirtied == 0:
        return True
    until = own.written_until(moment) if old is None else None
    return until is not None and until < stat.st_size


def _moment_of(path: Path) -> float | None:
    """When a file was written; None for one that was moved there, or given another time."""
    try:
        stat = path.lstat()
    except OSError:
        return None
    if not S_ISREG(stat.st_mode) or not stat.st_size or abs(stat.st_mtime - stat.st_ctime) > SLACK:
        return None
    return stat.st_ctime


def _find_neighbours(layout: WorkspaceLayout, me: str, moment: float) -> list[Neighbour]:
    """Every other cell of the workspace, of any run, whose agent was at work then."""
    return [one for one in _list_recent(layout, me, moment) if one.evidence.was_at_work(moment)]


def _list_recent(layout: WorkspaceLayout, me: str, since: float) -> list[Neighbour]:
    """Every other cell of the workspace whose agents were at work after ``since``."""
    found = []
    for path in (layout.state / "cells").glob(f"*/*/attempts/*/{WRITES}"):
        cell = owner_of(path.parents[2], int(path.parent.name))
        key = f"{cell.parent.name}/{cell.name}"
        with suppress(OSError):
            if key != me and path.stat().st_mtime >= since - SLACK:
                found.append(key)
    return [Neighbour(key, WriteEvidence(layout, key)) for key in dict.fromkeys(found)]


def _content_at(tree: Repo, commit: str, path: str) -> bytes | None:
    done = tree.run_readonly("cat-file", "blob", f"{commit}:{path}", answers=YES_OR_FATAL)
    return done.out if done.code == 0 else None


# --- what is done ----------------------------------------------------------------------------


def _place_of_foreign(ctx: CellContext, attempt: Attempt, path: str) -> Path:
    return left_folder(ctx, attempt.number) / "foreign" / path


def _move_away(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    number, place = 1, target
    while place.exists():
        number += 1
        place = target.with_name(f"{target.name}.{number}")
    shutil.move(path, place)


def _note_for_cell(layout: WorkspaceLayout, key: str, file: str, text: str) -> None:
    """Note something with the attempt that another cell is at."""
    home = key_folder(layout, key)
    newest = attempts.current_attempt(home)
    if newest is not None and newest.is_open:
        path = attempts.attempt_folder(home, newest.number) / file
        both = dict.fromkeys([*_read_notes(path), text])
        write_json(path, {"schema": 1, "told": list(both)})


def _read_notes(path: Path) -> list[str]:
    raw: Any = None
    with suppress(OrchestrError):
        raw = read_json(path)
    return [str(text) for text in raw["told"]] if isinstance(raw, dict) and "told" in raw else []
