"""What a repository's own small files say of HEAD, refs and worktrees, read as git reads them.

Half of all git processes of a run asked for a commit that one file names, and starting one costs
more CPU than all the rest of the answer. Nothing is remembered: each call looks anew, loose files
before `packed-refs`, as git does, because a ref that is packed meanwhile is in the second when it
is no longer in the first. Whatever is not the plain case (another form of ref storage, symbolic
refs of symbolic refs, objects that are nowhere to be seen, anything broken) is `AskGit`: git says
what is wrong in its own words.
"""

from __future__ import annotations

import mmap
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestr.git.config import CommitId, TreeId, is_ref_name
from orchestr.git.locate import OVERRULED, locate_git_dirs

LARGEST = 1 << 20  # bytes of `packed-refs`: reading more of them is git's work
_ID = re.compile(rb"[0-9a-f]{40}\n?")
_NAME = re.compile(rb"ref: ?(refs/[^\0\n]+)\n?")
_PLAIN = re.compile(r"refs/(heads|remotes|tags|orchestr)/[^\0*?\[\\^~: ]+")
_PREFIX = re.compile(r"refs/(heads|remotes|tags|orchestr|replace|pull|stash)(/[^\0*?\[\\^~: ]*)?")
_INDEX_HEAD = b"\xfftOc\0\0\0\2"
_COUNTS = len(_INDEX_HEAD)  # where they begin in an index
_NAMES = _COUNTS + 4 * 256
_COMMIT, _TREE_TYPE = 1, 2  # types of objects in a pack
_TREE = re.compile(rb"commit [0-9]+\0tree ([0-9a-f]{40})\n")


class AskGit(Exception):
    """The files do not say it, or not in a form that is read here."""


class RefFiles:
    """The refs of the worktree whose top is ``path``. Raises AskGit, here and in every method.

    ``env`` are the names of the variables that the asked git would have been given.
    """

    def __init__(self, path: Path, env: frozenset[str]) -> None:
        found = locate_git_dirs(path, env) or _locate_bare(path, env)
        if found is None or (found[1] / "reftable").exists():
            raise AskGit
        self.git_dir, self.common_dir = found
        self._objects = self.common_dir / "objects"

    def read_head(self) -> tuple[str | None, bytes]:
        """What HEAD is on: the full name of a ref, or None and the id of a commit."""
        return read_head_file(self.git_dir)

    def resolve_commit(self, rev: str) -> CommitId:
        """The commit that ``rev`` (HEAD, a full ref or a full id) names, which is there."""
        name = self._find_id(rev)
        if not self._has_object(name, b"commit ", _COMMIT):
            raise AskGit
        return CommitId(name)

    def resolve_tree(self, rev: str) -> TreeId:
        """The tree of the commit that ``rev`` names, as its own loose file says; both are there."""
        found = _TREE.match(self._read_loose_object(self._find_id(rev)) or b"")
        if found is None or not self._has_object(found[1].decode("ascii"), b"tree ", _TREE_TYPE):
            raise AskGit
        return TreeId(found[1].decode("ascii"))

    def _find_id(self, rev: str) -> str:
        """The id that ``rev`` (HEAD, a full ref or a full id) names, of whatever object."""
        if rev == "HEAD":
            name, value = self.read_head()
            if name is not None:
                value = self.read_ref(name)
        elif _PLAIN.fullmatch(rev):
            value = self.read_ref(rev)
        else:
            value = rev.encode("ascii", "replace")
            if not _ID.fullmatch(value) or value.endswith(b"\n"):
                raise AskGit
        return value.decode("ascii")

    def read_symbolic(self, name: str) -> str:
        """The full name of the ref that the symbolic ref ``name`` names, which is there."""
        try:
            named = _NAME.fullmatch((self.common_dir / name).read_bytes())
        except OSError as error:
            raise AskGit from error
        if named is None:
            raise AskGit
        target = os.fsdecode(named[1])
        self.read_ref(target)
        return target

    def list_refs(self, patterns: Sequence[str]) -> dict[str, str]:
        """The refs below the patterns, which are names or prefixes without wildcards, in order."""
        if not patterns or not all(map(_PREFIX.fullmatch, patterns)):
            raise AskGit
        try:
            names = [name for pattern in patterns for name in self._list_loose(pattern)]
        except OSError as error:
            raise AskGit from error
        loose = {name: self._read_loose(name, symbolic=True) for name in names}
        wanted = tuple(pattern.rstrip("/") for pattern in patterns)
        below = tuple(f"{one}/" for one in wanted)
        # A loose file that went meanwhile was packed or deleted: what is packed says which.
        refs = {
            name: value
            for name, value in self._read_packed().items()
            if name in wanted or name.startswith(below)
        }
        refs |= {name: value for name, value in loose.items() if value}
        return {name: refs[name].decode("ascii") for name in sorted(refs, key=os.fsencode)}

    # ---- refs ----------------------------------------------------------------------------------

    def read_ref(self, name: str) -> bytes:
        """The id that a ref names. AskGit, too, when there is no such ref."""
        value = self._read_loose(name) or self._read_packed().get(name)
        if value is None:
            raise AskGit
        return value

    def _read_loose(self, name: str, *, symbolic: bool = False) -> bytes | None:
        """The id in the file of a ref, None where there is no such file; ``symbolic``: also of one
        that names another ref, which must be there."""
        place = self.common_dir / name
        try:
            data = place.read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        except OSError as error:
            raise AskGit from error
        named = _NAME.fullmatch(data)
        if symbolic and named:
            return self.read_ref(os.fsdecode(named[1]))
        if not _ID.fullmatch(data) or place.is_symlink():
            raise AskGit
        return data.rstrip(b"\n")

    def _list_loose(self, pattern: str) -> Iterator[str]:
        top = self.common_dir / pattern.rstrip("/")
        if not top.is_dir():
            if top.exists() and not pattern.endswith("/"):
                yield pattern
            return
        for folder, _, files in os.walk(top, onerror=_raise_unless_gone):
            below = os.path.relpath(folder, self.common_dir)
            for file in files:
                if file.endswith(".lock"):
                    continue
                if not is_ref_name(name := f"{below}/{file}"):
                    raise AskGit  # git passes it over, with a warning
                yield name

    def _read_packed(self) -> dict[str, bytes]:
        place = self.common_dir / "packed-refs"
        try:
            if place.stat().st_size > LARGEST:
                raise AskGit
            lines = place.read_bytes().split(b"\n")
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise AskGit from error
        refs = {}
        for line in lines:
            if line and line[:1] not in b"#^":
                value, space, name = line.partition(b" ")
                if not (space and _ID.fullmatch(value)):
                    raise AskGit
                refs[os.fsdecode(name)] = value
        return refs

    # ---- objects -------------------------------------------------------------------------------

    def _has_object(self, name: str, begin: bytes, number: int) -> bool:
        """Whether the object is surely there and of this type: ``begin`` is how its loose file
        begins, ``number`` how a pack has the type."""
        data = self._read_loose_object(name)
        if data is not None:
            return data.startswith(begin)
        return any(holds_object(one, name, number) for one in self._objects.glob("pack/*.idx"))

    def _read_loose_object(self, name: str) -> bytes | None:
        """What is in the loose file of an object, its header included; None: it has none."""
        try:
            return zlib.decompress((self._objects / name[:2] / name[2:]).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, zlib.error) as error:
            raise AskGit from error


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # an empty folder of refs that went meanwhile
        raise error


