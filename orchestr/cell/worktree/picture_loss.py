"""Pictures that should be there after an agent, a check or a reviewer, and are not.

Without a sandbox an agent can remove them, and nothing would be compared. A mark beside the attempt
(`pictures.json`) says that they were taken; then each must be there, and name the cell. What is
gone comes from the memory of this process; where it has none, nothing can be compared: that is
harm. An attempt that an earlier version opened has no mark, and is compared as far as it can be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestr.cell.context import CellContext
from orchestr.cell.worktree.clone_snapshot import snapshot_lock, snapshot_path
from orchestr.cell.worktree.picture_memory import (
    forget_picture,
    read_picture,
    read_picture_file,
    recall_picture,
    write_picture,
)
from orchestr.cell.worktree.user_guard import user_picture_lock, user_picture_path
from orchestr.cell.worktree.workspace_guard import workspace_picture_lock
from orchestr.files import write_atomic

MARK = "pictures.json"  # in an attempt's folder: whether its pictures were taken, and compared
GUARD_MARK = "checking-pictures.json"  # the same in a cell's folder, for checks and reviewers
GONE = "what it was to be compared with was removed or cannot be read"


@dataclass(slots=True)
class PictureLoss:
    """Sentences: ``harm``, and ``warnings`` where it may have been another cell's agent."""

    harm: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def mark_taken(ctx: CellContext, mark: Path) -> None:
    """All pictures are taken: from now on none may be gone."""
    write_picture(mark, {"schema": 1, "state": "taken"}, starts=ctx.key)


def recover_pictures(
    ctx: CellContext, mark: Path, branches: Path, *, must_be_marked: bool
) -> PictureLoss:
    """Before the comparison: put back the pictures that are gone, and say so.

    ``branches`` is the one that is the cell's own. ``must_be_marked``: an agent was started, so
    that a mark that is gone was removed. A second look finds nothing.
    """
    found = PictureLoss()
    raw = read_picture(mark)
    state = raw.get("state") if isinstance(raw, dict) else None
    if state is None and must_be_marked:
        found.harm.append(f"{GONE} ({mark}): nobody can say what it changed around its worktree")
    elif state == "taken":
        _recover_each(ctx, branches, found)
    return found


def mark_compared(ctx: CellContext, mark: Path, branches: Path) -> None:
    """What was lost is recorded, the comparison begins: it takes the cell out of each picture."""
    if read_picture(mark) is not None:
        write_picture(mark, {"schema": 1, "state": "compared"}, ends=ctx.key)
    forget_picture(branches)


def _recover_each(ctx: CellContext, branches: Path, found: PictureLoss) -> None:
    layout = ctx.run.layout
    places: dict[Path, tuple[str, AbstractContextManager[object]]] = {
        snapshot_path(ctx): ("of its clone", snapshot_lock(ctx)),
        layout.picture_file: ("of specs and settings", workspace_picture_lock(layout)),
        user_picture_path(layout): ("of the user's config of git", user_picture_lock(layout)),
        branches: ("of its feature's branches", nullcontext()),
    }
    for path, (what, lock) in places.items():
        with lock:
            raw = read_picture_file(path)
            if _names_cell(raw, ctx.key, is_own=path == branches):
                continue
            known = recall_picture(path)
            if _names_cell(known, ctx.key, is_own=path == branches):
                write_atomic(path, json.dumps(_add_holders(known, raw)).encode())
                text = f"the picture {what} ({path}) was removed or changed; it was put back"
                is_alone = path == branches or set(known["holders"]) == {ctx.key}
                (found.harm if is_alone else found.warnings).append(text)
            else:
                text = f"{GONE}: the picture {what} ({path}); nobody can say what it changed there"
                found.harm.append(text)


def _names_cell(raw: Any, key: str, *, is_own: bool) -> bool:
    if not isinstance(raw, dict):
        return False
    holders = raw.get("holders")
    return is_own or (isinstance(holders, list | dict) and key in holders)


def _add_holders(known: Mapping[str, Any], raw: Any) -> dict[str, Any]:
    """The picture that is remembered, with those who have come since."""
    mine, theirs = known.get("holders"), raw.get("holders") if isinstance(raw, dict) else None
    if isinstance(mine, list) and isinstance(theirs, list):
        return {**known, "holders": list(dict.fromkeys((*mine, *theirs)))}
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return {**known, "holders": {**theirs, **mine}}
    return dict(known)
