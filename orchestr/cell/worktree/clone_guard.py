"""What an agent has no business with: its clone's common directory and other refs, its origin's
base, the user's config of git, and the workspace's own files.

A worktree shares config, hooks and refs with the clone it belongs to, and no setting keeps an agent
from them. So a picture is taken before an agent starts and compared after it ended, before our own
git works there again (a hook or `core.hooksPath` that it planted would run in our name).

A person works in the clone at the same time. So only what can be shown to be the agent's is put
back and is harm (`clone_refs`, `clone_config`, `workspace_guard`); a person's change stays, with a
warning and the old value under a ref.

What was found is recorded before anything is put back (`orchestr.cell.worktree.harm_record`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.cell.worktree import (
    clone_config,
    clone_origin,
    clone_refs,
    user_guard,
    workspace_guard,
)
from orchestr.cell.worktree.clone_files import owner_of
from orchestr.cell.worktree.clone_judge import make_judge
from orchestr.cell.worktree.clone_snapshot import (
    GUARD,
    REPLACED,
    CloneSnapshot,
    common_dir,
    git_commands,
    list_others_at_work,
    objects_folder,
    picture_clone_files,
    read_clone_files,
    read_refs,
    read_refs_and_stash,
    read_snapshot,
    snapshot_lock,
    snapshot_path,
    write_snapshot,
)
from orchestr.cell.worktree.harm_record import (
    GUARD_HARM,
    HARM,
    CloneReport,
    note_harm,
    read_harm,
    write_harm,
)
from orchestr.cell.worktree.object_guard import find_lost_objects
from orchestr.cell.worktree.object_keep import keep_objects
from orchestr.cell.worktree.worktree_link import find_foreign_link, put_link_back
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind

__all__ = ["GUARD", "read_refs", "restore_after_guard", "restore_clone", "snapshot_clone"]


def snapshot_clone(
    ctx: CellContext, base_ref: str, harm_file: Path | None = None
) -> Mapping[str, str]:
    """Before an agent starts: take the picture, unless another attempt has one open. Returns the
    branches and tags as they are now.

    An empty ``base_ref``: for checks and reviewers, the origin is not looked at. ``harm_file`` is
    what an earlier start left behind.
    """
    origin = clone_origin.read_origin(ctx, base_ref) if base_ref else None
    workspace_guard.snapshot_workspace(ctx)
    user_guard.snapshot_user_files(ctx)
    with snapshot_lock(ctx):
        old = read_snapshot(ctx)
        others = list_others_at_work(ctx, old.holders if old is not None else ())
        ctx.git_record.unlink(missing_ok=True)
        if harm_file is not None:
            harm_file.unlink(missing_ok=True)
        files = picture_clone_files(common_dir(ctx))
        refs, stash = read_refs_and_stash(ctx.repo)
        picture = CloneSnapshot(files, refs, stash, common=str(common_dir(ctx)))
        if old is not None and others:
            picture = _add_to_picture(old, picture)
        if origin is not None:
            picture = clone_origin.add_origin(ctx, picture, base_ref, origin)
        keep_objects(objects_folder(snapshot_path(ctx)), common_dir(ctx), extend=bool(others))
        write_snapshot(ctx, replace(picture, holders=(*others, ctx.key), keeps_objects=True))
    return refs


def restore_clone(
    ctx: CellContext, attempt: Attempt | None, base_ref: str, during: str = "its agent worked"
) -> list[str]:
    """After an agent ended: put back what is its doing, warn, and return what makes it a failure.

    Safe to repeat: what was found once is found again until another agent starts.
    """
    number = attempt.number if attempt else 0
    harm_file = attempts.attempt_folder(ctx.dir, number) / HARM
    return _restore(ctx, number, base_ref, during, harm_file).harm


def restore_after_guard(ctx: CellContext, during: str, *, is_setup: bool = False) -> CloneReport:
    """After checks, reviewers or a set-up: the same; a person decides nothing by it, so all is
    returned."""
    newest = attempts.newest_attempt(ctx.dir)
    number = newest.number if newest else 0
    return _restore(ctx, number, "", during, ctx.dir / GUARD_HARM, is_setup=is_setup)


def _restore(
    ctx: CellContext,
    number: int,
    base_ref: str,
    during: str,
    harm_file: Path,
    *,
    is_setup: bool = False,
) -> CloneReport:
    """Files come first and without git: it does nothing while the config cannot be read, and
    would run what was planted."""
    known = _restore_workspace(ctx, number, during, harm_file)
    known = _restore_user_files(ctx, number, during, harm_file, known)
    with snapshot_lock(ctx):
        before = read_snapshot(ctx)
        if before is None or ctx.key not in before.holders:
            return known
        holders = list_others_at_work(ctx, before.holders)
        common, judge = common_dir(ctx), _make_judge(ctx, number, during, holders)
        judge = replace(judge, is_setup=is_setup)
        files = clone_config.compare_clone_files(
            common, before.files, read_clone_files(common), judge, before.covers_file
        )
        files.restored[:0] = before.recovered
        link = find_foreign_link(ctx.worktree, common)
        strays = [f"the .git of its worktree led to {link}; it was put back"] if link else []
        known = write_harm(harm_file, known, CloneReport(strays, files.restored))
        files.put_back()
        if link:
            put_link_back(ctx.worktree, common)
        lost = find_lost_objects(
            objects_folder(snapshot_path(ctx)), common, git_commands(ctx, ctx.key),
            was_kept=before.keeps_objects,
        )  # fmt: skip
        if lost.found:
            write_harm(harm_file, known, CloneReport([*strays, *lost.found], files.restored))
        missed, pruned = lost.put_back()  # without them git answers nothing
        strays += missed
        known = write_harm(harm_file, known, CloneReport(strays, files.restored))
        origin = clone_origin.read_origin(ctx, base_ref) if base_ref else None
        tips = {base_ref: (origin or {}).get(f"refs/heads/{base_ref}", "")}
        changes = clone_refs.compare_refs(ctx, before, holders, tips)
        pushed = clone_origin.judge_origin(ctx, base_ref, before, origin)
        found = CloneReport([*strays, *changes.found, *pushed.harm], files.restored)
        write_harm(harm_file, known, found)
        found.harm = [*strays, *clone_refs.restore_refs(ctx, changes), *pushed.harm]
        report = write_harm(harm_file, known, found)
        warnings = [*files.restored, *files.personal, *pruned]
        texts = clone_refs.take_replacements_away(ctx, changes)
        texts += [*clone_refs.keep_personal(ctx, changes), *pushed.doubtful]
        warnings += [f"while {during}, {text}" for text in texts]
        after = replace(before, holders=holders, recovered=())
        if origin is not None:
            after = clone_origin.add_origin(ctx, after, base_ref, origin, newer=True)
        if holders:  # for those that are still at work it is the original now
            refs, stash = read_refs_and_stash(ctx.repo)
            after = replace(
                after,
                refs={**refs, **{c.ref: c.old for c in changes.left}},
                stash=(*stash, *changes.left_stashes),
            )
        if holders and files.personal:
            after = replace(after, files=picture_clone_files(common))
        write_snapshot(ctx, after)
    for text in warnings:
        ctx.emit(EventKind.CELL_WARNED, attempt=number, reason=text)
    return report


def _restore_workspace(ctx: CellContext, number: int, during: str, harm_file: Path) -> CloneReport:
    """The workspace's own files; all that is known of harm by then."""
    known = read_harm(harm_file)
    note = partial(note_harm, harm_file)
    found = workspace_guard.restore_workspace(ctx, number, during, note)
    for text in (*found.restored, *found.personal):
        ctx.emit(EventKind.CELL_WARNED, attempt=number, reason=text)
    return write_harm(harm_file, known, CloneReport(found.harm, found.restored))


