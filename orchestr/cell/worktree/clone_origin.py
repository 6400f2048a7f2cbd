"""The origin before and after an agent: its base, and what was pushed to it from this clone.

The base branch is always compared. The other branches and tags only without a wall, behind which
no agent can push: the answer of a big origin is long. Other people push all day, so a ref counts
only when it names an object that this clone had already: theirs come with a later fetch. A ref that
names a commit of the agent's own is its doing; any other is a warning.

Nothing is ever put back: that would be a push.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from orchestr.cell.context import CellContext
from orchestr.cell.worktree.clone_snapshot import CloneSnapshot
from orchestr.cell.worktree.wall import is_walled
from orchestr.errors import OrchestrError
from orchestr.git.bases import fetch_base
from orchestr.git.errors import GitError

HEADS, TAGS = "refs/heads/", "refs/tags/"
LOOK = "that is not put back, a person has to look at it"


@dataclass(frozen=True, slots=True)
class OriginReport:
    """What became of the origin, in words: ``harm`` is the agent's, ``doubtful`` may be its."""

    harm: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)


def read_origin(ctx: CellContext, base_ref: str) -> dict[str, str] | None:
    """Full ref name -> what it names, for the base (empty when it is not there) and, without a
    wall, every branch and tag. None when the origin cannot be asked."""
    base = f"{HEADS}{base_ref}"
    patterns = (base,) if is_walled(ctx.run) else (f"{HEADS}*", f"{TAGS}*")
    try:
        found = ctx.repo.ls_remote(ctx.repo.remotes.base, *patterns)
    except OrchestrError:
        return None
    return {base: "", **{ref: sha for ref, sha in found.items() if not ref.endswith("^{}")}}


def add_origin(
    ctx: CellContext,
    picture: CloneSnapshot,
    base_ref: str,
    found: Mapping[str, str],
    *,
    newer: bool = False,
) -> CloneSnapshot:
    """The picture with the origin as it was ``found``. What it knows stays the original for those
    that are at work; with ``newer`` it was judged by now."""
    base = f"{HEADS}{base_ref}"
    gone = _read_known(picture).keys() - found.keys() if newer and picture.whole_origin else set()
    known = {ref: sha for ref, sha in _read_known(picture).items() if ref not in gone}
    origin = {**known, **found} if newer else {**found, **known}
    if found[base]:  # a base that is gone goes on being missed
        origin[base] = found[base]
    elif base in known:
        origin[base] = known[base]
    return replace(picture, origin=origin, whole_origin=not is_walled(ctx.run))


def judge_origin(
    ctx: CellContext, base_ref: str, picture: CloneSnapshot, now: Mapping[str, str] | None
) -> OriginReport:
    """Compare the picture with what `read_origin` found now."""
    report = OriginReport()
    base, before = f"{HEADS}{base_ref}", _read_known(picture)
    old = before.get(base)
    if now is None or old is None:
        return report
    report.harm.extend(_judge_base(ctx, base_ref, old, now[base]))
    if not picture.whole_origin or is_walled(ctx.run):
        return report
    ours = {f"{HEADS}{entry.branch}" for entry in ctx.run.registry.entries()}
    ours |= {f"{HEADS}{cell.branch}" for cell in ctx.run.feature.cells} | {base}
    for ref in sorted(before.keys() | now.keys()):
        was, names = before.get(ref, ""), now.get(ref, "")
        if ref in ours or was == names:
            continue
        what = f"{'branch' if ref.startswith(HEADS) else 'tag'} {ref.split('/', 2)[2]}"
        if not names:
            if not _contains(ctx, now[base], was):  # else it was merged, and is tidied up
                again = f"git push {ctx.repo.remotes.base} {was}:{ref} makes it again"
                report.doubtful.append(f"{what} at the origin was deleted at {was[:12]}; {again}")
        elif ctx.repo.resolve_commit(names) is not None:
            how = f"moved from {was[:12]} to" if was else "made at"
            if _is_own(ctx, old, names):
                text = f"its commits were pushed to {what} at the origin, now {names[:12]}; {LOOK}"
                report.harm.append(text)
            else:
                report.doubtful.append(f"{what} at the origin was {how} {names[:12]}, from here")
    return report


def _read_known(picture: CloneSnapshot) -> dict[str, str]:
    """What a picture knows of the origin, by whole names; those of earlier versions are short."""
    return {ref if ref.startswith("refs/") else f"{HEADS}{ref}": sha
            for ref, sha in picture.origin.items()}  # fmt: skip


def _judge_base(ctx: CellContext, base_ref: str, old: str, tip: str) -> list[str]:
    """What became of the base branch."""
    stacked = any(cell.branch == base_ref for cell in ctx.run.feature.cells)
    if not old or tip == old or stacked:
        return []
    if not tip:
        return [f"branch {base_ref} at the origin was deleted at {old[:12]}; {LOOK}"]
    repo = ctx.repo
    if repo.resolve_commit(tip) is None:
        with suppress(GitError):
            fetch_base(repo, base_ref, locks=ctx.run.layout.locks_dir)
    if repo.resolve_commit(tip) is None or repo.resolve_commit(old) is None:
        return []
    if not repo.is_ancestor(old, tip):
        moved = f"from {old[:12]} to {tip[:12]}"
        return [f"branch {base_ref} at the origin was rewritten {moved}; {LOOK}"]
    if _is_own(ctx, old, tip):
        return [f"its commits were pushed to {base_ref} at the origin, now {tip[:12]}; {LOOK}"]
    return []


def _is_own(ctx: CellContext, base: str, commit: str) -> bool:
    """Whether ``commit`` contains the cell's head, which ``base`` does not."""
    head = ctx.repo.resolve_commit(f"{HEADS}{ctx.cell.branch}")
    return head is not None and not _contains(ctx, base, head) and _contains(ctx, commit, head)


def _contains(ctx: CellContext, commit: str, other: str) -> bool:
    """Whether ``other`` is in the history of ``commit``; both are here."""
    one, two = ctx.repo.resolve_commit(commit), ctx.repo.resolve_commit(other)
    return one is not None and two is not None and ctx.repo.is_ancestor(two, one)
