"""Where the readers of a cell find its files: a checkout of its head, apart from its worktree.

Agents of its dependents and their reviewers get this folder, so what they change, build or leave
there is in no worktree and in no pull request. Checks, whose result counts, read check
worktrees of their own instead (`orchestr.cell.proof.check_request`). There is one for each head, in
the cell's folder, made once and shared by all readers; where one of them is in another repository
it is set up like a worktree. Whenever a reader begins or ends it is put back: what was changed is
kept below `refs/orchestr/kept/` and named. New files stay as long as another reader is at work.

Beside it lies `<head>.json`, written when it is whole: without it, it is made again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from orchestr.cell.baseline import SetupBaseline, UnseenPaths
from orchestr.cell.context import CellContext
from orchestr.cell.kit import NO_KIT
from orchestr.cell.ownership import format_paths
from orchestr.cell.worktree.clone_snapshot import GUARD
from orchestr.cell.worktree.discard import move_paths
from orchestr.cell.worktree.operations import abort_operations, unfinished_operation
from orchestr.cell.worktree.salvage import find_free_ref
from orchestr.cell.worktree.setup import equip_worktree
from orchestr.codec import Record, read_json_record, write_json_record
from orchestr.errors import OrchestrError
from orchestr.git.agent_environment import exclude_config
from orchestr.git.hidden_files import reveal_hidden
from orchestr.git.repo import CommitId, Repo
from orchestr.git.runner import split_records
from orchestr.git.snapshot import list_new_paths, take_snapshot
from orchestr.git.status import read_changes
from orchestr.git.worktree_state import WorktreeFinding, validate_worktree
from orchestr.git.worktrees import add_detached, clear_stale_locks, delete_tree, remove_worktree
from orchestr.process.file_lock import FlockLock
from orchestr.state import attempts
from orchestr.state.events import EventKind
from orchestr.supervisor import client
from orchestr.supervisor.client import AttemptState

FOLDER = "readable"  # in a cell's folder
PUT_BACK = (
    "the checkout of {owner} that it may read was changed: {paths}; that is no work of {owner}: "
    "put back{kept}"
)


class CheckoutRecord(Record, frozen=True):
    """``equipped``: the kit and the set-up are in it; then ``made`` are its new files, and
    ``ignored`` those that git ignores."""

    head: str
    equipped: bool = False
    made: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def readable_checkout(ctx: CellContext) -> Path:
    """Where others read a cell's files. `ensure_upstreams` makes it; without a head there is
    nothing but its worktree."""
    head = ctx.read_head()
    return ctx.worktree if head is None else ctx.dir / FOLDER / head.head[:12]


def ensure_upstreams(ctx: CellContext) -> None:
    """Before an agent or checks of the cell start: every upstream's head can be read, as it is."""
    for upstream in ctx.upstreams():
        provide_checkout(upstream, ctx)


def provide_checkout(owner: CellContext, reader: CellContext | None) -> None:
    """Make the checkout of ``owner``'s head for ``reader`` (None: cross checks), or put it back.
    Raises OrchestrError."""
    head = owner.read_head()
    if head is None:
        return
    path, commit = readable_checkout(owner), CommitId(head.head)
    with _lock_checkouts(owner):
        record = _read_record(path)
        if record is None or record.head != commit or not _is_usable(owner, path):
            _make_checkout(owner, path, commit)
            _remove_others(owner, reader, path)
        else:
            _put_checkout_back(owner, reader, path, record)
        settings = owner.repo_settings
        wanted = settings.link or settings.copy or settings.setup
        if wanted and (reader is None or owner.cell.repo != reader.cell.repo):
            _equip_checkout(owner, path, commit)


def put_back_upstreams(ctx: CellContext) -> None:
    """After an agent of the cell ended: what it did where its upstreams are read."""
    for upstream in ctx.upstreams():
        path = readable_checkout(upstream)
        # After a fault the next reader puts it back, or fails.
        with suppress(OrchestrError), _lock_checkouts(upstream):
            record = _read_record(path)
            if record is not None and _is_usable(upstream, path):
                _put_checkout_back(upstream, ctx, path, record)


def remove_checkouts(owner: CellContext) -> None:
    """Remove the checkouts of a cell whose worktree goes; not those that a cell reads."""
    if (owner.dir / FOLDER).exists():
        with suppress(OrchestrError), _lock_checkouts(owner):
            _remove_others(owner, None, None)


def _lock_checkouts(owner: CellContext) -> FlockLock:
    return FlockLock(owner.run.layout.locks_dir / f"readable-{owner.key.replace('/', '-')}.lock")


def _record_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _read_record(path: Path) -> CheckoutRecord | None:
    with suppress(OrchestrError):
        return read_json_record(_record_path(path), CheckoutRecord)
    return None


def _is_usable(owner: CellContext, path: Path) -> bool:
    """Whether it is a worktree of the repository: else git would work in a folder around it."""
    finding = validate_worktree(owner.repo, path, None).finding
    return finding in (WorktreeFinding.OK, WorktreeFinding.WRONG_BRANCH)


def _make_checkout(owner: CellContext, path: Path, commit: CommitId) -> None:
    _remove_checkout(owner, path)
    add_detached(owner.repo, path, commit, locks=owner.run.layout.locks_dir)
    _record_checkout(owner, path, CheckoutRecord(commit))


