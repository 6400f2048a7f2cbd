"""Where evidence is made: a worktree of our own that shows exactly one commit, and nothing else.

It is kept from one commit to the next (`check_pool` owns how many there are): switching a warm one
costs the changed files, making one costs all of them. Before each use everything is taken out of
it that the commit does not hold, ignored or not, but for two things: what the repository's set-up
put there, exactly as that left it (`setup_products`), and the declared caches, as long as the lock
files are the same (`check_inputs`). Nothing comes from the author's worktree.

No agent or person works in it, so what a killed process left half done is written over; a worktree
that cannot be put right is thrown away and made anew. Beside it lie `<n>.json`, written when the
set-up has ended (without it, it is set up again), `<n>.index`, our copy of its index, and
`<n>.logs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestr.cell.baseline import SetupBaseline, UnseenPaths, hash_file
from orchestr.cell.context import CellContext
from orchestr.cell.kit import NO_KIT
from orchestr.cell.ownership import format_paths
from orchestr.cell.worktree.check_inputs import SetupInputs, expand_caches, read_setup_inputs
from orchestr.cell.worktree.discard import move_paths
from orchestr.cell.worktree.node_modules import install_node_modules, list_npm_folders
from orchestr.cell.worktree.operations import abort_operations
from orchestr.cell.worktree.setup import equip_worktree
from orchestr.cell.worktree.setup_products import (
    SetupProducts,
    is_inside,
    record_products,
    remove_except,
    remove_inside,
    restore_products,
)
from orchestr.codec import Record, read_json_record, write_json_record
from orchestr.errors import CorruptState, OrchestrError
from orchestr.git import exact_checkout
from orchestr.git.agent_environment import exclude_config
from orchestr.git.errors import GitError
from orchestr.git.repo import CommitId, Repo
from orchestr.git.status import read_changes
from orchestr.git.worktree_state import WorktreeFinding, validate_worktree
from orchestr.git.worktrees import add_detached, clear_stale_locks, delete_tree, remove_worktree
from orchestr.process.tree import WORKTREE, kill_marked

FIT = (WorktreeFinding.OK, WorktreeFinding.WRONG_BRANCH)


class CheckoutState(Record, frozen=True):
    """`<n>.json`: what a check worktree was set up for, and what that put there."""

    git_dir: str  # see `exact_checkout.describe_git_dir`
    locks: str
    setup: str
    products: SetupProducts
    npm: tuple[str, ...] = ()  # folders that `npm ci` ran in, see `node_modules`


@dataclass(frozen=True, slots=True)
class CheckWorktree:
    """A worktree that shows ``commit``, lent to one caller.

    ``differing`` are tracked files that git finds changed however often they are checked out (line
    ends, filters), with their content.
    """

    path: Path
    commit: CommitId
    tree: Repo
    index: Path
    git_dir: str
    patterns: tuple[str, ...] = ()
    differing: Mapping[str, str] = field(default_factory=dict)

    def find_harm(self) -> list[str]:
        """What programs have changed since it was lent: another commit, tracked files, index
        flags, settings of the checkout. New files are none."""
        return self._look()[0]

    def end_round(self, left: Path) -> list[str]:
        """The same, and move what is new and not ignored to the folder ``left``: it may be asked
        for."""
        harm, names = self._look()
        if names:
            with suppress(OSError):
                move_paths(self.path, names, left)
        return harm

    def _look(self) -> tuple[list[str], list[str]]:
        """The harm in words, and the new files, by one look at all files."""
        if exact_checkout.describe_git_dir(self.path) != self.git_dir:
            return ["the checkout was damaged"], []
        try:
            moved = self.tree.head() != self.commit or self.tree.head_branch() is not None
            flagged = exact_checkout.list_flagged(self.tree)
            changes = read_changes(self.tree, env={"GIT_INDEX_FILE": str(self.index)})
        except GitError:  # a fault of the machine is none of the checkout's
            return ["the checkout was damaged"], []
        changed = [
            one.path
            for one in changes
            if not one.is_new and self.differing.get(one.path) != hash_file(self.path / one.path)
        ]
        harm = ["something else was checked out"] if moved else []
        if changed:
            harm.append(f"tracked files of the worktree were changed: {format_paths(changed)}")
        if flagged:
            harm.append(f"index flags were set that hide files: {format_paths(flagged)}")
        return harm, [one.path.rstrip("/") for one in changes if one.is_new]


def show_commit(
    ctx: CellContext,
    path: Path,
    commit: CommitId,
    kind: str = "checks",
    *,
    runs_checks: bool = True,
) -> CheckWorktree:
    """The worktree at ``path``, set up and showing exactly ``commit``; ``ctx`` is any cell of its
    repository. The caller has it for itself. ``kind``: see `equip_worktree`. Without
    ``runs_checks`` it is only read. Raises GitError, PhaseFailed for its set-up.
    """
    kill_marked(str(path), variable=WORKTREE)  # of a process that was killed, still at work here
    if ctx.repo.resolve_commit(commit) is None:
        raise GitError(f"{ctx.repo.path} has no commit {commit[:12]}")
    try:
        return _show_commit(ctx, path, commit, kind, runs_checks)
    except (GitError, OSError):
        discard_check_worktree(ctx.repo, path, locks=ctx.run.layout.locks_dir)
        return _show_commit(ctx, path, commit, kind, runs_checks)


def discard_check_worktree(repo: Repo, path: Path, *, locks: Path) -> None:
    """Remove the worktree and all that belongs to it, whatever state it is in."""
    for file in path.parent.glob(f"{path.name}.*"):
        if file.is_file():
            file.unlink(missing_ok=True)
    with suppress(OrchestrError):
        remove_worktree(repo, path, locks=locks, force=True)
    for left in (path, _logs_folder(path)):
        delete_tree(left)


def _state_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _index_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.index")


def _logs_folder(path: Path) -> Path:
    return path.with_name(f"{path.name}.logs")


def _show_commit(
    ctx: CellContext, path: Path, commit: CommitId, kind: str, runs_checks: bool
) -> CheckWorktree:
    state, index = _open_state(ctx, path, commit), _index_file(path)
    tree = Repo(path, config=exact_checkout.CHECKOUT_CONFIG)
    clear_stale_locks(path)
    abort_operations(tree)
    exact_checkout.switch_worktree(tree, commit, index)
    for name in exact_checkout.list_flagged(tree):  # written where a sparse checkout has nothing
        remove_inside(path, name)
    inputs = read_setup_inputs(ctx, tree)
    caches = expand_caches(ctx, tree) if state and state.locks == inputs.locks else ()
    npm = list_npm_folders(ctx, path) if runs_checks else ()
    same = state is not None and state.setup == inputs.setup
    products = state.products if state and same and set(npm) <= set(state.npm) else None
    if products is not None and not restore_products(path, products, caches):
        products = None
    kept = (*(products.tops if products else ()), *caches)
    untracked = exact_checkout.list_untracked(tree)
    is_changed = products is None or not all(is_inside(name, kept) for name in untracked)
    for name in untracked if is_changed else ():
        remove_except(path, name, kept)
    if products is None:
        known = state.npm if state and same else ()  # of other features' checks
        npm = tuple(dict.fromkeys((*known, *npm))) if runs_checks else ()
        state = _set_up(ctx, tree, commit, inputs, kind, npm)
    assert state is not None
    kept = tuple(dict.fromkeys((*state.products.tops, *expand_caches(ctx, tree))))
    for name in exact_checkout.list_untracked(tree) if is_changed else ():
        if not is_inside(name, kept) and not any(k.startswith(name) for k in kept):
            raise GitError(f"{path} cannot be cleaned: {name} stays")
    unseen = UnseenPaths(path, NO_KIT, SetupBaseline(folders=kept))
    excludes = exclude_config(ctx.repo, ctx.run.layout.excludes_file, unseen.patterns)
    return CheckWorktree(
        path,
        commit,
        Repo(path, config={**tree.config, **excludes}, unseen=unseen),
        index,
        state.git_dir,
        unseen.patterns,
        {p: hash_file(path / p) for p in exact_checkout.list_tracked_changes(tree, index)},
    )


def _open_state(ctx: CellContext, path: Path, commit: CommitId) -> CheckoutState | None:
    """What is known of the worktree, which is there afterwards; None for one that was just made."""
    repo, locks = ctx.repo, ctx.run.layout.locks_dir
    state = None
    with suppress(CorruptState):
        state = read_json_record(_state_file(path), CheckoutState)
    fit = validate_worktree(repo, path, None).finding in FIT and _index_file(path).exists()
    if fit and state is not None and state.git_dir == exact_checkout.describe_git_dir(path):
        return state
    discard_check_worktree(repo, path, locks=locks)
    quiet = repo.at_path(repo.path, config=exact_checkout.CHECKOUT_CONFIG)
    add_detached(quiet, path, commit, locks=locks)
    return None


def _set_up(
    ctx: CellContext,
    tree: Repo,
    commit: CommitId,
    inputs: SetupInputs,
    kind: str,
    npm: tuple[str, ...],
) -> CheckoutState:
    """Set the worktree up, which holds the commit and caches alone; what came of it."""
    path = tree.path
    _state_file(path).unlink(missing_ok=True)
    for name in inputs.submodules:
        if (path / name).is_dir() and not (path / name).is_symlink():
            for inside in list((path / name).iterdir()):
                remove_inside(path, f"{name}/{inside.name}")
    equip_worktree(ctx, path, _logs_folder(path), kind)
    install_node_modules(ctx, path, npm, _logs_folder(path), kind)
    exact_checkout.switch_worktree(tree, commit, _index_file(path))
    caches = expand_caches(ctx, tree)
    filled = [name for name in inputs.submodules if (path / name).is_dir()]  # or empty ones
    made = [n for n in exact_checkout.list_untracked(tree) if not is_inside(n, caches)]
    products = record_products(path, (*made, *filled), caches)
    state = CheckoutState(
        exact_checkout.describe_git_dir(path), inputs.locks, inputs.setup, products, npm
    )
    write_json_record(_state_file(path), state)
    return state
