"""Add, validate, repair and remove worktrees without harm to a person's work.

Owns `add_worktree`, `add_detached`, `remove_worktree`, `repair_worktree` and the verdict of
`validate_worktree`. Leaves who owns a worktree to `orchestr.state.registry` (reserve there first),
filling one with files to `orchestr.git.checkout`.

Parallel adds fail on git's own races (git-facts: 57 of 320), so everything that touches the
list of worktrees runs under one lock per repository. Only ``--no-checkout`` (10 ms) happens
inside it; the checkout, seconds on a large repository, runs outside under a lock per worktree.

What survives a crash: between add and checkout a worktree has no index (INCOMPLETE) and the
next call completes it. A branch is deleted only if this very call made it; a directory that
is not a worktree of this repository never.
"""

from __future__ import annotations

import glob
import hashlib
import os
import random
import shutil
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from orchestr.git.checkout import clear_stale_locks, complete_checkout
from orchestr.git.errors import GitError, git_failed, is_transient
from orchestr.git.repo import Branch, CommitId, Repo, branch_name
from orchestr.git.runner import ANY_EXIT, TRIES, repo_lock
from orchestr.git.worktree_list import WorktreeEntry
from orchestr.git.worktree_state import (
    OPERATION_FILES,
    WorktreeFinding,
    WorktreeVerdict,
    find_moved_entry,
    find_worktree_entry,
    has_only_git_file,
    is_same_path,
    validate_worktree,
    worktree_admin_dir,
)
from orchestr.process.file_lock import FlockLock

__all__ = [
    "NotDeleted",
    "WorktreeFinding",
    "WorktreeProvision",
    "WorktreeRefused",
    "WorktreeVerdict",
    "add_detached",
    "add_worktree",
    "clear_stale_locks",
    "remove_worktree",
    "repair_worktree",
    "repo_lock",
    "validate_worktree",
]

_TRASH = ".removed"  # how a folder ends that is being deleted; see `_drop_worktree`
_GITS_OWN_LOCK = "initializing"  # the reason while `worktree add` runs; a kill leaves it


class WorktreeProvision(StrEnum):
    """How `add_worktree` provided a worktree."""

    CREATED = "created"  # with a new branch
    BRANCH_REUSED = "branch reused"  # the branch was left by an earlier run
    COMPLETED = "completed"  # a killed call had begun it
    REUSED = "reused"  # it was there


class WorktreeRefused(GitError):
    """A path or branch belongs to another owner; nothing was changed."""


class NotDeleted(GitError):
    """A worktree is removed and free for others, but some of its files cannot be deleted."""


def add_worktree(
    repo: Repo, path: Path, branch: Branch, base: CommitId, *, locks: Path
) -> WorktreeProvision:
    """A worktree at ``path`` on ``branch``; the branch is made from ``base`` unless it exists.

    Can be called again after any interruption. Raises WorktreeRefused when the path or the
    branch is taken (nothing is ever removed to make room), GitError when git fails.
    """
    branch = branch_name(branch)
    path = path.absolute()
    with _worktree_lock(path, locks):
        with repo_lock(repo, locks):
            how = _register_worktree(repo, path, branch, base)
        if how is not WorktreeProvision.REUSED:
            complete_checkout(repo.at_path(path))
    return how


def add_detached(repo: Repo, path: Path, commit: CommitId, *, locks: Path) -> WorktreeProvision:
    """A worktree at ``path`` that shows ``commit``, on no branch (an upstream's, to be read).

    One that is there on another commit is moved, unless it has changes. Raises like
    `add_worktree`.
    """
    path = path.absolute()
    with _worktree_lock(path, locks):
        with repo_lock(repo, locks):
            how = _register_worktree(repo, path, None, commit)
        tree = repo.at_path(path)
        if how is not WorktreeProvision.REUSED:
            complete_checkout(tree)
        head = tree.head()
        if head is not None and head != commit:
            _refuse_dirty(tree)
            if not tree.run_readonly("for-each-ref", "--count=1", f"--contains={head}").out:
                tree.update_ref(f"refs/orchestr/kept/{head}", head)  # it has a commit of its own
            tree.without_lfs().run_git("checkout", "--quiet", "--detach", commit, "--")
    return how


