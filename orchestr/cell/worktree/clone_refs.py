"""Branches, tags and stashes of a clone after an agent: whose change each one is.

What the agent's own git did (`orchestr.git.trace`) is put back by compare-and-set, and is harm. All
else is a person's: it stays, and what it took away is kept under `refs/orchestr/kept/`. A change
that another agent made, which is still at work, is left for the end of that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.cell.worktree.clone_snapshot import (
    REMOTES,
    REPLACED,
    CloneSnapshot,
    git_commands,
    read_refs,
    read_stash,
)
from orchestr.git.bases import BASES
from orchestr.git.errors import GitError
from orchestr.git.repo import NO_COMMIT, CommitId, Repo
from orchestr.git.runner import ANY_EXIT, YES_OR_FATAL, split_records
from orchestr.git.trace import GitCommand, count_foreign_stash_drops, moved_ref

KEPT = "refs/orchestr/kept"
KINDS = {
    "refs/heads/": "branch",
    "refs/tags/": "tag",
    REPLACED: "replacement",
    REMOTES: "remote branch",
    f"{BASES}/": "our record of base",
}


@dataclass(frozen=True, slots=True)
class RefChange:
    """A ref that was deleted, moved or made; ``new`` is empty when it is gone, ``old`` when it was
    not there."""

    ref: str
    old: str
    new: str

    @property
    def text(self) -> str:
        """What happened, for people."""
        kind = next(word for start, word in KINDS.items() if self.ref.startswith(start))
        what = f"rewritten to {self.new[:12]}" if self.new else "deleted"
        what = what if self.old else f"made, for {self.new[:12]}"
        return f"{kind} {short_name(self.ref)} was {what}"


@dataclass(slots=True)
class CloneChanges:
    """What is different: the agent's own doing, a person's, and what is left to another agent."""

    harmful: list[RefChange] = field(default_factory=list)
    personal: list[RefChange] = field(default_factory=list)
    left: list[RefChange] = field(default_factory=list)
    dropped: list[tuple[str, str]] = field(default_factory=list)  # stashes, by the agent
    taken: list[tuple[str, str]] = field(default_factory=list)  # stashes, by a person
    left_stashes: list[tuple[str, str]] = field(default_factory=list)
    replacements: list[RefChange] = field(default_factory=list)  # made by agents, to be taken away

    @property
    def found(self) -> list[str]:
        """The harm, in words."""
        texts = [change.text for change in self.harmful]
        if self.dropped:
            texts.append(_count_stashes(self.dropped))
        return texts


def compare_refs(
    ctx: CellContext, before: CloneSnapshot, others: Sequence[str], tips: Mapping[str, str]
) -> CloneChanges:
    """What became of the refs and stashes of the picture. Changes nothing.

    ``others`` are the cells that are still at work in this clone; ``tips`` are branches as the
    origin has just named them.
    """
    now, found = read_refs(ctx.repo), CloneChanges()
    own = git_commands(ctx, ctx.key)
    theirs = [command for key in others for command in git_commands(ctx, key)]
    places: Mapping[str, list[Path]] | None = None
    cells = _cell_refs(ctx)
    for ref in {**before.refs, **_pick_replaced(before, now)}:
        old, new = before.refs.get(ref, ""), now.get(ref, "")
        if new == old or ref in cells:
            continue
        change = RefChange(ref, old, new)
        if ref.startswith((REMOTES, f"{BASES}/")):
            if _moved_by_hand(change, own, tips):
                found.harmful.append(change)
            elif _moved_by_hand(change, theirs, tips):
                found.left.append(change)
            continue  # fetches of anybody, and our own record
        if not old and moved_ref(ref, [*own, *theirs]):
            found.replacements.append(change)
            continue
        if places is None:
            places = _find_checkouts(ctx)
        at = places.get(ref, [])
        if moved_ref(ref, own, at):
            if not new or _takes_away(ctx, change, bool(at)):
                found.harmful.append(change)
        elif moved_ref(ref, theirs, at):
            found.left.append(change)
        elif not new or _is_unexpected(ctx, change, bool(at)):
            found.personal.append(change)
    _compare_stashes(ctx, before, own, theirs, found)
    return found


def _pick_replaced(before: CloneSnapshot, now: Mapping[str, str]) -> Mapping[str, str]:
    """The objects that stand for others: one that was made counts, too."""
    return {r: to for r, to in now.items() if r.startswith(REPLACED) and before.covers_ref(r)}


def _moved_by_hand(
    change: RefChange, commands: Sequence[GitCommand], tips: Mapping[str, str]
) -> bool:
    """Whether one of the commands put a ref that is the remote's somewhere else; a fetch from the
    remote says what is there."""
    start = f"{BASES}/" if change.ref.startswith(f"{BASES}/") else REMOTES
    branch = change.ref.removeprefix(start).partition("/")[2]
    if change.new and tips.get(branch) == change.new:
        return False
    words = {change.ref, change.ref.removeprefix("refs/")}
    fetches = {"fetch", "pull", "push"}
    by_hand = [c for c in commands if c.name not in fetches or words & c.words]
    return moved_ref(change.ref, by_hand)


def _compare_stashes(
    ctx: CellContext,
    before: CloneSnapshot,
    own: Sequence[GitCommand],
    theirs: Sequence[GitCommand],
    found: CloneChanges,
) -> None:
    if not before.stash:
        return
    here = {sha for sha, _ in read_stash(ctx.repo)}
    gone = [entry for entry in before.stash if entry[0] not in here]
    if gone and count_foreign_stash_drops(own):
        found.dropped = gone
    elif gone and count_foreign_stash_drops(theirs):
        found.left_stashes = gone
    else:
        found.taken = gone


def restore_refs(ctx: CellContext, changes: CloneChanges) -> list[str]:
    """Put back what the agent did; the harm, in words. Stashes the oldest first."""
    texts = []
    for change in changes.harmful:
        new = CommitId(change.new) if change.new else NO_COMMIT
        try:
            ctx.repo.update_ref(change.ref, CommitId(change.old), new)
        except GitError as error:
            texts.append(f"{change.text}, and is not put back: {error.reason}")
        else:
            texts.append(f"{change.text}; it was put back to {change.old[:12]}")
    for sha, message in reversed(changes.dropped):
        ctx.repo.as_committer().run_git(
            "stash", "store", "-q", "-m", message, sha, answers=ANY_EXIT
        )
    if changes.dropped:
        texts.append(f"{_count_stashes(changes.dropped)}; put back")
    return texts


def take_replacements_away(ctx: CellContext, changes: CloneChanges) -> list[str]:
    """Take away what agents put in the place of other objects: it shows a person what is not there.
    No failure, as our own git looks behind it; one sentence for each, for a warning."""
    texts = []
    for change in changes.replacements:
        with suppress(GitError):
            ctx.repo.delete_ref(change.ref, CommitId(change.new))
            texts.append(f"{change.text}; it was taken away")
    return texts


def keep_personal(ctx: CellContext, changes: CloneChanges) -> list[str]:
    """Keep under a ref what a person took away; one sentence for each, for a warning."""
    texts = []
    for change in changes.personal:
        if not change.old:
            texts.append(
                f"{change.text} in {ctx.repo_path}, and not by its agent; that stays as it is"
            )
            continue
        kept = keep_commit(ctx.repo, change.old, change.ref.removeprefix("refs/"))
        texts.append(
            f"{change.text} in {ctx.repo_path}, and not by its agent; that stays as it is, "
            f"and {change.old[:12]} is kept as {kept}"
        )
    for sha, message in changes.taken:
        kept = keep_commit(ctx.repo, sha, "stash")
        texts.append(
            f"the stash {message!r} was taken from the list in {ctx.repo_path}, and not by its "
            f"agent; that stays as it is, and its commit is kept as {kept}"
        )
    return texts


def keep_commit(repo: Repo, sha: str, name: str) -> str:
    """Put a ref on an object so that it is not collected as garbage. Returns the ref."""
    for ref in (f"{KEPT}/{sha[:12]}/{name}", f"{KEPT}/{sha}"):
        if repo.run_git("update-ref", ref, sha, answers=ANY_EXIT).code == 0:
            return ref
    return sha


def short_name(ref: str) -> str:
    """`main` of `refs/heads/main`."""
    return ref.split("/", 2)[2]


def _count_stashes(stashes: Sequence[tuple[str, str]]) -> str:
    return f"{len(stashes)} {'stash was' if len(stashes) == 1 else 'stashes were'} dropped"


def _cell_refs(ctx: CellContext) -> frozenset[str]:
    """The branches of cells: `branch_guard` compares those."""
    entries = ctx.run.registry.entries()
    ours = {f"refs/heads/{name}" for e in entries for name in (e.branch, *e.former)}
    return frozenset(ours | {f"refs/heads/{cell.branch}" for cell in ctx.run.feature.cells})


def _find_checkouts(ctx: CellContext) -> dict[str, list[Path]]:
    """Where each branch is checked out."""
    found: dict[str, list[Path]] = {}
    for entry in ctx.repo.list_worktrees():
        if entry.branch is not None:
            found.setdefault(f"refs/heads/{entry.branch}", []).append(entry.path)
    return found


def _takes_away(ctx: CellContext, change: RefChange, checked_out: bool) -> bool:
    """Whether a move drops commits, or moved a branch below a checkout."""
    if not change.ref.startswith("refs/heads/"):
        return True
    with suppress(GitError):
        if ctx.repo.is_ancestor(change.old, change.new):
            return checked_out
    return True


def _is_unexpected(ctx: CellContext, change: RefChange, checked_out: bool) -> bool:
    """Whether a person should hear of a move: it takes something away, and it was not made in the
    checkout that the branch belongs to (a commit, an amend, a rebase there are daily work)."""
    return _takes_away(ctx, change, checked_out) and not (
        change.ref.startswith("refs/heads/") and _moved_by_a_checkout(ctx, change.ref)
    )


def _moved_by_a_checkout(ctx: CellContext, ref: str) -> bool:
    """Whether the last move of a branch was one of HEAD, too, in a checkout of a person's.

    git notes a move of the branch that is checked out in both logs, at the same second and in
    the name of the same command; one from outside (`branch -f`, `update-ref`) only in one.
    """
    last = _read_reflog(ctx.repo, ref)[:1]
    cells = {entry.path for entry in ctx.run.registry.entries()}
    people = [
        e for e in ctx.repo.list_worktrees()
        if not e.bare and str(e.path) not in cells
        and not e.path.is_relative_to(ctx.run.layout.state)
    ]  # fmt: skip
    return bool(last) and any(
        last[0] in _read_reflog(ctx.repo.at_path(e.path), "HEAD") for e in people
    )


def _read_reflog(repo: Repo, ref: str) -> list[tuple[str, str, str]]:
    """Commit, time and command of every entry in a ref's log, the newest first."""
    words = ("log", "-g", "-z", "--date=raw", "--format=%H%n%gd%n%gs", ref, "--")
    found = []
    for record in split_records(repo.run_readonly(*words, answers=YES_OR_FATAL).out):
        sha, when, message = (*record.split("\n", 2), "", "")[:3]
        found.append((sha, when.rpartition("@")[2], message.partition(":")[0]))
    return found
