"""Specs, settings and templates of the workspace while agents, checks and reviewers are at work.

They say what is evidence, so none of those may change them: an agent that turns its own check green
would be believed by the next run. A picture is taken before one starts (`surroundings/
workspace.json`, one for all cells at work) and compared after it ended.

Whose change it is: a file that a cell's agents must have written, and no other's can have, is put
back and is harm. No agent's: a person edits; that stays, and the former text is kept. Where that is
not clear (checks, not Linux, two agents that wrote at once) it is put back, the changed one is kept
and named, and nothing fails for it; a transcript that names the file decides.

The orchestrator may be killed meanwhile, and the next one would read the changed specs:
`recover_workspace` comes before they are read. No owner of the picture is alive then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from orchestr.cell.context import CellContext
from orchestr.cell.worktree import picture_memory
from orchestr.cell.worktree.clone_snapshot import is_open, key_folder
from orchestr.cell.worktree.file_picture import (
    Entry,
    Files,
    entry_content,
    is_plain,
    parse_files,
    read_files,
    remove_file,
    write_entry,
)
from orchestr.cell.worktree.harm_record import HARM, note_harm
from orchestr.cell.worktree.write_activity import WriteEvidence, Wrote
from orchestr.files import write_atomic
from orchestr.process.file_lock import FlockLock
from orchestr.process.tree import is_process_alive, read_create_time
from orchestr.settings.records import WorkspaceSettings
from orchestr.spec.reader import list_part_files, spec_files
from orchestr.spec.records import LOCK_SUFFIX
from orchestr.state import attempts
from orchestr.state.layout import AGENTS_LOCK, WorkspaceLayout

MOST = 1000  # files beside a template that are looked at
Note = Callable[[list[str]], None]


class Author(Enum):
    """Who made a change, as far as it can be shown."""

    AGENT = auto()
    OTHER_AGENT = auto()  # of a cell that is still at work: its own end judges it
    PERSON = auto()
    UNKNOWN = auto()


@dataclass(slots=True)
class WorkspaceReport:
    """``harm`` is shown to be the agents' doing; ``restored`` was put back without that;
    ``personal`` stays. Sentences for people. ``is_held``: a run is alive that compares itself."""

    harm: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    personal: list[str] = field(default_factory=list)
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class WorkspacePicture:
    """The files as they were, by absolute path; ``holders`` are the cells at work, each with pid
    and create time of the process that waits for it."""

    files: Files
    holders: Mapping[str, tuple[int, float]]


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file that differs; None where it was not, or is not any more."""

    path: str
    old: Entry | None
    new: Entry | None
    author: Author

    @property
    def what(self) -> str:
        """What happened to it, in a word."""
        return "removed" if self.new is None else "made" if self.old is None else "changed"


def list_guarded_files(places: WorkspaceSettings) -> list[Path]:
    """What says what is evidence: specs with their locks and the files that they take in, settings,
    dodo.py, the template and its neighbours."""
    found = [places.root / name for name in ("orchestr.toml", AGENTS_LOCK, "dodo.py")]
    with suppress(OSError):
        specs = spec_files(places.specs)
        found += specs
        found += sorted(places.specs.glob(f"*{LOCK_SUFFIX}"))
        found += (part for spec in specs for part in list_part_files(spec, places.root))
    if places.prompt is not None:
        found.append(places.prompt)
        home = places.prompt.parent
        if home not in (places.root, *places.root.parents):
            found += islice((path for path in home.rglob("*") if path.is_file()), MOST)
    return list(dict.fromkeys(found))


def read_guarded_files(paths: Iterable[Path]) -> Files:
    """The files that are there; links and what is too large are passed over."""
    found = read_files({str(path): path for path in paths})
    return {name: entry for name, entry in found.items() if is_plain(entry)}


# --- the picture -----------------------------------------------------------------------------


def snapshot_workspace(ctx: CellContext) -> None:
    """Before agents or checks of the cell start: take the picture, unless others hold one."""
    layout, places = ctx.run.layout, ctx.run.settings.workspace
    with workspace_picture_lock(layout):
        old = read_picture(layout)
        others = _still_at_work(layout, old, ctx.key)
        files = old.files if old is not None and others else None
        if files is None:
            files = read_guarded_files(list_guarded_files(places))
        me = (os.getpid(), read_create_time(os.getpid()) or 0.0)
        picture = WorkspacePicture(files, {**others, ctx.key: me})
        write_workspace_picture(layout, picture, starts=ctx.key)


