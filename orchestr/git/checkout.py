"""Check out the files of a worktree, and complete a checkout that was killed.

Owns what happens between ``worktree add --no-checkout`` and a worktree fit for work; leaves
making, judging and removing worktrees to `orchestr.git.worktrees`.

What survives a crash: git writes the index last, so a worktree without an index is one whose
checkout did not end. Completing it never replaces a file that holds anything but the beginning
of what the commit has there (a file that the kill cut short).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestr.git.errors import GitError, git_failed
from orchestr.git.repo import CommitId, Repo
from orchestr.git.runner import ANY_EXIT, YES_OR_FATAL, YES_OR_NO, join_records, split_records
from orchestr.git.status import list_idle_paths

_PATIENCE = 900.0  # s, for a checkout that a killed orchestrator left running
_CHECKOUT = {"checkout.workers": "0"}  # one per core (git-facts, 9.4 -> 5.4 s)


def is_index_missing(git_dir: Path) -> bool:
    """Whether the checkout of the worktree with this git dir has not ended yet."""
    return not (git_dir / "index").exists()


def complete_checkout(tree: Repo) -> None:
    """Check out HEAD into a worktree that has no index; hooks run as in ``worktree add``.

    Files that are there already stay. Raises GitError when files are missing afterwards (a full
    disk); the index is then taken away again, so that a later call knows.
    """
    git_dir = tree.git_dir()
    _wait_for_git(tree.path, git_dir)
    if not is_index_missing(git_dir):
        return
    quick = tree.at_path(tree.path, config=_CHECKOUT).without_lfs()
    done = quick.run_with_retry("checkout")
    if is_index_missing(git_dir):
        if b"would be overwritten" not in done.err:
            raise git_failed(done, str(tree.path))
        _add_missing_files(quick, git_dir)
    # The exit code is the post-checkout hook's (git-lfs' own fails where git-lfs is missing),
    # and a full disk may still give 0: what counts is whether files are missing.
    if done.code != 0 or b"error:" in done.err:
        missing = split_records(quick.run_readonly("ls-files", "--deleted", "-z").out)
        if missing:
            (git_dir / "index").unlink(missing_ok=True)
            raise GitError(
                f"checking out {tree.path} left {len(missing)} files out, {missing[0]!r} first: "
                + done.err.decode("utf-8", "replace").strip()[-500:],
                hint="free some disk space, then run the same command again",
                completed=done,
            )


def add_deleted_files(tree: Repo, paths: Sequence[str]) -> None:
    """Write tracked files again that are gone from the disk. A file that is there stays."""
    words = ("checkout-index", "--quiet", "-z", "--stdin")
    tree.without_lfs().run_git(*words, input=join_records(paths), answers=ANY_EXIT)


@contextmanager
def clear_the_way(tree: Repo, commit: CommitId) -> Iterator[None]:
    """While a merge of ``commit`` runs: files that git finds changed though they were not
    edited are not there, or it would refuse to write over them. Killed in between, they are missing
    files."""
    head = tree.head()
    idle = list_idle_paths(tree)
    touched = set(tree.changed_paths(head, commit)) if head is not None and idle else set()
    gone = [path for path in idle if path in touched]
    for path in gone:
        (tree.path / path).unlink()
    try:
        yield
    finally:
        if gone:
            words = ("ls-files", "--deleted", "-z")
            missing = set(split_records(tree.run_readonly(*words).out))
            add_deleted_files(tree, [path for path in gone if path in missing])


def _add_missing_files(tree: Repo, git_dir: Path) -> None:
    """Add what is missing beside files that are there (a checkout was killed, or worse).

    The index is made beside its place and renamed last: killed here, too, it is missing.
    """
    index = git_dir / "index.orchestr"
    index.unlink(missing_ok=True)
    env = {"GIT_INDEX_FILE": str(index)}
    tree.run_git("read-tree", "HEAD", env=env)
    # Existing files stay as they are, and make it exit with 1.
    tree.run_git("checkout-index", "--all", "--index", "--quiet", answers=ANY_EXIT, env=env)
    tree.run_git("update-index", "-q", "--refresh", answers=YES_OR_NO, env=env)
    for path in split_records(tree.run_git("diff-files", "--name-only", "-z", env=env).out):
        if _is_truncated(tree, path):
            words = ("checkout-index", "--force", "--index", "--", path)
            tree.run_git("--literal-pathspecs", *words, env=env)
    index.replace(git_dir / "index")


def _is_truncated(tree: Repo, path: str) -> bool:
    """Whether a file is but the beginning of what a checkout writes there."""
    here = tree.path / path
    if here.is_symlink() or not here.is_file():
        return False
    wanted = tree.run_readonly("cat-file", "--filters", f"HEAD:{path}", answers=YES_OR_FATAL)
    have = here.stat().st_size
    if wanted.code != 0 or have >= len(wanted.out):
        return False
    return here.read_bytes() == wanted.out[:have]


def clear_stale_locks(worktree: Path) -> tuple[Path, ...]:
    """Remove the locks of this worktree and its branch that a killed git left here.

    Removes them only when no git process runs in this worktree. The caller makes sure that no
    agent runs there (no process with the attempt's marker). Returns what was removed.
    """
    tree = Repo(worktree)
    try:
        git_dir, branch = tree.git_dir(), tree.head_branch()
    except GitError:
        return ()  # damaged: `repair_worktree` comes first
    left = [*git_dir.glob("*.lock"), *git_dir.glob("logs/*.lock")]
    if branch:
        ours = ("refs/heads", "logs/refs/heads")
        locks = (tree.common_dir() / place / f"{branch}.lock" for place in ours)
        left += [path for path in locks if path.exists()]
    if not left or is_git_running_in(worktree):
        return ()
    for path in left:
        path.unlink(missing_ok=True)
    return tuple(left)


def is_git_running_in(worktree: Path) -> bool:
    """Whether a git process has its working directory in this worktree."""
    import psutil

    top = str(worktree.resolve())
    for process in psutil.process_iter(["name"]):
        name = process.info["name"] or ""
        if name != "git" and not name.startswith("git-"):
            continue
        with suppress(psutil.Error, OSError):
            where = process.cwd()
            if where == top or where.startswith(top + os.sep):
                return True
    return False


def _wait_for_git(worktree: Path, git_dir: Path) -> None:
    """Wait for a checkout that outlived its orchestrator; clear the lock of one that was killed."""
    lock = git_dir / "index.lock"
    deadline = time.monotonic() + _PATIENCE
    while lock.exists() and is_git_running_in(worktree):
        if time.monotonic() > deadline:
            raise GitError(
                f"a git process has been working in {worktree} for {_PATIENCE:.0f} s",
                hint=f"see what it does, end it, then remove {lock}",
            )
        time.sleep(0.1)
    if lock.exists():
        clear_stale_locks(worktree)
