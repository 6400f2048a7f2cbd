"""What an agent has no business with: its clone's config, hooks and other refs, its origin's base.

A worktree shares all of these with the clone it belongs to, and no setting keeps an agent from
them. So a picture is taken before an agent starts and compared after it ended, before our own
git works there again (a hook or `core.hooksPath` that it planted would run in our name).

What can be put back without taking anything from anybody is put back: refs by compare-and-set,
files with the changed ones kept beside the attempt. A person works in the clone at the same
time, so what only moved forward, or was moved by the checkout that it belongs to, is theirs.
Config and hooks are changed by honest tools too (`npm install` sets husky's hooks path): that is
a warning, not a failure.

One picture serves all attempts that are open in a repository, else a later one would take the
harm of an earlier one for the original. It is written before the agent starts; after a crash the
adopted attempt is still named in it.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestr.cell.context import CellContext
from orchestr.errors import OrchestrError
from orchestr.files import read_json, write_atomic, write_json
from orchestr.git.errors import GitError
from orchestr.git.repo import NO_COMMIT, CommitId, Repo
from orchestr.git.runner import split_records
from orchestr.process.file_lock import FlockLock
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind

BIGGEST = 1 << 20  # bytes of a hook that is kept; larger ones are programs of somebody's
LOOK = "that is not put back, a person has to look at it"


@dataclass(frozen=True, slots=True)
class CloneSnapshot:
    """A clone as it was. ``hooks`` maps a name to [mode, base64]; ``stash`` is newest first."""

    config: str
    hooks: Mapping[str, tuple[int, str]]
    refs: Mapping[str, str]
    stash: tuple[tuple[str, str], ...]
    origin: Mapping[str, str] = field(default_factory=dict)
    holders: tuple[str, ...] = ()


GUARD = "checking.json"  # in a cell's folder while its checks or reviewers are at work


def snapshot_clone(ctx: CellContext, base_ref: str) -> None:
    """Before an agent starts: take the picture, unless another attempt has one open.

    An empty ``base_ref``: for checks and reviewers, the origin is not looked at.
    """
    tip = _read_origin_base(ctx, base_ref) if base_ref else None
    with _snapshot_lock(ctx):
        old = _read_snapshot(ctx)
        held = old.holders if old else ()
        others = tuple(key for key in held if key != ctx.key and _is_at_work(ctx, key))
        config, hooks = read_config_and_hooks(_common_dir(ctx))
        picture = CloneSnapshot(config, hooks, read_refs(ctx.repo), _read_stash(ctx.repo))
        if old is not None and others:
            picture = replace(old, refs={**picture.refs, **old.refs})
        origin = {**picture.origin, **({base_ref: tip} if tip else {})}
        holders = (*others, ctx.key)
        _write_snapshot(ctx, replace(picture, origin=origin, holders=holders))


def restore_clone(
    ctx: CellContext, attempt: Attempt | None, base_ref: str, during: str = "its agent worked"
) -> list[str]:
    """After an agent ended: put back what can be, warn, and return what makes it a failure.

    Safe to repeat: the second time nothing is found. Files come first and without git, which
    does nothing at all while the config cannot be read.
    """
    with _snapshot_lock(ctx):
        before = _read_snapshot(ctx)
        if before is None or ctx.key not in before.holders:
            return []
        number = attempt.number if attempt else 0
        warnings = _restore_files(ctx, before, number, during)
        found = _restore_refs(ctx, before) + _restore_stash(ctx, before)
        origin = dict(before.origin)
        tip = _read_origin_base(ctx, base_ref) if base_ref else None
        found += _judge_origin(ctx, base_ref, origin.get(base_ref), tip)
        if tip:
            origin[base_ref] = tip
        holders = tuple(k for k in before.holders if k != ctx.key and _is_at_work(ctx, k))
        after = replace(
            before,
            refs=read_refs(ctx.repo),
            stash=_read_stash(ctx.repo),
            origin=origin,
            holders=holders,
        )
        if holders:
            _write_snapshot(ctx, after)
        else:
            _snapshot_path(ctx).unlink(missing_ok=True)
    for text in warnings:
        ctx.emit(EventKind.CELL_WARNED, attempt=number, reason=text)
    return found


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


# --- refs ------------------------------------------------------------------------------------


def _restore_refs(ctx: CellContext, before: CloneSnapshot) -> list[str]:
    repo, found = ctx.repo, []
    now = read_refs(repo)
    ours = {f"refs/heads/{entry.branch}" for entry in ctx.run.registry.entries()}
    ours |= {f"refs/heads/{cell.branch}" for cell in ctx.run.feature.cells}
    for ref, old in before.refs.items():
        new = now.get(ref)
        if new == old or ref in ours:
            continue
        if new is not None and not _is_harmful_move(ctx, ref, old, new):
            continue
        kind = "branch" if ref.startswith("refs/heads/") else "tag"
        name = ref.split("/", 2)[2]
        what = "deleted" if new is None else f"rewritten to {new[:12]}"
        try:
            repo.update_ref(ref, CommitId(old), CommitId(new) if new else NO_COMMIT)
        except GitError as error:
            found.append(f"{kind} {name} was {what}, and is not put back: {error.reason}")
        else:
            found.append(f"{kind} {name} was {what}; it was put back to {old[:12]}")
    return found


def _is_harmful_move(ctx: CellContext, ref: str, old: str, new: str) -> bool:
    """Whether a move takes something away, and nobody who works at that branch made it."""
    if not ref.startswith("refs/heads/"):
        return True
    if _moved_by_a_checkout(ctx, ref):
        return False
    with suppress(GitError):
        if ctx.repo.is_ancestor(old, new):
            # Forward is a fetch or a merge, unless it moved below somebody's checkout.
            name = ref.removeprefix("refs/heads/")
            return any(e.branch == name for e in ctx.repo.list_worktrees())
    return True


def _moved_by_a_checkout(ctx: CellContext, ref: str) -> bool:
    """Whether the last move of a branch was one of HEAD, too, in a checkout of somebody's.

    git notes a move of the branch that is checked out in both logs, at the same second and in
    the name of the same command; one from outside (`branch -f`, `update-ref`) only in one.
    """
    last = _read_reflog(ctx.repo, ref)[:1]
    cells = {entry.path for entry in ctx.run.registry.entries()}
    people = (e for e in ctx.repo.list_worktrees() if not e.bare and str(e.path) not in cells)
    return bool(last) and any(
        last[0] in _read_reflog(ctx.repo.at_path(e.path), "HEAD") for e in people
    )


def _read_reflog(repo: Repo, ref: str) -> list[tuple[str, str, str]]:
    """Commit, time and command of every entry in a ref's log, the newest first."""
    words = ("log", "-g", "-z", "--date=raw", "--format=%H%n%gd%n%gs", ref, "--")
    found = []
    for record in split_records(repo.run_readonly(*words, check=False).out):
        sha, when, message = (*record.split("\n", 2), "", "")[:3]
        found.append((sha, when.rpartition("@")[2], message.partition(":")[0]))
    return found


