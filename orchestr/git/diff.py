"""What many cells changed, in one git process for each repository, bounded in size.

Owns reading `git diff-tree --stdin`: counts and patches of pairs of commits. Otherwise a page
with 200 cells would wait for 400 processes. Bounds hold while it is read: what is too large is
counted, never kept. Redaction and escaping are the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from orchestr.errors import OrchestrError
from orchestr.git.attributes import use_attributes_of
from orchestr.git.repo import CommitId, Repo

LINE = 1_000  # characters of a line
TIMEOUT = 30.0  # s for one repository
# Larger files count as binary: git then neither reads nor compares them.
CONFIG = {"core.bigFileThreshold": "512k", "core.quotePath": "false"}
COMMAND = (
    "diff-tree",
    "--stdin",
    "--always",
    "--no-text",  # a page shows no bytes of pictures; the content alone decides what is text
    "-r",
    "-M",
    "--numstat",
    "-p",
)
_ID = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_COUNTS = re.compile(r"(\d+|-)\t(\d+|-)\t(.+)")
_BRACES = re.compile(r"^(.*)\{(.*) => (.*)\}(.*)$")

Pair = tuple[CommitId, CommitId]  # base, head


@dataclass(frozen=True, slots=True)
class DiffLimits:
    """Characters of the patch of one file, of one pair, of all; files that are listed."""

    file: int = 20_000
    pair: int = 100_000
    total: int = 3_000_000
    files: int = 200


@dataclass(slots=True)
class FilePatch:
    """One changed file. Counts are None for a binary one, ``cut`` when not all of it is here."""

    path: str
    added: int | None = None
    removed: int | None = None
    patch: list[str] = field(default_factory=list)
    cut: bool = False


@dataclass(slots=True)
class CommitDiff:
    """What changed between two commits. ``more`` files are counted but not listed."""

    files: list[FilePatch] = field(default_factory=list)
    more: int = 0
    added: int = 0
    removed: int = 0


def read_diffs(
    repo: Repo,
    pairs: Collection[Pair],
    bounds: DiffLimits,
    shown: Callable[[str], str] = str,
) -> dict[Pair, CommitDiff]:
    """The differences of ``pairs``; pairs that git cannot compare are left out.

    ``shown`` is applied to every line before it is cut, so that no secret is cut in two.
    """
    found: dict[Pair, CommitDiff] = {}
    todo = [pair for pair in dict.fromkeys(pairs) if pair[0] != pair[1]]
    found |= {pair: CommitDiff() for pair in pairs if pair[0] == pair[1]}
    while todo:
        reader = _DiffReader(todo, bounds, shown)
        try:
            _run_diff_tree(repo, todo, reader)
        except OrchestrError:
            pass  # a commit that is not there ends git; the others are asked again without it
        read = reader.found
        found |= read
        rest = [pair for pair in todo if pair not in read]
        # Without an error every pair has an answer: --always prints at least its commit.
        todo = rest[1:] if len(rest) <= len(todo) else []
    return found


def _run_diff_tree(repo: Repo, pairs: Sequence[Pair], reader: _DiffReader) -> None:
    wanted = "".join(f"{head} {base}\n" for base, head in pairs).encode()
    with use_attributes_of(repo, None) as view:
        env = {"GIT_NO_LAZY_FETCH": "1"}
        tuned = view.with_config(CONFIG)
        with tuned.stream_git(*COMMAND, input=wanted, timeout=TIMEOUT, env=env) as lines:
            for line in lines:
                reader.feed_line(line)
            reader.finish_pair()


class _DiffReader:
    """Sorts the lines of git to pairs and files."""

    def __init__(
        self, pairs: Sequence[Pair], bounds: DiffLimits, shown: Callable[[str], str]
    ) -> None:
        self.found: dict[Pair, CommitDiff] = {}
        self._waiting = list(pairs)
        self._bounds = bounds
        self._shown = shown
        self._left = bounds.total
        self._pair: Pair | None = None
        self._diff = CommitDiff()
        self._file: FilePatch | None = None
        self._room = self._room_of_pair = 0
        self._in_patch = self._hunks = False

    def finish_pair(self) -> None:
        """The output ended: the pair being read is complete."""
        if self._pair is not None:
            self.found[self._pair] = self._diff
            self._pair = None

    def feed_line(self, line: bytes) -> None:
        if _ID.fullmatch(line):
            self._start_pair(line.decode("ascii"))
        elif line.startswith(b"diff --git "):
            self._in_patch = True
            self._start_file(line.decode("utf-8", "replace").removeprefix("diff --git "))
        elif self._in_patch:
            self._add_patch_line(line)
        else:
            self._add_counts(line.decode("utf-8", "replace"))

    def _start_pair(self, head: str) -> None:
        self.finish_pair()
        while self._waiting:
            pair = self._waiting.pop(0)
            if pair[1] == head:
                self._pair, self._diff, self._file = pair, CommitDiff(), None
                self._room_of_pair, self._in_patch = self._bounds.pair, False
                return

    def _add_counts(self, line: str) -> None:
        match = _COUNTS.fullmatch(line)
        if match is None:
            return
        added, removed = (int(n) if n != "-" else None for n in match.groups()[:2])
        self._diff.added += added or 0
        self._diff.removed += removed or 0
        if len(self._diff.files) < self._bounds.files:
            self._diff.files.append(FilePatch(_renamed_path(match[3]), added, removed))
        else:
            self._diff.more += 1

    def _start_file(self, names: str) -> None:
        path = names[: (len(names) - 1) // 2].strip('"').removeprefix("a/")
        self._select_file(path)
        self._hunks = False
        self._room = min(self._bounds.file, self._room_of_pair, self._left)

    def _select_file(self, path: str) -> None:
        self._file = next((f for f in self._diff.files if f.path.strip('"') == path), None)

    def _add_patch_line(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace")
        if text.startswith("rename to "):
            self._select_file(text.removeprefix("rename to ").strip('"'))
        file = self._file
        self._hunks = self._hunks or text.startswith("@@")
        if file is None or (not self._hunks and text.startswith(("index ", "--- ", "+++ "))):
            return
        if file.cut or self._room <= 0:
            file.cut = True
            return
        text = self._shown(text)
        text = text if len(text) <= LINE else f"{text[:LINE]} …"
        file.patch.append(text)
        self._room -= len(text) + 1
        self._room_of_pair -= len(text) + 1
        self._left -= len(text) + 1


def _renamed_path(path: str) -> str:
    """The new one of `old => new` and `a/{old => new}/b`."""
    match = _BRACES.match(path)
    if match:
        return f"{match[1]}{match[3]}{match[4]}".replace("//", "/")
    return path.rpartition(" => ")[2]
