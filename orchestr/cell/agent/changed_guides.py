"""Which guides for agents (`AGENTS.md`, ...) this feature has changed, and what an agent ignores.

A guide that an upstream cell or an earlier attempt wrote is an agent's word, not the repository's.
"""

from __future__ import annotations

from pathlib import Path

from orchestr.agents.repo_settings import GUIDES
from orchestr.cell.context import CellContext
from orchestr.files import write_atomic
from orchestr.git.errors import GitError
from orchestr.git.repo import Repo
from orchestr.settings.trust_words import trusts
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind
from orchestr.state.results import WorktreeMarker

IGNORED = "ignored"  # in an attempt's folder: which of a repository's settings its agent ignored
SPECS = tuple(f":(glob)**/{name}" for name in GUIDES)


def find_changed_guides(ctx: CellContext, place: Path) -> tuple[str, ...]:
    """The guides in the checkout ``place`` that are not as the feature found them.

    Empty without a look where the repository is trusted: its agents obey them then.
    """
    repo, bases = Repo(place), set()
    if not trusts(ctx.repo_settings.trust, "guides"):
        bases = _feature_bases(ctx)
    if not bases:
        return ()
    try:
        listed = repo.run_readonly("ls-files", "-z", "--others", "--", *SPECS).out
        changed = set(filter(None, listed.split(b"\0")))
        found = [
            set(repo.run_readonly("diff", "-z", "--name-only", "--no-renames", "--no-ext-diff",
                                  base, "--", *SPECS).out.split(b"\0"))
            for base in bases
        ]  # fmt: skip
    except GitError:
        return GUIDES  # not known: then none of them counts
    changed |= set.intersection(*found) - {b""}
    names = (name.decode("utf-8", "surrogateescape") for name in changed)
    return tuple(sorted(name for name in names if (place / name).exists()))


def _feature_bases(ctx: CellContext) -> set[str]:
    """The commits that the feature started from in this repository."""
    same = [up for up in ctx.upstreams() if up.cell.repo == ctx.cell.repo]
    if same:
        return set().union(*map(_feature_bases, same))
    marker = WorktreeMarker.read(ctx.dir)
    return {marker.base} if marker is not None else set()


def note_ignored(
    ctx: CellContext, attempt: Attempt, folder: Path, ignored: tuple[str, ...]
) -> None:
    """Journal once an attempt which of the repository's settings its agent does not obey."""
    note = folder / IGNORED
    text = ", ".join(ignored)
    if not ignored or (note.exists() and note.read_text(encoding="utf-8") == text):
        return
    write_atomic(note, text.encode("utf-8", "surrogateescape"))
    ctx.emit(
        EventKind.CELL_WARNED,
        attempt=attempt.number,
        reason=f"ignored: {text} (trust = true in [repos.{ctx.cell.repo}] turns it on)",
    )


def read_ignored(folder: Path) -> str:
    """What `note_ignored` noted in an attempt's folder, empty where there was nothing."""
    try:
        return (folder / IGNORED).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
