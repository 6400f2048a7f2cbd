"""What a person changed in a cell's worktree and did not commit: kept, named, in no agent's commit.

Whenever we leave a worktree unattended (an attempt ended or waits for its provider, a branch was
made ready, a set-up ran), `record_left` writes down what is uncommitted there: `left.json`, with a
commit below the attempt's ref that holds it. Before the branch is made ready, and again when an
agent starts, which may be hours later, `set_aside_person_changes` compares: what differs is a
person's, or that of an agent of another cell. It goes under a ref of its own, the worktree gets
back what an attempt had left, and a warning names paths and ref.

What survives a crash: `begin_change` says that we change the worktree ourselves, until
`record_left` says how we left it. The ref of a person's changes is there before anything is taken
away. A kill in between leaves changes in the worktree, which the next start sets aside, or
leftovers of an attempt below its ref only.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestr.cell.context import CellContext
from orchestr.cell.ownership import format_paths
from orchestr.cell.worktree.operations import unfinished_operation
from orchestr.cell.worktree.salvage import attempt_ref, find_free_ref, make_snapshot_commit
from orchestr.cell.worktree.worktree_guard import salvage_uncommitted
from orchestr.codec import Record, read_json_record, write_json_record
from orchestr.git.index_entries import GITLINK
from orchestr.git.repo import CommitId
from orchestr.git.runner import join_records, split_records
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind

LEFT = "left.json"  # in a cell's folder
KEPT = (
    "uncommitted changes in its worktree are kept as {ref}, not given to its agent: {paths}; "
    "to have one back: git -C {place} restore --source={ref} -- PATH"
)
UNCOVERED = "files that a .gitignore of these changes covers are now below {left}: {paths}"
MOVED = "; repositories inside it are now in {left}"


class WorktreeLeft(Record, frozen=True):
    """`left.json`: ``commit`` holds HEAD (``head``) and all that was uncommitted; the two are equal
    for a clean worktree, and empty while we or an agent change it. ``nested`` are repositories
    inside it, ``operation`` what git was in the middle of, ``attempt`` the one that goes on."""

    head: str
    commit: str
    nested: tuple[str, ...] = ()
    operation: str = ""
    attempt: int = 0

    @property
    def is_clean(self) -> bool:
        return bool(self.head) and self.head == self.commit and not (self.nested or self.operation)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One path of a tree: mode and blob; of a path that is not there zeros."""

    mode: str
    blob: str


def record_left(ctx: CellContext, number: int, *, goes_on: bool = False) -> None:
    """Write down what is uncommitted now as our own doing, kept under the attempt's ref.
    ``goes_on``: the attempt's agent starts again from there."""
    repo = ctx.worktree_repo
    head, operation = repo.resolve_commit("HEAD"), unfinished_operation(repo) or ""
    if head is None:
        return
    commit, nested = head, _list_nested(ctx)
    if repo.dirty_paths():
        commit = make_snapshot_commit(ctx, number) or head
        if commit != head:
            _keep(ctx, attempt_ref(ctx, number), commit)
    left = WorktreeLeft(head, commit, nested, operation, number if goes_on else 0)
    write_json_record(ctx.dir / LEFT, left)


def record_clean(ctx: CellContext, head: str) -> None:
    """Write down that nothing of ours is uncommitted; asks git for nothing."""
    left = read_json_record(ctx.dir / LEFT, WorktreeLeft)
    if left is None or not left.is_clean:
        write_json_record(ctx.dir / LEFT, WorktreeLeft(head, head))


def record_new_worktree(ctx: CellContext, head: str) -> None:
    """Write down what the set-up of a new worktree left in it."""
    if ctx.repo_settings.setup:
        record_left(ctx, _newest_number(ctx))
    else:
        record_clean(ctx, head)


def begin_change(ctx: CellContext) -> None:
    """Until the next record, what is uncommitted in the worktree is our own doing."""
    write_json_record(ctx.dir / LEFT, WorktreeLeft("", ""))


def end_change(ctx: CellContext) -> None:
    """Write down how we left the worktree, if we changed it."""
    left = read_json_record(ctx.dir / LEFT, WorktreeLeft)
    if left is not None and not left.head:
        record_left(ctx, _newest_number(ctx))


def hand_over_worktree(ctx: CellContext, attempt: Attempt, *, again: bool) -> None:
    """Right before an agent of the attempt starts, ``again`` or for the first time: set aside what
    came into the worktree while it waited; from here on, what is changed there is its work."""
    left = read_json_record(ctx.dir / LEFT, WorktreeLeft)
    if again and (left is None or left.attempt != attempt.number):
        return  # killed in between: what its earlier start left was not written down
    set_aside_person_changes(ctx)
    if attempt.number > 0:  # what an agent changes while it plans is undone
        begin_change(ctx)


