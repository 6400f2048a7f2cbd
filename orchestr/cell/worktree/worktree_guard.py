"""While checks and reviewers run: what they change of an author's worktree is put back.

Reviewers and checks may find out where it is, and with `checks_in = "worktree"` checks run in it.
All must leave its commit, its branch and its files alone, and the clone around it (`clone_guard`).
What was changed is first kept under the attempt's ref, then undone. Files that a check leaves
behind and no rule ignores are moved out of the way; that is no harm. A commit on the branch that
their git did not make is a person's: nothing is undone, and what they answer about the former head
does not count.

A killed run leaves its check at work: `checks_marker` finds it, and it is ended before anything
else is done in that worktree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.cell.ownership import format_paths
from orchestr.cell.worktree import branch_guard
from orchestr.cell.worktree.clone_snapshot import git_commands
from orchestr.cell.worktree.discard import move_new_files, put_worktree, restore_submodules
from orchestr.cell.worktree.operations import unfinished_operation
from orchestr.cell.worktree.salvage import attempt_ref
from orchestr.files import read_json, write_json
from orchestr.git.repo import CommitId
from orchestr.git.status import read_changes
from orchestr.git.trace import moved_ref
from orchestr.process.tree import kill_marked
from orchestr.spec.phases import Action
from orchestr.state import attempts
from orchestr.state.events import EventKind
from orchestr.state.results import digest


@dataclass(slots=True)
class GuardReport:
    """What was found changed: sentences for people, empty when all was well.

    ``harm`` is in the worktree and its branch, ``outside`` in the clone and the workspace.
    ``person_commit`` is what a person put the branch on meanwhile; it stays.
    """

    harm: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    person_commit: CommitId | None = None


def checks_marker(ctx: CellContext) -> str:
    """ORCHESTR_ATTEMPT_ID of the cell's checks, which run one after the other.

    It is the same in every run: what a killed one left can be found.
    """
    return f"{ctx.key}/checks/{digest(str(ctx.dir))}"


def kill_leftover_checks(ctx: CellContext) -> int:
    """End the checks that a killed run left at work; how many processes there were."""
    return kill_marked(checks_marker(ctx))


@contextmanager
def guard_worktree(
    ctx: CellContext,
    head: CommitId,
    record: Path,
    left: Path,
    void: Callable[[], object] = lambda: None,
    *,
    branch_only: bool = False,
) -> Iterator[GuardReport]:
    """Watch the cell's worktree, which stands clean on ``head``; put it back afterwards.

    New files that no rule ignores are moved to the folder ``left``. ``void`` is called after any
    harm, while a kill would still show that: it takes away what its doers have answered. Raises
    PhaseFailed at the end where a person committed meanwhile; the next run takes that commit.

    ``branch_only``: what is guarded against works elsewhere, in a checkout of its own. So only the
    branch is put back; what changes in the files of the worktree is a person's.
    """
    guard = GuardReport()
    row = {"schema": 1, "head": head, "left": str(left)}
    write_json(record, {**row, "branch_only": True} if branch_only else row)
    branch_guard.snapshot_for_guard(ctx)
    try:
        yield guard
    finally:
        guard.outside += _restore_clone(ctx)  # first: a planted hook would run in our name
        guard.person_commit = _find_person_commit(ctx, head)
        if guard.person_commit is None:
            guard.harm += _find_moved_branch(ctx, head) if branch_only else find_harm(ctx, head)
        if guard.outside or guard.harm:
            void()
        if guard.harm:
            _reset_to_head(ctx, head)
        if guard.person_commit is None and not branch_only:
            move_new_files(ctx, left)
        record.unlink(missing_ok=True)
    if guard.person_commit is not None:
        raise ctx.fail(
            f"a person put {ctx.cell.branch} on commit {guard.person_commit[:12]} while "
            f"{head[:12]} was checked or reviewed; the commit stays, the results do not count",
            hint=f"orchestr run {ctx.name} takes that commit as its head (no agent starts for it)",
        )


def recover_worktree(ctx: CellContext, record: Path) -> None:
    """After a kill in between: the same, by the record.

    Nobody can tell who moved the branch meanwhile, a reviewer that went on or a person: it is put
    back, and PhaseFailed says where the commits are. The next run starts from what it finds.
    """
    if not record.exists():
        return
    kill_leftover_checks(ctx)
    raw = read_json(record)
    moved, found = None, []
    if isinstance(raw, dict) and isinstance(raw.get("head"), str):
        _forget_harmful_opinions(ctx, _restore_clone(ctx))
        head = ctx.repo.resolve_commit(raw["head"])
        if ctx.worktree.is_dir() and head is not None:
            tip = ctx.repo.resolve_commit(f"refs/heads/{ctx.cell.branch}")
            moved = tip if belongs_on_branch(ctx) and tip != head else None
            if raw.get("branch_only") is True:
                found = _find_moved_branch(ctx, head)
                if found:
                    _reset_to_head(ctx, head)
            else:
                found = restore_head(ctx, head)
                # Reported, unlike what a check that ended leaves: they may be a person's.
                found += move_new_files(ctx, Path(str(raw.get("left") or ctx.dir / "left")))
    record.unlink(missing_ok=True)
    if moved is not None:
        raise ctx.fail(
            f"after a run that was killed, {'; '.join(found)}",
            hint=f"if these commits are yours: git -C {ctx.worktree} merge {moved[:12]}, "
            f"then (or if they are not): orchestr run {ctx.name}",
        )
    if found:
        ctx.emit(EventKind.CELL_WARNED, reason=f"after a run that was killed, {'; '.join(found)}")


def _restore_clone(ctx: CellContext) -> list[str]:
    """Put back what they did outside of the worktree; what that was. For checks it is a warning:
    the author's agent could not mend what it does not see."""
    report = branch_guard.restore_after_guard(ctx)
    for text in report.harm:
        ctx.emit(EventKind.CELL_WARNED, reason=f"while it was checked or reviewed, {text}")
    return [*report.harm, *report.restored]


