"""Where merges are checked: warm worktrees of our own, for landing and for cross checks.

One worktree a repository and check at once below `<state>`, kept from one time to the next: moving
a warm one takes a tenth of a second, making one takes ten (git-facts). What is ignored, linked or
copied stays there (caches); everything else is put to exactly the wanted tree first. Nobody works
in them, so what a killed process left half done is simply written over. Beside each
lies `<n>.ready`, written after its set-up: without it, or with other settings, it is set up again.
What a set-up makes and no rule ignores is in no commit of a cell, so it stays, too; `<n>.made.json`
lists it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestr.cell.baseline import SetupBaseline, UnseenPaths
from orchestr.cell.context import CellContext
from orchestr.cell.worktree.operations import abort_operations
from orchestr.cell.worktree.setup import equip_worktree
from orchestr.errors import OrchestrError
from orchestr.files import read_file, read_json, write_atomic, write_json
from orchestr.git.agent_environment import exclude_config
from orchestr.git.repo import CommitId, Repo
from orchestr.git.snapshot import list_new_paths
from orchestr.git.status import read_changes
from orchestr.git.worktree_state import WorktreeFinding, validate_worktree
from orchestr.git.worktrees import add_detached, clear_stale_locks
from orchestr.process.tree import kill_marked
from orchestr.state.results import digest


def bench_marker(path: Path) -> str:
    """ORCHESTR_ATTEMPT_ID of what is checked in the worktree at ``path``.

    The path is in it: another workspace's benches may have the same number.
    """
    return f"bench-{digest(str(path))}"


def checkout_commit(ctx: CellContext, path: Path, commit: CommitId) -> Repo:
    """The worktree at ``path``, set up and showing exactly ``commit``; ``ctx`` is any cell of its
    repository. Raises GitError, WorktreeRefused, ProcessFailed for its set-up.
    """
    repo, layout, settings = ctx.repo, ctx.run.layout, ctx.repo_settings
    kill_marked(bench_marker(path))  # the check of a killed process, still at work here
    ready, made = (path.with_name(f"{path.name}.{end}") for end in ("ready", "made.json"))
    kit = digest("bench with what is made", settings.setup, settings.link, settings.copy)
    verdict = validate_worktree(repo, path, None)
    if verdict.finding not in (WorktreeFinding.OK, WorktreeFinding.WRONG_BRANCH):
        ready.unlink(missing_ok=True)
        add_detached(repo, path, commit, locks=layout.locks_dir)
    if not ready.exists() or read_file(ready).decode("utf-8", "replace") != kit:
        tree = _open_worktree(ctx, path, ())
        _show_commit(tree, commit)
        equip_worktree(ctx, path, path.parent)
        write_json(made, {"paths": [path.rstrip("/") for path in list_new_paths(tree)]})
        write_atomic(ready, kit.encode())
    raw = read_json(made)
    tree = _open_worktree(ctx, path, raw.get("paths", ()) if isinstance(raw, dict) else ())
    _show_commit(tree, commit)
    # A tracked file that differs after a reset differs by its line ends or a filter alone.
    new = [change.path for change in read_changes(tree) if change.is_new or change.submodule]
    if tree.head() != commit or new:
        shown = ", ".join(new[:3]) or "another"
        raise OrchestrError(
            f"{path} does not show {commit[:12]}, but {shown}",
            hint=f"git -C {repo.path} worktree remove --force {path}",
        )
    return tree


def _open_worktree(ctx: CellContext, path: Path, made: Sequence[str]) -> Repo:
    """The worktree, whose git passes over the kit and what the set-up has made."""
    unseen = UnseenPaths(path, ctx.kit, SetupBaseline(folders=tuple(made)))
    config = exclude_config(ctx.repo, ctx.run.layout.excludes_file, unseen.patterns)
    return Repo(path, config=config, unseen=unseen)


def _show_commit(tree: Repo, commit: CommitId) -> None:
    """Write over whatever is there: nobody works here, so there is nothing to keep. Twice
    --force also removes a repository that a check made."""
    clear_stale_locks(tree.path)
    abort_operations(tree)
    git = tree.without_lfs()
    git.run_git("checkout", "--quiet", "--force", "--detach", commit, "--")
    git.run_git("reset", "--quiet", "--hard")  # what a hook of the checkout changed
    kept = tree.unseen.all_patterns if isinstance(tree.unseen, UnseenPaths) else ()
    keep = [word for pattern in kept for word in ("-e", pattern)]
    tree.run_git("clean", "-d", "--force", "--force", "--quiet", *keep)