def set_aside_person_changes(ctx: CellContext) -> None:
    """Keep what a person changed since we left the worktree, and take it out of the agent's way.

    Raises PhaseFailed where only the person can: a merge that they are in the middle of, a moved
    submodule.
    """
    repo, place = ctx.worktree_repo, ctx.worktree
    left = _read_left(ctx)
    head = repo.resolve_commit("HEAD") if left is not None else None
    if left is None or head is None:
        return
    operation = unfinished_operation(repo) or ""
    if not repo.dirty_paths() and operation in ("", left.operation):
        return
    number = _newest_number(ctx)
    now = make_snapshot_commit(ctx, number) or head
    there, before = _read_changes(ctx, head, now), _read_changes(ctx, left.head, left.commit)
    nested = [path for path in _list_nested(ctx) if path not in left.nested]
    mine = {path for path, entry in there.items() if before.get(path) != entry}
    mine = (mine - set(left.nested)) | set(nested)
    paths = format_paths(sorted(mine))
    if operation and (mine or operation != left.operation):
        named = f": {paths}" if mine else ""
        raise ctx.fail(
            f"a person is in the middle of a {operation} in its worktree{named}",
            hint="finish it with a commit, which is its head then, or end it: "
            f"git -C {place} status",
        )
    moved = [p for p in sorted(mine - set(nested)) if p in there and there[p].mode == GITLINK]
    if moved:
        raise ctx.fail(
            f"submodules stand on other commits in its worktree: {format_paths(moved)}",
            hint=f"commit that in {place}, or take it back: "
            f"git -C {place} submodule update {moved[0]}",
        )
    if not mine:
        return
    ref = _keep(ctx, f"{attempt_ref(ctx, number)}-person", now)
    folder = attempts.attempt_folder(ctx.dir, number) / "left" / "person"
    text = KEPT.format(ref=ref, paths=paths, place=place)
    ctx.emit(EventKind.CELL_WARNED, reason=text + (MOVED.format(left=folder) if nested else ""))
    salvage_uncommitted(ctx, number, folder)
    if any(path.rpartition("/")[2] == ".gitignore" for path in mine) and repo.dirty_paths():
        # Their rules are set aside, so what these covered would be in the next commit.
        ctx.emit(
            EventKind.CELL_WARNED,
            reason=UNCOVERED.format(paths=format_paths(repo.dirty_paths()), left=folder),
        )
        salvage_uncommitted(ctx, number, folder)
    _put_back(ctx, left, [path for path, entry in before.items() if entry.mode != GITLINK])


def _put_back(ctx: CellContext, left: WorktreeLeft, paths: list[str]) -> None:
    """Write what an attempt had left into the clean worktree again."""
    if not paths:
        return
    ctx.worktree_repo.run_git(
        "restore", f"--source={left.commit}", "--worktree", "--pathspec-from-file=-",
        "--pathspec-file-nul",
        input=join_records(paths),
        env={"GIT_LITERAL_PATHSPECS": "1"},
    )  # fmt: skip


def _keep(ctx: CellContext, first: str, commit: CommitId) -> str:
    """The ref that holds the snapshot; one that has the same content serves again."""
    wanted = (ctx.repo.resolve_tree(commit), ctx.repo.resolve_commit(f"{commit}^"))
    words = ("for-each-ref", "--format=%(refname)%00%(tree)%00%(parent)", first, f"{first}.*")
    for line in ctx.repo.run_readonly(*words).text.splitlines():
        ref, tree, parent = line.split("\0")
        if (tree, parent) == wanted:
            return ref
    ref = find_free_ref(ctx, first, commit)
    ctx.repo.update_ref(ref, commit)
    return ref


def _read_left(ctx: CellContext) -> WorktreeLeft | None:
    """What we left; by the attempt's ref where an earlier version of ours wrote no record."""
    left = read_json_record(ctx.dir / LEFT, WorktreeLeft)
    if left is not None:
        known = left.is_clean or (left.commit and ctx.repo.resolve_commit(left.commit))
        return left if known else None
    newest = attempts.newest_attempt(ctx.dir)
    if newest is None or newest.is_open:
        return None
    if newest.outcome == "done":
        return WorktreeLeft(newest.start, newest.start)
    kept = ctx.repo.resolve_commit(attempt_ref(ctx, newest.number))
    parent = ctx.repo.resolve_commit(f"{kept}^") if kept is not None else None
    return WorktreeLeft(parent, kept) if kept is not None and parent is not None else None


def _read_changes(ctx: CellContext, a: str, b: str) -> dict[str, _Entry]:
    """The paths that differ between two commits, as they are in the second one."""
    if a == b:
        return {}
    done = ctx.repo.run_readonly("diff-tree", "-r", "-z", "--raw", "--no-renames", a, b, "--")
    words = split_records(done.out)
    found = {}
    for raw, path in zip(words[::2], words[1::2], strict=True):
        _, mode, _, blob, _ = raw.split()
        found[path] = _Entry(mode, blob)
    return found


def _list_nested(ctx: CellContext) -> tuple[str, ...]:
    """Repositories inside the worktree that git neither tracks nor ignores."""
    done = ctx.worktree_repo.run_readonly("ls-files", "--others", "--exclude-standard", "-z")
    return tuple(name.rstrip("/") for name in split_records(done.out) if name.endswith("/"))


def _newest_number(ctx: CellContext) -> int:
    newest = attempts.newest_attempt(ctx.dir)
    return newest.number if newest is not None else 0
