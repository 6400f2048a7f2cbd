"""Merges and diffs with the attributes of a commit, whatever a clone has checked out.

git reads `.gitattributes` from the checkout that it runs in. For a merge or a diff of commits that
is a person's, on any branch, with changes of their own: the same two commits would merge here and
conflict there (`merge=union`), and a file would have lines for one and be binary for the other
(`-diff`). So our git runs in an empty folder that holds nothing but the attributes of the commit
that counts. Newer git has ``GIT_ATTR_SOURCE`` for that (2.41, we support 2.38).

git gives a clone's own `info/attributes` precedence over everything, and no setting turns it off.
So the folder has a git folder of its own, which shares the clone's objects and nothing else.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from orchestr.git.errors import GitError
from orchestr.git.runner import YES_OR_NO, GitPath, single_line, split_records

R = TypeVar("R", bound=GitPath)

_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_OBJECTS = (
    r"^(extensions\.(objectformat|partialclone)|remote\..*\.(url|promisor|partialclonefilter))$"
)
_EMPTY_TREE = {
    40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}


@contextmanager
def use_attributes_of(repo: R, commit: str | None) -> Iterator[R]:
    """The same objects, without any checkout, with the attributes of ``commit``; None: with
    none at all, so that only its content decides whether a file is text.

    Commits are named by their ids there: it has no refs.
    """
    with tempfile.TemporaryDirectory(prefix="orchestr-attributes-") as name:
        folder = Path(name, "tree")
        folder.mkdir()
        for path, data in _read_attribute_files(repo, commit) if commit else ():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        git_dir = Path(name, "git")
        _make_git_dir(repo, git_dir)
        env = {
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_DIR": str(git_dir),
            "GIT_INDEX_FILE": str(Path(name, "no-index")),
            "GIT_WORK_TREE": str(folder),
        }
        yield repo.at_path(folder, env=env, config={"core.attributesFile": os.devnull})


def mentions_attribute(repo: GitPath, commit: str, word: str) -> bool:
    """Whether an attribute file of ``commit`` holds a word; its attributes are kept once read."""
    return any(word.encode() in data for _, data in _read_attribute_files(repo, commit))


def _make_git_dir(repo: GitPath, place: Path) -> None:
    """A git folder that shares a clone's objects, and where a shallow or partial clone ends, but
    none of its config, attributes, hooks and refs."""
    common = _find_common_dir(repo)
    (place / "refs").mkdir(parents=True)
    (place / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
    (place / "objects").symlink_to(common / "objects")
    if (common / "shallow").exists():
        (place / "shallow").symlink_to(common / "shallow")
    lines = ["[core]", "repositoryformatversion = 0", "bare = false"]
    with suppress(OSError):
        if b"extensions" in (common / "config").read_bytes().lower():
            lines = ["[core]", "repositoryformatversion = 1", "bare = false"]
            lines += _read_object_settings(repo, common / "config")
    (place / "config").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _read_object_settings(repo: GitPath, config: Path) -> Iterator[str]:
    """What a clone's config says of its objects: how they are named, where missing ones are."""
    words = ("config", "-z", "--file", str(config), "--get-regexp", _OBJECTS)
    for record in split_records(repo.run_readonly(*words, answers=YES_OR_NO).out):
        key, _, value = record.partition("\n")
        section, _, name = key.rpartition(".")
        outer, _, inner = section.partition(".")
        quoted = [word.replace("\\", "\\\\").replace('"', '\\"') for word in (inner, value)]
        yield f'[{outer} "{quoted[0]}"]' if inner else f"[{outer}]"
        yield f'{name} = "{quoted[1]}"'


def _find_common_dir(repo: GitPath) -> Path:
    place = repo.path / ".git"
    if (place / "HEAD").is_file():
        return place.absolute()  # a plain clone: no process is needed to know
    return repo.common_dir()


def _read_attribute_files(repo: GitPath, commit: str) -> tuple[tuple[str, bytes], ...]:
    try:
        if not _ID.fullmatch(commit):
            words = ("rev-parse", "--verify", "--end-of-options", f"{commit}^{{commit}}")
            commit = single_line(repo.run_readonly(*words))
        return _read_files_of_commit(repo, commit)
    except GitError:
        return ()  # this clone has no such commit: the command itself will say so


@lru_cache(maxsize=256)
def _read_files_of_commit(repo: GitPath, commit: str) -> tuple[tuple[str, bytes], ...]:
    words = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev")
    spec = ":(top,glob)**/.gitattributes"
    done = repo.run_readonly(*words, _EMPTY_TREE[len(commit)], commit, "--", spec)
    records = split_records(done.out)
    blobs = {
        path: head.split()[3]
        for head, path in zip(records[::2], records[1::2], strict=True)
        if head.split()[1] in ("100644", "100755")
    }
    return tuple(
        (path, repo.run_readonly("cat-file", "blob", blob).out) for path, blob in blobs.items()
    )