def restore_workspace(ctx: CellContext, number: int, during: str, note: Note) -> WorkspaceReport:
    """After they ended: put back what is not a person's, and say so. Safe to repeat.

    ``note`` is called with the harm before anything is put back.
    """
    layout, places = ctx.run.layout, ctx.run.settings.workspace
    kept = attempts.attempt_folder(ctx.dir, number) / "changed" / "workspace"
    with workspace_picture_lock(layout):
        before = read_picture(layout)
        if before is None or ctx.key not in before.holders:
            return WorkspaceReport()
        others = _still_at_work(layout, before, ctx.key)
        changes = _find_changes(layout, places, before, ctx.key, others)
        report = _put_back(changes, layout.root, kept, during, note)
        after = WorkspacePicture(_follow_persons(before.files, changes), others)
        write_workspace_picture(layout, after, ends=ctx.key)
    return report


def recover_workspace(layout: WorkspaceLayout, places: WorkspaceSettings | None) -> WorkspaceReport:
    """Before the specs are read: what was changed while a run that was killed was at work.

    Agents that are still at work stay holders, so that whoever adopts them compares again. Harm is
    noted with the attempt, which then fails for it. ``places`` is None when `orchestr.toml` cannot
    be read: then only what is in the picture is compared.
    """
    if not layout.picture_file.exists():
        return WorkspaceReport()
    with workspace_picture_lock(layout):
        before = read_picture(layout)
        if before is None or any(is_process_alive(*owner) for owner in before.holders.values()):
            return WorkspaceReport(is_held=before is not None)
        report = WorkspaceReport()
        for key in before.holders:
            others = {k: o for k, o in before.holders.items() if k != key}
            changes = _find_changes(layout, places, before, key, others, recovering=True)
            evidence = WriteEvidence(layout, key)
            folder = attempts.attempt_folder(key_folder(layout, key), evidence.number)
            found = _put_back(
                changes,
                layout.root,
                folder / "changed" / "workspace",
                f"{key.replace('/', ':')} was at work in a run that was killed",
                partial(note_harm, folder / HARM),
            )
            report.harm += found.harm
            report.restored += found.restored
            report.personal += found.personal
            before = WorkspacePicture(_follow_persons(before.files, changes), before.holders)
        open_ones = {k: o for k, o in before.holders.items() if is_open(layout, k)}
        write_workspace_picture(layout, WorkspacePicture(before.files, open_ones))
    return report


def include_own_change(layout: WorkspaceLayout, path: Path) -> None:
    """After a verb of ours wrote a guarded file while agents are at work: it is none of theirs."""
    if not layout.picture_file.exists():
        return
    with workspace_picture_lock(layout):
        before = read_picture(layout)
        if before is not None:
            files = {**before.files, **read_guarded_files([path])}
            write_workspace_picture(layout, WorkspacePicture(files, before.holders))


# --- whose it is -----------------------------------------------------------------------------


def _find_changes(
    layout: WorkspaceLayout,
    places: WorkspaceSettings | None,
    before: WorkspacePicture,
    key: str,
    others: Iterable[str],
    *,
    recovering: bool = False,
) -> list[FileChange]:
    paths = [*(list_guarded_files(places) if places else ()), *map(Path, before.files)]
    now = read_guarded_files(dict.fromkeys(paths))
    differ = [p for p in sorted({*before.files, *now}) if before.files.get(p) != now.get(p)]
    if not differ:
        return []
    mine = WriteEvidence(layout, key)
    theirs = [WriteEvidence(layout, other) for other in others]
    judge = _judge_after_kill if recovering else _judge
    found = []
    for path in differ:
        old = before.files.get(path)
        author = judge(Path(path), entry_content(old), mine, theirs)
        found.append(FileChange(path, old, now.get(path), author))
    return found


