"""Where merges are checked: warm worktrees of our own, for landing and for cross checks.

One worktree a repository and check at once below `<state>`, kept from one time to the next: moving
a warm one takes a tenth of a second, making one takes ten (git-facts). What is ignored, linked or
copied stays there (caches); everything else is put to exactly the wanted tree first. Nobody works
in them, so what a killed process left half done is simply written over. Beside each
lies `<n>.ready`, written after its set-up: without it, or with other settings, it is set up again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestr.cell.baseline import UnseenPaths
from orchestr.cell.context import CellContext
from orchestr.cell.worktree.operations import abort_operations
from orchestr.cell.worktree.setup import equip_worktree
from orchestr.errors import OrchestrError
from orchestr.files import write_atomic
from orchestr.git.agent_environment import exclude_config
from orchestr.git.repo import CommitId, Repo
from orchestr.git.snapshot import read_changes
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
    ready = path.with_name(f"{path.name}.ready")
    kit = digest("bench", settings.setup, settings.link, settings.copy)
    verdict = validate_worktree(repo, path, None)
    if verdict.finding not in (WorktreeFinding.OK, WorktreeFinding.WRONG_BRANCH):
        ready.unlink(missing_ok=True)
        add_detached(repo, path, commit, locks=layout.locks_dir)
    tree = Repo(
        path,
        config=exclude_config(repo, layout.excludes_file, ctx.kit.patterns),
        unseen=UnseenPaths(path, ctx.kit) if ctx.kit.specs else None,
    )
    clear_stale_locks(path)
    abort_operations(tree)
    _show_commit(tree, commit, ctx.kit.patterns)
    if not ready.exists() or ready.read_text(encoding="utf-8") != kit:
        equip_worktree(ctx, path, path.parent)
        _show_commit(tree, commit, ctx.kit.patterns)
        write_atomic(ready, kit.encode())
    # A tracked file that differs after a reset differs by its line ends or a filter alone.
    new = [change.path for change in read_changes(tree) if change.is_new or change.submodule]
    if tree.head() != commit or new:
        shown = ", ".join(new[:3]) or "another"
        raise OrchestrError(
            f"{path} does not show {commit[:12]}, but {shown}",
            hint=f"git -C {repo.path} worktree remove --force {path}",
        )
    return tree


def _show_commit(tree: Repo, commit: CommitId, kept: Sequence[str]) -> None:
    """Write over whatever is there: nobody works here, so there is nothing to keep. Twice
    --force also removes a repository that a check made."""
    git = tree.without_lfs()
    git.run_git("checkout", "--quiet", "--force", "--detach", commit, "--")
    git.run_git("reset", "--quiet", "--hard")  # what a hook of the checkout changed
    keep = [word for pattern in kept for word in ("-e", pattern)]
    tree.run_git("clean", "-d", "--force", "--force", "--quiet", *keep)
