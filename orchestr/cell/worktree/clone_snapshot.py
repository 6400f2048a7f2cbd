"""The picture of a clone that agents, checks and reviewers are compared with; who holds it.

One picture serves all cells that are at work in a repository, else a later one would take the harm
of an earlier one for the original. It is written before the first agent starts; after a crash the
adopted attempt is still named in it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from orchestr.cell.context import GIT_RECORD, CellContext
from orchestr.cell.worktree.clone_files import (
    list_clone_files,
    list_finished_worktrees,
    owner_of,
)
from orchestr.cell.worktree.file_picture import Entry, Files, parse_files, read_files
from orchestr.cell.worktree.object_keep import drop_objects
from orchestr.cell.worktree.picture_memory import read_picture, remove_picture, write_picture
from orchestr.git.bases import BASES
from orchestr.git.repo import Repo
from orchestr.git.runner import YES_OR_FATAL, split_records
from orchestr.git.trace import GitCommand, read_commands
from orchestr.process.file_lock import FlockLock
from orchestr.state import attempts
from orchestr.state.layout import WorkspaceLayout

_NAME = re.compile(r"[0-9a-f]{16}")
STASH = "refs/stash"
REPLACED = "refs/replace/"
REMOTES = "refs/remotes/"
PICTURED = ("refs/heads", "refs/tags", REPLACED, REMOTES, BASES)
GUARD = "checking.json"  # in a cell's folder while its checks or reviewers are at work
SETTING_UP = "setting-up.json"  # the same while commands of its set-up are
UNSAMPLED = (GUARD, SETTING_UP)  # work of a cell whose writes no supervisor counts


@dataclass(frozen=True, slots=True)
class CloneSnapshot:
    """A clone as it was, with its common directory. ``stash`` is newest first; ``recovered`` says
    what was put back after a kill, and is still to be reported; ``keeps_objects``: the clone's
    objects lie beside it (`orchestr.cell.worktree.object_keep`). ``origin`` holds the bases, and
    all branches and tags if it is the ``whole_origin``.

    One that an earlier version took is not ``whole``: it holds config, hooks, branches and tags,
    and nothing else can be compared."""

    files: Files
    refs: Mapping[str, str]
    stash: tuple[tuple[str, str], ...]
    origin: Mapping[str, str] = field(default_factory=dict)
    holders: tuple[str, ...] = ()
    whole: bool = True
    common: str = ""
    recovered: tuple[str, ...] = ()
    whole_origin: bool = False
    keeps_objects: bool = False

    def covers_file(self, name: str) -> bool:
        """Whether the picture says what was in a file."""
        return self.whole or name == "config" or name.startswith("hooks/")

    def covers_ref(self, ref: str) -> bool:
        """Whether the picture says where a ref was, or that it was not there."""
        return self.whole or ref.startswith(("refs/heads/", "refs/tags/"))


def read_clone_files(common: Path) -> dict[str, Entry]:
    """The files of a clone's picture as they are now."""
    return read_files(list_clone_files(common))


def picture_clone_files(common: Path) -> dict[str, Entry]:
    """The files of a clone for its picture, without those of worktrees that are being made at this
    moment: what is half written is no original that could be put back."""
    finished = list_finished_worktrees(common)
    return {
        name: entry
        for name, entry in read_clone_files(common).items()
        if not name.startswith("worktrees/") or owner_of(name) in finished
    }


def read_refs(repo: Repo) -> dict[str, str]:
    """The refs that are compared, with what they name: one listing, however many they are."""
    return repo.list_refs(*PICTURED)


def read_refs_and_stash(repo: Repo) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """`read_refs` and `read_stash` at once; there is seldom a stash to ask for."""
    refs = repo.list_refs(*PICTURED, STASH)
    return refs, read_stash(repo) if refs.pop(STASH, None) else ()


def read_stash(repo: Repo) -> tuple[tuple[str, str], ...]:
    """Commit and message of every stash, the newest first."""
    done = repo.run_readonly(
        "log", "-g", "-z", "--format=%H %gs", STASH, "--", answers=YES_OR_FATAL
    )
    if done.code != 0:
        return ()
    pairs = (record.partition(" ") for record in split_records(done.out))
    return tuple((sha, message) for sha, _, message in pairs)


def common_dir(ctx: CellContext) -> Path:
    """The clone's `.git`, without asking git: its config may be broken now."""
    entry = ctx.run.registry.lookup(ctx.key)
    return Path(entry.common_dir) if entry is not None else ctx.repo.common_dir()