def _judge(
    path: Path, old: bytes | None, mine: WriteEvidence, theirs: list[WriteEvidence]
) -> Author:
    own = mine.judge_file(path, old)
    may = [other for other in theirs if other.judge_file(path, old) is not Wrote.NO]
    if own is Wrote.NO:
        return Author.OTHER_AGENT if may else Author.PERSON
    if own is Wrote.YES and not may:
        return Author.AGENT
    named = mine.mentions_any([path.name])
    if any(other.mentions_any([path.name]) for other in may):
        return Author.UNKNOWN if named else Author.OTHER_AGENT
    return Author.AGENT if named else Author.UNKNOWN


def _judge_after_kill(
    path: Path, old: bytes | None, mine: WriteEvidence, theirs: list[WriteEvidence]
) -> Author:
    """As above; but where nothing was seen of an agent's writing, a person had the time to edit."""
    author = _judge(path, old, mine, theirs)
    if author is Author.UNKNOWN and mine.judge_file(path, old) is Wrote.UNKNOWN:
        return Author.PERSON
    return author


# --- what is done ----------------------------------------------------------------------------


def _put_back(
    changes: list[FileChange], root: Path, kept: Path, during: str, note: Note
) -> WorkspaceReport:
    report = WorkspaceReport()
    for change in changes:
        path = Path(change.path)
        name = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
        if change.author is Author.PERSON:
            former = _keep(kept.with_name("former") / name, change.old)
            report.personal.append(
                f"while {during}, {name} was {change.what}, and not by its agent: that stays, and "
                f"counts from the next run"
                + (f"; as it was before it is kept as {former}" if former else "")
            )
        elif change.author is not Author.OTHER_AGENT:
            copy = _keep(kept / name, change.new)
            text = f"{name} was {change.what}; it was put back"
            text += f", the changed one is kept as {copy}" if copy else ""
            if change.author is Author.AGENT:
                report.harm.append(text)
            else:
                own = f"cp {copy} {path}" if copy else f"rm {path}"
                report.restored.append(f"while {during}, {text}; if that was you: {own}")
    if report.harm:
        note(report.harm)
    for change in changes:
        if change.author in (Author.AGENT, Author.UNKNOWN):
            if change.old is None:
                remove_file(Path(change.path))
            else:
                write_entry(Path(change.path), change.old)
    return report


def _keep(place: Path, entry: Entry | None) -> Path | None:
    """A copy that replaces none of another text; None where there is nothing to keep."""
    data, number, target = entry_content(entry), 1, place
    if entry is None or data is None:
        return None
    while target.exists() and target.read_bytes() != data:
        number += 1
        target = place.with_name(f"{place.name}.{number}")
    write_atomic(target, data, mode=entry[0])
    return target


def _follow_persons(files: Files, changes: list[FileChange]) -> Files:
    """The picture with what persons changed, so that each is warned of once."""
    after = dict(files)
    for change in changes:
        if change.author is Author.PERSON:
            if change.new is None:
                after.pop(change.path, None)
            else:
                after[change.path] = change.new
    return after


# --- its file --------------------------------------------------------------------------------


def read_picture(layout: WorkspaceLayout) -> WorkspacePicture | None:
    """The picture; None when there is none, or it cannot be read."""
    try:
        raw: Any = picture_memory.read_picture(layout.picture_file)
        if raw is None:
            return None
        holders = {str(k): (int(pid), float(at)) for k, (pid, at) in raw["holders"].items()}
        return WorkspacePicture(parse_files(raw["files"]), holders)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def write_workspace_picture(
    layout: WorkspaceLayout, picture: WorkspacePicture, **cell: str
) -> None:
    """Write the picture; without a holder it is removed. ``cell`` as `picture_memory`."""
    if picture.holders:
        row = {"schema": 1, "files": dict(picture.files), "holders": dict(picture.holders)}
        picture_memory.write_picture(layout.picture_file, row, **cell)
    else:
        picture_memory.remove_picture(layout.picture_file)


def _still_at_work(
    layout: WorkspaceLayout, picture: WorkspacePicture | None, me: str
) -> dict[str, tuple[int, float]]:
    holders = picture.holders if picture is not None else {}
    return {key: owner for key, owner in holders.items() if key != me and is_open(layout, key)}


def workspace_picture_lock(layout: WorkspaceLayout) -> FlockLock:
    """The lock around taking and comparing the picture."""
    return FlockLock(layout.locks_dir / "surroundings-workspace.lock")