def remove_worktree(repo: Repo, path: Path, *, locks: Path, force: bool = False) -> bool:
    """Remove one worktree and git's record of it; its branch stays.

    False when there was none. Without ``force`` it raises WorktreeRefused for changes that are
    not committed; locked worktrees and those of other repositories are refused always.
    """
    path = path.absolute()
    with _worktree_lock(path, locks), repo_lock(repo, locks):
        verdict = validate_worktree(repo, path, None)
        entry = verdict.entry
        if verdict.finding is WorktreeFinding.MISSING and entry is None:
            return False
        if entry is None:
            raise _foreign_error(repo, path)
        if entry.locked not in (None, _GITS_OWN_LOCK):
            raise _locked_error(repo, entry)
        if verdict.finding is WorktreeFinding.DAMAGED:
            repair_worktree(repo, path)
        careful = not force and verdict.finding is not WorktreeFinding.MISSING
        if careful and not (
            verdict.finding is WorktreeFinding.INCOMPLETE and has_only_git_file(path)
        ):
            _refuse_dirty(repo.at_path(path))
        # By force, after our own look: git refuses every repository that has submodules, even
        # one that was never initialised (builtin/worktree.c, validate_no_submodules).
        _drop_worktree(repo, path)
        return True


def repair_worktree(repo: Repo, path: Path) -> WorktreeVerdict:
    """Repair a deleted or damaged ``.git`` file, and git's record of a worktree that was moved.

    That is ``git worktree repair``; files are not touched. Returns the verdict afterwards. Raises
    WorktreeRefused when ``.git`` is a directory.
    """
    path = path.absolute()
    entry = find_worktree_entry(repo, path) or find_moved_entry(repo, path)
    if entry is None or (path / ".git").is_dir():
        raise _foreign_error(repo, path)
    repo.run_with_retry("worktree", "repair", str(path))
    if (
        worktree_admin_dir(path) is None
    ):  # a .git that names another repository is "not ours" to git
        raise WorktreeRefused(
            f"the .git file of {path} cannot be repaired",
            hint=f"rm {path / '.git'} && git -C {repo.path} worktree repair {path}",
        )
    return validate_worktree(repo, path, entry.branch)


# --- under the repository's lock -----------------------------------------------------------


def _register_worktree(
    repo: Repo, path: Path, branch: Branch | None, base: CommitId
) -> WorktreeProvision:
    """Make git's record and an empty directory, or find that they exist."""
    listed = repo.list_worktrees()
    verdict = validate_worktree(repo, path, branch, listed=listed)
    match verdict.finding:
        case WorktreeFinding.DAMAGED:
            repair_worktree(repo, path)
            return _register_worktree(repo, path, branch, base)
        case WorktreeFinding.OK | WorktreeFinding.UNREGISTERED:
            return WorktreeProvision.REUSED
        case WorktreeFinding.INCOMPLETE:
            if verdict.entry is not None and verdict.entry.branch == branch:
                if verdict.entry.locked == _GITS_OWN_LOCK:
                    repo.run_git("worktree", "unlock", str(path))
                return WorktreeProvision.COMPLETED
            # `worktree add` was killed before HEAD was set: there is no work here yet.
            if not has_only_git_file(path):
                raise _wrong_branch_error(path, branch, verdict)
            _drop_worktree(repo, path)
        case WorktreeFinding.DETACHED if branch is not None and _attach_to_branch(
            repo.at_path(path), branch
        ):
            return WorktreeProvision.REUSED
        case WorktreeFinding.WRONG_BRANCH | WorktreeFinding.DETACHED:
            raise _wrong_branch_error(path, branch, verdict)
        case WorktreeFinding.FOREIGN:
            raise _foreign_error(repo, path)
        case WorktreeFinding.LOCKED:
            if verdict.detail != _GITS_OWN_LOCK:
                raise _locked_error(repo, verdict.entry)
            _drop_worktree(repo, path)
        case WorktreeFinding.MISSING:
            if verdict.entry is not None:
                _drop_worktree(repo, path)
    if branch is not None:  # what was listed still holds where nothing was dropped
        _ensure_branch_free(repo, path, branch, listed if verdict.entry is None else None)
    return _run_worktree_add(repo, path, branch, base)


