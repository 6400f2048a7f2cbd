"""Which paths of a worktree are the kit's: linked or copied there from the main checkout.

Owns what the settings' `link` and `copy` mean: plain paths, or patterns (`*`, `?`, `[`). These
paths belong to the person's machine (a `.env`, a `node_modules`) and to no commit. What the base
tracks was never put there, so it is the cell's to change.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from orchestr.settings.records import RepoSettings

if TYPE_CHECKING:  # a verb that only reads needs no git
    from orchestr.git.repo import Repo

# Files of ours as pathspecs, in any folder (`orchestr.git.agent_environment.OURS` as excludes).
ENGINE_SPECS = tuple(
    f":(top,glob)**/{name}{rest}"
    for name in (".orchestr", ".doit.db*", ".ports.env")
    for rest in ("", "/**")
)
_MAGIC = "*?["
MOST_FILES = 2000  # of a folder whose content is compared; more are what a tool installs
LEAST = 16  # bytes of a file in a folder whose content is compared


@dataclass(frozen=True)
class KitPaths:
    """``names`` as in the settings, ``kept`` the paths among them that the base tracks."""

    names: tuple[str, ...] = ()
    literal: frozenset[str] = frozenset()  # those of them that are no patterns
    kept: tuple[str, ...] = ()
    clone: Path = field(default=Path(), compare=False)

    @cached_property
    def specs(self) -> tuple[str, ...]:
        """Git's pathspecs of all that is the kit's; empty for none."""
        mine = [name for name in self.names if name not in self.kept]
        if not mine:
            return ()
        found = []
        for name in mine:
            if name in self.literal:
                found.append(f":(top,literal){name}")
            else:
                found += [f":(top,glob){name}", f":(top,glob){name}/**"]
        return (*found, *(f":(top,exclude,literal){path}" for path in self.kept))

    @cached_property
    def patterns(self) -> tuple[str, ...]:
        """Lines of an excludes file: `node_modules/` of a repository does not match a link."""
        mine = [name for name in self.names if name not in self.kept]
        again = [f"!/{escape_pattern(path)}" for path in self.kept if path not in self.names]
        return (*(f"/{self._as_pattern(name)}" for name in mine), *again)

    def covers_path(self, path: str) -> bool:
        """Whether a path of the worktree is the kit's."""
        return bool(self.patterns) and bool(self._matcher.match_file(path.rstrip("/")))

    @cached_property
    def blobs(self) -> frozenset[str]:
        """The names that git gives to the content of what is copied or linked: a copy of a secret
        is the secret. Large folders are what a tool installs; they are left out."""
        found = set()
        for name in expand_names(self.names, self.clone):
            for data in _read_contents(self.clone / name):
                head = b"blob %d\0" % len(data)
                found.add(hashlib.sha1(head + data).hexdigest())
                found.add(hashlib.sha256(head + data).hexdigest())
        return frozenset(found)

    def _as_pattern(self, name: str) -> str:
        return escape_pattern(name) if name in self.literal else name

    @cached_property
    def _matcher(self) -> Any:
        import pathspec

        return pathspec.GitIgnoreSpec.from_lines(self.patterns)


NO_KIT = KitPaths()


def find_kit_paths(settings: RepoSettings, clone: Repo, base: str | None) -> KitPaths:
    """What of the settings' `link` and `copy` is the kit's in worktrees that began at ``base``."""
    key = ((*settings.link, *settings.copy), clone.path, base)
    known = _found.get(key)
    if known is None:
        known = _find_kit_paths(key[0], clone, base)
        if base is not None:
            _found[key] = known
    return known


_found: dict[tuple[tuple[str, ...], Path, str | None], KitPaths] = {}  # asked for very often


def _find_kit_paths(listed: tuple[str, ...], clone: Repo, base: str | None) -> KitPaths:
    names = tuple(dict.fromkeys(filter(None, map(_normalize, listed))))
    if not names:
        return NO_KIT
    from orchestr.git.filter_history import list_tree_paths

    place = clone.path
    literal = frozenset(name for name in names if _is_literal(name, place))
    kit = KitPaths(names, literal, clone=place)
    commit = clone.resolve_commit(base) if base else None
    if commit is None:
        return kit
    kept = dict.fromkeys(
        _find_entry(path, kit) for path in list_tree_paths(clone, commit, kit.specs)
    )
    return KitPaths(names, literal, tuple(kept), place)


def expand_names(names: Iterable[str], clone: Path) -> Iterator[str]:
    """The paths of the clone that names and patterns mean, each once, if they are there."""
    seen = set()
    for raw in names:
        name = _normalize(raw)
        if not name:
            continue
        if _is_literal(name, clone):
            found = [name] if os.path.lexists(clone / name) else []
        else:
            found = _match_paths(name, clone)
        for path in found:
            if path not in seen and not _is_in_repository(path, clone):
                seen.add(path)
                yield path


def _match_paths(pattern: str, clone: Path) -> list[str]:
    try:
        return sorted(path.relative_to(clone).as_posix() for path in clone.glob(pattern))
    except (ValueError, OSError):  # `a**b`, which older versions of Python refuse
        return []


def _is_in_repository(path: str, clone: Path) -> bool:
    """Whether a path is git's own, ours, or in another repository or worktree inside the clone."""
    parts = PurePosixPath(path).parts
    if ".git" in parts or ".orchestr" in parts:
        return True
    return any((clone.joinpath(*parts[:count]) / ".git").exists() for count in range(1, len(parts)))


def _normalize(name: str) -> str:
    """Without `./`, doubled and last slashes; empty for the whole checkout."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _is_literal(name: str, clone: Path) -> bool:
    """A name with brackets may be that of a file (`[id].tsx`)."""
    return not any(letter in name for letter in _MAGIC) or os.path.lexists(clone / name)


def escape_pattern(name: str) -> str:
    """A path as a line of an excludes file."""
    return "".join(f"\\{letter}" if letter in "\\*?[]! #" else letter for letter in name)


def _find_entry(path: str, kit: KitPaths) -> str:
    """What was there before the kit came: the name itself, or what a pattern matches of a path."""
    for name in kit.names:
        if name in kit.literal and (path == name or path.startswith(f"{name}/")):
            return name
    parts = path.split("/")
    for name in kit.names:
        if name not in kit.literal and "**" not in name:
            entry = "/".join(parts[: name.count("/") + 1])
            if KitPaths((name,)).covers_path(entry):
                return entry
    return path


def _read_contents(path: Path) -> Sequence[bytes]:
    """The contents of a file, or of the files of a folder that is not too large."""
    try:
        if path.is_file():
            data = path.read_bytes()
            return [data] if data.strip() else []
        files: list[Path] = []
        for where, _, names in os.walk(path):
            files += [Path(where, name) for name in names]
            if len(files) > MOST_FILES:
                return []
        contents = [file.read_bytes() for file in files if file.is_file()]
        return [data for data in contents if len(data) >= LEAST]
    except OSError:
        return []
