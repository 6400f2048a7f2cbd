"""Nothing is destroyed before its copy is verified: the one way to reset, clean or remove.

Owns `put_worktree` and `remove_cell_worktree`, which every place uses that takes anything away from
a cell's worktree. First all of it is stored as a commit below `refs/orchestr/attempts/`; then every
path that git would touch is compared with that commit, and what it does not hold (a repository
inside, a file that cannot be read, an ignored file in the way of a tracked one) is moved to the
folder `left` of the attempt. Only then something is reset or removed. An error leaves all as it is.

Ignored files are git's word for what can be made again: they are left alone by a reset, and go
with the worktree.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.cell.ownership import format_paths
from orchestr.cell.worktree.operations import abort_operations
from orchestr.cell.worktree.salvage import attempt_ref, find_free_ref, keep_worktree
from orchestr.git.index_entries import GITLINK
from orchestr.git.inner_repositories import open_inner
from orchestr.git.repo import CommitId, Repo
from orchestr.git.runner import ANY_EXIT, split_records
from orchestr.git.snapshot import Snapshot, take_snapshot
from orchestr.git.status import read_changes
from orchestr.git.worktrees import NotDeleted, remove_worktree
from orchestr.state.attempts import attempt_folder


@dataclass(frozen=True, slots=True)
class KeptWork:
    """Where what was there is now: a commit, the ref that holds it, and paths below ``left``.

    There is no commit where there was neither one nor a file.
    """

    commit: CommitId | None
    ref: str
    left: Path
    moved: tuple[str, ...] = ()
    undeleted: NotDeleted | None = None  # the worktree is gone, but not all of its files


def left_folder(ctx: CellContext, number: int) -> Path:
    """Where an attempt's leftovers go that no commit can hold."""
    return attempt_folder(ctx.dir, number) / "left"


def put_worktree(
    ctx: CellContext,
    number: int,
    target: CommitId,
    *,
    branch: str | None = None,
    detach: bool = False,
    clean: bool = False,
) -> KeptWork:
    """Bring tracked files to ``target``; new files stay, unless ``clean``.

    What is checked out moves along; or HEAD is put on ``branch``, which moves to ``target``; or
    HEAD is detached. Raises OrchestrError, and then nothing was taken away.
    """
    repo = ctx.worktree_repo
    kept = _keep_all(ctx, number, target, clean=clean)
    abort_operations(repo)
    git = repo.without_lfs()
    if branch is not None:
        _move_branch(ctx, number, branch, target)
    if branch is not None or detach:
        words = (branch,) if branch is not None else ("--detach", target)
        git.run_git("checkout", "--quiet", "--force", "--no-recurse-submodules", *words)
    # Also after a checkout, whose hook may have changed files; a reset runs none.
    git.run_git("reset", "--quiet", "--hard", target)
    if clean:
        # Options outrank a `.gitignore` of the repository that shows what set-up brought.
        keep = [word for pattern in ctx.unseen.all_patterns for word in ("-e", pattern)]
        git.run_git("clean", "-d", "--force", "--quiet", *keep)
        restore_submodules(repo, attempt_ref(ctx, number), kept.left)
    return kept


def remove_cell_worktree(ctx: CellContext, number: int) -> KeptWork:
    """Keep all that is in the cell's worktree, then remove it. Its branch stays.

    Raises OrchestrError: a submodule holds what is nowhere else, something cannot be kept.
    """
    refuse_submodule_work(ctx)
    kept = _keep_all(ctx, number, None, clean=True)
    locks = ctx.run.layout.locks_dir
    try:
        remove_worktree(ctx.worktree_owner, ctx.worktree, locks=locks, force=True)
    except NotDeleted as error:
        return replace(kept, undeleted=error)
    return kept


def move_new_files(ctx: CellContext, left: Path) -> list[str]:
    """Move away what is new and not ignored: it would end in the next commit. Says what, if any.

    A submodule stays where it is; what is new inside it is moved out of it.
    """
    repo, names = ctx.worktree_repo, []
    for change in read_changes(repo):
        if change.is_new:
            names.append(change.path.rstrip("/"))
        elif "U" in change.submodule:
            names += [f"{change.path}/{name}" for name in _list_new_files(repo, change.path)]
    if not names:
        return []
    place = move_paths(ctx.worktree, names, left)
    return [f"new files of the worktree were moved to {place}: {format_paths(names)}"]


def restore_submodules(tree: Repo, ref: str, left: Path) -> None:
    """Put every submodule back on the commit that the worktree names, and clean it.

    What it held is kept first: a commit below ``ref`` in its own repository, and what is new also
    below ``left``. One whose commit is not there stays as it is.
    """
    for change in read_changes(tree, untracked="no"):
        if not change.submodule or not _is_filled(tree.path / change.path):
            continue
        inner = open_inner(tree, change.path)
        wanted = split_records(tree.run_readonly("ls-files", "-s", "-z", "--", change.path).out)
        commit = wanted[0].split()[1] if wanted else ""
        kept = take_snapshot(inner, "left in a submodule")
        if not commit or inner.resolve_commit(commit) is None or kept.commit is None:
            continue
        inner.update_ref(f"{ref}-{kept.commit[:12]}", kept.commit)
        new = _list_new_files(tree, change.path)
        if new:
            move_paths(inner.path, new, left / change.path)
        inner.run_git("checkout", "--quiet", "--force", "--detach", commit)
        restore_submodules(inner, ref, left / change.path)