def _locate_bare(path: Path, env: frozenset[str]) -> tuple[Path, Path] | None:
    """A bare repository that is ``path`` itself, as `locate_git_dirs` has the others."""
    try:
        plain = not env & OVERRULED and not path.is_symlink() and not (path / ".git").exists()
        whole = plain and all((path / name).is_dir() for name in ("objects", "refs"))
        if not whole or (path / "commondir").exists() or path.stat().st_uid != os.geteuid():
            return None
        return (path.resolve(), path.resolve()) if (path / "HEAD").is_file() else None
    except OSError:
        return None


def holds_object(index: Path, name: str, number: int) -> bool:
    """Whether the pack of an index has this object with this type (gitformat-pack, index of version
    2). False where that is not to be seen: another form, an object stored as a difference."""
    try:
        with (
            index.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            if data[:8] != _INDEX_HEAD:
                return False
            place = _find_place(data, bytes.fromhex(name))
        if place is None:
            return False
        with index.with_suffix(".pack").open("rb") as pack:
            pack.seek(place)
            return pack.read(1)[0] >> 4 & 7 == number
    except (OSError, ValueError, IndexError):
        return False


def _find_place(data: mmap.mmap, name: bytes) -> int | None:
    """The offset of an object in the pack: counts by first byte, then the names in order, a
    checksum each, an offset each (one of 2 GB and more stands elsewhere: None)."""

    def read_number(at: int) -> int:
        return int.from_bytes(data[at : at + 4], "big")

    total = read_number(_COUNTS + 4 * 255)
    low = read_number(_COUNTS + 4 * (name[0] - 1)) if name[0] else 0
    high = read_number(_COUNTS + 4 * name[0])
    while low < high:
        middle = (low + high) // 2
        at = _NAMES + 20 * middle
        found = data[at : at + 20]
        if found == name:
            offset = read_number(_NAMES + 24 * total + 4 * middle)
            return None if offset >> 31 else offset
        low, high = (middle + 1, high) if found < name else (low, middle)
    return None


def read_head_file(git_dir: Path) -> tuple[str | None, bytes]:
    """What the HEAD of a git dir is on: the full name of a ref, or None and an id. AskGit."""
    head = git_dir / "HEAD"
    try:
        data = head.read_bytes()
    except OSError as error:
        raise AskGit from error
    if head.is_symlink():
        raise AskGit
    named = _NAME.fullmatch(data)
    if named and named[1] != b"refs/heads/.invalid":
        return os.fsdecode(named[1]), b""
    if not _ID.fullmatch(data):
        raise AskGit
    return None, data.rstrip(b"\n")
