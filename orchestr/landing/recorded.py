"""Resolutions of conflicts that landed before, offered again where the same conflict comes back.

As git's rerere, over all cells of a repository: a conflict is known by the two sides of each of its
hunks, in either order, and what else is in the file may differ. Recorded is what a merge in the
history of a landed change made of a conflict, whether an agent or a person made it: that was
checked green. The records lie in ``<state>/landing/REPO/resolutions/ID/`` as two files, ``before``
(the conflicted text, its hunks in a form without labels) and ``after``.
"""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from orchestr.files import write_atomic
from orchestr.git.conflicts import read_conflicted_files
from orchestr.git.errors import GitError
from orchestr.git.merge_file import StableRegion, read_merge_regions
from orchestr.git.open_conflicts import has_conflict_markers
from orchestr.git.repo import CommitId, Repo
from orchestr.git.runner import ANY_EXIT

KEPT = 500  # resolutions of a repository; the oldest go first
MERGES = 20  # merges of a landed change that are looked at, the newest first
_HUNK = re.compile(
    rb"^<{7}(?: [^\n]*)?\n(?P<ours>.*?)"
    rb"(?:^\|{7}(?: [^\n]*)?\n.*?)?"
    rb"^={7}\r?\n(?P<theirs>.*?)"
    rb"^>{7}(?: [^\n]*)?(?:\n|\Z)",
    re.MULTILINE | re.DOTALL,
)


def normalize_conflict(marked: bytes) -> tuple[str, bytes] | None:
    """A short name of a conflict, and its text without labels and base, the sides of each hunk in
    one order; None for a text without hunks."""
    sides: list[bytes] = []

    def rewrite_hunk(hunk: re.Match[bytes]) -> bytes:
        first, second = sorted((hunk["ours"], hunk["theirs"]))
        sides.extend((first, second))
        return b"<<<<<<<\n" + first + b"=======\n" + second + b">>>>>>>\n"

    text = _HUNK.sub(rewrite_hunk, marked)
    if not sides:
        return None
    name = hashlib.sha256(b"\0".join(b"%d:%s" % (len(s), s) for s in sides)).hexdigest()[:32]
    return name, text


def find_recorded_resolution(folder: Path, marked: bytes) -> bytes | None:
    """What the same conflict became before, in the file as it is now; None when nothing is recorded
    or what surrounds the conflict does not let it be taken over."""
    known = normalize_conflict(marked)
    if known is None:
        return None
    name, now = known
    try:
        before = (folder / name / "before").read_bytes()
        after = (folder / name / "after").read_bytes()
    except OSError:
        return None
    if hashlib.sha256(before).digest() == hashlib.sha256(now).digest():
        return after
    return _carry_over(before, now, after)


def _carry_over(before: bytes, now: bytes, after: bytes) -> bytes | None:
    """What changed from ``before`` to ``after``, in the text as it is now."""
    if not all(text.endswith(b"\n") for text in (before, now, after)):
        return None
    try:
        regions = read_merge_regions(before.decode(), now.decode(), after.decode())
    except (UnicodeDecodeError, GitError):
        return None
    lines: list[str] = []
    for region in regions:
        if not isinstance(region, StableRegion):
            return None
        lines += region.lines
    return "".join(f"{line}\n" for line in lines).encode()


def record_resolutions(repo: Repo, folder: Path, base: CommitId, head: CommitId) -> list[str]:
    """Record how merges in ``base..head`` resolved their conflicts; the paths."""
    words = ("--merges", f"--max-count={MERGES}", "--parents", f"{base}..{head}", "--")
    listed = repo.run_readonly("rev-list", *words, answers=ANY_EXIT).text.splitlines()
    found: list[str] = []
    for line in listed:
        commit, *parents = line.split()
        if len(parents) == 2:
            found += _record_merge(repo, folder, commit, parents[0], parents[1])
    if found:
        _remove_oldest(folder)
    return found


def record_or_warn(
    repo: Repo, folder: Path, base: CommitId, head: CommitId, warn: Callable[[str], None]
) -> None:
    """Record what can be recorded: what landed is not held up by a folder that cannot be written.
    Raises GitError, and OSError on a full disk."""
    try:
        record_resolutions(repo, folder, base, head)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        warn(f"how conflicts were resolved is not kept for the next time: {error}")


def _record_merge(repo: Repo, folder: Path, commit: str, ours: str, theirs: str) -> list[str]:
    merged = repo.merge_trees(ours, theirs)
    files = read_conflicted_files(repo, ours, merged)
    found = []
    for file in files:
        known = normalize_conflict(file.marked)
        shown = repo.run_readonly("cat-file", "blob", f"{commit}:{file.path}", answers=ANY_EXIT)
        if known is None or shown.code != 0 or has_conflict_markers(shown.out):
            continue
        name, before = known
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "after").unlink(missing_ok=True)  # never a half of the old one with the new one
        write_atomic(place / "before", before)
        write_atomic(place / "after", shown.out)
        found.append(file.path)
    return found


def _remove_oldest(folder: Path) -> None:
    with suppress(OSError):
        places = sorted(folder.iterdir(), key=lambda place: place.stat().st_mtime)
        for place in places[:-KEPT]:
            shutil.rmtree(place, ignore_errors=True)
