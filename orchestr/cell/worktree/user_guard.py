"""The user's own config of git while agents, checks and reviewers are at work.

It counts in every clone of the user, and an agent's git may write it. A picture is taken before one
starts (`surroundings/user.json`, one for all cells at work of any repository and run) and compared
after it ended. Whose change it is, and what is put back, is judged like the files of a clone
(`clone_config`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from orchestr.cell.context import CellContext
from orchestr.cell.worktree.clone_config import FileChanges, FileJudge, compare_files
from orchestr.cell.worktree.clone_snapshot import list_others_at_work
from orchestr.cell.worktree.file_picture import Files, parse_files, read_files
from orchestr.cell.worktree.picture_memory import read_picture, remove_picture, write_picture
from orchestr.git.config_files import list_config_files
from orchestr.process.file_lock import FlockLock
from orchestr.state.layout import WorkspaceLayout

MakeJudge = Callable[[tuple[str, ...]], FileJudge]


@dataclass(frozen=True, slots=True)
class UserPicture:
    """The files as they were; ``configs`` and ``others`` are the absolute paths that were looked
    at, also where nothing was. ``recovered``: see `orchestr.cell.worktree.clone_snapshot`."""

    configs: tuple[str, ...]
    others: tuple[str, ...]
    files: Files
    holders: tuple[str, ...]
    recovered: tuple[str, ...] = ()


def snapshot_user_files(ctx: CellContext) -> None:
    """Before agents or checks of the cell start: take the picture, or add to the one of others."""
    places = list_config_files(ctx.repo)
    configs, others = (tuple(map(str, paths)) for paths in (places.configs, places.others))
    layout = ctx.run.layout
    with user_picture_lock(layout):
        old = _read_picture(layout)
        holders = list_others_at_work(ctx, old.holders if old is not None else ())
        files = read_files({name: Path(name) for name in (*configs, *others)})
        if old is not None and holders:  # what they started with is the original
            known = {*old.configs, *old.others}
            files = {**{n: e for n, e in files.items() if n not in known}, **old.files}
            configs = tuple(dict.fromkeys((*old.configs, *configs)))
            others = tuple(dict.fromkeys((*old.others, *others)))
        picture = UserPicture(configs, others, files, (*holders, ctx.key))
        _write_picture(layout, picture, starts=ctx.key)


def restore_user_files(ctx: CellContext, make_judge: MakeJudge) -> FileChanges:
    """After they ended: put back what is not a person's. Safe to repeat.

    ``make_judge`` is given the other cells that are at work.
    """
    layout = ctx.run.layout
    with user_picture_lock(layout):
        before = _read_picture(layout)
        if before is None or ctx.key not in before.holders:
            return FileChanges()
        holders = list_others_at_work(ctx, before.holders)
        found, files = _compare_picture(before, make_judge(holders))
        found.restored[:0] = before.recovered
        after = replace(before, files=files, holders=holders, recovered=())
        _write_picture(layout, after, ends=ctx.key)
    return found


def recover_user_files(layout: WorkspaceLayout, make_judge: MakeJudge) -> list[str]:
    """After a kill: the same before anything else; what was put back, for people."""
    with user_picture_lock(layout):
        before = _read_picture(layout)
        if before is None:
            return []
        found, _ = _compare_picture(before, make_judge(before.holders))
        if found.restored:
            recovered = (*before.recovered, *found.restored)
            _write_picture(layout, replace(before, recovered=recovered))
    return found.restored


def _compare_picture(before: UserPicture, judge: FileJudge) -> tuple[FileChanges, Files]:
    """What was found and put back, and the files as the picture has them from now on."""
    places = {name: Path(name) for name in (*before.configs, *before.others)}
    found = compare_files(places, before.files, read_files(places), judge, before.configs)
    found.put_back()
    return found, read_files(places) if found.personal else before.files


def user_picture_path(layout: WorkspaceLayout) -> Path:
    """The file of the picture."""
    return layout.state / "surroundings" / "user.json"


def user_picture_lock(layout: WorkspaceLayout) -> FlockLock:
    """The lock around taking and comparing the picture."""
    return FlockLock(layout.locks_dir / "surroundings-user.lock")


def _read_picture(layout: WorkspaceLayout) -> UserPicture | None:
    """The picture; None when there is none, or it cannot be read."""
    try:
        raw: Any = read_picture(user_picture_path(layout))
        if raw is None:
            return None
        names = (tuple(map(str, raw[key])) for key in ("configs", "others", "holders"))
        configs, others, holders = names
        recovered = tuple(map(str, raw.get("recovered", ())))
        return UserPicture(configs, others, parse_files(raw["files"]), holders, recovered)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _write_picture(layout: WorkspaceLayout, picture: UserPicture, **cell: str) -> None:
    if not picture.holders:
        remove_picture(user_picture_path(layout))
        return
    write_picture(user_picture_path(layout), {"schema": 1, **asdict(picture)}, **cell)