def refuse_submodule_work(ctx: CellContext) -> None:
    """Raises OrchestrError for a submodule with commits or changes that are nowhere else.

    Its repository lies in the worktree's own git folder and goes with it.
    """
    tree = ctx.worktree_repo
    modules = tree.git_dir() / "modules"
    if not modules.is_dir():
        return
    for change in read_changes(tree, untracked="no"):
        if change.submodule and _is_filled(tree.path / change.path):
            inner = tree.path / change.path
            dirty = read_changes(open_inner(tree, change.path))
            if dirty:
                raise ctx.fail(
                    f"the submodule {change.path} of {tree.path} has changes that are not"
                    f" committed: {format_paths([one.path for one in dirty])}",
                    hint=f"commit and push them, or take them away: git -C {inner} status",
                )
    for head in sorted(modules.rglob("HEAD")):
        folder = head.parent
        if not (folder / "objects").is_dir() or not (folder / "config").is_file():
            continue
        # Its `core.worktree` may name a folder that is gone; only its objects are asked.
        env = {"GIT_DIR": str(folder), "GIT_WORK_TREE": str(folder), "GIT_NO_LAZY_FETCH": "1"}
        inside = Repo(folder, env=env)
        known = [one for one in _list_gitlinks(ctx) if inside.resolve_commit(one) is not None]
        words = ("rev-list", "--max-count=1", "--all", "HEAD", "--not", "--remotes", *known, "--")
        done = inside.run_readonly(*words, answers=ANY_EXIT)
        if done.code != 0 or done.out.strip():
            name = folder.relative_to(modules)
            raise ctx.fail(
                f"the submodule {name} of {tree.path} has commits that were not pushed",
                hint=f"look at them and push them: git -C {folder} log --all --not --remotes",
            )


def _list_gitlinks(ctx: CellContext) -> list[str]:
    """The commits of submodules that the cell's base names: they are at their origin."""
    claim = ctx.run.registry.lookup(ctx.key)
    if claim is None or ctx.repo.resolve_commit(claim.base) is None:
        return []
    lines = split_records(ctx.repo.run_readonly("ls-tree", "-r", "-z", claim.base).out)
    return [line.split()[2] for line in lines if line.startswith(GITLINK)]


def _move_branch(ctx: CellContext, number: int, branch: str, target: CommitId) -> None:
    """Put a branch on ``target``; where it stood is kept below the attempt's ref."""
    at = ctx.repo.resolve_commit(f"refs/heads/{branch}")
    if at is not None and at != target:
        ref = find_free_ref(ctx, f"{attempt_ref(ctx, number)}-moved", at)
        ctx.repo.update_ref(ref, at)
    if at != target:
        ctx.repo.update_ref(f"refs/heads/{branch}", target, at)


# --- what git would touch ------------------------------------------------------------------


def _keep_all(ctx: CellContext, number: int, target: CommitId | None, *, clean: bool) -> KeptWork:
    """Store the worktree as a commit, and move away what it does not hold."""
    repo = ctx.worktree_repo
    stored = keep_worktree(ctx, number)
    lost = _find_unkept(repo, stored.snapshot, target, clean=clean)
    left = left_folder(ctx, number)
    if lost:
        try:
            left = move_paths(ctx.worktree, lost, left)
        except OSError as error:
            raise ctx.fail(
                f"{format_paths(lost)} of {ctx.worktree} cannot be kept, so nothing was taken away:"
                f" {error.strerror or error}",
                hint=f"look into it: git -C {ctx.worktree} status",
            ) from error
    return KeptWork(stored.snapshot.commit, stored.ref, left, tuple(lost))


def _find_unkept(repo: Repo, shot: Snapshot, target: CommitId | None, *, clean: bool) -> list[str]:
    """The paths that a reset to ``target`` would write over or delete and that are not kept.

    ``target`` None: all of the worktree goes.
    """
    lost = dict.fromkeys(shot.unkept if clean or target is None or shot.commit is None else ())
    if target is None or shot.commit is None:
        return list(lost)
    words = ("diff-tree", "-r", "-z", "--raw", "--no-renames", shot.commit, target, "--")
    records = split_records(repo.run_readonly(*words).out)
    heads = dict(zip(records[1::2], (head.split() for head in records[::2]), strict=True))
    for path, (before, after, _, _, letter) in heads.items():
        if before == f":{GITLINK}" and after != GITLINK:
            if clean and _is_filled(repo.path / path):
                lost[path] = None  # git leaves its folder, and `clean` passes over repositories
        elif letter == "A":
            at = _find_in_the_way(repo.path, path)
            if at is not None and at not in heads.keys() - {path}:
                lost[at] = None
        elif any(path == one or path.startswith(f"{one}/") for one in shot.unkept):
            lost[path] = None
    return list(lost)


def _find_in_the_way(top: Path, path: str) -> str | None:
    """What lies where a tracked file will be written and is in no commit: ignored by git."""
    parts = path.split("/")
    for count in range(1, len(parts)):
        here = top.joinpath(*parts[:count])
        if here.is_symlink() or here.is_file():
            return "/".join(parts[:count])
        if not here.is_dir():
            return None
    return path if os.path.lexists(top / path) else None


def _is_filled(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and any(folder.iterdir())


def _list_new_files(tree: Repo, submodule: str) -> list[str]:
    inner = open_inner(tree, submodule)
    return [c.path.rstrip("/") for c in read_changes(inner) if c.is_new]


def move_paths(top: Path, names: Sequence[str], left: Path) -> Path:
    """Move paths of the worktree to ``left``, or beside it where one name is taken there."""
    place, copy = left, 1
    while any(os.path.lexists(place / name) for name in names):
        copy += 1
        place = left.with_name(f"{left.name}.{copy}")
    for name in _outermost(names):
        target = place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(top / name, target)
    return place


def _outermost(names: Iterable[str]) -> list[str]:
    found: list[str] = []
    for name in sorted(names):
        if not any(name.startswith(f"{one}/") for one in found):
            found.append(name)
    return found