def _restore_user_files(
    ctx: CellContext, number: int, during: str, harm_file: Path, known: CloneReport
) -> CloneReport:
    """The user's config of git; all that is known of harm by then."""
    found = user_guard.restore_user_files(ctx, partial(_make_judge, ctx, number, during))
    for text in (*found.restored, *found.personal):
        ctx.emit(EventKind.CELL_WARNED, attempt=number, reason=text)
    return write_harm(harm_file, known, CloneReport(restored=found.restored))


def _add_to_picture(old: CloneSnapshot, now: CloneSnapshot) -> CloneSnapshot:
    """The picture of those who are at work, with what came to the clone since: it is not theirs to
    say that it was not there."""
    strangers = {n: e for n, e in now.files.items() if not old.covers_file(n)}
    fresh = {owner_of(n) for n in now.files} - {owner_of(n) for n in old.files}
    strangers |= {n: e for n, e in now.files.items() if owner_of(n) in fresh}
    made = {r: to for r, to in now.refs.items() if not (r.startswith(REPLACED) and old.whole)}
    return replace(
        old,
        files={**strangers, **old.files},
        refs={**made, **old.refs},
        whole=True,
        common=now.common,
    )


def _make_judge(
    ctx: CellContext, number: int, during: str, others: Sequence[str]
) -> clone_config.FileJudge:
    kept = attempts.attempt_folder(ctx.dir, number) / "changed"
    return make_judge(ctx.run.layout, ctx.key, others, kept, during)
