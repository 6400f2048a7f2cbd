"""The user's own config of git while agents, checks and reviewers are at work.

It counts in every clone of the user, and an agent's git may write it. A picture is taken before one
starts (`surroundings/user.json`, one for all cells at work of any repository and run) and compared
after it ended. Whose change it is, and what is put back, is judged like the files of a clone
(`clone_config`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestr.cell.context import CellContext
from orchestr.cell.worktree.clone_config import FileChanges, FileJudge, compare_files
from orchestr.cell.worktree.clone_snapshot import is_at_work
from orchestr.cell.worktree.file_picture import Files, parse_files, read_files
from orchestr.errors import OrchestrError
from orchestr.files import read_json, write_json
from orchestr.git.config_files import list_config_files
from orchestr.process.file_lock import FlockLock

MakeJudge = Callable[[Sequence[str]], FileJudge]


@dataclass(frozen=True, slots=True)
class UserPicture:
    """The files as they were; ``configs`` and ``others`` are the absolute paths that were looked
    at, also where nothing was."""

    configs: tuple[str, ...]
    others: tuple[str, ...]
    files: Files
    holders: tuple[str, ...]


def snapshot_user_files(ctx: CellContext) -> None:
    """Before agents or checks of the cell start: take the picture, or add to the one of others."""
    places = list_config_files(ctx.repo)
    configs, others = (tuple(map(str, paths)) for paths in (places.configs, places.others))
    with _picture_lock(ctx):
        old = _read_picture(ctx)
        held = old.holders if old is not None else ()
        holders = tuple(key for key in held if key != ctx.key and is_at_work(ctx, key))
        files = read_files({name: Path(name) for name in (*configs, *others)})
        if old is not None and holders:  # what they started with is the original
            known = {*old.configs, *old.others}
            files = {**{n: e for n, e in files.items() if n not in known}, **old.files}
            configs = tuple(dict.fromkeys((*old.configs, *configs)))
            others = tuple(dict.fromkeys((*old.others, *others)))
        _write_picture(ctx, UserPicture(configs, others, files, (*holders, ctx.key)))


def restore_user_files(ctx: CellContext, make_judge: MakeJudge) -> FileChanges:
    """After they ended: put back what is not a person's. Safe to repeat.

    ``make_judge`` is given the other cells that are at work.
    """
    with _picture_lock(ctx):
        before = _read_picture(ctx)
        if before is None or ctx.key not in before.holders:
            return FileChanges()
        holders = tuple(k for k in before.holders if k != ctx.key and is_at_work(ctx, k))
        places = {name: Path(name) for name in (*before.configs, *before.others)}
        now = read_files(places)
        found = compare_files(places, before.files, now, make_judge(holders), before.configs)
        found.put_back()
        files = read_files(places) if found.personal else before.files
        _write_picture(ctx, UserPicture(before.configs, before.others, files, holders))
    return found


def _picture_path(ctx: CellContext) -> Path:
    return ctx.run.layout.state / "surroundings" / "user.json"


def _picture_lock(ctx: CellContext) -> FlockLock:
    return FlockLock(ctx.run.layout.locks_dir / "surroundings-user.lock")


def _read_picture(ctx: CellContext) -> UserPicture | None:
    """The picture; None when there is none, or it cannot be read."""
    try:
        raw: Any = read_json(_picture_path(ctx))
        if raw is None:
            return None
        names = (tuple(map(str, raw[key])) for key in ("configs", "others", "holders"))
        configs, others, holders = names
        return UserPicture(configs, others, parse_files(raw["files"]), holders)
    except (OrchestrError, KeyError, TypeError, ValueError, AttributeError):
        return None  # no picture, no comparison


def _write_picture(ctx: CellContext, picture: UserPicture) -> None:
    if not picture.holders:
        _picture_path(ctx).unlink(missing_ok=True)
        return
    row = {"schema": 1, "configs": picture.configs, "others": picture.others}
    write_json(_picture_path(ctx), {**row, "files": picture.files, "holders": picture.holders})
