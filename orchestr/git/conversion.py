"""Files that git calls changed although they were not edited: what a checkout writes is not what
git would add.

Line ends in a commit that a `.gitattributes` wants otherwise, a filter that does not give back what
it was given, a file that ought to be an LFS pointer and is none: git finds these changed as soon as
it looks at their content, which may be at once, after a merge that brings the attribute, or when a
formatter writes the same bytes again. So they are not recognised by when they differ, but by what
they are: the very bytes that a checkout of the commit writes.

Whoever edits such a file changes these bytes, and then the file is changed as any other.
"""

from __future__ import annotations

import filecmp
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestr.git.runner import ANY_EXIT, GitPath, join_records, split_records

# Attributes by which the bytes of a checkout differ from those of the commit.
_CONVERTING = ("text", "eol", "crlf", "filter", "ident", "working-tree-encoding")
_REGULAR = ("100644", "100755")
_MOST = 200_000

# Files that were found to be as a checkout wrote them: worktree, path, blob, and by what they would
# be known as written again. A status is asked for often, and may find every file of a repository.
_known: set[tuple[str, str, str, tuple[int, ...]]] = set()


def is_attributes_file(path: str) -> bool:
    """Whether a path decides about the line ends of others."""
    return path.rpartition("/")[2] == ".gitattributes"


def find_as_checked_out(tree: GitPath, entries: Mapping[str, str]) -> set[str]:
    """The paths whose file in the worktree is, byte for byte, what a checkout of HEAD writes.

    ``entries`` are paths of HEAD with their ``mode blob``. Attributes count as HEAD has them.
    """
    found: set[str] = set()
    marks = {}
    for path in _select_converted(tree, entries):
        with suppress(OSError):
            stat = os.lstat(tree.path / path)
            times = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
            marks[path] = (str(tree.path), path, entries[path], times)
    asked = []
    for path, mark in marks.items():
        if mark in _known:
            found.add(path)
        else:
            asked.append(path)
    if not asked:
        return found
    with _open_scratch(tree, "HEAD") as scratch:
        _write_files(scratch, {path: entries[path] for path in asked})
        for path in asked:
            with suppress(OSError):
                if filecmp.cmp(scratch.path / path, tree.path / path, shallow=False):
                    found.add(path)
    if len(_known) > _MOST:
        _known.clear()
    _known.update(marks[path] for path in asked if path in found)
    return found


def normalize_entries(repo: GitPath, commit: str, entries: Mapping[str, str]) -> dict[str, str]:
    """What git would add of a checkout of ``entries`` (path to ``mode blob``): path to blob.

    Attributes count as ``commit`` has them. Paths that no attribute is about are left out.
    """
    if not entries:
        return {}
    with _open_scratch(repo, commit) as scratch:
        wanted = set(_select_converted(scratch, entries, "--cached"))
        if not wanted:
            return {}
        _write_files(scratch, {path: entries[path] for path in wanted})
        there = [path for path in wanted if os.path.lexists(scratch.path / path)]
        words = ("update-index", "-z", "--stdin")
        scratch.run_git(*words, input=join_records(there), answers=ANY_EXIT)
        found = {}
        for record in split_records(scratch.run_readonly("ls-files", "--stage", "-z").out):
            head, _, path = record.partition("\t")
            if path in wanted:
                found[path] = head.split()[1]
        return found


def _select_converted(tree: GitPath, entries: Mapping[str, str], *more: str) -> Iterable[str]:
    """The regular files among the paths that an attribute is about."""
    files = [path for path, entry in entries.items() if entry.startswith(_REGULAR)]
    if not files:
        return ()
    words = ("check-attr", "-z", "--stdin", *more, *_CONVERTING)
    answer = split_records(tree.run_git(*words, input=join_records(files)).out)
    return dict.fromkeys(
        path for path, value in zip(answer[::3], answer[2::3], strict=False)
        if value not in ("unspecified", "unset")
    )  # fmt: skip


@contextmanager
def _open_scratch(tree: GitPath, commit: str) -> Iterator[GitPath]:
    """An empty worktree with an index of its own, which holds ``commit``. An LFS pointer stays one
    there: nothing is fetched for this."""
    with tempfile.TemporaryDirectory(prefix="orchestr-checkout-") as name:
        folder = Path(name, "tree")
        folder.mkdir()
        env = {
            "GIT_DIR": str(tree.git_dir()),
            "GIT_INDEX_FILE": str(Path(name, "index")),
            "GIT_LFS_SKIP_SMUDGE": "1",
            "GIT_WORK_TREE": str(folder),
        }
        config = {"core.splitIndex": "false", "core.sparseCheckout": "false"}
        scratch = tree.at_path(folder, env=env, config=config).without_lfs()
        scratch.run_git("read-tree", commit)
        yield scratch


def _write_files(scratch: GitPath, entries: Mapping[str, str]) -> None:
    """Write ``entries`` (path to ``mode blob``) as a checkout does."""
    lines = join_records(f"{entry}\t{path}" for path, entry in entries.items())
    scratch.run_git("update-index", "-z", "--index-info", input=lines)
    words = ("checkout-index", "--force", "--quiet", "-z", "--stdin")
    scratch.run_git(*words, input=join_records(entries), answers=ANY_EXIT)
