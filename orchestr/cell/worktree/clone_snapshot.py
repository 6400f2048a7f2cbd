"""The picture of a clone that agents, checks and reviewers are compared with; who holds it.

One picture serves all cells that are at work in a repository, else a later one would take the harm
of an earlier one for the original. It is written before the first agent starts; after a crash the
adopted attempt is still named in it.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from orchestr.cell.context import GIT_RECORD, CellContext
from orchestr.errors import OrchestrError
from orchestr.files import read_json, write_json
from orchestr.git.repo import Repo
from orchestr.git.runner import YES_OR_FATAL, split_records
from orchestr.git.trace import GitCommand, read_commands
from orchestr.process.file_lock import FlockLock
from orchestr.state import attempts
from orchestr.state.layout import WorkspaceLayout

BIGGEST = 1 << 20  # bytes of a hook that is kept; larger ones are programs of a person's
STASH = "refs/stash"
GUARD = "checking.json"  # in a cell's folder while its checks or reviewers are at work


@dataclass(frozen=True, slots=True)
class CloneSnapshot:
    """A clone as it was. ``hooks`` maps a name to [mode, base64]; ``stash`` is newest first."""

    config: str
    hooks: Mapping[str, tuple[int, str]]
    refs: Mapping[str, str]
    stash: tuple[tuple[str, str], ...]
    origin: Mapping[str, str] = field(default_factory=dict)
    holders: tuple[str, ...] = ()


def read_config_and_hooks(common: Path) -> tuple[str, dict[str, tuple[int, str]]]:
    """The config and the hooks below a clone's `.git`, as they are now."""
    hooks: dict[str, tuple[int, str]] = {}
    for path in sorted((common / "hooks").rglob("*")):
        with suppress(OSError):
            if path.is_file() and not path.is_symlink() and path.stat().st_size <= BIGGEST:
                mode = path.stat().st_mode & 0o777
                data = base64.b64encode(path.read_bytes()).decode()
                hooks[os.fsdecode(path.relative_to(common / "hooks"))] = (mode, data)
    try:
        config = (common / "config").read_bytes()
    except OSError:
        config = b""
    return base64.b64encode(config).decode(), hooks


def read_refs(repo: Repo) -> dict[str, str]:
    """The branches and tags, with what they name."""
    lines = repo.run_readonly("for-each-ref", "--format=%(refname) %(objectname)",
                     "refs/heads", "refs/tags").text.splitlines()  # fmt: skip
    return dict(line.split(" ") for line in lines)


def read_refs_and_stash(repo: Repo) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """`read_refs` and `read_stash` at once; there is seldom a stash to ask for."""
    lines = repo.run_readonly("for-each-ref", "--format=%(refname) %(objectname)",
                     "refs/heads", "refs/tags", STASH).text.splitlines()  # fmt: skip
    refs = dict(line.split(" ") for line in lines)
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


def is_at_work(ctx: CellContext, key: str) -> bool:
    """Whether agents, checks or reviewers of the cell ``key`` are still at work."""
    return is_open(ctx.run.layout, key)


def cell_folder(ctx: CellContext, key: str) -> Path:
    """The folder of the cell ``key`` of this workspace."""
    return key_folder(ctx.run.layout, key)


def key_folder(layout: WorkspaceLayout, key: str) -> Path:
    """The folder of the cell ``key`` (FEATURE/CELL)."""
    feature, _, cell = key.partition("/")
    return layout.cell_dir(feature, cell)


def is_open(layout: WorkspaceLayout, key: str) -> bool:
    """Whether agents, checks or reviewers of the cell ``key`` are still at work."""
    folder = key_folder(layout, key)
    newest = attempts.current_attempt(folder)
    return (newest is not None and newest.is_open) or (folder / GUARD).exists()


def git_commands(ctx: CellContext, key: str) -> list[GitCommand]:
    """What the git of the cell's agents and checks did since its picture was taken."""
    return read_commands(cell_folder(ctx, key) / GIT_RECORD)


def read_snapshot(ctx: CellContext) -> CloneSnapshot | None:
    """The picture of the cell's clone; None when there is none, or it cannot be read."""
    try:
        raw: Any = read_json(snapshot_path(ctx))
        if raw is None:
            return None
        return CloneSnapshot(
            config=str(raw["config"]),
            hooks={name: (int(mode), str(data)) for name, (mode, data) in raw["hooks"].items()},
            refs=dict(raw["refs"]),
            stash=tuple((str(sha), str(message)) for sha, message in raw["stash"]),
            origin=dict(raw["origin"]),
            holders=tuple(raw["holders"]),
        )
    except (OrchestrError, KeyError, TypeError, ValueError, AttributeError):
        return None  # no picture, no comparison


def write_snapshot(ctx: CellContext, picture: CloneSnapshot) -> None:
    """Write the picture of the cell's clone; without a holder it is removed."""
    if picture.holders:
        write_json(snapshot_path(ctx), {"schema": 1, **asdict(picture)})
    else:
        snapshot_path(ctx).unlink(missing_ok=True)


def snapshot_path(ctx: CellContext) -> Path:
    return ctx.run.layout.state / "surroundings" / f"{_clone_key(ctx)}.json"


def snapshot_lock(ctx: CellContext) -> FlockLock:
    """The lock around taking and comparing the picture."""
    return FlockLock(ctx.run.layout.locks_dir / f"surroundings-{_clone_key(ctx)}.lock")


def _clone_key(ctx: CellContext) -> str:
    return hashlib.sha256(os.fsencode(common_dir(ctx))).hexdigest()[:16]