def _run_worktree_add(
    repo: Repo, path: Path, branch: Branch | None, base: CommitId
) -> WorktreeProvision:
    path.parent.mkdir(parents=True, exist_ok=True)
    ref = f"refs/heads/{branch}"
    for turn in range(TRIES):
        existing = repo.resolve_commit(ref) if branch is not None else None
        # --no-track: writing branch.X.* into the shared config is what fails in parallel.
        words = ["worktree", "add", "--quiet", "--no-checkout"]
        if branch is None:
            words += ["--detach", str(path), base]
        elif existing:
            words += [str(path), branch]
        else:
            words += ["--no-track", "-b", branch, str(path), base]
        done = repo.run_git(*words, answers=ANY_EXIT)
        if done.code == 0:
            return WorktreeProvision.BRANCH_REUSED if existing else WorktreeProvision.CREATED
        if branch is not None and existing is None and repo.resolve_commit(ref) == base:
            repo.delete_ref(ref, base)  # ours: it was not there before, under this lock
        if not is_transient(done.err):
            break
        time.sleep(random.uniform(0.5, 1.0) * 0.02 * 2**turn)
    raise git_failed(done, str(repo.path))


def _attach_to_branch(tree: Repo, branch: Branch) -> bool:
    """Put a detached worktree on its branch if nothing is lost by it.

    It was made by `add_detached` for a dependent to read, and its own cell runs again.
    """
    head, git_dir = tree.head(), tree.git_dir()
    if (
        head is None
        or any((git_dir / name).exists() for name in OPERATION_FILES)
        or tree.dirty_paths()
    ):
        return False
    tip = tree.resolve_commit(f"refs/heads/{branch}")
    if tip is None or not tree.is_ancestor(head, tip):
        return False
    _ensure_branch_free(tree, tree.path, branch)
    tree.without_lfs().run_git("checkout", "--quiet", "--no-guess", branch, "--")
    return True


def _ensure_branch_free(
    repo: Repo, path: Path, branch: Branch, listed: Sequence[WorktreeEntry] | None = None
) -> None:
    """Refuse a branch that is checked out elsewhere; drop a record without a directory."""
    for entry in repo.list_worktrees() if listed is None else listed:
        if entry.branch != branch or is_same_path(entry.path, path):
            continue
        if entry.path.exists() or entry.bare:
            if entry.bare:
                continue
            raise WorktreeRefused(
                f"branch {branch} is checked out at {entry.path}",
                hint=f"git -C {entry.path} switch --detach, or finish the work there",
            )
        if entry.locked is not None:
            raise _locked_error(repo, entry)
        _drop_worktree(repo, entry.path)