def list_others_at_work(ctx: CellContext, holders: Iterable[str]) -> tuple[str, ...]:
    """The other cells among the holders of a picture that are still at work."""
    return tuple(key for key in holders if key != ctx.key and is_open(ctx.run.layout, key))


def key_folder(layout: WorkspaceLayout, key: str) -> Path:
    """The folder of the cell ``key`` (FEATURE/CELL)."""
    feature, _, cell = key.partition("/")
    return layout.cell_dir(feature, cell)


def is_open(layout: WorkspaceLayout, key: str) -> bool:
    """Whether agents, checks, reviewers or the set-up of the cell ``key`` are still at work."""
    folder = key_folder(layout, key)
    newest = attempts.current_attempt(folder)
    is_working = newest is not None and newest.is_open
    return is_working or any((folder / name).exists() for name in UNSAMPLED)


def git_commands(ctx: CellContext, key: str) -> list[GitCommand]:
    """What the git of the cell's agents and checks did since its picture was taken."""
    return read_git_record(ctx.run.layout, key)


def read_git_record(layout: WorkspaceLayout, key: str) -> list[GitCommand]:
    """The same for the cell ``key`` of a workspace, without a run."""
    return read_commands(key_folder(layout, key) / GIT_RECORD)


def read_snapshot(ctx: CellContext) -> CloneSnapshot | None:
    """The picture of the cell's clone; None when there is none, or it cannot be read."""
    return parse_snapshot(snapshot_path(ctx))


def parse_snapshot(path: Path) -> CloneSnapshot | None:
    """A picture by its file; None when there is none, or it cannot be read."""
    try:
        raw: Any = read_picture(path)
        if raw is None:
            return None
        return CloneSnapshot(
            files=parse_files(raw["files"]) if "files" in raw else _read_older_files(raw),
            refs=dict(raw["refs"]),
            stash=tuple((str(sha), str(message)) for sha, message in raw["stash"]),
            origin=dict(raw["origin"]),
            holders=tuple(raw["holders"]),
            whole=bool(raw.get("whole", False)),
            common=str(raw.get("common", "")),
            recovered=tuple(map(str, raw.get("recovered", ()))),
            whole_origin=raw.get("whole_origin") is True,
            keeps_objects=bool(raw.get("keeps_objects")),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _read_older_files(raw: Mapping[str, Any]) -> dict[str, Entry]:
    """The files of a picture of schema 1."""
    hooks = parse_files({f"hooks/{name}": entry for name, entry in raw["hooks"].items()})
    return {"config": (0o644, str(raw["config"])), **hooks}


def write_snapshot(ctx: CellContext, picture: CloneSnapshot) -> None:
    """Write the picture of the cell's clone; without a holder it is removed."""
    change = "starts" if ctx.key in picture.holders else "ends"
    save_snapshot(snapshot_path(ctx), picture, **{change: ctx.key})


def save_snapshot(path: Path, picture: CloneSnapshot, **cell: str) -> None:
    """Write a picture to its file; without a holder it is removed, with the objects that are kept.

    ``cell`` as `write_picture`.
    """
    if picture.holders:
        write_picture(path, {"schema": 2, **asdict(picture)}, **cell)
    else:
        remove_picture(path)
        drop_objects(objects_folder(path))


def objects_folder(path: Path) -> Path:
    """Where the objects are kept that belong to the picture at ``path``."""
    return path.with_suffix(".objects")


def list_snapshots(layout: WorkspaceLayout) -> list[Path]:
    """The files of all pictures of clones."""
    found = (layout.state / "surroundings").glob("*.json")
    return sorted(path for path in found if _NAME.fullmatch(path.stem))


def snapshot_path(ctx: CellContext) -> Path:
    """The file of the picture of the cell's clone."""
    return snapshot_file(ctx.run.layout, clone_key(common_dir(ctx)))


def snapshot_file(layout: WorkspaceLayout, name: str) -> Path:
    """The file of the picture of that name."""
    return layout.state / "surroundings" / f"{name}.json"


def snapshot_lock(ctx: CellContext) -> FlockLock:
    """The lock around taking and comparing the picture."""
    return lock_of(ctx.run.layout, clone_key(common_dir(ctx)))


def lock_of(layout: WorkspaceLayout, name: str) -> FlockLock:
    """The lock of the picture of that name."""
    return FlockLock(layout.locks_dir / f"surroundings-{name}.lock")


def clone_key(common: Path) -> str:
    """The name of the picture of a clone."""
    return hashlib.sha256(os.fsencode(common)).hexdigest()[:16]