def _equip_checkout(owner: CellContext, path: Path, commit: CommitId) -> None:
    """Link, copy and set up, once."""
    record = _read_record(path)
    if record is None or record.equipped:
        return
    equip_worktree(owner, path, path.with_name(f"{path.name}.logs"))
    _record_checkout(owner, path, CheckoutRecord(commit, equipped=True))


def _record_checkout(owner: CellContext, path: Path, record: CheckoutRecord) -> None:
    """Write down that a checkout is whole, with the files that the set-up has made in it."""
    tree = _open_checkout(owner, path, record)
    _show_commit(tree, CommitId(record.head))  # hooks or the set-up may have changed something
    made = tuple(name.rstrip("/") for name in list_new_paths(tree))
    whole = CheckoutRecord(record.head, record.equipped, made, tuple(_list_ignored(path)))
    write_json_record(_record_path(path), whole)


def _open_checkout(owner: CellContext, path: Path, record: CheckoutRecord) -> Repo:
    """The checkout, whose git passes over the kit and what the set-up has made."""
    kit = owner.kit if record.equipped else NO_KIT
    unseen = UnseenPaths(path, kit, SetupBaseline(folders=record.made))
    config = exclude_config(owner.repo, owner.run.layout.excludes_file, unseen.patterns)
    return Repo(path, config=config, unseen=unseen)


def _show_commit(tree: Repo, commit: CommitId) -> None:
    git = tree.without_lfs()
    words = ("--quiet", "--force", "--detach", "--no-recurse-submodules")
    git.run_git("checkout", *words, commit, "--")
    git.run_git("reset", "--quiet", "--hard")


def _put_checkout_back(
    owner: CellContext, reader: CellContext | None, path: Path, record: CheckoutRecord
) -> None:
    """Show the head again; what was changed is kept and named, what is ignored goes."""
    tree, commit = _open_checkout(owner, path, record), CommitId(record.head)
    is_shared = any(_is_at_work(one) for one in _list_readers(owner) if one is not reader)
    clear_stale_locks(path)
    reveal_hidden(tree)
    changes = read_changes(tree, untracked="all")
    new = [] if is_shared else [change.path.rstrip("/") for change in changes if change.is_new]
    changed = [change.path for change in changes if not change.is_new]
    is_moved = tree.head() != commit or tree.head_branch() is not None
    if new or changed or is_moved or unfinished_operation(tree) is not None:
        shot = take_snapshot(tree, f"left in the checkout of {owner.name} for others")
        ref = ""
        if shot.commit is not None and shot.commit != commit:
            ref = find_free_ref(owner, f"refs/orchestr/kept/{owner.key}", shot.commit)
            owner.repo.update_ref(ref, shot.commit)
        lost = [name for name in shot.unkept if os.path.lexists(path / name)]
        left = move_paths(path, lost, owner.dir / "left" / FOLDER) if lost else None
        abort_operations(tree)
        _show_commit(tree, commit)
        for name in new:
            _delete_path(path / name)
        kept = f", and kept as {ref}" if ref else ""
        kept += f"; {format_paths(lost)} moved to {left}" if left is not None else ""
        paths = format_paths(sorted({*new, *changed})) or "another commit was checked out"
        text = PUT_BACK.format(owner=owner.name, paths=paths, kept=kept)
        (reader or owner).emit(EventKind.CELL_WARNED, reason=text)
    if not is_shared:
        for name in {*_list_ignored(path)} - {*record.ignored}:
            _delete_path(path / name)
            _remove_empty_folders(path, path / name)


def _list_ignored(path: Path) -> list[str]:
    """The files that the repository's own rules or the user's ignore."""
    words = ("ls-files", "--others", "--ignored", "--exclude-standard", "-z")
    return [name.rstrip("/") for name in split_records(Repo(path).run_readonly(*words).out)]


def _remove_empty_folders(top: Path, path: Path) -> None:
    """Remove the folders around a path that is gone, as far as nothing else is in them."""
    with suppress(OSError):
        for folder in path.parents:
            if folder == top:
                return
            folder.rmdir()


def _delete_path(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        delete_tree(path)
    else:
        path.unlink(missing_ok=True)


def _list_readers(owner: CellContext) -> Iterable[CellContext]:
    """The cells that build on it."""
    contexts = (owner.run.cell_context(cell.name) for cell in owner.run.feature.cells)
    return [ctx for ctx in contexts if owner.cell.name in ctx.plan.upstreams]


def _is_at_work(ctx: CellContext) -> bool:
    """Whether an agent or a check of the cell works right now."""
    newest = attempts.current_attempt(ctx.dir)
    folders = attempts.agent_folders(ctx.dir, newest.number) if newest is not None else ()
    running = any(client.read_attempt_state(one) is AttemptState.RUNNING for one in folders)
    return running or (ctx.dir / GUARD).exists()


def _remove_others(owner: CellContext, reader: CellContext | None, keep: Path | None) -> None:
    """Remove the checkouts of other heads, unless a reader may still need them."""
    if any(_is_at_work(one) for one in _list_readers(owner) if one is not reader):
        return
    for path in (owner.dir / FOLDER).iterdir():
        if path.is_dir() and not path.name.endswith(".logs") and path != keep:
            _remove_checkout(owner, path)


def _remove_checkout(owner: CellContext, path: Path) -> None:
    """Remove a checkout, whatever state it is in: no cell works there."""
    _record_path(path).unlink(missing_ok=True)
    with suppress(OrchestrError):
        remove_worktree(owner.repo, path, locks=owner.run.layout.locks_dir, force=True)
    delete_tree(path)
    delete_tree(path.with_name(f"{path.name}.logs"))
