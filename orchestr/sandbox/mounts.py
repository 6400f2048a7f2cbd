"""What a sandboxed program sees of the disk: a table of mounts, and bubblewrap's words for it.

Everything is read-only unless a mount says otherwise; the deepest mount of a path counts.
bubblewrap cannot make the place for a mount below a folder that is read-only. Where one is missing
there, its nearest folder is *opened*: an empty folder takes its place, with every former entry
mounted in it.

Looks at the disk (which entries exist), changes nothing but folders of ours that are writable
inside.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from orchestr.errors import OrchestrError

MOST = 4000  # entries of a folder that is opened; each of them is a mount
ROOT = Path("/")


class SandboxError(OrchestrError):
    """The sandbox cannot be made."""


class Access(Enum):
    """What a program may do with a path. The value is bubblewrap's option."""

    READ = "--ro-bind"
    WRITE = "--bind"
    EMPTY = "--tmpfs"  # a folder of its own in memory, whatever is there outside
    LINK = "--symlink"


@dataclass(frozen=True, slots=True)
class Mount:
    """One entry of the table. ``source`` is the path outside; of a link, the text it holds."""

    path: Path
    access: Access
    source: str

    def words(self) -> tuple[str, ...]:
        """bubblewrap's words for it."""
        if self.access is Access.EMPTY:
            return (self.access.value, str(self.path))
        return (self.access.value, self.source, str(self.path))


class MountTable:
    """The mounts of one sandbox. Later calls replace earlier ones of the same path.

    ``blank`` is an empty file of ours, which stands for files that are hidden.
    """

    def __init__(self, blank: Path) -> None:
        self._blank = blank
        self._mounts: dict[Path, Mount] = {ROOT: Mount(ROOT, Access.READ, "/")}

    def allow_reading(self, path: Path, source: Path | None = None) -> None:
        """``path`` can be read; what is there is ``source``, by default the path itself."""
        self._add(path, Access.READ, source)

    def allow_writing(self, path: Path, source: Path | None = None) -> None:
        """``path`` can be written to."""
        self._add(path, Access.WRITE, source)

    def empty_folder(self, path: Path) -> None:
        """``path`` is an empty folder that vanishes with the sandbox."""
        real = _resolve(path)
        self._mounts[real] = Mount(real, Access.EMPTY, "")

    def hide_path(self, path: Path) -> None:
        """Nothing of ``path`` can be seen. What does not exist needs no mount."""
        real = _resolve(path)
        if real.is_dir():
            self.empty_folder(real)
        elif real.exists():
            self._mounts[real] = Mount(real, Access.READ, str(self._blank))

    def open_folder(self, path: Path, *, without: frozenset[str] = frozenset()) -> None:
        """``path`` is an empty folder in which its entries are mounted, those ``without`` not.

        New entries can be made in it and vanish with the sandbox. Raises SandboxError when it has
        too many.
        """
        real = _resolve(path)
        self._open(real, real, Access.READ, without)

    def list_words(self) -> list[str]:
        """bubblewrap's words for the whole table. Raises SandboxError."""
        done: set[Path] = set()
        while todo := [path for path in self._mounts if path not in done]:
            path = min(todo, key=lambda one: len(one.parts))
            self._make_room(path)
            done.add(path)
        ordered = sorted(self._mounts.values(), key=lambda mount: mount.path.parts)
        return [word for mount in ordered for word in mount.words()]

    def _add(self, path: Path, access: Access, source: Path | None) -> None:
        real = _resolve(path)
        self._mounts[real] = Mount(real, access, str(real if source is None else source))

    def _open(
        self, folder: Path, outside: Path, access: Access, without: frozenset[str] = frozenset()
    ) -> None:
        entries = list(_list_entries(outside))
        if len(entries) > MOST:
            raise SandboxError(
                f"{folder} has {len(entries)} entries, too many to mount them one by one",
                hint='set [sandbox] mode = "none", or move HOME to a smaller folder',
            )
        self._mounts[folder] = Mount(folder, Access.EMPTY, "")
        for entry in entries:
            path = folder / entry.name
            if entry.name in without or path in self._mounts:
                continue
            if entry.is_symlink():
                self._mounts[path] = Mount(path, Access.LINK, str(Path(entry.path).readlink()))
            else:
                self._mounts[path] = Mount(path, access, entry.path)

    def _make_room(self, path: Path) -> None:
        """See to it that the place of a mount exists below the mount that covers it."""
        if path == ROOT:
            return
        above = self._find_cover(path.parent)
        if above.access is Access.EMPTY:
            return  # bubblewrap makes it
        outside = _outside(above, path)
        if outside.exists():
            return
        if above.access is Access.WRITE:
            _make_place(outside, is_folder=self._is_folder(path))
            return
        folder = path.parent
        while not _outside(above, folder).exists():
            folder = folder.parent
        if folder == ROOT:  # nothing of the program is there: it is not seen
            del self._mounts[path]
            return
        self._open(folder, _outside(above, folder), above.access)

    def _is_folder(self, path: Path) -> bool:
        mount = self._mounts[path]
        return mount.access is Access.EMPTY or Path(mount.source).is_dir()

    def _find_cover(self, path: Path) -> Mount:
        """The deepest mount at or above ``path``."""
        for one in (path, *path.parents):
            if one in self._mounts:
                found = self._mounts[one]
                return replace(found, source="") if found.access is Access.EMPTY else found
        raise AssertionError("the root is always mounted")


def _outside(mount: Mount, path: Path) -> Path:
    """Where what ``path`` shows below a mount lies outside."""
    return Path(mount.source or mount.path, path.relative_to(mount.path))


def _list_entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return


def _make_place(path: Path, *, is_folder: bool) -> None:
    try:
        if is_folder:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    except OSError as error:
        raise SandboxError(f"cannot make {path}: {error.strerror}") from error


def _resolve(path: Path) -> Path:
    return Path(os.path.realpath(path))
