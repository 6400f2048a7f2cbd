"""After the set-up: the worktree is as its commit says, and what cannot be is written down.

Set-up commands (`npm install` writes its lock file), hooks of the checkout and line ends that a
`.gitattributes` wants otherwise change files before any agent starts. That is not the agent's work:
it is in no commit of its cell and counts against no `owned_paths`. Tracked files are put back, with
what they were kept under a ref; what git still finds changed, and new files that it would add, are
written to `baseline.json` (`orchestr.cell.baseline`). The same is done for what git finds changed
after a merge or a reset of ours (`record_idle_paths`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from orchestr.cell.baseline import (
    BaselineFile,
    SetupBaseline,
    hash_file,
    read_baseline,
    write_baseline,
)
from orchestr.cell.context import CellContext
from orchestr.cell.ownership import format_paths
from orchestr.cell.worktree.discard import left_folder, put_worktree, restore_submodules
from orchestr.cell.worktree.salvage import attempt_ref, keep_worktree
from orchestr.codec import replace
from orchestr.git.repo import CommitId, Repo
from orchestr.git.runner import join_records
from orchestr.git.snapshot import list_new_paths
from orchestr.git.status import ChangedPath, list_idle_paths, read_changes
from orchestr.state import attempts
from orchestr.state.events import EventKind

MOST = 500  # new files that are listed one by one; of more, folders are
PUT_BACK = (
    "{who} changed {paths} before its agent started; put back, as that is not its agent's work; "
    "kept as {ref}"
)
SETUP = "its set-up or a hook of the checkout"
STAYS = (
    "git finds {paths} changed as soon as they are checked out (line ends that a .gitattributes "
    "wants otherwise, or a filter): left out of its commits; to end this, commit what "
    "git -C {clone} add --renormalize . stages"
)


def read_contents(ctx: CellContext) -> dict[str, str]:
    """What is uncommitted in the worktree: path to SHA-256, empty for what is gone."""
    place = ctx.worktree
    return {
        change.path: hash_file(place / change.path)
        for change in read_changes(ctx.worktree_repo, untracked="all")
    }


def record_baseline(ctx: CellContext, head: CommitId, before: Mapping[str, str]) -> None:
    """Put back what was changed since the checkout of ``head``; write down what stays.

    ``before`` was uncommitted when the set-up began, and is a person's or an attempt's work.
    """
    write_baseline(ctx.dir, SetupBaseline())
    repo = ctx.worktree_repo
    found = read_changes(repo, untracked="all")
    # Without new files, also those inside of a submodule: as `untracked="no"` lists them.
    tracked = [c for c in found if not c.is_new and c.submodule != "U"]
    if put_back_changes(ctx, head, SETUP, before, found=tracked):
        found = read_changes(repo, untracked="all")
    changes = [c for c in found if c.path not in before]
    stays = [c.path for c in changes if not c.is_new and not c.submodule]
    stays += list_idle_paths(repo)
    _warn_of_idle_paths(ctx, stays)
    made = [c.path for c in changes if c.is_new and not c.path.endswith("/")]
    folders = _find_large_folders(repo, made) if len(made) > MOST else ()
    made = [path for path in made if not any(path.startswith(f"{one}/") for one in folders)]
    blobs = tuple(sorted(ctx.kit.blobs))  # now: the main checkout may change before the proof
    files = _describe_files(repo, [*stays, *made])
    write_baseline(ctx.dir, SetupBaseline(files, folders, blobs))


def record_idle_paths(ctx: CellContext) -> None:
    """Record what git still finds changed in tracked files after a merge or a reset of ours in a
    worktree that was clean: no agent or person did that (a filter with other bytes each time, modes
    that the disk does not keep)."""
    repo = ctx.worktree_repo
    found = [c.path for c in read_changes(repo, untracked="no") if not c.submodule]
    if found:
        known = read_baseline(ctx.dir)
        files = {**known.files, **_describe_files(repo, found)}
        write_baseline(ctx.dir, replace(known, files=files))
        _warn_of_idle_paths(ctx, found)


def _warn_of_idle_paths(ctx: CellContext, paths: Sequence[str]) -> None:
    if paths:
        text = STAYS.format(paths=format_paths(sorted(paths)), clone=ctx.repo_path)
        ctx.emit(EventKind.CELL_WARNED, reason=text)


def put_back_changes(
    ctx: CellContext,
    head: CommitId,
    who: str,
    before: Mapping[str, str] | None = None,
    *,
    found: Sequence[ChangedPath] | None = None,
) -> bool:
    """Bring branch and tracked files back to ``head``; what ``who`` changed is kept, and named.

    Where work was uncommitted before, only the files around it are put back. ``found``
    are the changes of tracked files, where the caller has just looked. Returns whether there was
    anything to put back.
    """
    repo = ctx.worktree_repo
    changes = read_changes(repo, untracked="no") if found is None else found
    changed = [change.path for change in changes if change.path not in (before or {})]
    moved = repo.head() != head or repo.head_branch() != ctx.cell.branch
    if not changed and not moved:
        return False
    newest = attempts.newest_attempt(ctx.dir)
    number = newest.number if newest is not None else 0
    if before:
        ref = keep_worktree(ctx, number).ref
        repo.without_lfs().run_git(
            "restore", "--staged", "--worktree", "--pathspec-from-file=-", "--pathspec-file-nul",
            input=join_records(changed), env={"GIT_LITERAL_PATHSPECS": "1"},
        )  # fmt: skip
    else:
        ref = put_worktree(ctx, number, head, branch=ctx.cell.branch if moved else None).ref
        restore_submodules(repo, attempt_ref(ctx, number), left_folder(ctx, number))
    now = {change.path for change in read_changes(repo, untracked="no")}
    back = [path for path in changed if path not in now]
    if back or moved:
        paths = format_paths(back) if back else f"its branch {ctx.cell.branch}"
        ctx.emit(EventKind.CELL_WARNED, reason=PUT_BACK.format(who=who, paths=paths, ref=ref))
    return True


def _find_large_folders(repo: Repo, made: Sequence[str]) -> tuple[str, ...]:
    """The new folders that hold most of the new files: what a tool installed."""
    new = [path for path in list_new_paths(repo) if path.endswith("/")]
    return tuple(path.rstrip("/") for path in new
                 if sum(one.startswith(path) for one in made) > MOST // 2)  # fmt: skip


def _describe_files(repo: Repo, paths: Sequence[str]) -> dict[str, BaselineFile]:
    """Content and blob of files in the worktree; links and what cannot be read are left out."""
    files = [path for path in paths if not (repo.path / path).is_symlink() and "\n" not in path]
    files = [path for path in files if hash_file(repo.path / path)]
    if not files:
        return {}
    names = b"".join(os.fsencode(path) + b"\n" for path in files)
    done = repo.without_lfs().run_git("hash-object", "--stdin-paths", input=names)
    return {path: BaselineFile(hash_file(repo.path / path), blob)
            for path, blob in zip(files, done.text.split(), strict=True)}  # fmt: skip