def _read_stash(repo: Repo) -> tuple[tuple[str, str], ...]:
    done = repo.run_readonly("log", "-g", "-z", "--format=%H %gs", "refs/stash", "--", check=False)
    if done.code != 0:
        return ()
    pairs = (record.partition(" ") for record in split_records(done.out))
    return tuple((sha, message) for sha, _, message in pairs)


def _restore_stash(ctx: CellContext, before: CloneSnapshot) -> list[str]:
    """Store again what is gone from the list of stashes, the oldest first."""
    here = {sha for sha, _ in _read_stash(ctx.repo)}
    gone = [entry for entry in before.stash if entry[0] not in here]
    if not gone:
        return []
    for sha, message in reversed(gone):
        ctx.repo.as_committer().run_git("stash", "store", "-q", "-m", message, sha, check=False)
    word = "stash was" if len(gone) == 1 else "stashes were"
    return [f"{len(gone)} {word} dropped; put back"]


# --- files -----------------------------------------------------------------------------------


def _restore_files(ctx: CellContext, before: CloneSnapshot, number: int, during: str) -> list[str]:
    common, kept = _common_dir(ctx), attempts.attempt_folder(ctx.dir, number) / "changed"
    config, hooks = read_config_and_hooks(common)
    told = []
    names = _changed_settings(before.config, config)
    if names:
        write_atomic(kept / "config", base64.b64decode(config))
        _restore_file(common / "config", base64.b64decode(before.config), None)
        told.append(
            f"while {during}, {common / 'config'} was changed ({', '.join(names[:5])});"
            f" it was put back, the changed one is kept as {kept / 'config'}"
        )
    for name in sorted({*before.hooks, *hooks}):
        old, new = before.hooks.get(name), hooks.get(name)
        if old == new:
            continue
        place = common / "hooks" / name
        if new is not None:
            write_atomic(kept / "hooks" / name, base64.b64decode(new[1]))
        if old is None:
            place.unlink(missing_ok=True)
        else:
            _restore_file(place, base64.b64decode(old[1]), old[0])
        told.append(
            f"while {during}, the hook {place} was changed; it was put back"
            + (f", the changed one is kept as {kept / 'hooks' / name}" if new else "")
        )
    return told


