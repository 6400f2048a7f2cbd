"""Everything that is in a worktree as one commit, and what no commit can hold.

Owns `take_snapshot`, which must come before anything is reset, cleaned or removed. The snapshot is
compared with the worktree afterwards: `Snapshot.unkept` names what did not get into it (a
repository inside, a file that cannot be read), whatever the reason. The worktree and its index stay
as they are; the commit is held by no ref yet.

What index flags hide (`orchestr.git.hidden_files`) is a change, too: a reset would write over it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestr.git.errors import GitError
from orchestr.git.hidden_files import find_hidden, reveal_hidden
from orchestr.git.index_entries import GITLINK
from orchestr.git.inner_repositories import stage_all
from orchestr.git.repo import CommitId, Repo
from orchestr.git.runner import ANY_EXIT, join_records, split_records
from orchestr.git.status import ChangedPath, read_changes

IDENTITY = {
    "GIT_AUTHOR_NAME": "orchestr",
    "GIT_AUTHOR_EMAIL": "orchestr@localhost",
    "GIT_COMMITTER_NAME": "orchestr",
    "GIT_COMMITTER_EMAIL": "orchestr@localhost",
}
# A file with mixed line ends is kept, not refused; our index stands alone in its folder.
_KEEPING = {"advice.addEmbeddedRepo": "false", "core.safecrlf": "false", "core.splitIndex": "false"}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``commit``: HEAD and all that is uncommitted, None when there is nothing at all.

    ``unkept`` are paths that it does not hold; ``submodules`` those with changes of their own,
    which live in the submodule's repository.
    """

    commit: CommitId | None
    unkept: tuple[str, ...] = ()
    submodules: tuple[str, ...] = ()


def take_snapshot(tree: Repo, message: str) -> Snapshot:
    """Store HEAD and everything uncommitted as a commit. On an unborn branch it has no parent."""
    head, changes, hidden = tree.head(), read_changes(tree, untracked="all"), find_hidden(tree)
    if head is not None and not changes and not hidden:
        return Snapshot(head)
    with tempfile.TemporaryDirectory(prefix="orchestr-index-") as folder:
        scratch = tree.at_path(tree.path, config=_KEEPING).without_lfs()
        env = {**IDENTITY, "GIT_INDEX_FILE": str(Path(folder, "index"))}
        try:
            _fill_index(scratch, Path(folder, "index"), env, hidden)
        except GitError:  # the index cannot be read: HEAD is the next best thing to compare with
            Path(folder, "index").unlink(missing_ok=True)
            if head is not None:
                scratch.run_git("read-tree", "HEAD", env=env)
        strangers = [c.path for c in changes if c.is_new and c.path.endswith("/")]
        _add_all(scratch, strangers, env)
        scratch.unstage_unseen(env)
        tree_id = scratch.run_git("write-tree", env=env).text.strip()
        rest = [c for c in read_changes(scratch, untracked="all", env=env) if c.worktree != "."]
        staged = _commit_staged(scratch, changes, head, message, env)
        unkept = tuple(c.path.rstrip("/") for c in rest if not c.submodule)
        submodules = tuple(c.path for c in rest if c.submodule)
        if head is not None and staged is None and tree_id == scratch.resolve_tree(head):
            return Snapshot(head, unkept, submodules)
        if head is None and not scratch.run_git("ls-files", "--cached", "-z", env=env).out:
            return Snapshot(None, unkept, submodules)
        parents = [word for one in (head, staged) if one for word in ("-p", one)]
        made = scratch.run_git("commit-tree", tree_id, *parents, "-m", message, env=env)
        return Snapshot(CommitId(made.text.strip()), unkept, submodules)


def list_new_paths(tree: Repo) -> list[str]:
    """What is new and not ignored; a folder that is new as a whole counts once, with a last `/`."""
    words = ("ls-files", "--others", "--exclude-standard", "--directory", "-z")
    return split_records(tree.run_readonly(*words).out)


def _fill_index(
    tree: Repo, place: Path, env: Mapping[str, str], hidden: Mapping[str, list[str]]
) -> None:
    """A copy of the index: it knows the files' times, so only what changed is read."""
    index = tree.git_dir() / "index"
    if not index.exists():
        raise GitError(f"{tree.path} has no index")
    shutil.copy2(index, place)
    reveal_hidden(tree, hidden, env)
    tree.run_git("ls-files", "--unmerged", "-z", env=env)  # fails for an index that is damaged


def _add_all(tree: Repo, without: Sequence[str], env: Mapping[str, str]) -> None:
    """Add what can be added. A repository inside may make git give up, so it is left out."""
    left_out = tuple(path.rstrip("/") for path in without)
    stage_all(tree, "--ignore-errors", env=env, without=left_out, answers=ANY_EXIT)


def _commit_staged(
    tree: Repo,
    changes: Sequence[ChangedPath],
    head: CommitId | None,
    message: str,
    env: Mapping[str, str],
) -> CommitId | None:
    """What was staged and then changed again, as a commit of its own; None for nothing."""
    mine = [c for c in changes if c.blob and c.index not in ".D" and c.worktree != "."]
    mine = [c for c in mine if c.mode != GITLINK]
    if not mine:
        return None
    index = Path(env["GIT_INDEX_FILE"])
    other = shutil.copy2(index, index.with_name("staged"))
    lines = join_records(f"{c.mode} {c.blob}\t{c.path}" for c in mine)
    env = {**env, "GIT_INDEX_FILE": str(other)}
    tree.run_git("update-index", "-z", "--index-info", input=lines, env=env)
    made = tree.run_git("write-tree", env=env).text.strip()
    parents = ["-p", head] if head is not None else []
    done = tree.run_git("commit-tree", made, *parents, "-m", f"staged, {message}", env=env)
    return CommitId(done.text.strip())