def _forget_harmful_opinions(ctx: CellContext, harm: list[str]) -> None:
    """After a kill: the verdict of reviewers that did harm does not count; they are asked again."""
    newest = attempts.newest_attempt(ctx.dir)
    if harm:
        attempts.forget_opinions(ctx.dir, newest.number if newest else 0)


def restore_head(ctx: CellContext, head: CommitId) -> list[str]:
    """Bring branch and tracked files back to ``head``; what had to be undone."""
    harm = find_harm(ctx, head)
    if harm:
        _reset_to_head(ctx, head)
    return harm


def find_harm(ctx: CellContext, head: CommitId) -> list[str]:
    """What is not as on ``head`` in the worktree and its branch, new files left out."""
    harm = _find_moved_head(ctx, head)
    changed = _changed_files(ctx)
    if changed:
        harm.append(
            f"tracked files of the worktree were changed: {format_paths(changed)}; put back"
        )
    return harm


def salvage_uncommitted(ctx: CellContext, number: int, left: Path) -> list[str]:
    """Keep what is uncommitted under the attempt's ref, then take it away; what had to be done."""
    repo = ctx.worktree_repo
    if unfinished_operation(repo) is None and not repo.dirty_paths():
        return []
    kept = put_worktree(ctx, number, repo.require_head())
    move_new_files(ctx, left)
    where = f"as {kept.commit[:12]}" if kept.commit else f"in {left}"
    return [f"what it left uncommitted is kept {where} below {attempt_ref(ctx, number)}"]


def belongs_on_branch(ctx: CellContext) -> bool:
    """Whether the worktree belongs on the cell's branch; a person's head is only looked at."""
    return ctx.cell.action is Action.AGENT


def _find_person_commit(ctx: CellContext, head: CommitId) -> CommitId | None:
    """The new commit of the branch that git of neither checks nor reviewers put it on; not one of
    before ``head``, which is no new work."""
    ref = f"refs/heads/{ctx.cell.branch}"
    tip = ctx.repo.resolve_commit(ref) if belongs_on_branch(ctx) else None
    if tip is None or ctx.repo.is_ancestor(tip, head):
        return None
    return None if moved_ref(ref, git_commands(ctx, ctx.key), [ctx.worktree]) else tip


def _find_moved_branch(ctx: CellContext, head: CommitId) -> list[str]:
    name = ctx.cell.branch
    if belongs_on_branch(ctx) and (at := ctx.repo.resolve_commit(f"refs/heads/{name}")) != head:
        what = f"moved to {at[:12]}" if at else "deleted"
        return [f"branch {name} was {what}; it was put back to {head[:12]}"]
    return []


def _find_moved_head(ctx: CellContext, head: CommitId) -> list[str]:
    repo, name = ctx.worktree_repo, ctx.cell.branch
    if moved := _find_moved_branch(ctx, head):
        return moved
    wanted = name if belongs_on_branch(ctx) else None
    if repo.resolve_commit("HEAD") != head or repo.head_branch() != wanted:
        return ["something else was checked out in the worktree; it was put back"]
    return []


def _reset_to_head(ctx: CellContext, head: CommitId) -> None:
    """Keep what is there under the attempt's ref, then stand on ``head`` again."""
    repo, name = ctx.worktree_repo, ctx.cell.branch
    newest = attempts.newest_attempt(ctx.dir)
    number = newest.number if newest else 0
    on = name if belongs_on_branch(ctx) else None
    kept = put_worktree(ctx, number, head, branch=on, detach=on is None)
    restore_submodules(repo, attempt_ref(ctx, number), kept.left)


def _changed_files(ctx: CellContext) -> list[str]:
    """Tracked files that differ from HEAD, in index or worktree."""
    return [change.path for change in read_changes(ctx.worktree_repo, untracked="no")]