def _restore_file(path: Path, data: bytes, mode: int | None) -> None:
    if mode is None:
        with suppress(OSError):
            mode = path.stat().st_mode & 0o777
    write_atomic(path, data)
    path.chmod(0o644 if mode is None else mode)


def _changed_settings(before: str, now: str) -> list[str]:
    """The settings that differ and matter: `branch.*` and a new remote are a person's daily
    work and change nothing for anybody else."""
    if before == now:
        return []
    old, new = (_parse_settings(base64.b64decode(text)) for text in (before, now))
    if new is None or old is None:
        return ["it can no longer be read"]
    remotes = {key.rpartition(".")[0] for key in old if key.startswith("remote.")}
    differ = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    return [
        key for key in differ
        if not key.startswith("branch.")
        and not (key.startswith("remote.") and key.rpartition(".")[0] not in remotes)
    ]  # fmt: skip


def _parse_settings(data: bytes) -> dict[str, list[str]] | None:
    words = ("config", "-z", "--list", "--no-includes", "--file", "-")
    done = Repo(Path("/")).run_git(*words, input=data, check=False)  # not where it may be broken
    if done.code != 0:
        return None
    found: dict[str, list[str]] = {}
    for record in split_records(done.out):
        key, _, value = record.partition("\n")
        found.setdefault(key, []).append(value)
    return found


# --- the origin ------------------------------------------------------------------------------


def _read_origin_base(ctx: CellContext, base_ref: str) -> str | None:
    """The base branch at the origin, empty when it is not there; None when nobody can say."""
    ref = f"refs/heads/{base_ref}"
    try:
        return ctx.repo.ls_remote("origin", ref).get(ref, "")
    except OrchestrError:
        return None


def _judge_origin(ctx: CellContext, base_ref: str, old: str | None, tip: str | None) -> list[str]:
    """What became of the base branch at the origin. Nothing is put back: that is a push."""
    stacked = any(cell.branch == base_ref for cell in ctx.run.feature.cells)
    if not old or tip is None or tip == old or stacked:
        return []
    if not tip:
        return [f"branch {base_ref} at the origin was deleted at {old[:12]}; {LOOK}"]
    repo = ctx.repo
    if repo.resolve_commit(tip) is None:
        with suppress(GitError):
            repo.fetch("origin", f"+refs/heads/{base_ref}:refs/remotes/origin/{base_ref}",
                       locks=ctx.run.layout.locks_dir)  # fmt: skip
    if repo.resolve_commit(tip) is None or repo.resolve_commit(old) is None:
        return []
    if not repo.is_ancestor(old, tip):
        moved = f"from {old[:12]} to {tip[:12]}"
        return [f"branch {base_ref} at the origin was rewritten {moved}; {LOOK}"]
    head = repo.resolve_commit(f"refs/heads/{ctx.cell.branch}")
    if head is not None and not repo.is_ancestor(head, old) and repo.is_ancestor(head, tip):
        return [f"its commits were pushed to {base_ref} at the origin, now {tip[:12]}; {LOOK}"]
    return []


# --- the record ------------------------------------------------------------------------------


def _common_dir(ctx: CellContext) -> Path:
    """The clone's `.git`, without asking git: its config may be broken now."""
    entry = ctx.run.registry.lookup(ctx.key)
    return Path(entry.common_dir) if entry is not None else ctx.repo.common_dir()


def _clone_key(ctx: CellContext) -> str:
    return hashlib.sha256(os.fsencode(_common_dir(ctx))).hexdigest()[:16]


def _snapshot_path(ctx: CellContext) -> Path:
    return ctx.run.layout.state / "surroundings" / f"{_clone_key(ctx)}.json"


def _snapshot_lock(ctx: CellContext) -> FlockLock:
    return FlockLock(ctx.run.layout.locks_dir / f"surroundings-{_clone_key(ctx)}.lock")


def _is_at_work(ctx: CellContext, key: str) -> bool:
    """Whether somebody is still at work for the cell that holds the picture."""
    feature, _, cell = key.partition("/")
    folder = ctx.run.layout.cell_dir(feature, cell)
    newest = attempts.current_attempt(folder)
    return (newest is not None and newest.is_open) or (folder / GUARD).exists()


def _read_snapshot(ctx: CellContext) -> CloneSnapshot | None:
    try:
        raw: Any = read_json(_snapshot_path(ctx))
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


def _write_snapshot(ctx: CellContext, picture: CloneSnapshot) -> None:
    write_json(_snapshot_path(ctx), {"schema": 1, **asdict(picture)})