def _drop_worktree(repo: Repo, path: Path) -> None:
    """Drop one worktree and git's record of it; no general prune (an unmounted disk).

    git deletes what it can and its record in any case, and leaves the rest behind as a folder that
    belongs to nothing. So the folder is renamed first (it is whole, or gone), the record is
    dropped, and what was renamed is deleted. Raises NotDeleted when some of that cannot be deleted.

    Twice --force also drops what a killed ``worktree add`` left locked as "initializing".
    """
    with suppress(OSError):
        if has_only_git_file(path):  # git refuses one whose record is half-written
            (path / ".git").unlink()
        path.rmdir()  # and an empty one; a folder with anything in it stays for git to judge
    trash = _rename_away(path)
    done = repo.run_with_retry("worktree", "remove", "--force", "--force", str(path))
    if done.code != 0 and find_worktree_entry(repo, path) is not None:
        if trash is not None:
            trash.rename(path)
        raise git_failed(done, str(repo.path))
    for rest in (trash or path, *path.parent.glob(f".{glob.escape(path.name)}.*{_TRASH}")):
        delete_tree(rest)


def _rename_away(path: Path) -> Path | None:
    """The folder under another name beside it; None when there is none, or it cannot be moved."""
    trash = path.with_name(f".{path.name}.{os.getpid()}{_TRASH}")
    try:
        path.rename(trash)
    except OSError:
        return None  # gone, or a mount point
    return trash


def delete_tree(path: Path) -> None:
    """Delete a folder; parts that nobody may write to (Go's module cache) are made writable first.

    Raises NotDeleted for what is left.
    """
    if not os.path.lexists(path):
        return
    _make_writable(path)
    for where, folders, _ in os.walk(path):
        for name in folders:
            _make_writable(Path(where, name))
    shutil.rmtree(path, ignore_errors=True)
    if not os.path.lexists(path):
        return
    left = [Path(where, name) for where, _, files in os.walk(path) for name in files] or [path]
    try:
        left[0].unlink()
        why = "it is in use"
    except OSError as error:
        why = error.strerror or str(error)
    raise NotDeleted(
        f"{len(left)} files of a removed worktree cannot be deleted, {left[0]} first: {why}",
        hint=f"delete the folder {path} with the rights that this needs",
    )


def _make_writable(folder: Path) -> None:
    with suppress(OSError):
        mode = folder.lstat().st_mode
        if stat.S_ISDIR(mode) and mode & stat.S_IRWXU != stat.S_IRWXU:
            folder.chmod(mode | stat.S_IRWXU)


def _refuse_dirty(tree: Repo) -> None:
    dirty = tree.dirty_paths()
    if dirty:
        shown = ", ".join(dirty[:3]) + (", ..." if len(dirty) > 3 else "")
        raise WorktreeRefused(
            f"{tree.path} has changes that are not committed: {shown}",
            hint=f"git -C {tree.path} status",
        )
    if (tree.git_dir() / "modules").exists():
        raise WorktreeRefused(
            f"{tree.path} has submodules whose commits live only in this worktree",
            hint=f"push them, then git -C {tree.path} submodule deinit --all",
        )


def _foreign_error(repo: Repo, path: Path) -> WorktreeRefused:
    return WorktreeRefused(
        f"{path} exists and is not a worktree of {repo.path}",
        hint=f"look into it, then: mv {path} {path}.old",
    )


def _locked_error(repo: Repo, entry: WorktreeEntry | None) -> WorktreeRefused:
    where = entry.path if entry else "it"
    why = f" ({entry.locked})" if entry and entry.locked else ""
    return WorktreeRefused(
        f"the worktree {where} is locked{why}",
        hint=f"git -C {repo.path} worktree unlock {where}",
    )


def _wrong_branch_error(
    path: Path, branch: Branch | None, verdict: WorktreeVerdict
) -> WorktreeRefused:
    found = verdict.entry.branch if verdict.entry else None
    is_on = f"on branch {found}" if found else f"on a detached head {verdict.detail}".rstrip()
    return WorktreeRefused(
        f"the worktree {path} is {is_on}, expected {branch or 'a detached head'}",
        hint=f"git -C {path} switch {branch or '--detach'}, or move it away",
    )


# --- looking -------------------------------------------------------------------------------


def _worktree_lock(path: Path, locks: Path) -> FlockLock:
    key = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return FlockLock(locks / f"worktree-{key}.lock")
